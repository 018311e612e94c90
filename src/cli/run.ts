import { stopSignal } from '../system/signals.ts';
import { command } from './command.ts';

/** `gatehouse run`: the daemon, until SIGTERM. */
export const runCommand = command({
  usage: 'run',
  aliases: ['start'],
  summary: 'Run the agent until it is told to stop',
  options: {
    'secret-name': {
      alias: 'aws-kms-secret-name',
      type: 'string',
      describe: 'Secrets Manager secret that holds the gateway config',
      requiresArg: true,
    },
  },
  async run(args, invocation) {
    const { run } = await import('../agent/run.ts');
    const { launchOf } = await import('./launch.ts');
    await run(launchOf(args, invocation, { secretName: args['secret-name'] }), stopSignal());
    return 0;
  },
});
