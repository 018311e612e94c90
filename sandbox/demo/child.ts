import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

type Environment = Readonly<Record<string, string>>;

/** What a program left when it ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. */
export async function runToEnd(argv: readonly string[], env: Environment, stdin = ''): Promise<Ended> {
  const child = start(argv, env);
  const stdout = collected(child.stdout);
  const stderr = collected(child.stderr);
  child.stdin?.end(stdin);
  const code = await exitOf(child);
  return { code, stdout: stdout(), stderr: stderr() };
}

/** A log line of the running agent. */
export interface AgentLine {
  readonly event: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

export interface Agent {
  /** Waits for a log event, from now on. Rejects when the agent ends or `waitMsMax` pass first. */
  event(name: string, accepts?: (line: AgentLine) => boolean): Promise<AgentLine>;
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<{ code: number | null; stderr: string }>;
  /** Ends it, where it is still there. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A busy machine takes a minute for what is otherwise done in one second. */
const waitMsMax = 120_000;

/** Starts the agent and reads its log; `onLine` sees every line. */
export function startAgent(
  argv: readonly string[],
  env: Environment,
  onLine: (line: AgentLine) => void,
): Agent {
  const child = start(argv, env);
  const stderr = collected(child.stderr);
  const watchers = new Set<(line: AgentLine | undefined) => void>();
  const tell = (line: AgentLine | undefined): void => {
    for (const watcher of watchers) watcher(line);
  };
  if (child.stderr === null) throw new TypeError('the agent was started without stderr');
  createInterface({ input: child.stderr }).on('line', (text) => {
    if (!text.startsWith('{')) return;
    const line: AgentLine = JSON.parse(text);
    onLine(line);
    tell(line);
  });
  const ended = exitOf(child).then((code) => {
    tell(undefined);
    return { code, stderr: stderr() };
  });

  return {
    ended,
    kill: (signal) => {
      child.kill(signal);
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
    event: (name, accepts = () => true) =>
      new Promise((resolve, reject) => {
        const finish = (settle: () => void): void => {
          clearTimeout(timer);
          watchers.delete(watcher);
          settle();
        };
        const watcher = (line: AgentLine | undefined): void => {
          if (line === undefined)
            finish(() => reject(new Error(`the agent ended before ${name}:\n${stderr()}`)));
          else if (line.event === name && accepts(line)) finish(() => resolve(line));
        };
        const timer = setTimeout(
          () => finish(() => reject(new Error(`no ${name} within ${waitMsMax / 1000} s:\n${stderr()}`))),
          waitMsMax,
        );
        watchers.add(watcher);
      }),
  };
}

/** Resolves with the exit code once the program has ended and all its output was read; null after a signal. */
async function exitOf(child: ChildProcess): Promise<number | null> {
  const [code]: unknown[] = await once(child, 'close');
  return typeof code === 'number' ? code : null;
}

function start(argv: readonly string[], env: Environment): ChildProcess {
  const [program = '', ...args] = argv;
  return spawn(program, args, { env, stdio: 'pipe' });
}

function collected(stream: NodeJS.ReadableStream | null): () => string {
  const pieces: Buffer[] = [];
  stream?.on('data', (piece: Buffer) => pieces.push(piece));
  return () => Buffer.concat(pieces).toString('utf8');
}
