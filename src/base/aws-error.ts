/**
 * The HTTP status that an error of the AWS SDK came with; undefined where nothing answered. Read from its form, so that
 * nobody but the adapters needs the SDK.
 */
export function httpStatusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined;
  const { $metadata: metadata } = error;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}

/** The id that CloudTrail has for a call, from its answer or its error; nothing where AWS did not answer. */
export function requestIdOf(answer: unknown): { readonly awsRequestId?: string } {
  if (typeof answer !== 'object' || answer === null || !('$metadata' in answer)) return {};
  const { $metadata: metadata } = answer;
  if (typeof metadata !== 'object' || metadata === null || !('requestId' in metadata)) return {};
  return typeof metadata.requestId === 'string' ? { awsRequestId: metadata.requestId } : {};
}

/** True for what the service itself said, in its own terms; not for a page of a proxy or a broken connection. */
export function isServiceError(error: unknown): error is Error {
  return error instanceof Error && '$fault' in error && '$metadata' in error;
}

/** Our codes for errors of AWS that the table of names does not have. */
export interface OtherCodes<Code> {
  /**
   * Nothing answered, or not to the end; or with 5xx: something answered in its place, a proxy or a load balancer, which
   * also says with 408 and 429 that it is too busy. What fails with a status of success is an answer that broke off or is
   * none of AWS's.
   */
  readonly unreachable: Code;
  readonly refused: Code;
}

/** Too slow, too many: of these of 4xx nothing is wrong with the request. */
const transientStatuses: ReadonlySet<number> = new Set([408, 429]);

/** Our code for an error of the SDK: by its name, else by its HTTP status. */
export function awsErrorCode<Code extends string>(
  error: unknown,
  codeOfName: Readonly<Record<string, Code>>,
  { unreachable, refused }: OtherCodes<Code>,
): Code {
  const known = error instanceof Error ? codeOfName[error.name] : undefined;
  if (known !== undefined) return known;
  const status = httpStatusOf(error);
  const isRefusal = status !== undefined && status >= 400 && status < 500 && !transientStatuses.has(status);
  return isRefusal ? refused : unreachable;
}
