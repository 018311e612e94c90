import type { Clock } from '../base/clock.ts';
import { type CredentialSource, type Credentials, unexpired } from './credential-source.ts';
import { identityError } from './errors.ts';
import type { StsAccess } from './sts-access.ts';
import { type StsRefusals, stsError } from './sts-error.ts';
import { stsSession } from './sts-session.ts';
import { tokenIn } from './token-file.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** The role that a token is exchanged for. */
export interface WebIdentity {
  /** Read at each exchange. */
  readonly tokenFile: string;
  readonly roleArn: string;
  readonly sessionName: string;
}

const name = 'web-identity';
const operation = 'AssumeRoleWithWebIdentity';

/**
 * Credentials of a Kubernetes service account (IRSA), or of any workload whose platform keeps an OpenID Connect token
 * in a file: `AWS_WEB_IDENTITY_TOKEN_FILE`, exchanged at AWS STS for the role of `AWS_ROLE_ARN`.
 * `sessionName` stands where `AWS_ROLE_SESSION_NAME` is not set.
 */
export function webIdentity(
  env: Env,
  clock: Pick<Clock, 'now'>,
  sts: StsAccess,
  sessionName: string,
): CredentialSource {
  return {
    name,
    absence: 'AWS_WEB_IDENTITY_TOKEN_FILE is not set',

    async load(signal) {
      signal.throwIfAborted();
      const tokenFile = env['AWS_WEB_IDENTITY_TOKEN_FILE'];
      if (!tokenFile) return undefined;
      const roleArn = env['AWS_ROLE_ARN'];
      if (!roleArn) throw identityError('CREDENTIALS_WEB_IDENTITY_INCOMPLETE', { missing: 'AWS_ROLE_ARN' });
      const identity = {
        tokenFile,
        roleArn,
        sessionName: env['AWS_ROLE_SESSION_NAME'] || sessionName,
      };
      return unexpired(await exchangeToken(identity, sts, name, signal), clock.now());
    },
  };
}

/** @throws CREDENTIALS_TOKEN_UNUSABLE, CREDENTIALS_WEB_TOKEN_EXPIRED, CREDENTIALS_WEB_TOKEN_REFUSED, and those of STS. */
export async function exchangeToken(
  { tokenFile, roleArn, sessionName }: WebIdentity,
  sts: StsAccess,
  source: string,
  signal: AbortSignal,
): Promise<Credentials> {
  const token = await tokenIn(tokenFile, signal);
  // Loaded only where there is a token: most hosts have none.
  const { AssumeRoleWithWebIdentityCommand } = await import('@aws-sdk/client-sts');
  const client = await sts();
  try {
    const command = new AssumeRoleWithWebIdentityCommand({
      RoleArn: roleArn,
      RoleSessionName: sessionName,
      WebIdentityToken: token,
    });
    const reply = await client.send(command, { abortSignal: signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      throw stsError(error, operation, refusals, { roleArn, file: tokenFile });
    });
    return stsSession(reply, { operation, roleArn }, source);
  } finally {
    client.destroy();
  }
}

const refusals: StsRefusals = {
  byName: {
    ExpiredTokenException: 'CREDENTIALS_WEB_TOKEN_EXPIRED',
    // STS could not fetch the provider's keys: nobody's token is wrong.
    IDPCommunicationErrorException: 'CREDENTIALS_STS_UNREACHABLE',
  },
  otherwise: 'CREDENTIALS_WEB_TOKEN_REFUSED',
};
