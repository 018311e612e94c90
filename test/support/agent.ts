import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFailed, onTestFinished } from 'vitest';
import { patienceMs } from './patience.ts';

/** One log line of the agent. */
export interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

export interface Finished {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The built program, as a user would run it. */
export const built = fileURLToPath(new URL('../../dist/gatehouse.mjs', import.meta.url));

/** What every child needs to run at all; nothing of the environment that the tests run in. */
const bareEnvironment = {
  PATH: process.env['PATH'] ?? '/usr/bin:/bin',
  LANG: 'C.UTF-8',
  // Whoever runs the tests may have AWS profiles.
  HOME: '/nonexistent',
};

/** Runs one command to its end. Rejects, with what it said, when that does not come: it is killed then. */
export async function gatehouse(
  args: readonly string[],
  options: { env?: Record<string, string>; stdin?: string | Buffer; cwd?: string } = {},
): Promise<Finished> {
  const child = start(args, options.env ?? {}, options.cwd);
  const output = collect(child);
  child.stdin?.end(options.stdin ?? '');
  let isTooLate = false;
  const timer = setTimeout(() => {
    isTooLate = true;
    child.kill('SIGKILL');
  }, patienceMs);
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  if (isTooLate) throw inVain(`the end of ${args.join(' ')}`, output());
  return { code, ...output() };
}

export interface RunningAgent {
  readonly pid: number;
  /**
   * The first log line, past or to come, of this event that `accepts`. Rejects when the agent ends without it, or does
   * not come to it.
   */
  event(name: string, accepts?: (line: LogLine) => boolean): Promise<LogLine>;
  /** The first line on standard output, past or to come, that matches. Rejects when the agent ends without it. */
  said(pattern: RegExp): Promise<string>;
  /** All log lines so far. */
  lines(): readonly LogLine[];
  kill(signal: NodeJS.Signals): void;
  /** Resolves when the process has ended. */
  readonly finished: Promise<Finished>;
  /** SIGTERM, then its end. */
  stop(): Promise<Finished>;
}

/** Starts `gatehouse run`; it is gone when the test is. */
export function startAgent(args: readonly string[], env: Record<string, string>): RunningAgent {
  return startProgram(['run', ...args], env);
}

/** Starts a command that goes on until it is stopped; it is gone when the test is. */
export function startProgram(args: readonly string[], env: Record<string, string>): RunningAgent {
  const child = start(args, env);
  const output = collect(child);
  const lines: LogLine[] = [];
  const data: string[] = [];
  const waiting = new Set<() => void>();
  let hasEnded = false;

  const wake = (): void => {
    for (const look of waiting) look();
  };
  if (child.stderr === null) throw new TypeError('the agent was started without stderr');
  createInterface({ input: child.stderr }).on('line', (text) => {
    if (!text.startsWith('{')) return;
    lines.push(JSON.parse(text) as LogLine);
    wake();
  });
  if (child.stdout === null) throw new TypeError('the agent was started without stdout');
  createInterface({ input: child.stdout }).on('line', (text) => {
    data.push(text);
    wake();
  });
  const awaited = <Found>(what: string, find: () => Found | undefined): Promise<Found> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.delete(look);
        reject(inVain(what, output()));
      }, patienceMs);
      const look = (): void => {
        const found = find();
        if (found === undefined && !hasEnded) return;
        waiting.delete(look);
        clearTimeout(timer);
        if (found === undefined) reject(new Error(`the agent ended without ${what}:\n${output().stderr}`));
        else resolve(found);
      };
      waiting.add(look);
      look();
    });
  const finished = once(child, 'close').then(([code]): Finished => {
    hasEnded = true;
    wake();
    return { code: code as number | null, ...output() };
  });
  onTestFailed(() => {
    process.stderr.write(`${args.join(' ')} had said:\n${lastOf(output().stderr)}\n`);
  });
  onTestFinished(async () => {
    if (!hasEnded) child.kill('SIGKILL');
    await finished;
  });

  return {
    pid: child.pid ?? 0,
    lines: () => lines,
    kill: (signal) => {
      child.kill(signal);
    },
    finished,
    event: (name, accepts = () => true) =>
      awaited(name, () => lines.find((line) => line.event === name && accepts(line))),
    said: (pattern) => awaited(String(pattern), () => data.find((line) => pattern.test(line))),
    stop() {
      child.kill('SIGTERM');
      return finished;
    },
  };
}

function inVain(what: string, { stdout, stderr }: { stdout: string; stderr: string }): Error {
  return new Error(`not within ${patienceMs / 1000} s: ${what}; said:\n${lastOf(stdout + stderr)}`);
}

/** Enough to see what a program did last. */
const lastOf = (text: string): string => text.slice(-4_000);

function start(args: readonly string[], env: Record<string, string>, cwd?: string): ChildProcess {
  return spawn(process.execPath, [built, ...args], {
    env: { ...bareEnvironment, ...env },
    stdio: 'pipe',
    ...(cwd === undefined ? {} : { cwd }),
  });
}

function collect(child: ChildProcess): () => { stdout: string; stderr: string } {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout?.on('data', (piece: Buffer) => stdout.push(piece));
  child.stderr?.on('data', (piece: Buffer) => stderr.push(piece));
  return () => ({ stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() });
}
