import type { STSClient } from '@aws-sdk/client-sts';
import type { GatehouseError } from '../base/errors.ts';
import { identityError } from './errors.ts';
import { roleOf } from './role-session.ts';
import { stsError } from './sts-error.ts';

/** Who AWS says these credentials belong to. */
export interface Caller {
  readonly arn: string;
  /** 12 digits. */
  readonly accountId: string;
  /** The unique id: `AIDA…` of a user, `AROA…:session` of an assumed role. */
  readonly userId: string;
  /** Of an assumed role. */
  readonly roleName?: string;
  readonly sessionName?: string;
}

/**
 * Asks AWS STS who the client's credentials belong to.
 * @throws CREDENTIALS_REFUSED, CREDENTIALS_EXPIRED, CREDENTIALS_THROTTLED, CREDENTIALS_STS_UNREACHABLE, what the client's
 * own credential provider throws, and the signal's reason when it aborts.
 */
export async function callerIdentity(client: Pick<STSClient, 'send'>, signal: AbortSignal): Promise<Caller> {
  signal.throwIfAborted();
  const { GetCallerIdentityCommand } = await import('@aws-sdk/client-sts');
  const reply = await client
    .send(new GetCallerIdentityCommand({}), { abortSignal: signal })
    .catch((error: unknown) => {
      signal.throwIfAborted();
      throw stsError(error, 'GetCallerIdentity', { otherwise: 'CREDENTIALS_REFUSED' });
    });
  const { Arn: arn, Account: accountId, UserId: userId } = reply;
  if (!arn || !accountId || !userId) {
    throw identityError('CREDENTIALS_DOCUMENT_INVALID', { operation: 'GetCallerIdentity' });
  }
  return { arn, accountId, userId, ...roleOf(arn) };
}

/** Whom this host is pinned to; either may be absent. */
export interface ExpectedCaller {
  readonly expectAccountId?: string | undefined;
  readonly expectRoleName?: string | undefined;
}

/** What is wrong with the caller: nothing, or CREDENTIALS_UNEXPECTED_IDENTITY that says what was expected and found. */
export function unexpectedCaller(
  { accountId, roleName, arn }: Caller,
  { expectAccountId = accountId, expectRoleName = roleName }: ExpectedCaller,
): GatehouseError | undefined {
  if (accountId === expectAccountId && roleName === expectRoleName) return undefined;
  return identityError('CREDENTIALS_UNEXPECTED_IDENTITY', {
    arn,
    ...(accountId === expectAccountId ? {} : { expectAccountId, accountId }),
    ...(roleName === expectRoleName ? {} : { expectRoleName, roleName: roleName ?? 'no role' }),
  });
}
