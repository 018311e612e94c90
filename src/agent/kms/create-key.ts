import { GatehouseError, reportOf } from '../../base/errors.ts';
import { retrying } from '../../base/retry.ts';
import { keysError } from '../../keys/errors.ts';
import { keyPolicy, requireNoLockout } from '../../keys/key-policy.ts';
import type { KmsAdmin, NewKey } from '../../keys/kms-admin.ts';
import type { Host } from '../host.ts';
import type { Launch } from '../launch.ts';
import { adminOf, asKeyAdmin, callerOf } from './admin.ts';
import { makeKey } from './make-key.ts';

export interface CreateKeyRequest extends Omit<NewKey, 'policy'> {
  /** `alias/NAME`. */
  readonly alias: string | undefined;
  readonly admins: readonly string[];
  readonly users: readonly string[];
  readonly viaService: string | undefined;
  /** A policy of one's own, JSON, instead of the one that is made of the three above. */
  readonly policy: string | undefined;
  /** Whether it is understood that AWS cannot bring imported material back. */
  readonly isDurabilityAccepted: boolean;
  /** Only the policy. */
  readonly isDryRun: boolean;
}

export interface CreatedKey {
  /** Absent in a dry run. */
  readonly keyArn?: string;
  readonly alias?: string;
  readonly isRotating: boolean;
  readonly policy: string;
  /** Keys that were made as well, by a call whose answer was lost: nothing is under them. */
  readonly spare?: readonly string[];
}

/**
 * Makes a KMS key with a policy that is checked against locking its maker out.
 * @throws KEY_POLICY_LOCKS_OUT, KEY_POLICY_INVALID, KEY_POLICY_REFUSED, KEY_DURABILITY_UNACCEPTED, KEY_ALIAS_EXISTS,
 *   KEY_MADE_UNFINISHED, KEY_MADE_PERHAPS, KEY_…
 */
export function createKey(
  launch: Launch,
  request: CreateKeyRequest,
  signal: AbortSignal,
): Promise<CreatedKey> {
  if (request.isExternal && !request.isDurabilityAccepted) throw keysError('KEY_DURABILITY_UNACCEPTED');
  return asKeyAdmin(launch, (host) => createKeyAt(host, request, signal));
}

/** `createKey`, on a host that is open. */
export async function createKeyAt(
  host: Host,
  request: CreateKeyRequest,
  signal: AbortSignal,
): Promise<CreatedKey> {
  const { spec, isExternal, admins, viaService, alias } = request;
  const caller = await callerOf(host, signal);
  const account = `arn:${caller.partition}:iam::${caller.accountId}:root`;
  // Without a user, IAM policies of the account decide who may use it.
  const users = request.users.length === 0 ? [account] : request.users;
  const policy = request.policy ?? keyPolicy({ ...caller, spec, isExternal, admins, users, viaService });
  requireNoLockout(policy, caller);
  // Only of its own material can KMS make more.
  const isRotating =
    spec === 'SYMMETRIC_DEFAULT' && !request.isExternal && request.customKeyStoreId === undefined;
  if (request.isDryRun) return { isRotating, policy };

  const admin = adminOf(host);
  if (alias !== undefined) await requireFree(admin, alias, signal);
  const { keyArn, spare } = await makeKey(host, admin, { ...request, policy }, signal);
  const finish = async (sig: AbortSignal): Promise<void> => {
    if (isRotating) await admin.enableRotation(keyArn, sig);
    if (alias !== undefined) await admin.nameKey(alias, keyArn, false, sig);
  };
  try {
    await retrying(finish, newKeyRetry, host.launch.clock, signal);
  } catch (error) {
    // A key costs money until it is deleted: whoever made it is told which it is.
    throw keysError('KEY_MADE_UNFINISHED', { keyArn, alias, code: reportOf(error).code }, error);
  }
  return {
    keyArn,
    ...(alias === undefined ? {} : { alias }),
    isRotating,
    policy,
    ...(spare.length === 0 ? {} : { spare }),
  };
}

/** KMS says for a few seconds that it does not know a key that it made. */
export const newKeyRetry = {
  baseMs: 250,
  capMs: 4000,
  attemptsMax: 10,
  isRetryable: hasNoSuchKey,
};

/** Before a key is made that would have no name. */
async function requireFree(admin: KmsAdmin, alias: string, signal: AbortSignal): Promise<void> {
  try {
    const { arn: keyArn } = await admin.describe(alias, signal);
    throw keysError('KEY_ALIAS_EXISTS', { alias, keyArn });
  } catch (error) {
    // Whoever may not see which key it is hears of it when the new one is named.
    const isDenied = error instanceof GatehouseError && error.code === 'KEY_DENIED';
    if (!isDenied && !hasNoSuchKey(error)) throw error;
  }
}

function hasNoSuchKey(error: unknown): boolean {
  return error instanceof GatehouseError && error.code === 'KEY_NOT_FOUND';
}
