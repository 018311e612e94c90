import { isDeepStrictEqual } from 'node:util';
import { GatehouseError } from '../../base/errors.ts';
import { keysError } from '../../keys/errors.ts';
import { requireNoLockout } from '../../keys/key-policy.ts';
import type { KeyDetails, KmsAdmin, WrappingAlgorithm } from '../../keys/kms-admin.ts';
import { keysEvent } from '../../keys/log-events.ts';
import { agentError } from '../errors.ts';
import type { Host } from '../host.ts';
import type { Launch } from '../launch.ts';
import { bindingKeyArnOf } from '../master-key/binding-key-arn.ts';
import { configuredKeys, type Passwords } from '../master-key/operator.ts';
import { rewrapMasterKey } from '../master-key/rewrap.ts';
import { openMasterKeyState } from '../master-key/state.ts';
import { adminOf, asKeyAdmin, callerOf, wantedKey } from './admin.ts';
import { importKeyMaterial, type MaterialPlace } from './import-key-material.ts';

export interface RenewRequest {
  /** `alias/NAME`; without it, the one that the gateway config names. */
  readonly alias: string | undefined;
  /** Needed until it is imported. */
  readonly material: MaterialPlace | undefined;
  readonly wrapping: WrappingAlgorithm;
  readonly expiresAt: Date | undefined;
  readonly isDurabilityAccepted: boolean;
  /** Only what is done and what is to be done. */
  readonly isDryRun: boolean;
  readonly passwords: Pick<Passwords, 'current'>;
}

/** In this order: at every instant each host opens what it has, with the old key or the new one. */
const renewalSteps = ['create', 'import', 'move alias', 'rewrap'] as const;
export type RenewalStep = (typeof renewalSteps)[number];

export interface Renewal {
  readonly alias: string;
  readonly oldKeyArn: string;
  /** Absent before it is made. */
  readonly newKeyArn?: string;
  /** What was done before, by a run that stopped. */
  readonly before: readonly RenewalStep[];
  /** What this run did; what it would do, in a dry run. */
  readonly now: readonly RenewalStep[];
  /** The file in which the material still lies in clear. */
  readonly clearFile?: string;
}

/** Says of a key which one it takes the place of: this is how a run that stopped is found again, from any machine. */
const renewsTag = 'gatehouse:renews';

/** Keys looked at for that tag. */
const keysMax = 10_000;

/** A key that took another's place longer ago is not being renewed: it is due itself. */
const renewalMsMax = 7 * 24 * 60 * 60 * 1000;

/** Where a renewal stands; everything in it comes from KMS and from this host's own wrapped key. */
interface Standing {
  readonly oldKeyArn: string;
  readonly next: KeyDetails | undefined;
  readonly isMoved: boolean;
  /** Whether this host's master key is still under the old key; false where it has none. */
  readonly isToBeRewrapped: boolean;
}

/**
 * Gives an alias a new key with new imported material, and wraps this host's master key under it. It may stop between
 * any two steps, and goes on when it is run again.
 * @throws KEY_ALIAS_NEEDED, KEY_RENEWAL_UNTRUSTED, KEY_DURABILITY_UNACCEPTED, KEY_ORIGIN_UNSUITABLE, KEY_…, MASTER_KEY_…,
 *   PASSWORD_…, FILE_…, USAGE without material while it is to be imported
 */
export function renewKey(launch: Launch, request: RenewRequest, signal: AbortSignal): Promise<Renewal> {
  return asKeyAdmin(launch, async (host) => {
    const alias = await aliasOf(host, request, signal);
    const admin = adminOf(host, alias);
    const standing = await standingOf(host, admin, alias, signal);
    const todo = stepsLeft(standing);
    const report = {
      alias,
      oldKeyArn: standing.oldKeyArn,
      ...(standing.next === undefined ? {} : { newKeyArn: standing.next.arn }),
      before: renewalSteps.filter((step) => !todo.includes(step)),
      now: todo,
    };
    if (request.isDryRun || todo.length === 0) return report;

    requireWhatIsNeeded(todo, request);
    const { material, passwords } = request;
    const newKeyArn = standing.next?.arn ?? (await created(host, admin, standing.oldKeyArn, signal));
    const from = material === undefined ? undefined : { material, wrapping: request.wrapping };
    const imported =
      todo.includes('import') && from !== undefined
        ? await importKeyMaterial(launch, { keyId: newKeyArn, from, expiresAt: request.expiresAt }, signal)
        : undefined;
    if (todo.includes('move alias')) await moveAlias(host, admin, { ...report, newKeyArn }, signal);
    if (todo.includes('rewrap')) await rewrapMasterKey(launch, { keyId: newKeyArn, passwords }, signal);
    const { clearFile } = imported ?? {};
    return { ...report, newKeyArn, ...(clearFile === undefined ? {} : { clearFile }) };
  });
}

async function aliasOf(host: Host, { alias }: RenewRequest, signal: AbortSignal): Promise<string> {
  const wanted = await wantedKey(host, alias, signal);
  const [, name] = /^(?:arn:[^/]+:)?(alias\/.+)$/u.exec(wanted) ?? [];
  if (name === undefined) throw keysError('KEY_ALIAS_NEEDED', { keyId: wanted });
  return wanted;
}

function requireWhatIsNeeded(todo: readonly RenewalStep[], request: RenewRequest): void {
  if (todo.includes('create') && !request.isDurabilityAccepted) throw keysError('KEY_DURABILITY_UNACCEPTED');
  if (todo.includes('import') && request.material === undefined) {
    throw agentError('USAGE', { problem: 'Name the new material: --material FILE, or --generate.' });
  }
}

