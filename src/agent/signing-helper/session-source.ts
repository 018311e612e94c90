import type { Clock } from '../../base/clock.ts';
import { type GatehouseError, reportOf } from '../../base/errors.ts';
import type { CredentialSource } from '../../identity/credential-source.ts';
import { type RolesAnywhereIdentity, rolesAnywhere } from '../../identity/roles-anywhere/roles-anywhere.ts';
import { awsPost } from '../aws/aws-post.ts';
import { awsReach } from '../aws/aws-reach.ts';
import { clockSkew, corrected } from '../aws/clock-skew.ts';
import { agentError } from '../errors.ts';
import type { Launch } from '../launch.ts';

/** By what way AWS is asked, as the command line says it. */
export interface Way {
  readonly endpoint: string | undefined;
  /** As with AWS's helper, a proxy is gone through only where the command line says so. */
  readonly isProxied: boolean;
}

export interface SessionSource {
  readonly source: CredentialSource;
  /** Shows AWS's time once an answer told it: by it these credentials expire. */
  readonly clock: Clock;
}

/**
 * Credentials from IAM Roles Anywhere for the commands that are called as AWS's helper is.
 * @throws AWS_ENDPOINT_…
 */
export function sessionSource(
  { clock, env, writeLog }: Pick<Launch, 'env' | 'clock' | 'writeLog'>,
  identity: RolesAnywhereIdentity,
  { endpoint, isProxied }: Way,
): SessionSource {
  const unproxied = { ...env, HTTPS_PROXY: undefined, https_proxy: undefined };
  const reach = awsReach('ROLESANYWHERE', isProxied ? env : unproxied, endpoint);
  const skew = clockSkew(clock, ({ name }) => {
    if (name !== 'clock.skewed') return;
    writeLog(warningText(agentError('CLOCK_SKEWED')));
  });
  const awsClock = corrected(clock, skew);
  const source = rolesAnywhere(identity, {
    env,
    clock: awsClock,
    serverTime: (date) => skew.observe(date),
    endpoint: reach,
    post: awsPost(reach),
    // Whoever had AWS's helper before has a key that it took: told, and not turned away.
    onExposedKey: (problem) => writeLog(warningText(problem)),
  });
  return { source, clock: awsClock };
}

function warningText(problem: GatehouseError): string {
  const { summary, remedy, code, details } = reportOf(problem);
  const { path } = details;
  const place = typeof path === 'string' ? `: ${path}` : '';
  return `warning: ${summary}${place} (${code})\nhint: ${remedy}\n`;
}
