import type { STSClient } from '@aws-sdk/client-sts';
import type { Clock } from '../base/clock.ts';
import { type CredentialSource, unexpired } from './credential-source.ts';
import { type StsRefusals, stsError } from './sts-error.ts';
import { stsSession } from './sts-session.ts';

/** A role to assume, and how. */
export interface RoleToAssume {
  readonly roleArn: string;
  /** In CloudTrail with every call of the session. */
  readonly sessionName: string;
  readonly externalId?: string | undefined;
  /** A policy document, at most 2048 characters: the session may do what both it and the role allow. */
  readonly sessionPolicy?: string | undefined;
  /** 900 and more; AWS allows 3600 at most where the client's own credentials are those of a role. */
  readonly durationSeconds: number;
}

const name = 'assumed-role';

/**
 * Credentials of a role, assumed with the credentials of an STS client: the host's own, as a rule. It always applies.
 * `refreshing` keeps and renews them as it does the host's own; every `load` is one call to AWS.
 * Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
 * @throws CREDENTIALS_ROLE_REFUSED, CREDENTIALS_SESSION_POLICY_REFUSED, CREDENTIALS_EXPIRED, CREDENTIALS_THROTTLED,
 * CREDENTIALS_STS_UNREACHABLE, and what the client's own credential provider throws
 */
export function assumedRole(
  role: RoleToAssume,
  sts: () => Promise<Pick<STSClient, 'send'>>,
  clock: Pick<Clock, 'now'>,
): CredentialSource {
  const { roleArn } = role;
  const input = {
    RoleArn: roleArn,
    RoleSessionName: role.sessionName,
    DurationSeconds: role.durationSeconds,
    ExternalId: role.externalId,
    Policy: role.sessionPolicy,
  };

  return {
    name,
    absence: 'it always applies',

    async load(signal) {
      signal.throwIfAborted();
      const client = await sts();
      // Loaded with the client: a host without such a role never pays for either.
      const { AssumeRoleCommand } = await import('@aws-sdk/client-sts');
      const reply = await client
        .send(new AssumeRoleCommand(input), { abortSignal: signal })
        .catch((error: unknown) => {
          signal.throwIfAborted();
          throw stsError(error, 'AssumeRole', refusals, { roleArn });
        });
      return unexpired(stsSession(reply, { operation: 'AssumeRole', roleArn }, name), clock.now());
    },
  };
}

const refusals: StsRefusals = {
  byName: {
    MalformedPolicyDocumentException: 'CREDENTIALS_SESSION_POLICY_REFUSED',
    PackedPolicyTooLargeException: 'CREDENTIALS_SESSION_POLICY_REFUSED',
    InvalidClientTokenId: 'CREDENTIALS_REFUSED',
    SignatureDoesNotMatch: 'CREDENTIALS_REFUSED',
  },
  otherwise: 'CREDENTIALS_ROLE_REFUSED',
};
