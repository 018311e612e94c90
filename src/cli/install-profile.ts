import { accessSync, constants } from 'node:fs';
import { agentError } from '../agent/errors.ts';
import { command } from './command.ts';
import { failureText } from './failure.ts';
import { sessionIdentity, sessionOptions } from './helper-options.ts';
import { launchOf } from './launch.ts';

const profileName = /^[\w.@+-]{1,128}$/u;

/** `gatehouse install-profile`: a profile that gets its credentials by `gatehouse credential-process`. */
export const installProfileCommand = command({
  usage: 'install-profile',
  summary:
    'Write a profile that gets its credentials by credential-process into your AWS config, beside a backup',
  options: {
    ...sessionOptions,
    profile: { type: 'string', default: 'default', describe: 'Name of the profile', requiresArg: true },
    force: { type: 'boolean', default: false, describe: 'Replace a credential_process that the profile has' },
  },
  async run(args, invocation) {
    const { identity, missing } = sessionIdentity(args);
    if (identity === undefined) {
      throw agentError('USAGE', { problem: `Missing required arguments: ${missing.join(', ')}` });
    }
    const { profile, force: isForced, endpoint } = args;
    if (!profileName.test(profile)) {
      throw agentError('USAGE', { problem: '--profile takes letters, digits and _ . @ + -' });
    }
    const flags = [
      ...(endpoint === undefined ? [] : ['--endpoint', endpoint]),
      ...(args['with-proxy'] ? ['--with-proxy'] : []),
    ];
    const { installProfile } = await import('../agent/signing-helper/install-profile.ts');
    const request = { profile, identity, program: programWords(), flags, isForced };
    const { warnings, ...installed } = await installProfile(launchOf(args, invocation), request);
    for (const warning of warnings) {
      invocation.stderr.write(failureText(warning, args.json).replace(/^error: /u, 'warning: '));
    }
    if (args.json) {
      invocation.stdout.write(`${JSON.stringify(installed)}\n`);
      return 0;
    }
    const { file, backup, isChanged } = installed;
    const kept = backup === undefined ? '' : `; what was there is in ${backup}`;
    invocation.stderr.write(
      isChanged
        ? `wrote profile ${profile} into ${file}${kept}\n`
        : `profile ${profile} in ${file} is as it should be\n`,
    );
    return 0;
  },
});

/** How this very program can be started again. */
function programWords(): string[] {
  const [node = process.execPath, script = ''] = process.argv;
  try {
    accessSync(script, constants.X_OK);
    return [script];
  } catch {
    return [node, script];
  }
}
