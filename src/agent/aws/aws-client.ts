import { isLocalAddress } from '../../base/local-address.ts';
import type { Credentials } from '../../identity/credential-source.ts';
import type { Denial } from '../../identity/denials.ts';
import { agentError } from '../errors.ts';
import { type AwsServiceName, awsReach, type Environment } from './aws-reach.ts';
import type { SlowCalls } from './slow-calls.ts';

export interface AwsClientOptions {
  readonly env: Environment;
  readonly region: string;
  /** Asked before every call: it must answer from memory. */
  credentials(): Promise<Credentials>;
  readonly denials: CallDenials;
  /** Told the `Date` of every answer. */
  readonly serverTime?: (date: string) => void;
  /** Says what is waited for. */
  readonly slow?: SlowCalls;
}

/** What is done about calls whose credentials AWS denies; `denials` of identity/, without its signal. */
export interface CallDenials {
  /** Answers whether the call is worth repeating, with newer credentials. */
  renew(denial: Denial): Promise<boolean>;
  again(denial: Denial): void;
  accepted(service: string, accessKeyId: string | undefined): void;
}

const connectionTimeoutMs = 5_000;
export const requestTimeoutMs = 30_000;
export const socketsMax = 32;
const attemptsMax = 3;

/** What CloudTrail shows as the program that called. */
export const userAgent: [name: string, version?: string][] = [
  ['gatehouse'],
  ['lang/js', process.versions.node],
];

/** A moment that the SDK takes for "expired": it then asks us before every call instead of keeping its own copy. */
const alwaysAsk = new Date(0);

/**
 * What every AWS client of this program is made with: endpoint, FIPS, dual stack, proxy, CA bundle, time limits and
 * retries. The SDK by itself honours neither HTTPS_PROXY nor AWS_CA_BUNDLE.
 * @throws AWS_ENDPOINT_…, AWS_SWITCH_INVALID, AWS_CA_BUNDLE_…
 */
export function awsClientConfig(
  service: AwsServiceName,
  options: Omit<AwsClientOptions, 'denials' | 'serverTime' | 'slow'>,
) {
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
    // All that a client would look up by itself, in ~/.aws and in the folders above this program, before its first call.
    authSchemePreference: ['sigv4'],
    userAgentAppId: async () => undefined,
    defaultUserAgentProvider: async () => userAgent,
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

/** What AWS says of credentials that were good once: they ran out, were revoked, or their user's key is gone. */
const deniedNames: ReadonlySet<string> = new Set([
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidClientTokenId',
  'UnrecognizedClientException',
]);

/** How a revoked session meets its end: by a policy of its role that denies what was issued before a time. */
const explicitDeny = /explicit deny in an identity-based policy/u;

/** The parts of a client that we use; each service's client has its own type for them. */
interface Denied {
  readonly config: { readonly serviceId: string };
  readonly middlewareStack: {
    add(middleware: Middleware, options: { step: 'initialize'; name: string; override: boolean }): void;
    add(
      middleware: Middleware,
      options: { step: 'deserialize'; priority: 'low'; name: string; override: boolean },
    ): void;
  };
}

type Middleware = <Args, Output>(
  next: (args: Args) => Promise<Output>,
  context: object,
) => (args: Args) => Promise<Output>;

/** Access key ids that calls were signed with, by the context that all middleware of a call share. */
const signers = new WeakMap<object, string>();

/**
 * Has a client ask for newer credentials and repeat the call, once, when AWS denies those it was signed with, and say when
 * it waits for long.
 */
export function renewsExpired<Client extends Denied>(
  client: Client,
  { denials, serverTime, slow }: Pick<AwsClientOptions, 'denials' | 'serverTime' | 'slow'>,
): Client {
  const { serviceId: service } = refusesPlainHttp(client).config;
  client.middlewareStack.add(
    (next, context) => (args) => {
      const work = () =>
        repeatedIfDenied(() => next(args), { service, denials, signer: () => signers.get(context) });
      const operation = String(memberOf(context, 'commandName')).replace(/Command$/u, '');
      return slow === undefined ? work() : slow.during({ service, operation }, work);
    },
    { step: 'initialize', name: 'gatehouseRenewsExpired', override: true },
  );
  // Where requests are as they go out and answers as they come in. By the time of a denial others may have been given
  // newer credentials: the request itself says what it was signed with.
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const accessKeyId = /Credential=([^/]+)\//u.exec(headerIn(args, 'request', 'authorization') ?? '')?.[1];
      if (accessKeyId !== undefined) signers.set(context, accessKeyId);
      const output = await next(args);
      const date = headerIn(output, 'response', 'date');
      if (date !== undefined) serverTime?.(date);
      return output;
    },
    { step: 'deserialize', priority: 'low', name: 'gatehouseWire', override: true },
  );
  return client;
}

export interface Repeatable {
  /** As the SDK names it. */
  readonly service: string;
  readonly denials: CallDenials;
  /** Access key id that the last try was signed with. */
  readonly signer: () => string | undefined;
}

/** Makes a call, and once more when AWS denies the credentials that it was signed with and there are newer ones. */
export async function repeatedIfDenied<Output>(
  call: () => Promise<Output>,
  { service, denials, signer }: Repeatable,
): Promise<Output> {
  const accepted = async (): Promise<Output> => {
    const output = await call();
    denials.accepted(service, signer());
    return output;
  };
  try {
    return await accepted();
  } catch (error) {
    const denial = denialIn(error, service, signer());
    if (denial === undefined || !(await denials.renew(denial))) throw error;
  }
  try {
    return await accepted();
  } catch (error) {
    const denial = denialIn(error, service, signer());
    if (denial !== undefined) denials.again(denial);
    throw error;
  }
}

function denialIn(error: unknown, service: string, accessKeyId: string | undefined): Denial | undefined {
  if (!(error instanceof Error) || accessKeyId === undefined) return undefined;
  const { name: awsError } = error;
  if (deniedNames.has(awsError)) return { service, awsError, accessKeyId, mayBePermission: false };
  const mayBePermission = awsError.startsWith('AccessDenied') && explicitDeny.test(error.message);
  return mayBePermission ? { service, awsError, accessKeyId, mayBePermission } : undefined;
}

/**
 * Has a client send nothing over plain http but to this host and its link. `awsReach` sees to the endpoints of the
 * environment; the SDK takes others from `~/.aws/config` by itself.
 */
export function refusesPlainHttp<Client extends Pick<Denied, 'middlewareStack'>>(client: Client): Client {
  client.middlewareStack.add(
    (next) => async (args) => {
      const request = memberOf(args, 'request');
      const host = String(memberOf(request, 'hostname'));
      if (memberOf(request, 'protocol') === 'http:' && !isLocalAddress(host)) {
        throw agentError('AWS_ENDPOINT_INSECURE', { variable: 'endpoint_url in the AWS config file', host });
      }
      return next(args);
    },
    { step: 'deserialize', priority: 'low', name: 'gatehouseRefusesPlainHttp', override: true },
  );
  return client;
}

/** A header of the HTTP message that the SDK's wire middleware carries under this name. */
function headerIn(carrier: unknown, message: 'request' | 'response', header: string): string | undefined {
  const headers = memberOf(memberOf(carrier, message), 'headers');
  const value = memberOf(headers, header);
  return typeof value === 'string' ? value : undefined;
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
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
