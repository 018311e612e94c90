import { once } from 'node:events';
import { closeSync, openSync, readdirSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test, vi } from 'vitest';
import { patient } from '../../test/support/patience.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import type { Endpoint } from './endpoint.ts';
import { listenOnInherited, listenOnPath, listenOnPort } from './endpoint-listener.ts';
import { endpointLimits, endpointServer } from './endpoint-server.ts';

const hello: Endpoint = () => ({ status: 200, body: 'hello' });

/** A server with limits that a test can reach. */
async function setup(limits: Partial<typeof endpointLimits> = {}, endpoint: Endpoint = hello) {
  const server = endpointServer(endpoint, { ...endpointLimits, lookEveryMs: 10, ...limits });
  onTestFinished(() => server.close());
  await new Promise<void>((resolve) => {
    server.http.listen(0, '127.0.0.1', resolve);
  });
  const address = server.http.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { server, port, url: `http://127.0.0.1:${port}` };
}

/** A connection on which a test writes byte by byte. */
function raw(port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  return socket;
}

/** What such a connection was told before its end, which is a reset where the server had not read all of it. */
const toldUntilCut = (socket: Socket): Promise<string> => text(socket).catch(() => 'reset');

test('a slow loris is cut off, and the others are answered meanwhile', async () => {
  const { port, url } = await setup({ headersWithinMs: 60 });
  const loris = raw(port);
  const told = toldUntilCut(loris);
  loris.write('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ');

  // Whoever is that slow here is another loris: on a busy machine a request may be, too.
  await vi.waitFor(async () => expect(await (await fetch(url)).text()).toBe('hello'), patient);
  expect(await told).toMatch(/^HTTP\/1\.1 408 |^reset$/u);
});

test('an idle connection is closed, before its first request too', async () => {
  const { port } = await setup({ headersWithinMs: 60, requestWithinMs: 60 });

  expect(await toldUntilCut(raw(port))).toMatch(/^(?:HTTP\/1\.1 408 .*)?|^reset$/u);
});

test('huge headers are refused', async () => {
  const { url } = await setup();

  const reply = await fetch(url, { headers: { 'x-huge': 'x'.repeat(9_000) } });

  expect(reply.status).toBe(431);
});

test.each([
  ['of a known length', 'Content-Length: 5\r\n\r\nhello'],
  ['in chunks', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'],
  ['that never comes', 'Content-Length: 1000000000\r\n\r\n'],
])('a body %s is refused, and the connection ends', async (_what, rest) => {
  const { port } = await setup();
  const socket = raw(port);

  socket.write(`PUT / HTTP/1.1\r\nHost: 127.0.0.1\r\n${rest}`);

  expect(await text(socket)).toMatch(/^HTTP\/1\.1 413 /u);
});

test('what is not HTTP, or has no Host, is a bad request', async () => {
  const { port } = await setup();

  for (const bytes of ['\u0016\u0003\u0001 hello', 'GET / HTTP/1.1\r\n\r\n']) {
    const socket = raw(port);
    socket.write(`${bytes}\r\n\r\n`);
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 400 /u);
  }
});

test('a connection too many is closed at once; one that ends makes room', async () => {
  const { server, port, url } = await setup({ connectionsMax: 1 });
  const accepted = once(server.http, 'connection') as Promise<[Socket]>;
  const first = raw(port);
  const [served] = await accepted;
  const second = raw(port);

  expect(await text(second)).toBe('');
  const ended = once(served, 'close');
  first.destroy();
  await ended;
  expect(await (await fetch(url)).text()).toBe('hello');
});

test('closing ends what is under way', async () => {
  const asked = Promise.withResolvers<void>();
  const { server, url } = await setup({}, (_request, signal) => {
    asked.resolve();
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
  });
  const reply = fetch(url).then(
    () => 'answered',
    () => 'cut off',
  );
  await asked.promise;

  await server.close();

  expect(await reply).toBe('cut off');
});

test('an endpoint that throws is a 500 that tells nothing of it', async () => {
  const { url } = await setup({}, () => Promise.reject(new Error('with hunter2 in it')));

  const reply = await fetch(url);

  expect(reply.status).toBe(500);
  expect(await reply.text()).not.toContain('hunter2');
});

test('a port is one of 127.0.0.1 only, and one that is taken is a typed error', async () => {
  const listener = await listenOnPort(0, hello);
  onTestFinished(() => listener.close());
  const { port = 0 } = listener;

  expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe('hello');
  await expect(fetch(`http://127.0.0.2:${port}`)).rejects.toThrow('fetch failed');
  await expect(listenOnPort(port, hello)).rejects.toMatchObject({ code: 'ENDPOINT_PORT_UNAVAILABLE' });
});

test('a socket has its mode, is served, and is gone when it is closed', async () => {
  const path = join(temporaryDirectory(), 'app.sock');
  const listener = await listenOnPath(path, { mode: 0o660 }, hello);

  expect(statSync(path).mode & 0o777).toBe(0o660);
  expect(await overSocket(path)).toBe('hello');
  await listener.close();
  expect(() => statSync(path)).toThrow('ENOENT');
});

test('an owner that may not be given is a typed error, and leaves nothing behind', async (context) => {
  context.skip(process.getuid?.() === 0, 'root may give anything away');
  const path = join(temporaryDirectory(), 'app.sock');

  await expect(listenOnPath(path, { mode: 0o600, uid: 0 }, hello)).rejects.toMatchObject({
    code: 'API_SOCKET_OWNER_REFUSED',
  });
  expect(readdirSync(dirname(path))).toEqual([]);
});

test('an inherited descriptor that is no socket, or one of the network, is refused', async () => {
  const fd = openSync('/dev/null', 'r');
  onTestFinished(() => closeSync(fd));
  await expect(listenOnInherited(fd, hello)).rejects.toMatchObject({ code: 'API_SOCKET_UNAVAILABLE' });

  const network = createServer().listen(0, '127.0.0.1');
  await once(network, 'listening');
  onTestFinished(() => void network.close());
  await expect(listenOnInherited(descriptorOf(network), hello)).rejects.toMatchObject({
    code: 'API_SOCKET_UNAVAILABLE',
  });
});

/** Node has no other way to tell the descriptor of a listening socket. */
function descriptorOf(server: ReturnType<typeof createServer>): number {
  const { _handle: handle } = server as unknown as { _handle: { fd: number } };
  return handle.fd;
}

function overSocket(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path: '/' }, (reply) => resolve(text(reply)))
      .on('error', reject)
      .end();
  });
}
