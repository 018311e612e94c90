import { isDeepStrictEqual } from 'node:util';
import { GatehouseError } from '../../base/errors.ts';
import { retrying } from '../../base/retry.ts';
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
import { newKeyRetry } from './create-key.ts';
import { importable, importKeyMaterial, type MaterialPlace } from './import-key-material.ts';

export interface RenewRequest {
  /** `alias/NAME`; without it, the one that the gateway config names. */
  readonly alias: string | undefined;
  /** Needed until it is imported. */
  readonly material: MaterialPlace | undefined;
  readonly wrapping: WrappingAlgorithm | undefined;
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
  /**
   * Keys that were made to take the old one's place as well, by somebody who ran the same at once, or by a call whose
   * answer was lost. Nothing is under them, and they cost money until they are deleted.
   */
  readonly spare?: readonly string[];
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
  /** Whether this host's master key is under the old key, or one that was to take its place; false where it has none. */
  readonly isToBeRewrapped: boolean;
}

/** What this run did so far, which KMS may not know for some seconds. */
interface Done {
  /** Each with the key that it was done for. */
  readonly steps: { readonly step: RenewalStep; readonly keyArn: string | undefined }[];
  /** The key that it made. */
  keyArn?: string;
  /** Keys that were left alone, and said so. */
  readonly foreign: Set<string>;
  clearFile?: string | undefined;
}

/**
 * Gives an alias a new key with new imported material, and wraps this host's master key under it. It may stop between
 * any two steps, and goes on when it is run again. Between two steps it is looked at anew where the renewal stands:
 * somebody else may run the same, and of the keys that both made one is chosen, alike by both.
 * @throws KEY_ALIAS_NEEDED, KEY_RENEWAL_UNTRUSTED, KEY_DURABILITY_UNACCEPTED, KEY_ORIGIN_UNSUITABLE, KEY_…, MASTER_KEY_…,
 *   PASSWORD_…, FILE_…, USAGE without material while it is to be imported
 */
export function renewKey(launch: Launch, request: RenewRequest, signal: AbortSignal): Promise<Renewal> {
  return asKeyAdmin(launch, async (host) => {
    const alias = await aliasOf(host, request, signal);
    const admin = adminOf(host, alias);
    const done: Done = { steps: [], foreign: new Set() };
    let standing = await standingOf(host, admin, alias, done, signal);
    const todo = stepsLeft(standing, done);
    const before = renewalSteps.filter((step) => !todo.includes(step));
    if (request.isDryRun) return renewalOf(alias, standing, { before, now: todo });
    requireWhatIsNeeded(todo, request);

    for (let [step] = todo; step !== undefined; [step] = stepsLeft(standing, done)) {
      const keyArn = standing.next?.arn;
      await take(step, { launch, host, admin, alias, request, standing, done }, signal);
      done.steps.push({ step, keyArn });
      standing = await standingOf(host, admin, alias, done, signal);
    }
    const spare = await spareKeys(host, admin, standing, done, signal);
    const now = renewalSteps.filter((step) => done.steps.some((each) => each.step === step));
    const { clearFile } = done;
    return {
      ...renewalOf(alias, standing, { before, now }),
      ...(spare.length === 0 ? {} : { spare }),
      ...(clearFile === undefined ? {} : { clearFile }),
    };
  });
}

function renewalOf(
  alias: string,
  { oldKeyArn, next }: Standing,
  { before, now }: Pick<Renewal, 'before' | 'now'>,
): Renewal {
  const newKeyArn = next === undefined ? {} : { newKeyArn: next.arn };
  return { alias, oldKeyArn, ...newKeyArn, before, now };
}

