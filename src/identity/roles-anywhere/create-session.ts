import type { Clock } from '../../base/clock.ts';
import { GatehouseError } from '../../base/errors.ts';
import { retrying } from '../../base/retry.ts';
import { Secret } from '../../base/secret.ts';
import type { Credentials } from '../credential-source.ts';
import { identityError } from '../errors.ts';
import { roleOf } from '../role-session.ts';
import type { CertifiedKey } from './certified-key.ts';
import { type SessionRequest, signedSessionRequest } from './session-request.ts';

/** What this room needs of an HTTP client: one POST, answered whole. Rejects when there is no whole answer. */
export type Post = (
  request: {
    readonly url: URL;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
    readonly replyBytesMax: number;
  },
  signal: AbortSignal,
) => Promise<PostReply>;

export interface PostReply {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  readonly body: string;
}

export interface SessionContext {
  readonly endpoint: URL;
  readonly region: string;
  readonly post: Post;
  readonly clock: Clock;
  /** Told the `Date` of every answer. It may set the clock right. */
  readonly serverTime?: ((date: string) => void) | undefined;
}

export interface CreatedSession {
  readonly credentials: Credentials;
  /** What is to be added to the clock so that it shows AWS's time, as far as the clock mattered. */
  readonly skewMs: number;
}

/** As the SDKs do it. */
const attemptsMax = 3;
const attemptMs = 15_000;
const backoff = { baseMs: 200, capMs: 5000 } as const;

/** Session tokens are about 1 KiB; their documented maximum is not stated. */
const replyBytesMax = 64 * 1024;

/** AWS refuses a signature whose date is five minutes off; a clock that is off by less is not why. */
const skewMsMin = 4 * 60_000;

/**
 * Asks IAM Roles Anywhere for a session. What is throttled, away or cut off is tried again; a clock that is off is
 * corrected for, once, by the time that the answer tells.
 * @throws CREDENTIALS_THROTTLED and ROLES_ANYWHERE_…
 */
export async function createSession(
  request: SessionRequest,
  certified: CertifiedKey,
  context: SessionContext,
  signal: AbortSignal,
): Promise<CreatedSession> {
  const { clock, endpoint, region, post, serverTime } = context;
  let skewMs = 0;
  let isCorrected = false;

  const ask = async (until: AbortSignal): Promise<PostReply> => {
    const date = new Date(clock.now().getTime() + skewMs);
    const signed = await signedSessionRequest(request, certified, { endpoint, region, date });
    try {
      return await clock.deadline(attemptMs, 'IAM Roles Anywhere', until, (either) =>
        post({ ...signed, replyBytesMax }, either),
      );
    } catch (error) {
      until.throwIfAborted();
      throw identityError('ROLES_ANYWHERE_UNREACHABLE', { endpoint: endpoint.origin }, error);
    }
  };
  const tell = (reply: PostReply): void => {
    const date = reply.header('date');
    if (date !== undefined) serverTime?.(date);
  };
  const attempt = async (until: AbortSignal): Promise<CreatedSession> => {
    let reply = await ask(until);
    const aheadMs = clockAheadMs(reply, clock.now());
    tell(reply);
    if (reply.status === 403 && Math.abs(aheadMs) >= skewMsMin && !isCorrected) {
      isCorrected = true;
      // Read again: the clock may be right now that it was told the time.
      skewMs = -clockAheadMs(reply, clock.now());
      reply = await ask(until);
      tell(reply);
    }
    if (reply.status !== 200 && reply.status !== 201) {
      throw refusal(reply, { endpoint: endpoint.origin, aheadMs });
    }
    return { credentials: sessionIn(reply, request, endpoint.origin), skewMs };
  };
  return retrying(attempt, { ...backoff, attemptsMax, isRetryable }, clock, signal);
}

/** How far this clock is ahead of the one that answered; 0 where it did not say. */
function clockAheadMs(reply: PostReply, now: Date): number {
  const theirs = Date.parse(reply.header('date') ?? '');
  return Number.isNaN(theirs) ? 0 : now.getTime() - theirs;
}

function isRetryable(error: unknown): boolean {
  if (!(error instanceof GatehouseError)) return false;
  return error.code === 'ROLES_ANYWHERE_UNREACHABLE' || error.code === 'CREDENTIALS_THROTTLED';
}

