import { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import { baseError, GatehouseError } from '../base/errors.ts';
import { isMetadataAddress } from '../base/local-address.ts';
import { Secret } from '../base/secret.ts';
import { type BoundedReply, boundedRequest } from './bounded-request.ts';
import type { CredentialSource, Credentials } from './credential-source.ts';
import { identityError } from './errors.ts';
import { isInsideContainer } from './inside-container.ts';

type Env = Readonly<Record<string, string | undefined>>;

const name = 'instance-role';
const rolesPath = '/latest/meta-data/iam/security-credentials/';

/** Where there is no service nobody answers at that address, and nobody should wait long to learn it. */
const connectWithinMs = 1000;

/** In which the process must have run: one that a busy host held up for a second has not been told of its connection yet. */
const connectLooks = 4;

/** Whoever takes the connection is there, however busy this host is. */
const answerWithinMs = 10_000;
const documentBytesMax = 64 * 1024;

/** `refreshing` asks again from a third of it on. */
const extendedMs = 15 * 60_000;

/** The only word that a host without a required source gets of it. */
const absenceInContainer =
  'the EC2 metadata service does not answer inside this container: on EC2 the hop limit of the instance is likely 1, and must be 2';

/** One load is three requests, so the token need not live long. EC2 takes 1 to 21600. */
const tokenSeconds = 60;

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html */
const document = z.object({
  Code: z.string(),
  AccessKeyId: z.string().min(1).optional(),
  SecretAccessKey: z.string().min(1).optional(),
  Token: z.string().min(1).optional(),
  Expiration: z.iso.datetime({ offset: true }).optional(),
  AccountId: z.string().optional(),
});

/**
 * Credentials of the EC2 instance's role, by version 2 of the metadata service; version 1 is never asked. When the
 * service does not answer this source does not apply, unless `required`: then that is the error.
 *
 * Not the SDK's `fromInstanceMetadata`: that takes its endpoint from process.env and ~/.aws/config only, reports an
 * unreachable service as a refused fall-back to version 1, and answers expired credentials with a made-up expiry.
 */
export function instanceRole(env: Env, clock: Clock, options: { required: boolean }): CredentialSource {
  const disabled = env['AWS_EC2_METADATA_DISABLED']?.toLowerCase() === 'true';
  let absence = disabled ? 'AWS_EC2_METADATA_DISABLED is true' : 'the EC2 metadata service does not answer';
  return {
    name,
    get absence() {
      return absence;
    },

    async load(signal) {
      signal.throwIfAborted();
      if (disabled) return undefined;
      const endpoint = metadataEndpoint(env);
      const ask: Ask = (path, request) => answer(new URL(path, endpoint), request, clock, signal);

      let token: string;
      try {
        token = await sessionToken(ask);
      } catch (error) {
        const cause =
          isUnreachable(error) && isHopLimitLikely(error, env) ? hopLimit(endpoint, error) : error;
        if (options.required || !isUnreachable(error)) throw cause;
        if (cause !== error) absence = absenceInContainer;
        return undefined;
      }
      const get = (path: string): Promise<BoundedReply> =>
        ask(path, { method: 'GET', headers: { 'x-aws-ec2-metadata-token': token } });
      const role = await roleName(get);
      return extended(await roleCredentials(get, role), clock.now());
    },
  };
}

type Ask = (
  path: string,
  request: { method: 'GET' | 'PUT'; headers: Readonly<Record<string, string>> },
) => Promise<BoundedReply>;
type Get = (path: string) => Promise<BoundedReply>;

async function sessionToken(ask: Ask): Promise<string> {
  const reply = await ask('/latest/api/token', {
    method: 'PUT',
    headers: { 'x-aws-ec2-metadata-token-ttl-seconds': String(tokenSeconds) },
  });
  if (reply.status !== 200) throw refusal('token', reply.status);
  return printable(reply.body, 'token');
}

async function roleName(get: Get): Promise<string> {
  const reply = await get(rolesPath);
  const role = reply.body.split('\n', 1)[0]?.trim() ?? '';
  if (reply.status === 404 || (reply.status === 200 && role === ''))
    throw identityError('CREDENTIALS_NO_ROLE');
  if (reply.status !== 200) throw refusal('role', reply.status);
  // https://docs.aws.amazon.com/IAM/latest/APIReference/API_Role.html: nothing that could change the path.
  if (!/^[\w+=,.@-]{1,64}$/u.test(role)) throw damaged('role');
  return role;
}

async function roleCredentials(get: Get, role: string): Promise<Credentials> {
  const reply = await get(`${rolesPath}${role}`);
  if (reply.status === 404) throw identityError('CREDENTIALS_NO_ROLE', { role });
  if (reply.status !== 200) throw refusal('credentials', reply.status);

  const parsed = document.safeParse(jsonOf(reply.body));
  if (!parsed.success) throw damaged('credentials');
  const { Code, AccessKeyId, SecretAccessKey, Token, Expiration, AccountId } = parsed.data;
  if (Code !== 'Success') {
    // Such as AssumeRoleUnauthorizedAccess, when the role's trust policy leaves EC2 out.
    const awsError = /^[A-Za-z]{1,64}$/u.test(Code) ? Code : undefined;
    throw identityError('CREDENTIALS_REFUSED', { source: name, role, awsError });
  }
  if (!AccessKeyId || !SecretAccessKey || !Token || !Expiration) throw damaged('credentials');
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: Secret.ofText(SecretAccessKey),
    sessionToken: Secret.ofText(Token),
    expiration: new Date(Expiration),
    ...(AccountId ? { accountId: AccountId } : {}),
    source: name,
  };
}

