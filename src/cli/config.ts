import { stopSignal } from '../system/signals.ts';
import { command, type Invocation } from './command.ts';
import { inputBytes } from './input.ts';
import { launchOf } from './launch.ts';
import { tableText } from './rows.ts';

/** Far above what a config has. */
const inputBytesMax = 1024 * 1024;

const validateCommand = command({
  usage: 'validate [file]',
  summary: 'Check a bootstrap or gateway config (told by its keys), or this host’s bootstrap config',
  options: {},
  positionals: {
    file: { type: 'string', describe: 'Config file, or - for stdin; without it what `run` would use' },
  },
  async run(args, invocation) {
    const { unknownVariables, validateConfig } = await import('../agent/config-report.ts');
    const { file } = args;
    const input = file === '-' ? await inputBytes(file, inputBytesMax, invocation) : undefined;
    const launch = launchOf(args, invocation);
    const valid = await validateConfig(launch, file, input);
    if (file === undefined) warnOf(unknownVariables(launch), invocation);
    invocation.stdout.write(
      args.json
        ? `${JSON.stringify(valid)}\n`
        : `valid ${valid.kind} config${valid.file === undefined ? '' : `: ${valid.file}`}\n`,
    );
    return 0;
  },
});

function warnOf(variables: readonly string[], { stderr }: Invocation): void {
  for (const name of variables) {
    stderr.write(`warning: the environment variable ${name} looks like one of ours and means nothing\n`);
  }
}

const showCommand = command({
  usage: 'show',
  summary:
    'Show the bootstrap config in effect and where each value came from; of a running agent also which gateway config',
  options: {},
  async run(args, invocation) {
    const { showConfig, unknownVariables } = await import('../agent/config-report.ts');
    const launch = launchOf(args, invocation);
    const rows = await showConfig(launch, stopSignal());
    warnOf(unknownVariables(launch), invocation);
    invocation.stdout.write(
      args.json
        ? `${JSON.stringify(rows)}\n`
        : tableText(
            ['KEY', 'VALUE', 'FROM'],
            rows.map(({ path, value, origin }) => [path, JSON.stringify(value), origin]),
          ),
    );
    return 0;
  },
});

const schemaCommand = command({
  usage: 'schema [kind]',
  summary: 'Print the JSON Schema of the bootstrap or gateway config',
  options: {},
  positionals: {
    kind: {
      choices: ['bootstrap', 'gateway'] as const,
      default: 'bootstrap' as const,
      describe: 'Which one',
    },
  },
  async run(args, invocation) {
    const { configSchema } = await import('../agent/config-report.ts');
    invocation.stdout.write(`${JSON.stringify(configSchema(args.kind), undefined, 2)}\n`);
    return 0;
  },
});

/** `gatehouse config`: what is configured, and whether it is right. */
export const configCommand = command({
  usage: 'config',
  summary: 'Check and show configuration',
  options: {},
  subcommands: [validateCommand, showCommand, schemaCommand],
  run: () => Promise.resolve(0),
});
