import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { constants, userInfo } from 'node:os';
import { isAbsolute } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { errnoOf } from '../base/errno.ts';
import { GatehouseError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { ambientCapabilities, withoutCapabilities } from './capabilities.ts';
import { systemError } from './errors.ts';

export interface CommandLimits {
  /** From start to end of output. */
  readonly timeoutMs: number;
  /** For standard output and standard error, each. */
  readonly outputBytesMax: number;
  /** Added to the scrubbed environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Written to the command's standard input, which is empty otherwise. */
  readonly stdin?: Uint8Array;
  /** Where our supervisor listens: for the one command that speaks to it, and no other. */
  readonly notifySocket?: string;
}

export interface CommandResult {
  readonly stdout: Buffer;
  /** The beginning of what it said, 16 KiB at most. A Secret, since nobody knows what a program says. */
  readonly stderr: Secret;
  /** How much it said in all. */
  readonly stderrBytes: number;
  /** The command's own, or 128 + n when signal n ended it. */
  readonly exitCode: number;
  /** The signal that ended it. */
  readonly signalName?: NodeJS.Signals;
}

/**
 * Runs one command to its end, without a shell, in a process group of its own. Whatever the end, nothing of that
 * group is left running. An exit code other than 0 is a result, not an error.
 *
 * `argv[0]` is an absolute path or a bare name, looked for on a fixed PATH. `argv` is readable by every local user:
 * never a secret in it. The environment is PATH, HOME, LANG and what `limits.env` adds. Capabilities that the agent
 * was given do not go on to the command.
 *
 * @throws COMMAND_NOT_FOUND, COMMAND_NOT_STARTED, COMMAND_TIMED_OUT, COMMAND_OUTPUT_TOO_LARGE, and the signal's reason
 * when it aborts.
 */
export type RunCommand = (
  argv: readonly string[],
  limits: CommandLimits,
  signal: AbortSignal,
) => Promise<CommandResult>;

const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const stderrBytesKept = 16 * 1024;

/** How long output may still be read once the group is dead: a process that left the group can hold the pipe open. */
const drainMs = 500;

/** What a child could take for its own: our supervisor's socket, our identity, our interpreter's options. */
const forbidden = /^(?:NOTIFY_SOCKET|WATCHDOG_.*|LISTEN_.*|NODE_OPTIONS|AWS_.*|GATEHOUSE_.*|PATH)$/u;

/** Whether a command is never given this variable. */
export function isForbiddenVariable(variable: string): boolean {
  return forbidden.test(variable);
}

export const runCommand: RunCommand = async (argv, limits, signal) => {
  signal.throwIfAborted();
  const command = executable(argv[0]);
  const child = started(command, argv.slice(1), limits);
  const ended = end(child, command);
  const output = collected(child, command, limits.outputBytesMax);
  try {
    const { exitCode, signalName } = await systemClock.deadline(limits.timeoutMs, command, signal, () =>
      Promise.race([ended, output.tooLarge]),
    );
    killGroup(child);
    await drained(child, output.closed);
    if (output.error !== undefined) throw output.error;
    const stderr = Buffer.concat(output.stderr);
    return {
      stdout: Buffer.concat(output.stdout),
      stderr: Secret.ofBytes(stderr),
      stderrBytes: output.stderrBytes,
      exitCode,
      ...(signalName === undefined ? {} : { signalName }),
    };
  } catch (error) {
    killGroup(child);
    await drained(child, output.closed);
    signal.throwIfAborted();
    throw isDeadline(error)
      ? systemError('COMMAND_TIMED_OUT', { command, timeoutMs: limits.timeoutMs })
      : error;
  }
};

/**
 * Runs a command for as long as its output is read, without a shell, in a process group of its own: the end of the
 * iteration, or of `signal`, ends the group. A reader that waits makes the command wait. `onSaid` is told what it writes
 * to standard error: all of it before this ends. Ends when the command does. Otherwise as `RunCommand`.
 *
 * @throws COMMAND_NOT_FOUND, COMMAND_NOT_STARTED, COMMAND_FAILED
 */
export async function* followCommand(
  argv: readonly string[],
  signal: AbortSignal,
  onSaid: (bytes: Buffer) => void,
): AsyncGenerator<Buffer> {
  if (signal.aborted) return;
  const command = executable(argv[0]);
  const child = started(command, argv.slice(1), {});
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.stderr?.on('data', onSaid);
  const ended = end(child, command);
  ended.catch(() => undefined);
  const stop = (): void => killGroup(child);
  signal.addEventListener('abort', stop, { once: true });
  try {
    if (child.stdout !== null) yield* child.stdout as AsyncIterable<Buffer>;
    const { exitCode } = await ended;
    killGroup(child);
    await drained(child, closed);
    if (exitCode !== 0 && !signal.aborted) throw systemError('COMMAND_FAILED', { command, exitCode });
  } finally {
    signal.removeEventListener('abort', stop);
    killGroup(child);
    child.stderr?.destroy();
  }
}

function executable(command: string | undefined): string {
  if (command === undefined || command === '') throw new TypeError('a command needs a name');
  if (command.includes('/') && !isAbsolute(command)) {
    throw systemError('COMMAND_NOT_FOUND', { command, problem: 'neither an absolute path nor a bare name' });
  }
  return command;
}

function started(
  command: string,
  args: readonly string[],
  limits: Pick<CommandLimits, 'env' | 'stdin' | 'notifySocket'>,
): ChildProcess {
  const refused = Object.keys(limits.env ?? {}).find((variable) => isForbiddenVariable(variable));
  if (refused !== undefined) throw new TypeError(`a command must not be given ${refused}`);

  const { notifySocket } = limits;
  const plain = withoutCapabilities({ file: command, args }, searchPath, ambientCapabilities());
  const child = spawned(plain.file, plain.args, {
    cwd: '/',
    env: {
      HOME: home(),
      LANG: 'C.UTF-8',
      ...limits.env,
      ...(notifySocket === undefined ? {} : { NOTIFY_SOCKET: notifySocket }),
      PATH: searchPath,
    },
    stdio: [limits.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    // A group of its own, so that what it starts can be killed with it.
    detached: true,
  });
  // A command that ends without reading its input breaks the pipe; its exit code tells all there is to tell.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(limits.stdin);
  return child;
}

/** Node throws some failures and emits others. */
function spawned(command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  try {
    return spawn(command, args, options);
  } catch (error) {
    throw notStarted(command, error);
  }
}

function notStarted(command: string, error: unknown): GatehouseError {
  const errno = errnoOf(error);
  const isAbsent = ['ENOENT', 'EACCES', 'ENOTDIR', 'ENOEXEC', 'ELOOP'].includes(errno ?? '');
  return systemError(isAbsent ? 'COMMAND_NOT_FOUND' : 'COMMAND_NOT_STARTED', { command, errno }, error);
}

function home(): string {
  try {
    return userInfo().homedir;
  } catch {
    // Containers run under uids that no user database knows.
    return '/';
  }
}

interface End {
  readonly exitCode: number;
  readonly signalName: NodeJS.Signals | undefined;
}

function end(child: ChildProcess, command: string): Promise<End> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(notStarted(command, error)));
    child.once('exit', (code, name) => {
      resolve({
        exitCode: code ?? 128 + (name === null ? 0 : constants.signals[name]),
        signalName: name ?? undefined,
      });
    });
  });
}

