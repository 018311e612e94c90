import { systemClock } from '../../src/base/clock.ts';
import { GatehouseError } from '../../src/base/errors.ts';
import { Secret } from '../../src/base/secret.ts';
import { type CommandLimits, isForbiddenVariable, type RunCommand } from '../../src/system/command.ts';
import { systemError } from '../../src/system/errors.ts';

export interface ScriptedResult {
  readonly stdout?: string | Buffer;
  readonly stderr?: string;
  readonly exitCode?: number;
  readonly signalName?: NodeJS.Signals;
}

/** What a command does when it is run: ends so, or fails so, or never ends. */
export type Script = (argv: readonly string[], limits: CommandLimits) => ScriptedResult | Error | 'lasts';

/** A runner that starts nothing: commands by name, each with what it does. It remembers what it was asked. */
export function scriptedCommands(scripts: Readonly<Record<string, Script>>) {
  const calls: { readonly argv: readonly string[]; readonly limits: CommandLimits }[] = [];
  const run: RunCommand = async (argv, limits, signal) => {
    signal.throwIfAborted();
    const forbidden = Object.keys(limits.env ?? {}).find((variable) => isForbiddenVariable(variable));
    if (forbidden !== undefined) throw new TypeError(`a command must not be given ${forbidden}`);
    const [command = ''] = argv;
    const script = scripts[command];
    if (script === undefined) throw systemError('COMMAND_NOT_FOUND', { command });
    calls.push({ argv, limits });
    const outcome = script(argv, limits);
    if (outcome instanceof Error) throw outcome;
    if (outcome === 'lasts') return lasting(command, limits, signal);
    const { stdout = '', stderr = '', exitCode = 0, signalName } = outcome;
    const bytes = Buffer.from(stdout);
    const said = Buffer.from(stderr);
    for (const [stream, length] of [
      ['stdout', bytes.length],
      ['stderr', said.length],
    ] as const) {
      if (length > limits.outputBytesMax) throw systemError('COMMAND_OUTPUT_TOO_LARGE', { command, stream });
    }
    const ended = { stdout: bytes, stderr: Secret.ofBytes(said), stderrBytes: said.length, exitCode };
    return signalName === undefined ? ended : { ...ended, signalName };
  };
  return { run, calls };
}

async function lasting(command: string, { timeoutMs }: CommandLimits, signal: AbortSignal): Promise<never> {
  try {
    return await systemClock.deadline(
      timeoutMs,
      command,
      signal,
      (within) =>
        new Promise<never>((_resolve, reject) => {
          within.addEventListener('abort', () => reject(within.reason), { once: true });
        }),
    );
  } catch (error) {
    signal.throwIfAborted();
    const isLate = error instanceof GatehouseError && error.code === 'DEADLINE_EXCEEDED';
    throw isLate ? systemError('COMMAND_TIMED_OUT', { command, timeoutMs }) : error;
  }
}
