import type { Step } from '../agent/decommission/step.ts';
import type { Decommission } from '../agent/decommission.ts';
import { agentError } from '../agent/errors.ts';
import { stopSignal } from '../system/signals.ts';
import { command } from './command.ts';
import { factOf } from './failure.ts';
import { operatorLaunchOf } from './launch.ts';

/** `gatehouse decommission --dry-run`: what there is of this host, and what takes it away. */
export const decommissionCommand = command({
  usage: 'decommission',
  summary:
    'List what there is of this host, here and in AWS, with the commands that remove it; it removes nothing',
  options: {
    'dry-run': {
      type: 'boolean',
      describe: 'Only list: must be given, for Gatehouse removes nothing by itself',
    },
  },
  async run(args, invocation) {
    if (args['dry-run'] !== true) {
      throw agentError('USAGE', {
        problem: 'decommission removes nothing by itself: with --dry-run it lists the commands that do',
      });
    }
    const { decommission } = await import('../agent/decommission.ts');
    const found = await decommission(operatorLaunchOf(args, invocation), { root: '/' }, stopSignal());
    invocation.stdout.write(args.json ? `${JSON.stringify(found)}\n` : scriptText(found));
    return 0;
  },
});

/** A script in which all but the commands is comment: to be read first, and run in parts. */
function scriptText(found: Decommission): string {
  const { name, hostId, isRunning, gatewayConfig, onHost, inAws } = found;
  const head = [
    `Host ${name}${hostId === undefined ? '' : ` (${hostId})`}. Nothing of this has been done.`,
    ...(isRunning ? ['The agent runs: what is not sent yet is counted as of now.'] : []),
    ...(gatewayConfig === undefined
      ? []
      : [
          `The gateway config could not be read: ${factOf(gatewayConfig)} (${gatewayConfig.code}).`,
          'What only it names is missing here: deliveries, log groups, keys, roles of consumers.',
        ]),
  ];
  return [
    head.map(comment).join(''),
    section('On this host, as root', onHost),
    section('In AWS, with credentials of an administrator', inAws),
  ].join('\n');
}

function section(title: string, steps: readonly Step[]): string {
  const rest = steps.length === 0 ? [comment('nothing')] : steps.map(stepText);
  return [comment(`== ${title}`), ...rest].join('\n');
}

function stepText({ what, remarks, commands }: Step): string {
  return [...[what, ...remarks].map(comment), ...commands.map((each) => `${each}\n`)].join('');
}

/** A name may hold a line's end, and what follows it would be a command. */
function comment(text: string): string {
  return `# ${text.replaceAll(/\p{Cc}/gu, ' ')}\n`;
}
