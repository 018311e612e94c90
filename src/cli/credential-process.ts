import { agentError } from '../agent/errors.ts';
import type { Launch } from '../agent/launch.ts';
import type { Way } from '../agent/signing-helper/session-source.ts';
import type { RolesAnywhereIdentity } from '../identity/roles-anywhere/roles-anywhere.ts';
import { stopSignal } from '../system/signals.ts';
import { type Command, command } from './command.ts';
import { identityFlagOf, type SessionArguments, sessionIdentity, sessionOptions } from './helper-options.ts';
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
    options: { ...sessionOptions, consumer: consumerOption },
    async run(args, invocation) {
      const launch = operatorLaunchOf(args, invocation);
      const document = await documentOf(args, launch, configured);
      invocation.stdout.write(`${document.trimEnd()}\n`);
      return 0;
    },
  });
}

const consumerOption = {
  type: 'string',
  describe: 'Ask the running agent for what this consumer has, over its socket, instead of signing',
  requiresArg: true,
} as const;

async function documentOf(
  args: SessionArguments & { readonly consumer: string | undefined },
  launch: Launch,
  configured: ConfiguredIdentity | undefined,
): Promise<string> {
  const { credentialProcess, consumerProcess } = await import(
    '../agent/signing-helper/credential-process.ts'
  );
  const stop = stopSignal();
  if (args.consumer !== undefined) {
    refuseUnheard(args);
    return consumerProcess(launch, args.consumer, stop);
  }
  const identity = await identityOf(args, launch, configured);
  return credentialProcess(launch, identity, wayOf(args), stop);
}

/** What a consumer has is the agent's to say, and so is the way to AWS. @throws USAGE */
function refuseUnheard(args: SessionArguments): void {
  const way = args['with-proxy'] ? 'with-proxy' : undefined;
  const unheard = identityFlagOf(args) ?? (args.endpoint === undefined ? way : 'endpoint');
  if (unheard === undefined) return;
  throw agentError('USAGE', {
    problem: `--${unheard} is not for --consumer: the agent gives what that consumer has`,
  });
}

/** By what way AWS is asked. */
export function wayOf({ endpoint, 'with-proxy': isProxied }: SessionArguments): Way {
  return { endpoint, isProxied };
}

/** Who to be: as the flags say, or without any as the bootstrap config does. @throws USAGE, CONFIG_… */
export async function identityOf(
  args: SessionArguments,
  launch: Launch,
  configured: ConfiguredIdentity | undefined,
): Promise<RolesAnywhereIdentity> {
  const { identity, missing } = sessionIdentity(args);
  if (identity !== undefined) return identity;
  // A role that was asked for and not taken would be credentials of another one.
  if (configured !== undefined && identityFlagOf(args) === undefined) return configured(launch);
  const orNone = 'give these too, or none of these flags, where the bootstrap config says who to be';
  throw agentError('USAGE', { problem: `Missing required arguments: ${missing.join(', ')}; ${orNone}` });
}
