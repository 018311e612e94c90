import { logLevels } from '../base/log-events.ts';
import { stopSignal } from '../system/signals.ts';
import { command } from './command.ts';
import { launchOf } from './launch.ts';

/** `gatehouse log-level`: which log events the running agent writes. */
export const logLevelCommand = command({
  usage: 'log-level [level]',
  summary: 'Show the log level of the running agent, or change it until its next start',
  options: {},
  positionals: {
    level: { choices: logLevels, describe: 'Least severe log events that are written from now on' },
  },
  async run(args, invocation) {
    const { logLevel } = await import('../agent/monitoring/status.ts');
    const state = await logLevel(launchOf(args, invocation), args.level, stopSignal());
    const { level, configured } = state;
    const text = level === configured ? level : `${level} (configured: ${configured})`;
    invocation.stdout.write(args.json ? `${JSON.stringify(state)}\n` : `${text}\n`);
    return 0;
  },
});
