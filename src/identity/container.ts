import type { Clock } from '../base/clock.ts';
import { GatehouseError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { type CredentialSource, type Credentials, unexpired } from './credential-source.ts';
import { identityError } from './errors.ts';
import { oneLine, tokenIn } from './token-file.ts';

type Env = Readonly<Record<string, string | undefined>>;

const name = 'container';

/** The endpoints are on this host or one hop away: one that has not answered by then is not going to. */
const answerWithinMs = 5000;

/** Off, that is: the provider's own time-out does not end a request, it prints a warning to the console. */
const providerTimeoutMs = 24 * 3_600_000;

/**
 * Credentials of an ECS task or an EKS pod, from the endpoint that `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or
 * `AWS_CONTAINER_CREDENTIALS_FULL_URI` names; the first wins. The AWS SDK's own provider asks it. One attempt for each
 * `load`: repeating is for `refreshing`.
 */
export function container(env: Env, clock: Clock): CredentialSource {
  return {
    name,
    absence: 'neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set',

    async load(signal) {
      signal.throwIfAborted();
      const endpoint = containerEndpoint(env);
      if (endpoint === undefined) return undefined;

      const token = await authorizationToken(env, signal);
      const provide = await provider(endpoint, token);
      const loaded = await clock
        .deadline(answerWithinMs, 'container credentials', signal, () => provide())
        .catch((error: unknown) => {
          signal.throwIfAborted();
          throw translated(error, endpoint);
        });
      return unexpired(credentialsOf(loaded, endpoint), clock.now());
    },
  };
}

/** Where to ask, as the AWS SDKs decide it. */
export function containerEndpoint(env: Env): string | undefined {
  const relative = env['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'];
  if (relative) return `http://169.254.170.2${relative}`;
  return env['AWS_CONTAINER_CREDENTIALS_FULL_URI'] || undefined;
}

/** Read here and not by the SDK, whose error says neither that it is the token nor which file. */
async function authorizationToken(env: Env, signal: AbortSignal): Promise<string> {
  const file = env['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'];
  return file ? tokenIn(file, signal) : oneLine(env['AWS_CONTAINER_AUTHORIZATION_TOKEN'] ?? '');
}

type Provided = {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
  expiration?: Date | undefined;
};

async function provider(endpoint: string, token: string): Promise<() => Promise<Provided>> {
  // Loaded only on hosts that have such an endpoint: it brings the SDK's HTTP client along.
  const { fromHttp } = await import('@aws-sdk/credential-provider-http');
  try {
    return fromHttp({
      awsContainerCredentialsFullUri: endpoint,
      awsContainerAuthorizationToken: token,
      // Empty, not absent: for what is absent the provider looks into process.env.
      awsContainerCredentialsRelativeUri: '',
      awsContainerAuthorizationTokenFile: '',
      maxRetries: 0,
      timeout: providerTimeoutMs,
    });
  } catch (error) {
    // It checks the address before it returns: https, loopback, or one of AWS's own link-local addresses.
    throw identityError('CREDENTIALS_ENDPOINT_REFUSED', { source: name, endpoint: shown(endpoint) }, error);
  }
}

/** The provider tells a refusal from an outage only in its message text, so the status is read from there. */
function translated(error: unknown, endpoint: string): GatehouseError {
  const status = Number(/status: (\d{3})$/u.exec(error instanceof Error ? error.message : '')?.[1]);
  const details = { source: name, endpoint: shown(endpoint), ...(status ? { status } : {}) };
  // Without the cause wherever there was an answer: it carries parts of it, and a JSON error's message quotes what it
  // read, which may be half a secret.
  if (status === 429) return identityError('CREDENTIALS_THROTTLED', details);
  if (status >= 400 && status < 500) return identityError('CREDENTIALS_REFUSED', details);
  if (isMalformed(error)) return identityError('CREDENTIALS_DOCUMENT_INVALID', details);
  return identityError('CREDENTIALS_CONTAINER_UNREACHABLE', details, status ? undefined : error);
}

function isMalformed(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (
    error instanceof SyntaxError || error instanceof TypeError || error.message.includes('required format')
  );
}

function credentialsOf(loaded: Provided, endpoint: string): Credentials {
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = loaded;
  if (
    !accessKeyId ||
    !secretAccessKey ||
    !sessionToken ||
    !expiration ||
    Number.isNaN(expiration.getTime())
  ) {
    throw identityError('CREDENTIALS_DOCUMENT_INVALID', { source: name, endpoint: shown(endpoint) });
  }
  return {
    accessKeyId,
    secretAccessKey: Secret.ofText(secretAccessKey),
    sessionToken: Secret.ofText(sessionToken),
    expiration,
    source: name,
  };
}

/** An endpoint without what may be secret in it: the ECS path is as good as a password on the host. */
function shown(endpoint: string): string {
  return URL.canParse(endpoint) ? new URL(endpoint).origin : 'not a URL';
}
