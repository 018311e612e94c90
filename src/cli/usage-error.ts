import type { Options } from 'yargs';
import { agentError } from '../agent/errors.ts';
import { closest } from '../config/closest.ts';
import { type Command, globalOptions } from './command.ts';

export const nameACommand = 'Name a command.';

/** What yargs has to say of a command line, in words that name what is meant. */
export function usageErrorOf(said: string, argv: readonly string[], commands: readonly Command[]): Error {
  return agentError('USAGE', { problem: problemOf(said.replaceAll(/\s+/gu, ' '), argv, commands) });
}

function problemOf(said: string, argv: readonly string[], commands: readonly Command[]): string {
  const { path, command } = commandOf(argv, commands);
  const flags = flagsOf(command);
  if (said === nameACommand) {
    // yargs asks for the command first, also where a flag before it is one that nobody has.
    const unknown = argv.map(flagNameOf).find((name) => name !== undefined && !flags.includes(name));
    return unknown === undefined ? said : withMeantFlag(`Unknown argument: ${unknown}`, unknown, flags);
  }

  const [, flag] = /^Unknown arguments?: ([^\s,]+)/u.exec(said) ?? [];
  if (flag !== undefined) return withMeantFlag(said, flag, flags);
  const [, word] = /^Unknown commands?: (\S+)/u.exec(said) ?? [];
  if (word !== undefined) {
    if (command?.takesOperands === true) return behindDashes(path);
    if (command !== undefined && command.subcommands === undefined) return `Unexpected argument: ${word}`;
    const meant = closest(word, (command?.subcommands ?? commands).flatMap(namesOf));
    return meant === undefined ? said : `${said}; did you mean ${meant}?`;
  }
  if (said.startsWith('Not enough non-option arguments') && command !== undefined) {
    return `Something is missing: gatehouse ${[...path.slice(0, -1), command.usage].join(' ')}`;
  }
  return said;
}

/** How a command is given to one that runs it. */
export function behindDashes(path: readonly string[]): string {
  return `Give the command behind --: gatehouse ${path.join(' ')} -- COMMAND ARGS…`;
}

function withMeantFlag(said: string, given: string, flags: readonly string[]): string {
  const words = flags.filter((name) => name.length > 1);
  const meant = given.length > 1 ? closest(given, words) : undefined;
  return meant === undefined ? said : `${said}; did you mean --${meant}?`;
}

/** `gatehouse help status` and `gatehouse config help` ask for what `--help` says. */
export function helpAsFlag(argv: readonly string[]): readonly string[] {
  if (argv[0] === 'help') return [...argv.slice(1), '--help'];
  const isWords = argv.at(-1) === 'help' && argv.every((word) => !word.startsWith('-'));
  return isWords ? [...argv.slice(0, -1), '--help'] : argv;
}

/**
 * What yargs would take and do nothing with: another value than true or false of a flag that has none, which it reads as
 * no, and a name with "_" in place of a "-". @throws USAGE
 */
export function refuseUnheard(argv: readonly string[], commands: readonly Command[]): void {
  const { command } = commandOf(argv, commands);
  for (const word of argv) {
    if (word === '--') return;
    const [, name = '', value] = /^--([\w-]+)(?:=(.*))?$/su.exec(word) ?? [];
    if (name.includes('_')) {
      const problem = withMeantFlag(`Unknown argument: ${name}`, name, flagsOf(command));
      throw agentError('USAGE', { problem });
    }
    const isSwitch = optionsOf(command)[name]?.type === 'boolean';
    if (!isSwitch || value === undefined || value === 'true' || value === 'false') continue;
    throw agentError('USAGE', { problem: `--${name} takes no value, or true or false, and not "${value}"` });
  }
}

/** The command that the words of a command line lead to, as far as they do. */
function commandOf(argv: readonly string[], commands: readonly Command[]) {
  const path: string[] = [];
  let command: Command | undefined;
  let below: readonly Command[] = commands;
  for (const word of argv) {
    if (word === '--') break;
    const next = below.find((each) => namesOf(each).includes(word));
    if (next === undefined) continue;
    path.push(word);
    command = next;
    below = next.subcommands ?? [];
  }
  return { path, command };
}

function namesOf({ usage, aliases = [] }: Command): string[] {
  return [firstWord(usage), ...aliases];
}

export function firstWord(usage: string): string {
  return usage.split(' ', 1)[0] ?? '';
}

function flagsOf(command: Command | undefined): string[] {
  const names = Object.entries(optionsOf(command)).flatMap(([name, { alias }]) => [name, alias ?? []].flat());
  return [...names, 'help', 'h', 'version'];
}

function optionsOf(command: Command | undefined): Readonly<Record<string, Options>> {
  return { ...globalOptions, ...command?.options };
}

function flagNameOf(word: string): string | undefined {
  return /^--?([^-=][^=]*)/u.exec(word)?.[1];
}
