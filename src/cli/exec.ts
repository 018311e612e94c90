import { agentError } from '../agent/errors.ts';
import { command } from './command.ts';
import { behindDashes } from './usage-error.ts';

/** `gatehouse exec -- COMMAND ARGS…`: the agent and one workload, which end together. */
export const execCommand = command({
  usage: 'exec',
  summary:
    'Run a command with its secrets beside the agent and ship its output: exec [flags] -- COMMAND ARGS…',
  options: {
    'secret-name': {
      alias: 'aws-kms-secret-name',
      type: 'string',
      describe: 'Secrets Manager secret that holds the gateway config',
      requiresArg: true,
    },
  },
  takesOperands: true,
  async run(args, invocation) {
    const { operands = [], stdout, stderr, stdin } = invocation;
    if (operands.length === 0) {
      throw agentError('USAGE', { problem: behindDashes(['exec']) });
    }
    const { exec } = await import('../agent/exec.ts');
    const { launchOf } = await import('./launch.ts');
    const launch = launchOf(args, invocation, { secretName: args['secret-name'] });
    return exec(launch, operands, { stdout, stderr, isTerminal: stdin.isTTY });
  },
});
