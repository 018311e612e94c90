import { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import { GatehouseError } from '../base/errors.ts';
import { isLoopbackAddress } from '../base/local-address.ts';
import { Secret } from '../base/secret.ts';
import { type BoundedReply, boundedRequest } from './bounded-request.ts';
import { type CredentialSource, type Credentials, unexpired } from './credential-source.ts';
import { identityError } from './errors.ts';
import { oneLine, tokenIn } from './token-file.ts';

type Env = Readonly<Record<string, string | undefined>>;

const name = 'container';

/** The endpoints are on this host or one hop away: one that has not answered by then is not going to. */
const answerWithinMs = 5000;

const documentBytesMax = 64 * 1024;

/** Where ECS and EKS serve credentials over plain http, beside loopback. As the AWS SDKs have it. */
const servedAt: ReadonlySet<string> = new Set(['169.254.170.2', '169.254.170.23', '[fd00:ec2::23]']);

const document = z.object({
  AccessKeyId: z.string().min(1),
  SecretAccessKey: z.string().min(1),
  Token: z.string().min(1),
  Expiration: z.iso.datetime({ offset: true }),
});

/**
 * Credentials of an ECS task or an EKS pod, from the endpoint that `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or
 * `AWS_CONTAINER_CREDENTIALS_FULL_URI` names; the first wins. One attempt for each `load`: repeating is for `refreshing`.
 */
export function container(env: Env, clock: Clock): CredentialSource {
  return {
    name,
    absence: 'neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set',

    async load(signal) {
      signal.throwIfAborted();
      const endpoint = containerEndpoint(env);
      if (endpoint === undefined) return undefined;

      const url = permitted(endpoint);
      const token = await authorizationToken(env, signal);
      const headers = token === '' ? {} : { authorization: token };
      const asked = {
        method: 'GET',
        headers,
        bytesMax: documentBytesMax,
        connected: () => undefined,
      } as const;
      let reply: BoundedReply;
      try {
        reply = await clock.deadline(answerWithinMs, 'container credentials', signal, (within) =>
          boundedRequest(url, asked, within),
        );
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof GatehouseError && error.code !== 'DEADLINE_EXCEEDED') throw error;
        throw identityError(
          'CREDENTIALS_CONTAINER_UNREACHABLE',
          { source: name, endpoint: url.origin },
          error,
        );
      }
      return unexpired(credentialsOf(reply, url), clock.now());
    },
  };
}

/** Where to ask, as the AWS SDKs decide it. */
export function containerEndpoint(env: Env): string | undefined {
  const relative = env['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'];
  if (relative) return `http://169.254.170.2${relative}`;
  return env['AWS_CONTAINER_CREDENTIALS_FULL_URI'] || undefined;
}

/** Empty where there is none. The file is read each time: EKS replaces it. */
async function authorizationToken(env: Env, signal: AbortSignal): Promise<string> {
  const file = env['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'];
  return file ? tokenIn(file, signal) : oneLine(env['AWS_CONTAINER_AUTHORIZATION_TOKEN'] ?? '');
}

/** @throws CREDENTIALS_ENDPOINT_REFUSED */
function permitted(endpoint: string): URL {
  const url = URL.parse(endpoint);
  const isSafe =
    url?.protocol === 'https:' ||
    (url?.protocol === 'http:' &&
      (url.hostname === 'localhost' || isLoopbackAddress(url.hostname) || servedAt.has(url.hostname)));
  if (url !== null && isSafe) return url;
  // Without its path, which on ECS is as good as a password on the host.
  const shown = url === null ? 'not a URL' : `${url.protocol}//${url.host}`;
  throw identityError('CREDENTIALS_ENDPOINT_REFUSED', { source: name, endpoint: shown });
}

/** @throws CREDENTIALS_… without what was answered, which may be half a secret */
function credentialsOf({ status, body }: BoundedReply, { origin: endpoint }: URL): Credentials {
  if (status === 429) throw identityError('CREDENTIALS_THROTTLED', { source: name, endpoint, status });
  if (status >= 400 && status < 500) {
    throw identityError('CREDENTIALS_CONTAINER_REFUSED', {
      source: name,
      endpoint,
      status,
      awsError: awsErrorIn(body),
    });
  }
  if (status !== 200) {
    throw identityError('CREDENTIALS_CONTAINER_UNREACHABLE', { source: name, endpoint, status });
  }
  const { success, data } = document.safeParse(jsonIn(body));
  if (!success) throw identityError('CREDENTIALS_DOCUMENT_INVALID', { source: name, endpoint });
  return {
    accessKeyId: data.AccessKeyId,
    secretAccessKey: Secret.ofText(data.SecretAccessKey),
    sessionToken: Secret.ofText(data.Token),
    expiration: new Date(data.Expiration),
    source: name,
  };
}

const refused = z.object({ code: z.string().regex(/^[A-Za-z]{1,64}$/u) });

/** The code that ECS gives beside the status, such as `InvalidIdInRequest`; others answer text. */
function awsErrorIn(body: string): string | undefined {
  return refused.safeParse(jsonIn(body)).data?.code;
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
