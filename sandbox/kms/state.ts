import { AwsError, type CallContext } from '../service.ts';

/** A KMS key. Plain data: dates are epoch milliseconds, bytes are base64. */
export interface KeyRecord {
  readonly arn: string;
  readonly id: string;
  readonly accountId: string;
  readonly createdAt: number;
  /** Key material: 32 bytes, base64; empty once the key was deleted. */
  material: string;
  /** What `KeyMaterialId` says of the material: 64 hexadecimal digits. */
  readonly materialId: string;
  readonly description: string;
  policy: string;
  readonly tags: Map<string, string>;
  state: 'Enabled' | 'Disabled' | 'PendingDeletion' | 'Deleted';
  /** When the key is deleted; only while `PendingDeletion`. */
  deletionAt?: number;
  rotation?: { readonly enabledAt: number; readonly periodDays: number };
}

export interface AliasRecord {
  readonly arn: string;
  /** With the prefix `alias/`. */
  readonly name: string;
  targetKeyArn: string;
  readonly createdAt: number;
  updatedAt: number;
}

/** Keys and aliases of all accounts and regions, by ARN. */
export interface KmsState {
  readonly keys: Map<string, KeyRecord>;
  readonly aliases: Map<string, AliasRecord>;
}

export function newKmsState(): KmsState {
  return { keys: new Map(), aliases: new Map() };
}

/** Deletes the keys whose waiting period is over, and their aliases with them. */
export function deleteDueKeys(state: KmsState, now: Date): void {
  for (const key of state.keys.values()) {
    if (key.state !== 'PendingDeletion' || key.deletionAt === undefined) continue;
    if (key.deletionAt > now.getTime()) continue;
    key.state = 'Deleted';
    key.material = '';
    for (const alias of state.aliases.values()) {
      if (alias.targetKeyArn === key.arn) state.aliases.delete(alias.arn);
    }
  }
}

/** The ARN of a KMS resource (`key/ID`, `alias/NAME`) of the caller's account and region. */
export function arnOf(resource: string, context: CallContext): string {
  return `${arnPrefix(context)}${resource}`;
}

function arnPrefix({ region, caller }: CallContext): string {
  return `arn:aws:kms:${region}:${caller.accountId}:`;
}

/** The key that a key id, key ARN, alias name or alias ARN names. @throws AwsError NotFoundException */
export function keyOrAlias(identifier: string, state: KmsState, context: CallContext): KeyRecord {
  const resource = resourceOf(identifier, context);
  if (!resource.startsWith('alias/')) return keyById(identifier, state, context);
  const alias = state.aliases.get(arnOf(resource, context));
  if (alias === undefined) throw notFound(`Alias ${arnOf(resource, context)} is not found.`);
  return existing(alias.targetKeyArn, state);
}

const keyIdPattern = /^(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$/u;

/** The key that a key id or key ARN names: for operations that take no alias. @throws AwsError NotFoundException */
export function keyById(identifier: string, state: KmsState, context: CallContext): KeyRecord {
  const resource = resourceOf(identifier, context);
  const id = resource.startsWith('key/') ? resource.slice('key/'.length) : undefined;
  if (id === undefined || !keyIdPattern.test(id)) throw notFound(`Invalid keyId '${identifier}'`);
  return existing(arnOf(`key/${id}`, context), state);
}

/** `key/ID` or `alias/NAME` within the caller's account and region. */
function resourceOf(identifier: string, context: CallContext): string {
  if (!identifier.startsWith('arn:')) {
    return identifier.startsWith('alias/') ? identifier : `key/${identifier}`;
  }
  const prefix = arnPrefix(context);
  if (identifier.startsWith(prefix)) return identifier.slice(prefix.length);
  const [, , service, region, accountId] = identifier.split(':');
  // Another region's ARN is refused by its region, another account's as if it did not exist: seen on AWS.
  if (service === 'kms' && region === context.region && accountId !== undefined) {
    throw notFound(`Key '${identifier}' does not exist`);
  }
  throw notFound(`Invalid arn ${region ?? ''}`);
}

function existing(arn: string, state: KmsState): KeyRecord {
  const found = state.keys.get(arn);
  if (found === undefined || found.state === 'Deleted') throw notFound(`Key '${arn}' does not exist`);
  return found;
}

export function notFound(message: string): AwsError {
  return new AwsError('NotFoundException', message);
}

/** @throws AwsError DisabledException or KMSInvalidStateException */
export function assertEnabled(record: KeyRecord): void {
  if (record.state === 'Disabled') throw new AwsError('DisabledException', `${record.arn} is disabled.`);
  assertNotPendingDeletion(record);
}

/** @throws AwsError KMSInvalidStateException */
export function assertNotPendingDeletion(record: KeyRecord): void {
  if (record.state === 'PendingDeletion') {
    throw new AwsError('KMSInvalidStateException', `${record.arn} is pending deletion.`);
  }
}
