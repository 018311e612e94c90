import type { ConsumerConfig } from '../../api/config.ts';
import type { HandedCredentials } from '../../api/credential-document.ts';
import { assumedRole } from '../../identity/assumed-role.ts';
import { callerIdentity } from '../../identity/caller.ts';
import type { CredentialSource, Credentials } from '../../identity/credential-source.ts';
import { type RefreshingCredentials, refreshing } from '../../identity/refreshing.ts';
import { agentError } from '../errors.ts';
import type { Host } from '../host.ts';

/** What of a consumer's config decides which credentials it has. */
export type ConsumerRole = Pick<
  ConsumerConfig,
  'roleArn' | 'externalId' | 'sessionName' | 'sessionPolicy' | 'durationSeconds' | 'allowHostRole'
>;

/** Session names end there: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html */
const sessionNameCharactersMax = 64;

/** The credentials of one consumer: a role's, kept and renewed as the host's own are, or just those. */
export function consumerCredentials(name: string, role: ConsumerRole, host: Host): RefreshingCredentials {
  if (role.allowHostRole) return host.credentials;
  const { log } = host.recorder;
  return refreshing(roleSource(name, role, host), {
    clock: host.awsClock,
    log: (event) => log({ ...event, fields: { ...event.fields, consumer: name } }),
  });
}

/** What is handed out. @throws CONSUMER_CREDENTIALS_NOT_TEMPORARY */
export function handed(credentials: Credentials, lastUpdated: Date): HandedCredentials {
  const { accessKeyId, secretAccessKey, sessionToken, accountId, source } = credentials;
  const expiration = credentials.extendedUntil ?? credentials.expiration;
  if (sessionToken === undefined || expiration === undefined) {
    throw agentError('CONSUMER_CREDENTIALS_NOT_TEMPORARY', { source });
  }
  return { accessKeyId, secretAccessKey, sessionToken, expiration, lastUpdated, accountId };
}

function roleSource(name: string, role: ConsumerRole, host: Host): CredentialSource {
  const { sessionPolicy } = role;
  const hostName = host.bootstrap.config.name;
  const wanted = {
    sessionName: role.sessionName ?? `${name}@${hostName}`.slice(0, sessionNameCharactersMax),
    externalId: role.externalId,
    sessionPolicy: sessionPolicy === undefined ? undefined : JSON.stringify(sessionPolicy),
    durationSeconds: role.durationSeconds,
  };
  return {
    name: 'assumed-role',
    absence: 'it always applies',
    async load(signal) {
      const roleArn = role.roleArn ?? (await hostRoleArn(host, signal));
      return assumedRole({ roleArn, ...wanted }, () => host.aws.sts(), host.awsClock).load(signal);
    },
  };
}

/**
 * The ARN of the host's own role. Where only AWS STS says who the host is, the ARN has no path, for STS leaves that out:
 * a role with a path has to be named.
 * @throws CONSUMER_HOST_ROLE_UNKNOWN, CREDENTIALS_…
 */
async function hostRoleArn(host: Host, signal: AbortSignal): Promise<string> {
  await host.credentials.current(signal);
  const { rolesAnywhere } = host.bootstrap.config.credentials;
  if (rolesAnywhere !== undefined && host.chain.answered === 'roles-anywhere') return rolesAnywhere.roleArn;
  const { arn, accountId, roleName } = await callerIdentity(await host.aws.sts(), signal);
  if (roleName === undefined) throw agentError('CONSUMER_HOST_ROLE_UNKNOWN', { arn });
  return `arn:${arn.split(':')[1] ?? 'aws'}:iam::${accountId}:role/${roleName}`;
}
