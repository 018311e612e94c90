import { agentError } from '../agent/errors.ts';
import { profileNamePattern } from '../identity/shared-credentials.ts';
import { stopSignal } from '../system/signals.ts';
import { type Command, command } from './command.ts';
import { type ConfiguredIdentity, identityOf, wayOf } from './credential-process.ts';
import { sessionOptions } from './helper-options.ts';
import { launchOf } from './launch.ts';

/** `gatehouse update`: keeps a profile of the shared credentials file supplied, as aws_signing_helper does. */
export function updateCommand(configured: ConfiguredIdentity): Command {
  return command({
    usage: 'update',
    summary:
      'Keep a profile of ~/.aws/credentials supplied with credentials from IAM Roles Anywhere; they are on the disk then',
    options: {
      ...sessionOptions,
      profile: { type: 'string', describe: 'The profile to write', requiresArg: true, default: 'default' },
      once: { type: 'boolean', describe: 'Write it once, and end', default: false },
    },
    async run(args, invocation) {
      const { profile, once: isOnce } = args;
      if (!profileNamePattern.test(profile)) {
        throw agentError('USAGE', {
          problem: '--profile takes a name without brackets, quotes and comments',
        });
      }
      const launch = launchOf(args, invocation);
      const identity = await identityOf(args, launch, configured);
      const [{ update }, { sessionSource }] = await Promise.all([
        import('../agent/signing-helper/update.ts'),
        import('../agent/signing-helper/session-source.ts'),
      ]);
      const { source, clock } = sessionSource(launch, identity, wayOf(args));
      await update({ ...launch, clock }, source, { profile, isOnce }, stopSignal());
      return 0;
    },
  });
}
