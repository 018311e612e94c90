import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { consumerFromAgent, consumerSocketPath, sessionFromAgent } from './consumer-client.ts';
import { credentialsPath, type SessionRequest, sessionQuery } from './consumer-session.ts';
import type { Endpoint } from './endpoint.ts';
import { listenOnPath } from './endpoint-listener.ts';

const { signal } = new AbortController();
/** It does not move: an answer is waited for however slow the machine is. */
const still = fakeClock();

const session: SessionRequest = {
  trustAnchorArn: 'arn:aws:rolesanywhere:eu-west-1:123456789012:trust-anchor/a',
  profileArn: 'arn:aws:rolesanywhere:eu-west-1:123456789012:profile/p',
  roleArn: 'arn:aws:iam::123456789012:role/app',
  certificate: '/etc/certificate.pem',
  durationSeconds: 3600,
};

/** A runtime directory with consumers, each answered by an endpoint. */
async function setup(endpoints: Readonly<Record<string, Endpoint>>) {
  const runtimeDirectory = temporaryDirectory();
  mkdirSync(dirname(consumerSocketPath(runtimeDirectory, 'any')));
  for (const [name, endpoint] of Object.entries(endpoints)) {
    const path = consumerSocketPath(runtimeDirectory, name);
    const listener = await listenOnPath(path, { mode: 0o600 }, endpoint);
    onTestFinished(() => listener.close());
  }
  return runtimeDirectory;
}

const broken: Endpoint = () => ({ status: 503, body: { code: 'CREDENTIALS_EXPIRED', message: '' } });
const differs: Endpoint = () => ({ status: 409, body: { code: 'SessionDiffers', message: '' } });

test('a session is that of the first consumer that has just this one', async () => {
  const has: Endpoint = ({ path, query }) => ({
    status: path === credentialsPath && query === sessionQuery(session) ? 200 : 409,
    body: { Version: 1 },
  });
  const runtimeDirectory = await setup({ another: differs, mine: has });

  expect(await sessionFromAgent(runtimeDirectory, session, still, signal)).toBe('{"Version":1}');
});

test('without an agent, a folder, or a consumer that has the session, there is none', async () => {
  const runtimeDirectory = await setup({ another: differs, broken });
  writeFileSync(consumerSocketPath(runtimeDirectory, 'no-socket'), '');

  for (const directory of [runtimeDirectory, '/nowhere']) {
    expect(await sessionFromAgent(directory, session, still, signal)).toBeUndefined();
  }
});

test('an agent that does not answer is not waited for', async () => {
  const asked = Promise.withResolvers<void>();
  const runtimeDirectory = await setup({
    hung: (_request, stopped) => {
      asked.resolve();
      return new Promise((_resolve, reject) => {
        stopped.addEventListener('abort', () => reject(stopped.reason), { once: true });
      });
    },
  });
  const clock = fakeClock();

  const answer = sessionFromAgent(runtimeDirectory, session, clock, signal);
  await asked.promise;
  await clock.advance(2_000);

  expect(await answer).toBeUndefined();
});

test('a consumer is asked by its name', async () => {
  const runtimeDirectory = await setup({ app: ({ query }) => ({ status: 200, body: { query } }) });

  expect(await consumerFromAgent(runtimeDirectory, 'app', still, signal)).toBe('{"query":""}');
});

test('why a consumer gets nothing is told by code, and nothing that was answered is repeated', async () => {
  const runtimeDirectory = await setup({
    expired: () => ({ status: 503, body: { code: 'CREDENTIALS_EXPIRED', message: 'hunter2' } }),
    mad: () => ({ status: 500, body: 'with hunter2 in it' }),
    long: () => ({ status: 200, body: 'x'.repeat(100_000) }),
  });
  const asking = (name: string) => consumerFromAgent(runtimeDirectory, name, still, signal);

  await expect(asking('expired')).rejects.toMatchObject({
    code: 'CONSUMER_NOT_SERVED',
    details: { status: 503, reason: 'CREDENTIALS_EXPIRED' },
  });
  await expect(asking('mad')).rejects.toMatchObject({
    code: 'CONSUMER_NOT_SERVED',
    details: { status: 500, reason: undefined },
  });
  await expect(asking('long')).rejects.toMatchObject({ code: 'CONSUMER_NOT_SERVED' });
  await expect(asking('nobody')).rejects.toMatchObject({ code: 'CONSUMER_SOCKET_MISSING' });
});

test.each([
  ['nothing', ''],
  ['half a head', 'HTTP/1.1 200 OK\r\ncontent-le'],
  ['no length', 'HTTP/1.1 200 OK\r\n\r\n{"Version":1}'],
  ['half a body', 'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"Version'],
  ['more than a body', 'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"Version":1}{'],
  ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
])('a reply that is %s is none', async (_what, bytes) => {
  const runtimeDirectory = await setup({});
  const server = createServer((socket) => socket.end(bytes));
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => {
    server.listen(consumerSocketPath(runtimeDirectory, 'app'), resolve);
  });

  await expect(consumerFromAgent(runtimeDirectory, 'app', still, signal)).rejects.toMatchObject({
    code: 'CONSUMER_NOT_SERVED',
  });
});

test('a socket of another user is said to be one', async (context) => {
  context.skip(process.getuid?.() === 0, 'root opens every socket');
  const runtimeDirectory = await setup({ app: differs });
  chmodSync(consumerSocketPath(runtimeDirectory, 'app'), 0);

  await expect(consumerFromAgent(runtimeDirectory, 'app', still, signal)).rejects.toMatchObject({
    code: 'CONSUMER_SOCKET_DENIED',
  });
});
