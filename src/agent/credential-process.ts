import { type GatehouseError, reportOf } from '../base/errors.ts';
import type { Credentials } from '../identity/credential-source.ts';
import { identityError } from '../identity/errors.ts';
import { type RolesAnywhereIdentity, rolesAnywhere } from '../identity/roles-anywhere/roles-anywhere.ts';
import { awsPost } from './aws-post.ts';
import { awsReach } from './aws-reach.ts';
import type { Launch } from './launch.ts';

/** By what way AWS is asked, as the command line says it. */
export interface Way {
  readonly endpoint: string | undefined;
  /** As with AWS's helper, a proxy is gone through only where the command line says so. */
  readonly isProxied: boolean;
}

/**
 * Credentials from IAM Roles Anywhere in the form that SDKs want of a `credential_process`.
 * @throws AWS_ENDPOINT_…, CERTIFICATE_…, PRIVATE_KEY_…, ROLES_ANYWHERE_…, CREDENTIALS_…
 */
export async function credentialProcess(
  { clock, env, writeLog }: Pick<Launch, 'env' | 'clock' | 'writeLog'>,
  identity: RolesAnywhereIdentity,
  { endpoint, isProxied }: Way,
  signal: AbortSignal,
): Promise<string> {
  const reach = awsReach('ROLESANYWHERE', {
    ...env,
    ...(endpoint === undefined ? {} : { AWS_ENDPOINT_URL_ROLESANYWHERE: endpoint }),
  });
  const proxyEnv = isProxied ? reach.proxyEnv : { HTTPS_PROXY: undefined, NO_PROXY: undefined };
  const source = rolesAnywhere(identity, {
    env,
    clock,
    endpoint: reach,
    post: awsPost({ ...reach, proxyEnv }),
    // Whoever had AWS's helper before has a key that it took: told, and not turned away.
    onExposedKey: (problem) => writeLog(warningText(problem)),
  });
  const credentials = await source.load(signal);
  if (credentials === undefined) throw identityError('CREDENTIALS_NOT_FOUND');
  return credentialProcessDocument(credentials);
}

/** https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html */
function credentialProcessDocument(credentials: Credentials): string {
  return JSON.stringify({
    Version: 1,
    AccessKeyId: credentials.accessKeyId,
    SecretAccessKey: credentials.secretAccessKey.revealText(),
    SessionToken: credentials.sessionToken?.revealText(),
    Expiration: credentials.expiration?.toISOString().replace('.000Z', 'Z'),
  });
}

function warningText(problem: GatehouseError): string {
  const { summary, remedy, code, details } = reportOf(problem);
  const { path } = details;
  const place = typeof path === 'string' ? `: ${path}` : '';
  return `warning: ${summary}${place} (${code})\nhint: ${remedy}\n`;
}