async function answer(
  url: URL,
  request: Parameters<Ask>[1],
  clock: Clock,
  signal: AbortSignal,
): Promise<BoundedReply> {
  try {
    return await clock.deadline(answerWithinMs, 'EC2 metadata', signal, (either) =>
      connectedSoon(clock, either, (connected, any) =>
        boundedRequest(url, { ...request, bytesMax: documentBytesMax, connected }, any),
      ),
    );
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof GatehouseError && error.code !== 'DEADLINE_EXCEEDED') throw error;
    throw identityError('CREDENTIALS_METADATA_UNREACHABLE', { endpoint: url.origin }, error);
  }
}

/** Gives up a request that has no connection in time. `ask` calls `connected` once it has one. */
async function connectedSoon(
  clock: Clock,
  signal: AbortSignal,
  ask: (connected: () => void, signal: AbortSignal) => Promise<BoundedReply>,
): Promise<BoundedReply> {
  const connecting = new AbortController();
  let isConnected = false;
  const reply = ask(() => (isConnected = true), AbortSignal.any([signal, connecting.signal]));
  const sleeping = new AbortController();
  const looking = (async () => {
    for (let look = 0; look < connectLooks; look += 1) {
      await clock.sleep(connectWithinMs / connectLooks, sleeping.signal);
    }
    if (!isConnected) {
      connecting.abort(baseError('DEADLINE_EXCEEDED', { what: 'EC2 metadata', afterMs: connectWithinMs }));
    }
  })().catch(() => undefined);
  try {
    return await reply;
  } finally {
    sleeping.abort();
    await looking;
  }
}

function isUnreachable(error: unknown): error is GatehouseError {
  return error instanceof GatehouseError && error.code === 'CREDENTIALS_METADATA_UNREACHABLE';
}

/** With a hop limit of 1 the answer with the token is lost on the way into a container: silence, not a refusal. */
function isHopLimitLikely({ cause }: GatehouseError, env: Env): boolean {
  return cause instanceof GatehouseError && cause.code === 'DEADLINE_EXCEEDED' && isInsideContainer(env);
}

function hopLimit(endpoint: URL, cause: unknown): GatehouseError {
  return identityError('CREDENTIALS_METADATA_HOP_LIMIT', { endpoint: endpoint.origin }, cause);
}

/**
 * In an outage EC2 hands the last credentials out again, past their end, and AWS may take them. Like the SDKs we go on
 * with them and ask again in 5 to 10 minutes; what they do not do, we say so and show the true end.
 */
function extended(credentials: Credentials, now: Date): Credentials {
  const { expiration = now } = credentials;
  if (expiration > now) return credentials;
  return { ...credentials, extendedUntil: new Date(now.getTime() + extendedMs) };
}

function refusal(step: string, status: number): GatehouseError {
  if (status === 429) return identityError('CREDENTIALS_THROTTLED', { source: name, step, status });
  if (status >= 500) return identityError('CREDENTIALS_METADATA_UNREACHABLE', { step, status });
  return identityError('CREDENTIALS_METADATA_REFUSED', { step, status });
}

function damaged(step: string): GatehouseError {
  return identityError('CREDENTIALS_DOCUMENT_INVALID', { source: name, step });
}

function printable(text: string, step: string): string {
  if (!/^[\x21-\x7e]+$/u.test(text)) throw damaged(step);
  return text;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @throws CREDENTIALS_ENDPOINT_REFUSED for anything but plain http to loopback or link-local addresses. */
function metadataEndpoint(env: Env): URL {
  const isV6 = env['AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE']?.toLowerCase() === 'ipv6';
  const usual = isV6 ? 'http://[fd00:ec2::254]' : 'http://169.254.169.254';
  const endpoint = env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] || usual;
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url?.protocol !== 'http:' || !isMetadataAddress(url.hostname)) {
    throw identityError('CREDENTIALS_ENDPOINT_REFUSED', {
      source: name,
      endpoint: url?.origin ?? 'not a URL',
    });
  }
  return url;
}
