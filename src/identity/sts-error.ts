import { httpStatusOf, isServiceError, requestIdOf } from '../base/aws-error.ts';
import { type ErrorDetails, GatehouseError } from '../base/errors.ts';
import { identityError, type identityErrors } from './errors.ts';

/** Our codes for what STS refuses; `otherwise` is for a refusal that has no row here. */
export interface StsRefusals {
  readonly byName?: Readonly<Record<string, keyof typeof identityErrors>>;
  readonly otherwise: keyof typeof identityErrors;
}

/**
 * An error of a call to STS as one of this room; one of ours, from the client's own credentials, stays what it is. What
 * STS answered is no cause of it: its name is in the details, and its message may repeat what it was sent.
 */
export function stsError(
  error: unknown,
  operation: string,
  { byName = {}, otherwise }: StsRefusals,
  more: ErrorDetails = {},
): GatehouseError {
  if (error instanceof GatehouseError) return error;
  const isAnswer = isServiceError(error);
  const awsError = isAnswer ? error.name : undefined;
  const status = isAnswer ? (httpStatusOf(error) ?? 0) : 0;
  const details = { operation, ...more, ...(isAnswer ? { awsError, status, ...requestIdOf(error) } : {}) };
  const cause = isAnswer ? undefined : error;

  const known = awsError === undefined ? undefined : byName[awsError];
  if (known !== undefined) return identityError(known, details, cause);
  if (awsError?.startsWith('ExpiredToken')) return identityError('CREDENTIALS_EXPIRED', details, cause);
  if (status === 429 || awsError?.startsWith('Throttling')) {
    return identityError('CREDENTIALS_THROTTLED', details, cause);
  }
  return status >= 400 && status < 500
    ? identityError(otherwise, details, cause)
    : identityError('CREDENTIALS_STS_UNREACHABLE', details, cause);
}
