import { GetCallerIdentityCommand, type STSClient } from '@aws-sdk/client-sts';
import { httpStatusOf, isServiceError } from '../base/aws-error.ts';
import { GatehouseError } from '../base/errors.ts';
import { identityError } from './errors.ts';

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
  const reply = await client
    .send(new GetCallerIdentityCommand({}), { abortSignal: signal })
    .catch((error: unknown) => {
      signal.throwIfAborted();
      throw translated(error);
    });
  const { Arn: arn, Account: accountId, UserId: userId } = reply;
  if (!arn || !accountId || !userId) {
    throw identityError('CREDENTIALS_DOCUMENT_INVALID', { operation: 'GetCallerIdentity' });
  }
  return { arn, accountId, userId, ...roleOf(arn) };
}

/** `arn:aws:sts::123456789012:assumed-role/ROLE/SESSION`; nothing of any other caller. */
function roleOf(arn: string): { roleName?: string; sessionName?: string } {
  const [kind, roleName, sessionName] = arn.split(':').slice(5).join(':').split('/');
  return kind === 'assumed-role' && roleName && sessionName ? { roleName, sessionName } : {};
}

function translated(error: unknown): GatehouseError {
  if (error instanceof GatehouseError) return error;
  const isAnswer = isServiceError(error);
  const awsError = isAnswer ? error.name : undefined;
  const status = isAnswer ? (httpStatusOf(error) ?? 0) : 0;
  const details = { operation: 'GetCallerIdentity', ...(isAnswer ? { awsError, status } : {}) };

  if (awsError?.startsWith('ExpiredToken')) return identityError('CREDENTIALS_EXPIRED', details, error);
  if (status === 429 || awsError?.startsWith('Throttling')) {
    return identityError('CREDENTIALS_THROTTLED', details, error);
  }
  return status >= 400 && status < 500
    ? identityError('CREDENTIALS_REFUSED', details, error)
    : identityError('CREDENTIALS_STS_UNREACHABLE', details, error);
}
