import type { DocumentedCommand, DocumentedOption } from './cli.ts';

export interface ManPage {
  readonly version: string;
  /** ISO 8601 date. */
  readonly date: string;
  readonly commands: readonly DocumentedCommand[];
  readonly globalOptions: Readonly<Record<string, DocumentedOption>>;
  /** Path → what it is. */
  readonly files: Readonly<Record<string, string>>;
  readonly exitCodes: readonly (readonly [code: number, meaning: string])[];
}

/** gatehouse(8) in the man macros, from the same command table as docs/reference/cli.md. */
export function manPage({ version, date, commands, globalOptions, files, exitCodes }: ManPage): string {
  const lines = [
    `.TH GATEHOUSE 8 "${date}" "gatehouse ${version}" "System administration"`,
    '.SH NAME',
    'gatehouse \\- a host agent that keeps no long-lived secret',
    '.SH SYNOPSIS',
    '.B gatehouse',
    '.I COMMAND',
    '.RI [ FLAGS ]',
    '.SH DESCRIPTION',
    text(
      'One agent per host: from nothing but the host’s identity it obtains AWS credentials, fetches its gateway config ' +
        'from Secrets Manager, opens sealed secrets with KMS, puts secrets where programs read them, and ships logs to ' +
        'CloudWatch Logs. Data goes to standard output, talk to standard error.',
    ),
    '.SH COMMANDS',
    ...commands.flatMap((command) => commandLines(command, '')),
    '.SH FLAGS OF EVERY COMMAND',
    ...optionLines(globalOptions),
    '.SH EXIT STATUS',
    ...exitCodes.flatMap(([code, meaning]) => ['.TP', `.B ${code}`, text(meaning)]),
    '.SH FILES',
    ...Object.entries(files).flatMap(([path, meaning]) => ['.TP', `.I ${text(path)}`, text(meaning)]),
    '.SH SEE ALSO',
    '.BR systemctl (1),',
    '.BR journalctl (1)',
  ];
  return `${lines.join('\n')}\n`;
}

function commandLines(command: DocumentedCommand, above: string): string[] {
  const usage = `${above}${command.usage}`;
  return [
    '.TP',
    `.B gatehouse ${text(usage)}`,
    text(`${command.summary}.`),
    ...(Object.keys(command.options).length === 0 ? [] : ['.RS', ...optionLines(command.options), '.RE']),
    ...(command.subcommands ?? []).flatMap((below) => commandLines(below, `${usage} `)),
  ];
}

function optionLines(options: Readonly<Record<string, DocumentedOption>>): string[] {
  return Object.entries(options)
    .filter(([, { hidden }]) => hidden !== true)
    .flatMap(([name, { describe, choices }]) => {
      const values = choices === undefined ? '' : ` ${choices.join('|')}`;
      return ['.TP', `.B ${text(`--${name}${values}`)}`, text(describe ?? '')];
    });
}

/** Text as roff takes it: no line begins with a request, a hyphen stays a hyphen. */
function text(plain: string): string {
  return plain
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('’', '\\(cq')
    .replaceAll('→', '\\(->')
    .replaceAll('…', '...')
    .replaceAll(/\s*\n\s*/gu, ' ')
    .replace(/^[.']/u, '\\&$&');
}
