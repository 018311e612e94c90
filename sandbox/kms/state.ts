import { AwsError, type CallContext } from '../service.ts';

export type RsaSpec = 'RSA_2048' | 'RSA_3072' | 'RSA_4096';
export type KeySpec = 'SYMMETRIC_DEFAULT' | RsaSpec;

/** A KMS key. Plain data: dates are epoch milliseconds, bytes are base64. */
export interface KeyRecord {
  readonly arn: string;
  readonly id: string;
  readonly accountId: string;
  readonly createdAt: number;
  readonly spec: KeySpec;
  /** Absent: `ENCRYPT_DECRYPT`. Keys that sign are there to be refused: nothing here signs. */
  readonly usage?: 'SIGN_VERIFY';
  readonly origin: 'AWS_KMS' | 'EXTERNAL' | 'AWS_CLOUDHSM';
  /** Of a key of origin `AWS_CLOUDHSM`. */
  readonly customKeyStoreId: string | undefined;
  /** Key material, base64: 32 bytes, or a private RSA key as PKCS #8; empty while there is none. */
  material: string;
  /** What `KeyMaterialId` says of the material: 64 hexadecimal digits; undefined until some was imported. */
  materialId: string | undefined;
  /** When imported material expires, if it does. */
  materialExpiresAt?: number;
  description: string;
  policy: string;
  readonly tags: Map<string, string>;
  state: 'Enabled' | 'Disabled' | 'PendingImport' | 'PendingDeletion' | 'Deleted';
  /** When the key is deleted; only while `PendingDeletion`. */
  deletionAt?: number;
  rotation?: { readonly enabledAt: number; readonly periodDays: number };
}

/** What GetParametersForImport gave out, by its import token. */
export interface ImportParameters {
  readonly keyArn: string;
  readonly algorithm: WrappingAlgorithm;
  /** PKCS #8, base64. */
  readonly privateKey: string;
  readonly expiresAt: number;
}

export const wrappingAlgorithms = [
  'RSAES_OAEP_SHA_256',
  'RSAES_OAEP_SHA_1',
  'RSA_AES_KEY_WRAP_SHA_256',
  'RSA_AES_KEY_WRAP_SHA_1',
] as const;
export type WrappingAlgorithm = (typeof wrappingAlgorithms)[number];

/** Permission for one principal, beside the key's policy. */
export interface GrantRecord {
  readonly id: string;
  readonly keyArn: string;
  readonly name: string | undefined;
  readonly grantee: string;
  readonly retiring: string | undefined;
  readonly operations: readonly string[];
  readonly constraint:
    | { readonly kind: 'equals' | 'subset'; readonly context: ReadonlyMap<string, string> }
    | undefined;
  readonly createdAt: number;
  /** ARN of the account that made it. */
  readonly issuer: string;
  readonly tokens: Set<string>;
}

export const connectionStates = [
  'CONNECTED',
  'CONNECTING',
  'FAILED',
  'DISCONNECTED',
  'DISCONNECTING',
] as const;

/** A CloudHSM cluster that keys live in, when it is connected. */
export interface CustomKeyStore {
  readonly id: string;
  readonly name: string;
  readonly clusterId: string;
  readonly createdAt: number;
  connection: (typeof connectionStates)[number];
  /** Why it is `FAILED`. */
  error: string | undefined;
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
  /** By token. */
  readonly imports: Map<string, ImportParameters>;
  /** By id. */
  readonly grants: Map<string, GrantRecord>;
  readonly customKeyStores: Map<string, CustomKeyStore>;
}

export function newKmsState(): KmsState {
  return {
    keys: new Map(),
    aliases: new Map(),
    imports: new Map(),
    grants: new Map(),
    customKeyStores: new Map(),
  };
}

/** How long a token is remembered after it expired, so that it is told apart from one that never was. */
const forgottenAfterMs = 30 * 24 * 60 * 60 * 1000;

/** Lets time pass: keys are deleted, imported material expires, tokens are forgotten. */
export function passTime(state: KmsState, now: Date): void {
  deleteDueKeys(state, now);
  for (const key of state.keys.values()) {
    if (key.materialExpiresAt !== undefined && key.materialExpiresAt <= now.getTime()) dropMaterial(key);
  }
  for (const [token, { expiresAt }] of state.imports) {
    if (expiresAt + forgottenAfterMs <= now.getTime()) state.imports.delete(token);
  }
}

/** Takes imported material away. What it was is remembered by its id, and only the same may come back. */
export function dropMaterial(key: KeyRecord): void {
  key.material = '';
  delete key.materialExpiresAt;
  if (key.state !== 'PendingDeletion') key.state = 'PendingImport';
}

/** Deletes the keys whose waiting period is over, and their aliases with them. */
function deleteDueKeys(state: KmsState, now: Date): void {
  for (const key of state.keys.values()) {
    if (key.state !== 'PendingDeletion' || key.deletionAt === undefined) continue;
    if (key.deletionAt > now.getTime()) continue;
    key.state = 'Deleted';
    key.material = '';
    for (const grant of state.grants.values()) {
      if (grant.keyArn === key.arn) state.grants.delete(grant.id);
    }
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

/** The state that is told: keys of a store that is not connected cannot be reached, whatever they are. */
export function toldState(record: KeyRecord, state: KmsState): string {
  const isReachable =
    record.customKeyStoreId === undefined ||
    state.customKeyStores.get(record.customKeyStoreId)?.connection === 'CONNECTED';
  return isReachable || record.state === 'PendingDeletion' ? record.state : 'Unavailable';
}

/** For what needs the key itself. @throws AwsError DisabledException or KMSInvalidStateException */
export function assertUsable(record: KeyRecord, state: KmsState): void {
  assertEnabled(record);
  if (toldState(record, state) === 'Unavailable') {
    throw invalidState(`${record.arn} is unavailable because its custom key store is not connected.`);
  }
}

/** @throws AwsError DisabledException or KMSInvalidStateException */
export function assertEnabled(record: KeyRecord): void {
  if (record.state === 'Disabled') throw new AwsError('DisabledException', `${record.arn} is disabled.`);
  assertNotPendingDeletion(record);
  assertNotPendingImport(record);
}

/** @throws AwsError KMSInvalidStateException */
export function assertNotPendingDeletion(record: KeyRecord): void {
  if (record.state === 'PendingDeletion') throw invalidState(`${record.arn} is pending deletion.`);
}

/** @throws AwsError KMSInvalidStateException */
export function assertNotPendingImport(record: KeyRecord): void {
  if (record.state === 'PendingImport') throw invalidState(`${record.arn} is pending import.`);
}

export function invalidState(message: string): AwsError {
  return new AwsError('KMSInvalidStateException', message);
}
