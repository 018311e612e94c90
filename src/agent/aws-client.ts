import type { Credentials } from '../identity/credential-source.ts';
import { type AwsServiceName, awsReach, type Environment } from './aws-reach.ts';

export interface AwsClientOptions {
  readonly env: Environment;
  readonly region: string;
  /** Asked before every call: it must answer from memory. */
  credentials(): Promise<Credentials>;
  /** Asked when AWS says that the credentials it was shown have expired. */
  renew(): Promise<Credentials>;
}

const connectionTimeoutMs = 5_000;
const requestTimeoutMs = 30_000;
const socketsMax = 32;
const attemptsMax = 3;

/** A moment that the SDK takes for "expired": it then asks us before every call instead of keeping its own copy. */
const alwaysAsk = new Date(0);

/**
 * What every AWS client of this program is made with: endpoint, FIPS, dual stack, proxy, CA bundle, time limits and
 * retries. The SDK by itself honours neither HTTPS_PROXY nor AWS_CA_BUNDLE.
 * @throws AWS_ENDPOINT_INVALID, AWS_ENDPOINT_INSECURE, AWS_CA_BUNDLE_UNREADABLE
 */
export function awsClientConfig(service: AwsServiceName, options: Omit<AwsClientOptions, 'renew'>) {
  const { env, region } = options;
  const { endpoint, useFips, useDualstack, proxyEnv, ca } = awsReach(service, env);
  const agent = { keepAlive: true, maxSockets: socketsMax };

  return {
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    useFipsEndpoint: useFips,
    useDualstackEndpoint: useDualstack,
    maxAttempts: attemptsMax,
    retryMode: 'standard',
    requestHandler: {
      connectionTimeout: connectionTimeoutMs,
      requestTimeout: requestTimeoutMs,
      throwOnRequestTimeout: true,
      httpAgent: agent,
      httpsAgent: { ...agent, proxyEnv, ...(ca === undefined ? {} : { ca }) },
    },
    credentials: async () => identityOf(await options.credentials()),
  };
}

/**
 * The same for the clients of single sign-on that the SDK makes by itself: region and endpoint are the profile's.
 * @throws as `awsClientConfig`
 */
export function ssoClientConfig(env: Environment) {
  for (const service of ['SSO', 'SSO_OIDC'] as const) awsReach(service, env);
  const { maxAttempts, retryMode, requestHandler } = awsClientConfig('SSO', {
    env,
    region: '',
    credentials: () => Promise.reject(new TypeError('single sign-on does not sign')),
  });
  return { maxAttempts, retryMode, requestHandler };
}

/** What AWS says of credentials that were good once: they ran out, or their session was revoked. */
const expiredNames: ReadonlySet<string> = new Set(['ExpiredToken', 'ExpiredTokenException']);

/** The part of a client's middleware stack that we use; each service's client has its own type for it. */
interface Middlewares {
  add(
    middleware: <Args, Output>(next: (args: Args) => Promise<Output>) => (args: Args) => Promise<Output>,
    options: { step: 'initialize'; name: string; override: boolean },
  ): void;
}

/** Has a client renew its credentials and repeat the call, once, when AWS says that they have expired. */
export function renewsExpired<Client extends { readonly middlewareStack: Middlewares }>(
  client: Client,
  { renew }: Pick<AwsClientOptions, 'renew'>,
): Client {
  client.middlewareStack.add(
    (next) => async (args) => {
      try {
        return await next(args);
      } catch (error) {
        if (!(error instanceof Error && expiredNames.has(error.name))) throw error;
        await renew();
        return next(args);
      }
    },
    { step: 'initialize', name: 'gatehouseRenewsExpired', override: true },
  );
  return client;
}

function identityOf(credentials: Credentials) {
  return {
    accessKeyId: credentials.accessKeyId,
    secretAccessKey: credentials.secretAccessKey.revealText(),
    ...(credentials.sessionToken === undefined
      ? {}
      : { sessionToken: credentials.sessionToken.revealText() }),
    expiration: alwaysAsk,
  };
}
