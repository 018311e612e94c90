import { keysError } from '../../keys/errors.ts';
import { keyPolicy, requireNoLockout } from '../../keys/key-policy.ts';
import type { NewKey } from '../../keys/kms-admin.ts';
import { keysEvent } from '../../keys/log-events.ts';
import type { Host } from '../host.ts';
import type { Launch } from '../launch.ts';
import { adminOf, asKeyAdmin, callerOf } from './admin.ts';

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
}

/**
 * Makes a KMS key with a policy that is checked against locking its maker out.
 * @throws KEY_POLICY_LOCKS_OUT, KEY_POLICY_INVALID, KEY_POLICY_REFUSED, KEY_DURABILITY_UNACCEPTED, KEY_ALIAS_EXISTS,
 *   KEY_…
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
  const { spec, admins, viaService, alias } = request;
  const caller = await callerOf(host, signal);
  const account = `arn:${caller.partition}:iam::${caller.accountId}:root`;
  // Without a user, IAM policies of the account decide who may use it.
  const users = request.users.length === 0 ? [account] : request.users;
  const policy = request.policy ?? keyPolicy({ ...caller, spec, admins, users, viaService });
  requireNoLockout(policy, caller);
  // Only of its own material can KMS make more.
  const isRotating =
    spec === 'SYMMETRIC_DEFAULT' && !request.isExternal && request.customKeyStoreId === undefined;
  if (request.isDryRun) return { isRotating, policy };

  const admin = adminOf(host);
  const keyArn = await admin.create({ ...request, policy }, signal);
  host.recorder.log(keysEvent('kms-key.created', { keyArn, spec }));
  if (alias !== undefined) await admin.nameKey(alias, keyArn, false, signal);
  if (isRotating) await admin.enableRotation(keyArn, signal);
  return { keyArn, ...(alias === undefined ? {} : { alias }), isRotating, policy };
}
