import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { errnoOf } from '../base/errno.ts';
import { ambientCapabilities, withoutCapabilities } from './capabilities.ts';
import { systemError } from './errors.ts';
import { pipe } from './pipe.ts';

export interface WorkloadOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** All of it. */
  readonly env: Readonly<Record<string, string>>;
  /** Folder of ours for the pipes by which its output is read, for a moment; undefined: it has our own output. */
  readonly pipesIn: string | undefined;
}

/** The program that this process was started for. It has our standard input, our folder and our terminal. */
export interface Workload {
  readonly pid: number;
  /** Undefined where it has ours. */
  readonly stdout: Readable | undefined;
  readonly stderr: Readable | undefined;
  /** Its exit code, or 128 + n when signal n ended it. */
  readonly ended: Promise<number>;
  readonly kill: (signal: NodeJS.Signals) => void;
}

/**
 * Starts it, without a shell. Capabilities that the agent was given do not go on to it.
 * @throws WORKLOAD_NOT_FOUND, WORKLOAD_NOT_STARTED
 */
export async function startWorkload({ command, args, env, pipesIn }: WorkloadOptions): Promise<Workload> {
  const pipes = pipesIn === undefined ? [] : await Promise.all([pipe(pipesIn), pipe(pipesIn)]);
  const [out, err] = pipes;
  const output = pipesIn === undefined ? 'inherit' : 'pipe';
  let child: ChildProcess;
  try {
    const plain = withoutCapabilities({ file: command, args }, env['PATH'] ?? '', ambientCapabilities());
    child = spawn(plain.file, plain.args, {
      env,
      stdio: ['inherit', out?.input ?? output, err?.input ?? output],
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
  } catch (error) {
    for (const each of pipes) each?.output.destroy();
    throw notStarted(command, error);
  } finally {
    for (const each of pipes) if (each !== undefined) closeSync(each.input);
  }
  const ended = new Promise<number>((resolve) => {
    child.once('exit', (code, name) => resolve(code ?? 128 + (name === null ? 0 : constants.signals[name])));
  });
  child.on('error', () => undefined);
  return {
    pid: child.pid ?? 0,
    stdout: out?.output ?? child.stdout ?? undefined,
    stderr: err?.output ?? child.stderr ?? undefined,
    ended,
    kill: (signal) => void child.kill(signal),
  };
}

function notStarted(command: string, error: unknown): Error {
  const errno = errnoOf(error);
  const isAbsent = errno === 'ENOENT' || errno === 'ENOTDIR' || errno === undefined;
  return systemError(isAbsent ? 'WORKLOAD_NOT_FOUND' : 'WORKLOAD_NOT_STARTED', { command, errno }, error);
}

/** What is the agent's own, or was set for it by who started it, and is nobody else's. */
const ownVariable =
  /^(?:GATEHOUSE_.*|NOTIFY_SOCKET|WATCHDOG_.*|LISTEN_.*|CREDENTIALS_DIRECTORY|MALLOC_ARENA_MAX)$/u;

/** The environment of a workload: ours, without what is the agent's own, and with what it is given. */
export function workloadEnvironment(
  ours: Readonly<Record<string, string | undefined>>,
  given: Readonly<Record<string, string>>,
): Record<string, string> {
  const passed = Object.entries(ours).flatMap(([name, value]) =>
    value === undefined || ownVariable.test(name) ? [] : [[name, value] as const],
  );
  return { ...Object.fromEntries(passed), ...given };
}

/** Signals that say something to a workload. */
const passedSignals = [
  'SIGTERM',
  'SIGINT',
  'SIGQUIT',
  'SIGHUP',
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
  'SIGCONT',
] as const;

/** A terminal gives these to all of its foreground group, the workload included: it must not have them twice. */
const terminalSignals: ReadonlySet<string> = new Set(['SIGINT', 'SIGQUIT', 'SIGWINCH', 'SIGCONT']);

/** Calls back with each signal that this process gets for its workload, for the rest of the process. */
export function onPassedSignal(
  isTerminal: boolean,
  pass: (signal: NodeJS.Signals, isTold: boolean) => void,
): void {
  for (const name of passedSignals) {
    process.on(name, () => pass(name, isTerminal && terminalSignals.has(name)));
  }
}