function stepsLeft({ next, isMoved, isToBeRewrapped }: Standing): RenewalStep[] {
  const isLeft: Readonly<Record<RenewalStep, boolean>> = {
    create: next === undefined,
    import: next === undefined || next.state === 'PendingImport',
    'move alias': !isMoved,
    rewrap: isToBeRewrapped,
  };
  return renewalSteps.filter((step) => isLeft[step]);
}

async function standingOf(
  host: Host,
  admin: KmsAdmin,
  alias: string,
  signal: AbortSignal,
): Promise<Standing> {
  const current = await admin.describe(alias, signal);
  if (current.origin !== 'EXTERNAL') {
    throw keysError('KEY_ORIGIN_UNSUITABLE', { keyArn: current.arn, origin: current.origin });
  }
  const wrappedBy = await wrappingKeyArn(host);
  const renewed = (await admin.tagsOf(current.arn, signal))[renewsTag];
  const ageMs = host.launch.clock.now().getTime() - current.createdAt.getTime();
  if (renewed !== undefined && (wrappedBy === renewed || ageMs < renewalMsMax)) {
    return { oldKeyArn: renewed, next: current, isMoved: true, isToBeRewrapped: wrappedBy === renewed };
  }
  return {
    oldKeyArn: current.arn,
    next: await keyThatRenews(host, admin, current.arn, signal),
    isMoved: false,
    isToBeRewrapped: wrappedBy === current.arn,
  };
}

/**
 * The key that a run made which stopped. Whoever may make keys may tag one so: it is taken for that only where it gives
 * nobody more than the old key does.
 */
async function keyThatRenews(
  host: Host,
  admin: KmsAdmin,
  keyArn: string,
  signal: AbortSignal,
): Promise<KeyDetails | undefined> {
  for (const candidate of await admin.list(keysMax, signal)) {
    const tags = await unlessDenied(admin.tagsOf(candidate, signal));
    if (tags?.[renewsTag] !== keyArn) continue;
    const key = await unlessDenied(admin.describe(candidate, signal));
    if (key?.state !== 'PendingImport' && key?.state !== 'Enabled') continue;
    if (await isAsCreated(admin, key, keyArn, signal)) return key;
    host.recorder.log(keysEvent('kms-key.renewal-foreign', { keyArn: candidate, before: keyArn }));
  }
  return undefined;
}

/** Whether a key is as `created` makes it, and nobody has been granted more since. */
async function isAsCreated(
  admin: KmsAdmin,
  { arn, spec, origin }: KeyDetails,
  oldKeyArn: string,
  signal: AbortSignal,
): Promise<boolean> {
  if (spec !== 'SYMMETRIC_DEFAULT' || origin !== 'EXTERNAL') return false;
  const policy = await unlessDenied(admin.policyOf(arn, signal));
  if (policy === undefined) return false;
  const old = await admin.policyOf(oldKeyArn, signal);
  return isDeepStrictEqual(JSON.parse(policy), JSON.parse(old)) && !(await admin.hasGrants(arn, signal));
}

/** Undefined for a key of somebody else's. */
async function unlessDenied<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'KEY_DENIED') return undefined;
    throw error;
  }
}

/** The KMS key that wraps this host's master key; undefined where it has none. */
async function wrappingKeyArn({ bootstrap }: Host): Promise<string | undefined> {
  const state = openMasterKeyState(bootstrap.config.stateDirectory, { isMade: false });
  try {
    const generation = state?.ledger.sealing();
    return state === undefined || generation === undefined
      ? undefined
      : await bindingKeyArnOf(state, generation);
  } finally {
    state?.close();
  }
}

/** A key for new material that is like the old one: who may use it, what it is for. */
async function created(host: Host, admin: KmsAdmin, oldKeyArn: string, signal: AbortSignal): Promise<string> {
  const policy = await admin.policyOf(oldKeyArn, signal);
  requireNoLockout(policy, await callerOf(host, signal));
  const { description } = await admin.describe(oldKeyArn, signal);
  const keyArn = await admin.create(
    { spec: 'SYMMETRIC_DEFAULT', isExternal: true, description, tags: { [renewsTag]: oldKeyArn }, policy },
    signal,
  );
  host.recorder.log(keysEvent('kms-key.created', { keyArn, spec: 'SYMMETRIC_DEFAULT' }));
  return keyArn;
}

/** Undefined also where there is no gateway config yet: no agent goes by it. */
async function keysOfConfig(host: Host, signal: AbortSignal) {
  try {
    return await configuredKeys(host, signal);
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'SECRET_NOT_FOUND') return undefined;
    throw error;
  }
}

async function moveAlias(
  host: Host,
  admin: KmsAdmin,
  { alias, oldKeyArn, newKeyArn }: { alias: string; oldKeyArn: string; newKeyArn: string },
  signal: AbortSignal,
): Promise<void> {
  const name = alias.slice(alias.indexOf('alias/'));
  const { bindingKey, trustedKeys = [] } = (await keysOfConfig(host, signal)) ?? {};
  // Whatever starts between the alias and the last rewrapping opens with the old key, on this host and on others.
  if (bindingKey?.endsWith(name) === true && !trustedKeys.includes(oldKeyArn)) {
    throw keysError('KEY_RENEWAL_UNTRUSTED', { oldKeyArn });
  }
  await admin.nameKey(name, newKeyArn, true, signal);
  host.recorder.log(keysEvent('kms-key.alias-moved', { alias: name, keyArn: newKeyArn, before: oldKeyArn }));
}
