import { readFileSync } from 'node:fs';
import type { ErrorDetails } from '../../base/errors.ts';
import { isLocalAddress } from '../../base/local-address.ts';
import { agentError } from '../errors.ts';

/** Environment variables as a record: the parts that AWS's own programs read. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A service by the name that AWS_ENDPOINT_URL_… has for it: `SECRETS_MANAGER`. */
export type AwsServiceName = Uppercase<string>;

/** How AWS is reached from this host, for the SDK's clients and for our own requests alike. */
export interface AwsReach {
  /** Instead of AWS's own address. */
  readonly endpoint: string | undefined;
  readonly useFips: boolean;
  readonly useDualstack: boolean;
  /** For `https.Agent`: it does the CONNECT, with the credentials in the proxy's URL. */
  readonly proxyEnv: { readonly HTTPS_PROXY: string | undefined; readonly NO_PROXY: string | undefined };
  /** Authorities to trust instead of Node's own, PEM. */
  readonly ca: string | undefined;
}

/**
 * `endpoint` is one that the command line names, before what the environment has.
 * @throws AWS_ENDPOINT_INVALID, AWS_ENDPOINT_INSECURE, AWS_SWITCH_INVALID, AWS_PROXY_INVALID, AWS_CA_BUNDLE_UNREADABLE,
 * AWS_CA_BUNDLE_EMPTY
 */
export function awsReach(service: AwsServiceName, env: Environment, endpoint?: string): AwsReach {
  return {
    endpoint:
      endpoint === undefined ? endpointOf(service, env) : acceptable(endpoint, { flag: '--endpoint' }),
    useFips: isOn('AWS_USE_FIPS_ENDPOINT', env),
    useDualstack: isOn('AWS_USE_DUALSTACK_ENDPOINT', env),
    proxyEnv: {
      HTTPS_PROXY: proxyOf(env),
      NO_PROXY: env.NO_PROXY ?? env.no_proxy,
    },
    ca: caBundle(env),
  };
}

/**
 * As the AWS CLI and curl take it: without a scheme it is http. What Node would not understand it would leave out in
 * silence, and go directly.
 */
function proxyOf(env: Environment): string | undefined {
  const written = env.HTTPS_PROXY ?? env.https_proxy;
  if (written === undefined || written === '') return undefined;
  const proxy = URL.parse(written.includes('://') ? written : `http://${written}`);
  if (proxy === null || !['http:', 'https:'].includes(proxy.protocol) || !isDecodable(proxy)) {
    // Not its value: a password may be in it.
    throw agentError('AWS_PROXY_INVALID', {
      variable: env.HTTPS_PROXY === undefined ? 'https_proxy' : 'HTTPS_PROXY',
    });
  }
  // As it was read, for Node does not know `HTTP://`, and has the whole value in what it says of a line break.
  return proxy.href.replace(/\/$/u, '');
}

/** A `%` that stands for itself, in a password, is what Node throws at. */
function isDecodable({ username, password }: URL): boolean {
  try {
    decodeURIComponent(username + password);
    return true;
  } catch {
    return false;
  }
}

/** Who asks for FIPS in a word that is not known must not go without it, and not hear of it. */
function isOn(variable: string, env: Environment): boolean {
  const word = env[variable]?.toLowerCase() ?? '';
  if (word === 'true') return true;
  if (word === 'false' || word === '') return false;
  throw agentError('AWS_SWITCH_INVALID', { variable });
}

function endpointOf(service: AwsServiceName, env: Environment): string | undefined {
  if (env.AWS_IGNORE_CONFIGURED_ENDPOINT_URLS === 'true') return undefined;
  const variable =
    env[`AWS_ENDPOINT_URL_${service}`] === undefined ? 'AWS_ENDPOINT_URL' : `AWS_ENDPOINT_URL_${service}`;
  const endpoint = env[variable];
  return endpoint === undefined || endpoint === '' ? undefined : acceptable(endpoint, { variable });
}

function acceptable(endpoint: string, givenBy: ErrorDetails): string {
  if (!URL.canParse(endpoint)) throw agentError('AWS_ENDPOINT_INVALID', givenBy);
  const url = new URL(endpoint);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLocalAddress(url.hostname))) {
    throw agentError('AWS_ENDPOINT_INSECURE', { ...givenBy, host: url.host });
  }
  return endpoint;
}

function caBundle(env: Environment): string | undefined {
  const path = env.AWS_CA_BUNDLE;
  if (path === undefined || path === '') return undefined;
  const pem = textIn(path);
  // With such a one Node trusts nobody, and says only that it does not know who issued what it is shown.
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) throw agentError('AWS_CA_BUNDLE_EMPTY', { path });
  return pem;
}

function textIn(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw agentError('AWS_CA_BUNDLE_UNREADABLE', { path }, error);
  }
}
