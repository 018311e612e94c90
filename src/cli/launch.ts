import type { Launch, LaunchFlags } from '../agent/launch.ts';
import { systemClock } from '../base/clock.ts';
import { hasColour } from './colour.ts';
import type { GlobalArguments, Invocation } from './command.ts';
import { lineStart } from './progress.ts';
import { version } from './version.ts';

/** What the agent is started with, from the command line and the process around it. */
export function launchOf(
  args: GlobalArguments,
  invocation: Invocation,
  flags: LaunchFlags = {},
  onLateCall?: Launch['onLateCall'],
): Launch {
  return {
    flags: { config: args.config, logLevel: args['log-level'], ...flags },
    env: invocation.env,
    clock: systemClock,
    version,
    // Asked for by whoever logs: a command that says nothing needs no stderr.
    get logForm() {
      if (!invocation.stderr.isTTY) return 'json';
      return hasColour(invocation.env) ? 'coloured' : 'plain';
    },
    // Synchronous for files, terminals, pipes and sockets on Linux: an exit loses no line.
    writeLog: (line) => {
      invocation.stderr.write(line);
    },
    ...(onLateCall === undefined ? {} : { onLateCall }),
  };
}

/**
 * The same for a command that an operator waits for: it says itself what it waits for and what went wrong, and logs only
 * when asked to.
 */
export function operatorLaunchOf(args: GlobalArguments, invocation: Invocation): Launch {
  const flags = { logLevel: args['log-level'] ?? 'error' };
  if (args.json) return launchOf(args, invocation, flags);
  return launchOf(args, invocation, flags, ({ service, operation }) => {
    const { stderr } = invocation;
    stderr.write(`${lineStart(stderr)}still waiting for ${service} (${operation})\n`);
  });
}
