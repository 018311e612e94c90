import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import type { LogLevel } from '../base/log-events.ts';
import { controlRoutes } from './control.ts';
import { askSocket } from './socket-client.ts';
import { listenOnSocket } from './socket-server.ts';

const { signal } = new AbortController();

async function setup(control: Partial<Parameters<typeof controlRoutes>[0]> = {}) {
  const path = join(temporaryDirectory(), 'control.sock');
  let level: LogLevel = 'info';
  const routes = controlRoutes({
    status: async () => ({ state: 'ready' }),
    reload: async () => ({ applied: true }),
    logLevel: () => ({ level, configured: 'info' }),
    setLogLevel(next) {
      level = next;
    },
    health: async (probe) => ({ isOk: probe !== 'ready', state: 'starting' }),
    metrics: async () => ({ text: 'up 1\n', contentType: 'text/plain; version=0.0.4' }),
    deadLetters: async (after) => ({ after }),
    deadLetter: async (id) => ({ id }),
    retryDeadLetters: async (ids, isNow) => ({ ids, isNow }),
    dropDeadLetters: async (ids) => ({ ids }),
    testEvents: async (source) => ({ source }),
    ...control,
  });
  const listen = async () => {
    const server = await listenOnSocket(path, 0o600, routes);
    onTestFinished(() => server.close());
    return server;
  };
  return { path, listen };
}

test('the control socket answers status and reload, and refuses other verbs and paths', async () => {
  const { path, listen } = await setup();
  await listen();

  expect(await askSocket(path, 'GET', '/status', signal)).toEqual({ status: 200, body: { state: 'ready' } });
  expect(await askSocket(path, 'POST', '/reload', signal)).toEqual({ status: 200, body: { applied: true } });
  expect((await askSocket(path, 'POST', '/status', signal)).status).toBe(405);
  expect((await askSocket(path, 'GET', '/secrets', signal)).status).toBe(404);
});

test('a path that nobody could connect to is refused, and one that is just short enough is not', async () => {
  const folder = temporaryDirectory();
  const pathOf = (bytes: number) => join(folder, 'x'.repeat(bytes - Buffer.byteLength(folder) - 1));

  await expect(listenOnSocket(pathOf(108), 0o600, [])).rejects.toMatchObject({
    code: 'API_SOCKET_PATH_TOO_LONG',
    details: { pathBytes: 108, pathBytesMax: 107 },
  });
  const server = await listenOnSocket(pathOf(107), 0o600, []);
  onTestFinished(() => server.close());
  expect((await askSocket(server.path, 'GET', '/', signal)).status).toBe(404);
});

test('a path that is too long where it is bound, under a longer name, is refused for that, too', async () => {
  const folder = temporaryDirectory();
  const pathOf = (bytes: number) => {
    const below = join(folder, 'x'.repeat(bytes - Buffer.byteLength(folder) - '//a.sock'.length));
    mkdirSync(below, { recursive: true });
    return join(below, 'a.sock');
  };

  await expect(listenOnSocket(pathOf(98), 0o600, [])).rejects.toMatchObject({
    code: 'API_SOCKET_PATH_TOO_LONG',
    details: { pathBytes: 98, pathBytesMax: 97 },
  });
  const server = await listenOnSocket(pathOf(97), 0o600, []);
  onTestFinished(() => server.close());
  expect((await askSocket(server.path, 'GET', '/', signal)).status).toBe(404);
});

test('a probe that is not ok answers with 503 and why', async () => {
  const { path, listen } = await setup();
  await listen();

  expect(await askSocket(path, 'GET', '/health/live', signal)).toMatchObject({ status: 200 });
  expect(await askSocket(path, 'GET', '/health/ready', signal)).toEqual({
    status: 503,
    body: { isOk: false, state: 'starting' },
  });
  expect((await askSocket(path, 'GET', '/health/other', signal)).status).toBe(404);
});

test('the log level is asked for and changed, to one that there is', async () => {
  const { path, listen } = await setup();
  await listen();

  const before = await askSocket(path, 'GET', '/log-level', signal);
  const after = await askSocket(path, 'POST', '/log-level/debug', signal);

  expect(before.body).toEqual({ level: 'info', configured: 'info' });
  expect(after).toEqual({ status: 200, body: { level: 'debug', configured: 'info' } });
  expect((await askSocket(path, 'POST', '/log-level/trace', signal)).status).toBe(404);
});

test('a socket has its mode from the start and replaces one that a killed agent left', async () => {
  const { path, listen } = await setup();
  writeFileSync(path, 'stale');

  await listen();

  expect(statSync(path).isSocket()).toBe(true);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('a route that throws is reported by code, never by message', async () => {
  const { path, listen } = await setup({
    reload: () => Promise.reject(new Error('with a hunter2 in it')),
  });
  await listen();

  const { status, body } = await askSocket(path, 'POST', '/reload', signal);

  expect(status).toBe(500);
  expect(body).toMatchObject({ error: { code: 'DEFECT' } });
  expect(JSON.stringify(body)).not.toContain('hunter2');
});

test('with nobody listening the answer is AGENT_NOT_RUNNING', async () => {
  const { path } = await setup();

  await expect(askSocket(path, 'GET', '/status', signal)).rejects.toMatchObject({
    code: 'AGENT_NOT_RUNNING',
  });
});

test('a closed server leaves no socket behind', async () => {
  const { path, listen } = await setup();
  const server = await listen();

  await server.close();

  expect(() => statSync(path)).toThrow('ENOENT');
});

test('a folder that is not there is a typed error', async () => {
  const path = join(temporaryDirectory(), 'absent', 'control.sock');

  await expect(listenOnSocket(path, 0o600, [])).rejects.toMatchObject({ code: 'API_SOCKET_UNAVAILABLE' });
});

test.each([
  ['GET', '/events/dead-letters?after=7', { after: 7 }],
  ['GET', '/events/dead-letters', { after: 0 }],
  ['GET', '/events/dead-letter?id=3', { id: 3 }],
  ['GET', '/events/dead-letter?id=-3', { id: 0 }],
  ['POST', '/events/dead-letters/retry?id=1&id=2', { ids: [1, 2], isNow: false }],
  ['POST', '/events/dead-letters/retry?all&now', { ids: 'all', isNow: true }],
  ['POST', '/events/dead-letters/drop?id=x', { ids: [0] }],
  ['POST', '/events/dead-letters/drop', { ids: [] }],
  ['POST', '/events/test?source=a%20b', { source: 'a b' }],
  ['POST', '/events/test', {}],
] as const)('%s %s is understood', async (method, path, understood) => {
  const { path: socket, listen } = await setup();
  await listen();

  expect(await askSocket(socket, method, path, signal)).toEqual({ status: 200, body: understood });
});
