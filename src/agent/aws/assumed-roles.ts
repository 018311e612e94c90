import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import type { CredentialSource } from '../../identity/credential-source.ts';
import { type Denials, denials } from '../../identity/denials.ts';
import { type RefreshingCredentials, refreshing } from '../../identity/refreshing.ts';
import { sessionNameOf } from '../../identity/session-name.ts';
import type { AwsClientOptions } from './aws-client.ts';
import { type AwsClients, awsClients } from './aws-clients.ts';

/** A role that the host assumes for itself, to reach what its own role does not. */
export interface RoleReference {
  readonly roleArn: string;
  readonly externalId?: string | undefined;
  readonly sessionName?: string | undefined;
}

/** What the host has under a role: credentials that are kept and renewed as its own are, and clients with them. */
export interface Assumed {
  readonly credentials: RefreshingCredentials;
  readonly denials: Denials;
  readonly aws: AwsClients;
}

export interface AssumedRoles {
  /** The same for the same role each time. No call is made before its credentials are first asked for. */
  as(role: RoleReference): Assumed;
  /** Asks for those that fail now: for when somebody says that it is mended. */
  retry(signal: AbortSignal): Promise<void>;
  close(): void;
}

export interface AssumedRolesOptions {
  readonly hostName: string;
  /** Shows AWS's time. */
  readonly clock: Clock;
  readonly log: Log;
  /** Whose credentials assume the roles: the host's own. */
  readonly host: () => Pick<AwsClients, 'sts'>;
  readonly reach: Pick<AwsClientOptions, 'env' | 'region' | 'serverTime' | 'slow'>;
}

/** The most that AWS gives a session which was assumed with another one. */
const durationSeconds = 3600;

export function assumedRoles({ hostName, clock, log, host, reach }: AssumedRolesOptions): AssumedRoles {
  const known = new Map<string, Assumed>();

  function assume({ roleArn, externalId, sessionName = sessionNameOf(hostName) }: RoleReference): Assumed {
    const role = { roleArn, externalId, sessionName, durationSeconds };
    const logAs: Log = (event) => log({ ...event, fields: { ...event.fields, role: roleArn } });
    const source: CredentialSource = {
      name: 'assumed-role',
      absence: 'it always applies',
      async load(signal) {
        // Loaded when it is first wanted: most hosts assume nothing.
        const { assumedRole } = await import('../../identity/assumed-role.ts');
        return assumedRole(role, () => host().sts(), clock).load(signal);
      },
    };
    const credentials = refreshing(source, { clock, log: logAs, isOnDemand: true });
    const denied = denials(credentials, { clock, log: logAs });
    const unaborted = new AbortController().signal;
    const aws = awsClients({
      ...reach,
      credentials: () => credentials.current(unaborted),
      denials: { ...denied, renew: (denial) => denied.renew(denial, unaborted) },
    });
    return { credentials, denials: denied, aws };
  }

  return {
    as(role) {
      const key = JSON.stringify([role.roleArn, role.externalId, role.sessionName]);
      const assumed = known.get(key) ?? assume(role);
      known.set(key, assumed);
      return assumed;
    },

    async retry(signal) {
      for (const { credentials, denials: denied } of known.values()) {
        denied.retry();
        await credentials.retry(signal);
      }
    },

    close() {
      for (const { aws } of known.values()) aws.close();
    },
  };
}