const refusals: readonly (readonly [said: RegExp, code: Parameters<typeof identityError>[0]])[] = [
  [/signature (?:expired|not yet current)/iu, 'ROLES_ANYWHERE_CLOCK_WRONG'],
  [/invalid signature/iu, 'ROLES_ANYWHERE_SIGNATURE_REFUSED'],
  [/rolesessionname/iu, 'ROLES_ANYWHERE_SESSION_NAME_REFUSED'],
  [/disabled/iu, 'ROLES_ANYWHERE_DISABLED'],
  [/unable to assume role/iu, 'ROLES_ANYWHERE_ROLE_REFUSED'],
  [/certificate|revoked/iu, 'ROLES_ANYWHERE_CERTIFICATE_REFUSED'],
];

/** AWS has three names for all that can be wrong: what it says beside them tells which, and is never repeated. */
function refusal(
  reply: PostReply,
  { endpoint, aheadMs }: { endpoint: string; aheadMs: number },
): GatehouseError {
  const { status } = reply;
  const awsError = awsErrorIn(reply);
  const requestId = wordIn(reply.header('x-amzn-requestid'));
  const details = { endpoint, status, awsError, requestId };
  if (status === 429 || awsError === 'ThrottlingException')
    return identityError('CREDENTIALS_THROTTLED', details);
  if (status >= 500) return identityError('ROLES_ANYWHERE_UNREACHABLE', details);
  if (awsError === 'ResourceNotFoundException') return identityError('ROLES_ANYWHERE_NOT_FOUND', details);
  if (awsError === 'ValidationException') return identityError('ROLES_ANYWHERE_REQUEST_INVALID', details);
  if (status === 403 && Math.abs(aheadMs) >= skewMsMin) {
    const clockAheadSeconds = Math.round(aheadMs / 1000);
    return identityError('ROLES_ANYWHERE_CLOCK_WRONG', { ...details, clockAheadSeconds });
  }
  const text = messageIn(reply);
  const [, code] = refusals.find(([said]) => said.test(text)) ?? [];
  return identityError(
    code ?? (awsError === undefined ? 'ROLES_ANYWHERE_ANSWER_INVALID' : 'CREDENTIALS_REFUSED'),
    details,
  );
}

function awsErrorIn(reply: PostReply): string | undefined {
  const body = objectIn(reply.body);
  const named = reply.header('x-amzn-errortype') ?? body?.['__type'] ?? body?.['code'];
  return typeof named === 'string' ? wordIn(named.replace(/^.*#/u, '').split(':', 1)[0]) : undefined;
}

function messageIn(reply: PostReply): string {
  const body = objectIn(reply.body);
  const message = body?.['message'] ?? body?.['Message'];
  return typeof message === 'string' ? message : '';
}

/** What may be repeated of an answer: a name or an id, and nothing that could be more. */
function wordIn(text: string | undefined): string | undefined {
  return text !== undefined && /^[\w-]{1,64}$/u.test(text) ? text : undefined;
}

function sessionIn(reply: PostReply, request: SessionRequest, endpoint: string): Credentials {
  const set = objectIn(reply.body)?.['credentialSet'];
  const first: unknown = Array.isArray(set) ? set[0] : undefined;
  const entry = isObject(first) ? first : {};
  const given = isObject(entry['credentials']) ? entry['credentials'] : {};
  const user = isObject(entry['assumedRoleUser']) ? entry['assumedRoleUser'] : {};
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = given;
  const expires = new Date(typeof expiration === 'string' ? expiration : Number.NaN);
  if (
    !isText(accessKeyId) ||
    !isText(secretAccessKey) ||
    !isText(sessionToken) ||
    Number.isNaN(expires.getTime())
  ) {
    throw identityError('ROLES_ANYWHERE_ANSWER_INVALID', { endpoint, status: reply.status });
  }
  const accountId = request.roleArn.split(':')[4];
  const { sessionName } = isText(user['arn']) ? roleOf(user['arn']) : {};
  return {
    accessKeyId,
    secretAccessKey: Secret.ofText(secretAccessKey),
    sessionToken: Secret.ofText(sessionToken),
    expiration: expires,
    ...(accountId === undefined ? {} : { accountId }),
    ...(sessionName === undefined ? {} : { sessionName }),
    source: 'roles-anywhere',
  };
}

function objectIn(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
