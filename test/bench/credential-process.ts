import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as timeout } from 'node:timers/promises';
import { createSandbox, type SandboxListener } from '../../sandbox/sandbox.ts';
import { rolesAnywhereHost } from '../support/roles-anywhere.ts';
import { benchHost } from './bench-host.ts';
import { startNode } from './child.ts';
import type { Bench, BenchOptions, Sample, Subject } from './measure.ts';

const bareNode = 'node -e 0';
const overHttp = 'http';
const overHttps = 'https';
const fromAgent = 'running agent';

/** What a round trip to AWS takes in the subjects that are away from it. */
const roundTripMs = 50;

/**
 * From the start of the process to its end, as an SDK waits for it, without a compile cache. The AWS is the sandbox in
 * the bench's process; its answer takes 3 ms or so. AWS's own helper, measured elsewhere: 10 to 19 ms on http, 31 to
 * 46 on https.
 */
export const credentialProcess: Bench = {
  name: 'credential-process',
  summary: 'a cold gatehouse credential-process, P-256',
  units: { wall: 'ms' },
  baselines: [bareNode],
  aims: [
    { subject: overHttp, quantity: 'wall', most: 40, above: bareNode },
    { subject: overHttps, quantity: 'wall', most: 70, above: bareNode },
    { subject: fromAgent, quantity: 'wall', most: 25, above: bareNode },
  ],
  rounds: { usual: 31, quick: 1 },
  prepare,
};

async function prepare(
  { programs }: BenchOptions,
  opened: AsyncDisposableStack,
): Promise<readonly Subject[]> {
  const sandbox = createSandbox();
  const plain = await sandbox.listen();
  const tls = await sandbox.listen({ tls: true });
  for (const listener of [plain, tls]) opened.defer(() => listener.close());
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'));
  opened.defer(() => rmSync(folder, { recursive: true, force: true }));
  const { identity } = await rolesAnywhereHost(sandbox, folder);
  const ca = join(folder, 'ca.pem');
  writeFileSync(ca, tls.caPem ?? '');
  const flags = Object.entries({
    '--certificate': identity.certificate,
    '--private-key': identity.privateKey,
    '--trust-anchor-arn': identity.trustAnchorArn,
    '--profile-arn': identity.profileArn,
    '--role-arn': identity.roleArn,
  }).flat();
  const far = { plain: await away(plain, opened), tls: await away(tls, opened) };

  const subjects: Subject[] = [{ name: bareNode, measure: () => ended(['-e', '0']) }];
  for (const program of programs) {
    const subject = (name: string, endpoint: string): Subject => ({
      name,
      program,
      measure: () =>
        ended([join(program.dist, 'gatehouse.mjs'), 'credential-process', ...flags, '--endpoint', endpoint], {
          AWS_CA_BUNDLE: ca,
        }),
    });
    subjects.push(subject(overHttp, plain.url), subject(overHttps, tls.url));
    subjects.push(subject(`http, ${roundTripMs} ms away`, far.plain));
    subjects.push(subject(`https, ${roundTripMs} ms away`, far.tls));
    const host = await benchHost(program, { isBare: true, hasConsumer: true }, opened);
    opened.use((await host.started()).agent);
    subjects.push({
      name: fromAgent,
      program,
      measure: () =>
        ended([join(program.dist, 'gatehouse.mjs'), 'credential-process', '--consumer', 'app'], {
          GATEHOUSE_RUNTIME_DIRECTORY: host.runtimeDirectory,
        }),
    });
  }
  return subjects;
}

async function ended(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Sample> {
  await using node = startNode(args, env);
  return { wall: (await node.ended) - node.startedMs };
}

/** The listener behind a relay that holds everything back by half a round trip, and the first by a handshake more. */
async function away({ port, url }: SandboxListener, opened: AsyncDisposableStack): Promise<string> {
  const server = createServer((near) => {
    const beyond = connect(port, '127.0.0.1');
    const relay = (from: Socket, to: Socket, firstMs: number): void => {
      let turn: Promise<unknown> = timeout(firstMs);
      const later = (work: () => void): void => {
        const due = timeout(roundTripMs / 2);
        turn = turn.then(() => due).then(work);
      };
      from.on('data', (chunk: Buffer) => later(() => to.write(chunk)));
      from.on('end', () => later(() => to.end()));
      from.on('error', () => to.destroy());
    };
    relay(near, beyond, roundTripMs);
    relay(beyond, near, 0);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  opened.defer(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
  );
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('the relay listens on no port');
  return url.replace(`:${port}`, `:${address.port}`);
}
