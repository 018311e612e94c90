import type { Options } from 'yargs';
import { type Command, globalOptions } from './command.ts';

/** A command and the arguments that its `run` takes. */
export interface PlainArguments {
  readonly command: Command;
  readonly args: Readonly<Record<string, unknown>>;
}

/** A value that every shell and every parser leaves alone. */
const plainValue = /^[^-'"][^'"]*$/u;
const flag = /^--([a-z][a-z-]*)(?:=(.*))?$/su;

/**
 * What a command line means that is so plain that there is one way to read it: a command without operands, then flags
 * that it declares, in full, each once and with a value of its kind. Undefined for every other, and for what is wrong:
 * that is for yargs, which reads these the same way but takes 45 ms to load, a fifth of the agent's start.
 */
export function plainArguments(
  argv: readonly string[],
  commands: readonly Command[],
): PlainArguments | undefined {
  const [word = '', ...rest] = argv;
  const command = commands.find(({ usage, aliases = [] }) => usage === word || aliases.includes(word));
  if (command === undefined || command.subcommands !== undefined) return undefined;
  const options = Object.entries<Options>({ ...globalOptions, ...command.options });
  const given = new Map<string, unknown>();

  for (let index = 0; index < rest.length; index += 1) {
    const [, wanted, inline] = flag.exec(rest[index] ?? '') ?? [];
    if (wanted === undefined) return undefined;
    const [name, option] = options.find(([each, { alias }]) => each === wanted || alias === wanted) ?? [];
    if (name === undefined || option === undefined || given.has(name)) return undefined;
    if (option.type === 'boolean') {
      if (inline !== undefined) return undefined;
      given.set(name, true);
      continue;
    }
    const value = inline ?? rest[(index += 1)] ?? '';
    const isKnown = option.choices === undefined ? option.type === 'string' : option.choices.includes(value);
    if (!isKnown || !plainValue.test(value)) return undefined;
    given.set(name, value);
  }

  for (const [name, option] of options) {
    if (given.has(name)) continue;
    if (option.demandOption !== undefined && option.demandOption !== false) return undefined;
    given.set(name, option.default);
  }
  return { command, args: Object.fromEntries(given) };
}
