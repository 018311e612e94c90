import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { askSocket } from '../../src/api/socket-client.ts';
import { benchHost } from './bench-host.ts';
import { startNode } from './child.ts';
import type { Bench, BenchOptions, Sample, Subject } from './measure.ts';
import type { Program } from './program.ts';

const bareServer = 'bare node:http';
const connections = 16;

/** Answers as many bytes as a credential document has, and does nothing else. */
const bareSource = `
  const body = JSON.stringify({ padding: 'x'.repeat(700) });
  const server = require('node:http').createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
  });
  server.listen(0, '127.0.0.1', () => console.log('port ' + server.address().port));
`;

/** Requests for credentials, one after the other on each connection. The load comes from the bench's own process. */
export const endpoints: Bench = {
  name: 'endpoints',
  summary: `requests for credentials on ${connections} connections`,
  units: { requests: '1/s', p50: 'ms', p99: 'ms' },
  baselines: [bareServer],
  rounds: { usual: 5, quick: 1 },
  async prepare(
    { programs, isQuick }: BenchOptions,
    opened: AsyncDisposableStack,
  ): Promise<readonly Subject[]> {
    const seconds = isQuick ? 0.5 : 5;
    const bare = opened.use(startNode(['-e', bareSource]));
    const { text } = await bare.line('port ');
    const subjects: Subject[] = [
      {
        name: bareServer,
        measure: () => load(Number(text.slice(5)), requestFor('/', {}), seconds),
      },
    ];
    for (const program of programs) subjects.push(...(await subjectsOf(program, seconds, opened)));
    return subjects;
  },
};

async function subjectsOf(
  program: Program,
  seconds: number,
  opened: AsyncDisposableStack,
): Promise<readonly Subject[]> {
  const host = await benchHost(program, { isBare: true, hasConsumer: true }, opened);
  const { agent } = await host.started();
  opened.use(agent);
  const { container, metadata, token } = await addressesOf(host.controlSocket);
  const path = '/latest/meta-data/iam/security-credentials/app';
  const session = await fetch(`http://127.0.0.1:${metadata}/latest/api/token`, {
    method: 'PUT',
    headers: { 'x-aws-ec2-metadata-token-ttl-seconds': '21600' },
  });
  const authorization = readFileSync(token, 'utf8');
  const metadataToken = await session.text();
  return [
    {
      name: 'container endpoint',
      program,
      measure: () => load(container, requestFor('/credentials/app', { authorization }), seconds),
    },
    {
      name: 'instance metadata',
      program,
      measure: () => load(metadata, requestFor(path, { 'x-aws-ec2-metadata-token': metadataToken }), seconds),
    },
  ];
}

interface Status {
  readonly consumers: readonly { readonly ways: readonly { way: string; address: string }[] }[];
}

async function addressesOf(controlSocket: string) {
  const { body } = await askSocket(controlSocket, 'GET', '/status', new AbortController().signal);
  const [consumer] = (body as Status).consumers;
  const address = (way: string): string => consumer?.ways.find((each) => each.way === way)?.address ?? '';
  const port = (way: string): number => Number(address(way).split(':')[1]);
  return { container: port('container'), metadata: port('metadata'), token: address('token') };
}

function requestFor(path: string, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries({ host: '127.0.0.1', ...headers }).map(([name, value]) => `${name}: ${value}`);
  return [`GET ${path} HTTP/1.1`, ...lines, '', ''].join('\r\n');
}

/** Asks on every connection, again as soon as there is an answer. */
async function load(port: number, request: string, seconds: number): Promise<Sample> {
  const tookMs: number[] = [];
  const startedMs = performance.now();
  const until = startedMs + seconds * 1000;
  await Promise.all(Array.from({ length: connections }, () => asking(port, request, until, tookMs)));
  const sorted = tookMs.toSorted((one, other) => one - other);
  const at = (part: number): number => sorted[Math.floor(sorted.length * part)] ?? 0;
  return {
    requests: (tookMs.length * 1000) / (performance.now() - startedMs),
    p50: at(0.5),
    p99: at(0.99),
  };
}

function asking(port: number, request: string, until: number, tookMs: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    let askedMs = 0;
    const ask = (): void => {
      askedMs = performance.now();
      socket.write(request);
    };
    socket.setNoDelay(true).setEncoding('latin1');
    socket.on('error', reject);
    socket.on('connect', ask);
    socket.on('data', (piece: string) => {
      answer += piece;
      const head = answer.indexOf('\r\n\r\n');
      if (head === -1) return;
      const length = Number(/content-length: (\d+)/iu.exec(answer)?.[1]);
      if (answer.length < head + 4 + length) return;
      if (!answer.startsWith('HTTP/1.1 200 ')) {
        socket.destroy();
        reject(new Error(`refused: ${answer}`));
        return;
      }
      answer = '';
      const nowMs = performance.now();
      tookMs.push(nowMs - askedMs);
      if (nowMs < until) {
        ask();
        return;
      }
      socket.destroy();
      resolve();
    });
  });
}
