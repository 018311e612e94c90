import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** Nothing of the environment that the bench runs in. */
const bareEnvironment = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LANG: 'C.UTF-8' };

const patienceMs = 120_000;

/** A process that tells what it does line by line, on stderr or stdout. */
export interface Child extends AsyncDisposable {
  readonly pid: number;
  readonly startedMs: number;
  /** When the first line, past or to come, that holds this text came, and the line. */
  line(text: string): Promise<{ readonly atMs: number; readonly text: string }>;
  write(line: string): void;
  signal(name: NodeJS.Signals): void;
  /** When it ended. Rejects when it ended badly. */
  readonly ended: Promise<number>;
  /** SIGTERM, then its end, however it ends. */
  stop(): Promise<void>;
}

/** Starts our Node with these arguments. */
export function startNode(args: readonly string[], env: Readonly<Record<string, string>> = {}): Child {
  const startedMs = performance.now();
  const child: ChildProcess = spawn(process.execPath, args, {
    env: { ...bareEnvironment, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const lines: { atMs: number; text: string }[] = [];
  const waiting = new Set<() => void>();
  let isOver = false;
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', (text) => {
      lines.push({ atMs: performance.now(), text });
      for (const look of waiting) look();
    });
  }
  child.stdin?.on('error', () => undefined);
  const said = (): string =>
    lines
      .slice(-20)
      .map(({ text }) => text)
      .join('\n');
  const ended = once(child, 'exit').then(([code, signal]: unknown[]) => {
    const atMs = performance.now();
    isOver = true;
    for (const look of waiting) look();
    if (code !== 0) throw new Error(`${args.join(' ')} ended with ${String(code ?? signal)}:\n${said()}`);
    return atMs;
  });
  ended.catch(() => undefined);

  const line: Child['line'] = (wanted) =>
    new Promise((resolve, reject) => {
      const giveUp = setTimeout(() => finish(new Error(`never said: ${wanted}\n${said()}`)), patienceMs);
      const finish = (failure: Error | undefined, found?: { atMs: number; text: string }): void => {
        clearTimeout(giveUp);
        waiting.delete(look);
        if (found === undefined) reject(failure ?? new Error(wanted));
        else resolve(found);
      };
      const look = (): void => {
        const found = lines.find(({ text }) => text.includes(wanted));
        if (found !== undefined) finish(undefined, found);
        else if (isOver) finish(new Error(`ended without saying: ${wanted}\n${said()}`));
      };
      waiting.add(look);
      look();
    });

  const stop = async (): Promise<void> => {
    if (!isOver) child.kill('SIGTERM');
    await ended.catch(() => undefined);
  };
  return {
    pid: child.pid ?? 0,
    startedMs,
    line,
    write: (text) => void child.stdin?.write(`${text}\n`),
    signal: (name) => void child.kill(name),
    ended,
    stop,
    async [Symbol.asyncDispose]() {
      if (!isOver) child.kill('SIGKILL');
      await ended.catch(() => undefined);
    },
  };
}
