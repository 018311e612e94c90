import type { Identities } from './identities.ts';
import type { AwsError, RawRequest, RawResponse } from './service.ts';
import { type RefusalReason, SignatureRefusal } from './signature.ts';

/** What an endpoint knows of one request beside the request itself. */
export interface Visit {
  /** The endpoint's own clock; a fault may have put it off. */
  readonly now: Date;
  readonly requestId: string;
}

/** One thing that answers HTTP requests: a service, the metadata endpoint, the container endpoint. */
export interface Endpoint {
  /** The name that calls and faults know it by; a service's is that of its credential scope. */
  readonly service: string;
  /** What the request asks for, in the endpoint's own words; `unknown` where it cannot say. */
  operationOf(request: RawRequest): string;
  /** Throws what it refuses: AwsError, SignatureRefusal. */
  answer(request: RawRequest, visit: Visit): RawResponse;
  /** An error in the shape of this endpoint's protocol. */
  failure(error: AwsError, visit: Visit): RawResponse;
  /** What this protocol calls a refused signature. */
  refusal(reason: RefusalReason, message: string): AwsError;
  /** The error of too many requests. */
  readonly throttled: AwsError;
}

/** What every signed service is given. */
export interface Cloud {
  readonly accountId: string;
  readonly region: string;
  readonly identities: Identities;
}

export function header(request: RawRequest, name: string): string | undefined {
  return request.headers.find(([other]) => other.toLowerCase() === name)?.[1];
}

/** The answer to a request, errors included. */
export function respond(
  endpoint: Endpoint,
  request: RawRequest,
  visit: Visit,
  asAwsError: (error: unknown) => AwsError,
): RawResponse {
  try {
    return endpoint.answer(request, visit);
  } catch (error) {
    const refused =
      error instanceof SignatureRefusal ? endpoint.refusal(error.reason, error.message) : asAwsError(error);
    return endpoint.failure(refused, visit);
  }
}
