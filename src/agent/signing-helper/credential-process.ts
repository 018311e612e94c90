import { resolve } from 'node:path';
import { consumerFromAgent, sessionFromAgent } from '../../api/consumer-client.ts';
import { runtimeDirectoryDefault } from '../../base/runtime-directory.ts';
import type { Credentials } from '../../identity/credential-source.ts';
import type { RolesAnywhereIdentity } from '../../identity/roles-anywhere/roles-anywhere.ts';
import type { Environment } from '../aws/aws-reach.ts';
import type { Launch } from '../launch.ts';
import type { Way } from './session-source.ts';

/**
 * Credentials from IAM Roles Anywhere in the form that SDKs want of a `credential_process`: those that the running
 * agent has, where one of its consumers is the caller and has a session of just this identity, else of a session of
 * their own. An endpoint of the command line is asked itself.
 * @throws AWS_ENDPOINT_…, CERTIFICATE_…, PRIVATE_KEY_…, ROLES_ANYWHERE_…, CREDENTIALS_…
 */
export async function credentialProcess(
  launch: Pick<Launch, 'env' | 'clock' | 'writeLog'>,
  identity: RolesAnywhereIdentity,
  way: Way,
  signal: AbortSignal,
): Promise<string> {
  const session = {
    trustAnchorArn: identity.trustAnchorArn,
    profileArn: identity.profileArn,
    roleArn: identity.roleArn,
    certificate: resolve(identity.certificate),
    sessionName: identity.roleSessionName,
    durationSeconds: identity.sessionDurationSeconds,
  };
  if (way.endpoint === undefined) {
    const held = await sessionFromAgent(runtimeDirectory(launch.env), session, launch.clock, signal);
    if (held !== undefined) return held;
  }
  // Loaded only now: where the agent answers, the SDK that waits need not wait for it too.
  const [{ sessionSource }, { identityError }] = await Promise.all([
    import('./session-source.ts'),
    import('../../identity/errors.ts'),
  ]);
  const credentials = await sessionSource(launch, identity, way).source.load(signal);
  if (credentials === undefined) throw identityError('CREDENTIALS_NOT_FOUND');
  return credentialProcessDocument(credentials);
}

/** What the running agent has for one of its consumers. @throws CONSUMER_… */
export function consumerProcess(
  { env, clock }: Pick<Launch, 'env' | 'clock'>,
  consumer: string,
  signal: AbortSignal,
): Promise<string> {
  return consumerFromAgent(runtimeDirectory(env), consumer, clock, signal);
}

/** The bootstrap config may say another one, but it is not every user's to read, and takes long to load. */
function runtimeDirectory({ GATEHOUSE_RUNTIME_DIRECTORY: named }: Environment): string {
  return named || runtimeDirectoryDefault;
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
