import { agentError } from '../agent/errors.ts';
import type { Launch } from '../agent/launch.ts';
import type { RolesAnywhereIdentity } from '../identity/roles-anywhere/roles-anywhere.ts';
import { stopSignal } from '../system/signals.ts';
import { type Command, command } from './command.ts';
import { type SessionArguments, sessionIdentity, sessionOptions } from './helper-options.ts';
import { operatorLaunchOf } from './launch.ts';

/** `credentials.rolesAnywhere` of the bootstrap config, which takes long to load. @throws CONFIG_… */
export type ConfiguredIdentity = (launch: Launch) => Promise<RolesAnywhereIdentity>;

/**
 * `gatehouse credential-process`: credentials for an SDK, as aws_signing_helper gives them. Without `configured` it
 * cannot do without flags.
 */
export function credentialProcessCommand(configured?: ConfiguredIdentity): Command {
  return command({
    usage: 'credential-process',
    summary:
      'Get credentials from IAM Roles Anywhere as SDKs want them of a credential_process; without flags as the bootstrap config says',
    options: sessionOptions,
    async run(args, invocation) {
      const launch = operatorLaunchOf(args, invocation);
      const identity = await identityOf(args, launch, configured);
      const { credentialProcess } = await import('../agent/credential-process.ts');
      const way = { endpoint: args.endpoint, isProxied: args['with-proxy'] };
      const document = await credentialProcess(launch, identity, way, stopSignal());
      invocation.stdout.write(`${document}\n`);
      return 0;
    },
  });
}

async function identityOf(
  args: SessionArguments,
  launch: Launch,
  configured: ConfiguredIdentity | undefined,
): Promise<RolesAnywhereIdentity> {
  const { identity, missing } = sessionIdentity(args);
  if (identity !== undefined) return identity;
  if (configured !== undefined && args['trust-anchor-arn'] === undefined) return configured(launch);
  throw agentError('USAGE', { problem: `Missing required arguments: ${missing.join(', ')}` });
}
