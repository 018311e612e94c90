import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as timeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { patienceMs } from '../../support/patience.ts';

type Question = 'createKey' | 'createSecret' | 'putSecret' | 'messages' | 'loseLogs' | 'findLogs';

export interface CloudQuestion {
  readonly id: number;
  readonly ask: Question;
  readonly args: readonly string[];
}

export interface CloudAnswer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** A sandbox in the network of a machine or container, and its operator. */
export interface Cloud {
  /** As seen in that network. */
  readonly url: string;
  readonly region: string;
  createKey(alias: string): Promise<void>;
  createSecret(name: string, value: string): Promise<void>;
  putSecret(name: string, value: string): Promise<void>;
  messages(logGroup: string, logStream: string): Promise<readonly string[]>;
  /** Waits until a stream has so many messages, or more. */
  arrived(count: number, logGroup: string, logStream: string): Promise<readonly string[]>;
  /** CloudWatch Logs answers 503 until it is `findLogs`. */
  loseLogs(): Promise<void>;
  findLogs(): Promise<void>;
  close(): Promise<void>;
}

const program = fileURLToPath(new URL('./cloud-process.ts', import.meta.url));
const pollMs = 50;

/** Starts one in the network namespace of process `pid`: its program and files are this machine's, its ports are not. */
export async function startCloud(pid: number): Promise<Cloud> {
  const child = spawn('nsenter', [`--target=${pid}`, '--net', '--', process.execPath, program], {
    env: { PATH: '/usr/bin:/bin' },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let lastId = 0;
  const wait = (id: number): Promise<unknown> => {
    const question = Promise.withResolvers<unknown>();
    waiting.set(id, question);
    return question.promise;
  };
  child.on('message', ({ id, value, error }: CloudAnswer) => {
    if (error === undefined) waiting.get(id)?.resolve(value);
    else waiting.get(id)?.reject(new Error(error));
    waiting.delete(id);
  });
  child.on('exit', (code) => {
    for (const { reject } of waiting.values()) reject(new Error(`the cloud ended with ${code}`));
  });
  const ask = (question: Question, ...args: string[]): Promise<unknown> => {
    lastId += 1;
    child.send({ id: lastId, ask: question, args } satisfies CloudQuestion);
    return wait(lastId);
  };
  const messages = async (group: string, stream: string): Promise<readonly string[]> =>
    (await ask('messages', group, stream)) as readonly string[];

  const { url, region } = (await wait(0)) as { url: string; region: string };
  return {
    url,
    region,
    createKey: async (alias) => void (await ask('createKey', alias)),
    createSecret: async (name, value) => void (await ask('createSecret', name, value)),
    putSecret: async (name, value) => void (await ask('putSecret', name, value)),
    messages,
    async arrived(count, group, stream) {
      const deadline = performance.now() + patienceMs;
      for (;;) {
        const found = await messages(group, stream);
        if (found.length >= count) return found;
        if (performance.now() > deadline) {
          throw new Error(`${found.length} of ${count} messages in ${group} ${stream}`);
        }
        await timeout(pollMs);
      }
    },
    loseLogs: async () => void (await ask('loseLogs')),
    findLogs: async () => void (await ask('findLogs')),
    async close() {
      if (child.exitCode !== null) return;
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}
