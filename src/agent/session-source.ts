import { type GatehouseError, reportOf } from '../base/errors.ts';
import type { CredentialSource } from '../identity/credential-source.ts';
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
 * Credentials from IAM Roles Anywhere for the commands that are called as AWS's helper is.
 * @throws AWS_ENDPOINT_…
 */
export function sessionSource(
  { clock, env, writeLog }: Pick<Launch, 'env' | 'clock' | 'writeLog'>,
  identity: RolesAnywhereIdentity,
  { endpoint, isProxied }: Way,
): CredentialSource {
  const reach = awsReach('ROLESANYWHERE', {
    ...env,
    ...(endpoint === undefined ? {} : { AWS_ENDPOINT_URL_ROLESANYWHERE: endpoint }),
  });
  const proxyEnv = isProxied ? reach.proxyEnv : { HTTPS_PROXY: undefined, NO_PROXY: undefined };
  return rolesAnywhere(identity, {
    env,
    clock,
    endpoint: reach,
    post: awsPost({ ...reach, proxyEnv }),
    // Whoever had AWS's helper before has a key that it took: told, and not turned away.
    onExposedKey: (problem) => writeLog(warningText(problem)),
  });
}

function warningText(problem: GatehouseError): string {
  const { summary, remedy, code, details } = reportOf(problem);
  const { path } = details;
  const place = typeof path === 'string' ? `: ${path}` : '';
  return `warning: ${summary}${place} (${code})\nhint: ${remedy}\n`;
}
