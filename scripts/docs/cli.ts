import { code, page, sentence, table } from './markdown.ts';

/** The parts of a yargs option that the reference shows. */
export interface DocumentedOption {
  readonly type?: string | undefined;
  readonly describe?: string | undefined;
  readonly choices?: readonly unknown[] | undefined;
  readonly default?: unknown;
  readonly alias?: string | readonly string[] | undefined;
  readonly demandOption?: boolean | string | undefined;
  readonly hidden?: boolean | undefined;
}

/** The parts of a command that the reference shows. */
export interface DocumentedCommand {
  readonly usage: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
  readonly options: Readonly<Record<string, DocumentedOption>>;
  readonly positionals?: Readonly<Record<string, DocumentedOption>>;
  readonly subcommands?: readonly DocumentedCommand[];
}

/** docs/reference/cli.md: every command with its flags. */
export function cliPage(
  commands: readonly DocumentedCommand[],
  globalOptions: Readonly<Record<string, DocumentedOption>>,
): string {
  return page(
    'Command line',
    'From `src/cli/`. stdout is data, stderr is talk. Exit codes: [errors.md](errors.md).',
    [
      table(
        ['Command', 'Does'],
        commands.map(({ usage, summary }) => [code(usage), sentence(summary)]),
      ),
      '## Flags of every command',
      optionTable({
        ...globalOptions,
        help: { type: 'boolean', describe: 'Say what there is, and exit' },
        version: { type: 'boolean', describe: 'Print the version, and exit' },
      }),
      ...commands.flatMap((command) => commandParts(command, '')),
    ],
  );
}

function commandParts(command: DocumentedCommand, above: string): string[] {
  const usage = `${above}${command.usage}`;
  const options = Object.keys(command.options).length === 0 ? [] : [optionTable(command.options)];
  const positionals = Object.entries(command.positionals ?? {}).map(
    ([name, { describe }]) => `- ${code(name)}: ${describe ?? ''}`,
  );
  return [
    `${above === '' ? '##' : '###'} gatehouse ${usage.replaceAll('<', '\\<')}`,
    [sentence(command.summary), ...(command.aliases ?? []).map((alias) => `Also ${code(alias)}.`)].join(' '),
    ...(positionals.length === 0 ? [] : [positionals.join('\n')]),
    ...options,
    ...(command.subcommands ?? []).flatMap((below) => commandParts(below, `${usage} `)),
  ];
}

function optionTable(options: Readonly<Record<string, DocumentedOption>>): string {
  return table(
    ['Flag', 'Type', 'Default', 'Meaning'],
    Object.entries(options)
      .filter(([, option]) => option.hidden !== true)
      .map(([name, option]) => [flagOf(name, option), typeOf(option), defaultOf(option), meaningOf(option)]),
  );
}

function flagOf(name: string, { alias }: DocumentedOption): string {
  const aliases = typeof alias === 'string' ? [alias] : (alias ?? []);
  return [name, ...aliases].map((each) => code(`${each.length === 1 ? '-' : '--'}${each}`)).join(', ');
}

function typeOf({ choices, type }: DocumentedOption): string {
  return choices === undefined
    ? (type ?? 'string')
    : choices.map((choice) => code(String(choice))).join(', ');
}

function defaultOf(option: DocumentedOption): string {
  if (option.demandOption !== undefined && option.demandOption !== false) return 'required';
  if (option.default === undefined || option.default === false) return '';
  return code(typeof option.default === 'string' ? option.default : JSON.stringify(option.default));
}

function meaningOf({ describe }: DocumentedOption): string {
  return describe === undefined ? '' : sentence(describe);
}
