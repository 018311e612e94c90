import { requestIdOf } from '../../base/aws-error.ts';
import { GatehouseError } from '../../base/errors.ts';
import type { StreamName } from '../batch.ts';
import { type EventsErrorCode, eventsError } from '../errors.ts';

/** Errors of CloudWatch Logs by name, as its API reference and the common errors of AWS have them. */
const codeOfName: Readonly<Record<string, EventsErrorCode>> = {
  ThrottlingException: 'EVENTS_THROTTLED',
  Throttling: 'EVENTS_THROTTLED',
  TooManyRequestsException: 'EVENTS_THROTTLED',
  RequestLimitExceeded: 'EVENTS_THROTTLED',
  LimitExceededException: 'EVENTS_THROTTLED',
  ServiceQuotaExceededException: 'EVENTS_THROTTLED',
  OperationAbortedException: 'EVENTS_THROTTLED',
  ServiceUnavailableException: 'EVENTS_UNREACHABLE',
  InternalServerException: 'EVENTS_UNREACHABLE',
  InternalFailure: 'EVENTS_UNREACHABLE',
  TimeoutError: 'EVENTS_UNREACHABLE',
  ExpiredTokenException: 'EVENTS_CREDENTIALS_REFUSED',
  ExpiredToken: 'EVENTS_CREDENTIALS_REFUSED',
  UnrecognizedClientException: 'EVENTS_CREDENTIALS_REFUSED',
  InvalidClientTokenId: 'EVENTS_CREDENTIALS_REFUSED',
  InvalidSignatureException: 'EVENTS_CREDENTIALS_REFUSED',
  SignatureDoesNotMatch: 'EVENTS_CREDENTIALS_REFUSED',
  IncompleteSignature: 'EVENTS_CREDENTIALS_REFUSED',
  MissingAuthenticationTokenException: 'EVENTS_CREDENTIALS_REFUSED',
  RequestExpired: 'EVENTS_CREDENTIALS_REFUSED',
  AccessDeniedException: 'EVENTS_DENIED',
  AccessDenied: 'EVENTS_DENIED',
  OptInRequired: 'EVENTS_DENIED',
  ResourceNotFoundException: 'EVENTS_GROUP_MISSING',
  InvalidParameterException: 'EVENTS_REQUEST_INVALID',
  InvalidOperationException: 'EVENTS_REQUEST_INVALID',
  ValidationException: 'EVENTS_REQUEST_INVALID',
  ValidationError: 'EVENTS_REQUEST_INVALID',
  SerializationException: 'EVENTS_REQUEST_INVALID',
};

export function isNamed(error: unknown, ...names: readonly string[]): boolean {
  return error instanceof Error && names.includes(error.name);
}

/** The one place where errors of CloudWatch Logs become ours. */
export function cloudwatchError(error: unknown, stream: StreamName): GatehouseError {
  if (error instanceof GatehouseError) return error;
  const details = { logGroup: stream.logGroup, logStream: stream.logStream, ...requestIdOf(error) };
  return eventsError(codeOf(error), details, error);
}

function codeOf(error: unknown): EventsErrorCode {
  if (!(error instanceof Error)) return 'EVENTS_SEND_FAILED';
  const known = codeOfName[error.name];
  if (known !== undefined) return known;
  const status = statusOf(error);
  if (status === 429) return 'EVENTS_THROTTLED';
  if (status !== undefined) return status >= 500 ? 'EVENTS_UNREACHABLE' : 'EVENTS_SEND_FAILED';
  // No answer at all, and an errno: the network.
  return 'code' in error ? 'EVENTS_UNREACHABLE' : 'EVENTS_SEND_FAILED';
}

function statusOf(error: Error): number | undefined {
  const metadata = '$metadata' in error ? error.$metadata : undefined;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}