/** Keys that were made to take the old one's place as well; looked for only where this run made one. */
async function spareKeys(
  host: Host,
  admin: KmsAdmin,
  { oldKeyArn, next }: Standing,
  done: Done,
  signal: AbortSignal,
): Promise<string[]> {
  if (done.keyArn === undefined) return [];
  const made = await keysThatRenew(host, admin, oldKeyArn, done, signal);
  const spare = made.map(({ arn }) => arn).filter((arn) => arn !== next?.arn);
  for (const keyArn of spare) host.recorder.log(keysEvent('kms-key.spare', { keyArn, before: oldKeyArn }));
  return spare;
}

async function take(
  step: RenewalStep,
  at: {
    readonly launch: Launch;
    readonly host: Host;
    readonly admin: KmsAdmin;
    readonly alias: string;
    readonly request: RenewRequest;
    readonly standing: Standing;
    readonly done: Done;
  },
  signal: AbortSignal,
): Promise<void> {
  const { launch, host, admin, alias, request, standing, done } = at;
  const { oldKeyArn, next } = standing;
  if (step === 'create') {
    // It was made, and somebody disabled or deleted it since.
    if (done.keyArn !== undefined) throw keysError('KEY_UNUSABLE', { keyArn: done.keyArn });
    done.keyArn = await created(host, admin, oldKeyArn, signal);
    return;
  }
  const newKeyArn = next?.arn ?? '';
  if (step === 'import' && request.material !== undefined) {
    const { material, wrapping, expiresAt } = request;
    const from = { material, wrapping };
    const { clearFile } = await importKeyMaterial(launch, { keyId: newKeyArn, from, expiresAt }, signal);
    done.clearFile = clearFile;
  }
  if (step === 'move alias') await moveAlias(host, admin, { alias, oldKeyArn, newKeyArn }, signal);
  if (step === 'rewrap') {
    await rewrapMasterKey(launch, { keyId: newKeyArn, passwords: request.passwords }, signal);
  }
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

function stepsLeft({ next, isMoved, isToBeRewrapped }: Standing, done: Done): RenewalStep[] {
  const isLeft: Readonly<Record<RenewalStep, boolean>> = {
    create: next === undefined,
    import: next === undefined || next.state === 'PendingImport',
    'move alias': !isMoved,
    rewrap: isToBeRewrapped,
  };
  const isDone = (step: RenewalStep): boolean =>
    done.steps.some((each) => each.step === step && each.keyArn !== undefined && each.keyArn === next?.arn);
  return renewalSteps.filter((step) => isLeft[step] && !isDone(step));
}

async function standingOf(
  host: Host,
  admin: KmsAdmin,
  alias: string,
  done: Done,
  signal: AbortSignal,
): Promise<Standing> {
  const current = await admin.describe(alias, signal);
  if (current.origin !== 'EXTERNAL') {
    throw keysError('KEY_ORIGIN_UNSUITABLE', { keyArn: current.arn, origin: current.origin });
  }
  const wrappedBy = await wrappingKeyArn(host);
  const renewed = (await admin.tagsOf(current.arn, signal))[renewsTag];
  const ageMs = host.launch.clock.now().getTime() - current.createdAt.getTime();
  const isOfThisRun = done.steps.some(({ keyArn }) => keyArn === current.arn);
  if (renewed !== undefined && (isOfThisRun || wrappedBy === renewed || ageMs < renewalMsMax)) {
    const isToBeRewrapped =
      wrappedBy !== undefined &&
      wrappedBy !== current.arn &&
      (wrappedBy === renewed || (await renewedBy(admin, wrappedBy, signal)) === renewed);
    return { oldKeyArn: renewed, next: current, isMoved: true, isToBeRewrapped };
  }
  const [next] = await keysThatRenew(host, admin, current.arn, done, signal);
  return { oldKeyArn: current.arn, next, isMoved: false, isToBeRewrapped: wrappedBy === current.arn };
}

/** The key whose place this one takes, or was made to take. */
async function renewedBy(admin: KmsAdmin, keyArn: string, signal: AbortSignal): Promise<string | undefined> {
  return (await unlessDenied(admin.tagsOf(keyArn, signal)))?.[renewsTag];
}

/**
 * The keys that were made to take the place of this one; the first is the one that does, whoever asks. Whoever may make
 * keys may tag one so: it is taken for one only where it gives nobody more than the old key does.
 */
async function keysThatRenew(
  host: Host,
  admin: KmsAdmin,
  keyArn: string,
  done: Done,
  signal: AbortSignal,
): Promise<KeyDetails[]> {
  const own = done.keyArn;
  const found: KeyDetails[] = [];
  if (own !== undefined) {
    const ask = (sig: AbortSignal) => usableRenewal(admin, own, keyArn, sig);
    found.push(...((await retrying(ask, newKeyRetry, host.launch.clock, signal)) ?? []));
  }
  for (const candidate of await admin.list(keysMax, signal)) {
    if (candidate === own) continue;
    const [key] = (await unlessDenied(usableRenewal(admin, candidate, keyArn, signal))) ?? [];
    if (key === undefined) continue;
    if (await isAsCreated(admin, key, keyArn, signal)) found.push(key);
    else if (!done.foreign.has(candidate)) {
      done.foreign.add(candidate);
      host.recorder.log(keysEvent('kms-key.renewal-foreign', { keyArn: candidate, before: keyArn }));
    }
  }
  return found.toSorted(
    (one, other) => one.createdAt.getTime() - other.createdAt.getTime() || (one.arn < other.arn ? -1 : 1),
  );
}

/** The key, where it says that it takes the place of the other, and can. */
async function usableRenewal(
  admin: KmsAdmin,
  candidate: string,
  keyArn: string,
  signal: AbortSignal,
): Promise<[KeyDetails] | []> {
  if ((await admin.tagsOf(candidate, signal))[renewsTag] !== keyArn) return [];
  const key = await admin.describe(candidate, signal);
  return key.state === 'PendingImport' || key.state === 'Enabled' ? [key] : [];
}

/** Whether a key is as `created` makes it, but for its tags, and nobody has been granted more since. */
async function isAsCreated(
  admin: KmsAdmin,
  { arn, spec, origin }: KeyDetails,
  oldKeyArn: string,
  signal: AbortSignal,
): Promise<boolean> {
  const policy = await unlessDenied(admin.policyOf(arn, signal));
  if (policy === undefined || origin !== 'EXTERNAL') return false;
  if (spec !== (await admin.describe(oldKeyArn, signal)).spec) return false;
  const old = await admin.policyOf(oldKeyArn, signal);
  return isDeepStrictEqual(JSON.parse(policy), JSON.parse(old)) && !(await admin.hasGrants(arn, signal));
}

/** Undefined for a key of somebody else's, or that is gone by now. */
async function unlessDenied<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    const isNotOurs =
      error instanceof GatehouseError && (error.code === 'KEY_DENIED' || error.code === 'KEY_NOT_FOUND');
    if (isNotOurs) return undefined;
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

/** A key for new material that is like the old one: who may use it, what it is for, its tags. */
async function created(host: Host, admin: KmsAdmin, oldKeyArn: string, signal: AbortSignal): Promise<string> {
  const policy = await admin.policyOf(oldKeyArn, signal);
  requireNoLockout(policy, await callerOf(host, signal));
  const old = await admin.describe(oldKeyArn, signal);
  const { description } = old;
  const { spec } = importable(old);
  const key = { spec, isExternal: true, description, policy };
  const tags = { ...ownTags(await admin.tagsOf(oldKeyArn, signal)), [renewsTag]: oldKeyArn };
  const { keyArn } = await admin.create({ ...key, tags }, signal);
  host.recorder.log(keysEvent('kms-key.created', { keyArn, spec }));
  return keyArn;
}

/** Those that are the operator's, by which IAM policies may know a key: AWS keeps its prefix for itself, and ours says how a key was made. */
function ownTags(tags: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(tags).filter(([name]) => !/^(?:aws|gatehouse):/iu.test(name)));
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