interface Output {
  readonly stdout: Buffer[];
  readonly stderr: Buffer[];
  stderrBytes: number;
  /** Set once either stream passed its bound. */
  error: GatehouseError | undefined;
  /** Rejects with that error. */
  readonly tooLarge: Promise<never>;
  /** Both streams are at their end. */
  readonly closed: Promise<void>;
}

function collected(child: ChildProcess, command: string, bytesMax: number): Output {
  const tooLarge = Promise.withResolvers<never>();
  tooLarge.promise.catch(() => undefined);
  const closed = Promise.withResolvers<void>();
  child.once('close', () => closed.resolve());
  const output: Output = {
    stdout: [],
    stderr: [],
    stderrBytes: 0,
    error: undefined,
    tooLarge: tooLarge.promise,
    closed: closed.promise,
  };
  const refuse = (stream: string): void => {
    output.error ??= systemError('COMMAND_OUTPUT_TOO_LARGE', { command, stream, bytesMax });
    tooLarge.reject(output.error);
  };
  let stdoutBytes = 0;
  child.stdout?.on('data', (chunk: Buffer) => {
    stdoutBytes += chunk.length;
    if (stdoutBytes > bytesMax) refuse('stdout');
    else output.stdout.push(chunk);
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    const room = stderrBytesKept - output.stderrBytes;
    output.stderrBytes += chunk.length;
    if (room > 0) output.stderr.push(chunk.subarray(0, room));
    if (output.stderrBytes > bytesMax) refuse('stderr');
  });
  return output;
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // ESRCH: the group has ended by itself.
  }
}

async function drained(child: ChildProcess, closed: Promise<void>): Promise<void> {
  if (child.pid === undefined) return;
  const finished = new AbortController();
  await Promise.race([closed, systemClock.sleep(drainMs, finished.signal).catch(() => undefined)]);
  finished.abort();
  child.stdout?.destroy();
  child.stderr?.destroy();
}

function isDeadline(error: unknown): boolean {
  return error instanceof GatehouseError && error.code === 'DEADLINE_EXCEEDED';
}
