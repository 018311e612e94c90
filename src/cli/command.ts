import type { InferredOptionTypes, Options, PositionalOptions } from 'yargs';
import { logLevels } from '../base/log-events.ts';

/** What a command may touch of the process around it. */
export interface Invocation {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Data goes here and nothing else does. */
  readonly stdout: NodeJS.WriteStream;
  /** Talk and logs. */
  readonly stderr: NodeJS.WriteStream;
  readonly stdin: NodeJS.ReadStream;
  /** What stands behind `--`, for a command that takes that as it is. */
  readonly operands?: readonly string[];
}

/** Flags that every command takes. */
export const globalOptions = {
  config: { type: 'string', describe: 'Bootstrap config file', normalize: false, requiresArg: true },
  'log-level': {
    choices: logLevels,
    describe: 'Least severe log events that are written',
    requiresArg: true,
  },
  json: { type: 'boolean', describe: 'Report as JSON, errors included', default: false },
} as const satisfies Record<string, Options>;

type OptionTable = Readonly<Record<string, Options>>;
type PositionalTable = Readonly<Record<string, PositionalOptions>>;

export type GlobalArguments = InferredOptionTypes<typeof globalOptions>;

type Arguments<Table extends OptionTable> = GlobalArguments & InferredOptionTypes<Table>;

/** One command: what `--help` and docs/reference/cli.md say of it, and what it does. */
export interface Command {
  /** yargs usage: `status`, `unseal <file>`. */
  readonly usage: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
  readonly options: OptionTable;
  /** What `<word>`s of the usage mean. */
  readonly positionals?: PositionalTable;
  /** What stands behind `--` is nobody's but its own. */
  readonly takesOperands?: boolean;
  /** Commands below this one; it does nothing by itself then. */
  readonly subcommands?: readonly Command[];
  /** Takes the arguments that its options declare; `command` knows their types. Resolves with the exit code. */
  run(args: object, invocation: Invocation): Promise<number>;
}

const noPositionals = {} as const satisfies PositionalTable;

/** Declares a command with the arguments of `run` typed by its options. */
export function command<
  Table extends OptionTable,
  Positionals extends PositionalTable = typeof noPositionals,
>(
  declared: Omit<Command, 'run' | 'options' | 'positionals'> & {
    readonly options: Table;
    readonly positionals?: Positionals;
    run(args: Arguments<Table & Positionals>, invocation: Invocation): Promise<number>;
  },
): Command {
  return declared;
}
