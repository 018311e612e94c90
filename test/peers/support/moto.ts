import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Target } from '../../contract/contract.ts';
import { patienceMs } from '../../support/patience.ts';
import { peerProgram } from './peer.ts';

const stopMsMax = 5000;

export interface Moto extends Target {
  /** Forgets everything. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

/** moto's server, a process of its own on a free port. It checks no signature: any credentials will do. */
export async function startMoto(): Promise<Moto> {
  // Its own environment only: moto reads MOTO_… and AWS_… names.
  const server = spawn(peerProgram('moto'), ['-H', '127.0.0.1', '-p', '0'], {
    env: { PATH: process.env['PATH'], PYTHONUNBUFFERED: '1' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const stopped = once(server, 'exit');
  const endpoint = await endpointOf(server);
  return {
    endpoint,
    region: 'eu-west-1',
    credentials: { accessKeyId: 'AKIAMOTO', secretAccessKey: 'moto' },
    roleArn: 'arn:aws:iam::123456789012:role/contract',
    async reset() {
      const reply = await fetch(`${endpoint}/moto-api/reset`, { method: 'POST' });
      if (!reply.ok) throw new Error(`moto could not be reset: ${reply.status}`);
    },
    async close() {
      server.kill('SIGTERM');
      const timer = setTimeout(() => server.kill('SIGKILL'), stopMsMax);
      await stopped;
      clearTimeout(timer);
    },
  };
}

/** Reads on after the line it waits for: the server logs every request, and a full pipe would stop it. */
function endpointOf(server: ChildProcess): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  if (server.stderr === null) throw new TypeError('the standard error of moto is not piped');
  const seen: string[] = [];
  createInterface(server.stderr).on('line', (line) => {
    const url = /Running on (http:\/\/127\.0\.0\.1:\d+)/u.exec(line)?.[1];
    if (url !== undefined) resolve(url);
    else if (seen.length < 20) seen.push(line);
  });
  const timer = setTimeout(() => server.kill('SIGKILL'), patienceMs);
  server.once('error', reject);
  server.once('exit', (code) => reject(new Error(`moto ended with ${code}: ${seen.join('\n')}`)));
  return promise.finally(() => clearTimeout(timer));
}
