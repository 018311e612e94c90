import { request } from 'node:http';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { text } from 'node:stream/consumers';
import * as fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { isLoopbackAddress } from '../base/local-address.ts';
import { loopbackAddressText, parseLoopbackAddress } from './loopback-address.ts';
import { listenOnLoopback } from './loopback-server.ts';
import { monitoringRoutes } from './monitoring.ts';

async function setup(wanted = { address: '127.0.0.1', port: 0 }) {
  const routes = monitoringRoutes({
    health: async (probe) => ({ isOk: probe !== 'ready' }),
    metrics: async () => ({ text: 'up 1\n', contentType: 'text/plain; version=0.0.4; charset=utf-8' }),
  });
  const server = await listenOnLoopback(wanted, routes);
  onTestFinished(() => server.close());
  const { address, port } = server.address;

  const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    new Promise<{ status: number | undefined; type: string | undefined; body: string }>((resolve, reject) => {
      const asked = request({ host: address, port, path, method, headers, agent: false }, (reply) => {
        const { statusCode: status, headers: said } = reply;
        text(reply).then((body) => resolve({ status, type: said['content-type'], body }), reject);
      });
      asked.on('error', reject);
      asked.end();
    });
  return { server, get, port };
}

const own = new Set(
  Object.values(networkInterfaces()).flatMap((each = []) => each.map(({ address }) => address)),
);

test.for(['127.0.0.1', '::1'])('probes and metrics are served on %s', async (address, { skip }) => {
  skip(!own.has(address), `this machine has no ${address}`);
  const { get } = await setup({ address, port: 0 });

  expect(await get('/health/live')).toEqual({
    status: 200,
    type: 'application/json',
    body: '{"isOk":true}\n',
  });
  expect((await get('/health/ready')).status).toBe(503);
  expect(await get('/metrics')).toEqual({
    status: 200,
    type: 'text/plain; version=0.0.4; charset=utf-8',
    body: 'up 1\n',
  });
});

test('nothing else is served there: no status, no command', async () => {
  const { get } = await setup();

  for (const path of ['/', '/status', '/reload', '/log-level']) {
    expect((await get(path)).status).toBe(404);
  }
  expect((await get('/metrics', {}, 'POST')).status).toBe(405);
});

test.each(['localhost', 'LOCALHOST:9464', '127.0.0.1', '127.0.0.1:80', '[::1]:9464', '[::1]'])(
  'a request to the host %s is answered',
  async (host) => {
    const { get } = await setup();

    expect((await get('/metrics', { host })).status).toBe(200);
  },
);

test.each([
  'evil.example',
  'evil.example:9464',
  'localhost.evil.example',
  '10.0.0.1',
  '127.0.0.1.nip.io',
  '[::1',
])('a request to the host %s is a page that had its name point here, and is refused', async (host) => {
  const { get } = await setup();

  const { status, body } = await get('/metrics', { host });

  expect(status).toBe(421);
  expect(body).not.toContain('up 1');
});

test('a request without a host is refused', async () => {
  const { port } = await setup();
  const socket = connect(port, '127.0.0.1');
  socket.end('GET /metrics HTTP/1.0\r\n\r\n');

  expect(await text(socket)).toMatch(/^HTTP\/1\.1 421 /u);
});

test('an address that is taken is a typed error that names it', async () => {
  const { server } = await setup();

  await expect(setup(server.address)).rejects.toMatchObject({
    code: 'API_ADDRESS_UNAVAILABLE',
    details: { address: loopbackAddressText(server.address) },
  });
});

test.each([
  ['127.0.0.1:9464', { address: '127.0.0.1', port: 9464 }],
  ['127.1.2.3:0', { address: '127.1.2.3', port: 0 }],
  ['[::1]:65535', { address: '::1', port: 65_535 }],
])('%s is a loopback address', (written, parsed) => {
  expect(parseLoopbackAddress(written)).toEqual(parsed);
  expect(loopbackAddressText(parsed)).toBe(written);
});

test.each([
  '0.0.0.0:9464',
  '[::]:9464',
  '10.0.0.1:9464',
  '169.254.169.254:80',
  'localhost:9464',
  '127.0.0.1',
  '127.0.0.1:65536',
  '127.0.0.1:-1',
  '127.0.0.1:9464/metrics',
  '::1:9464',
  ':9464',
  '',
])('"%s" is not one', (written) => {
  expect(parseLoopbackAddress(written)).toBeUndefined();
});

test('whatever is written, what it is read as is loopback and a port', () => {
  const address = fc.oneof(
    fc.ipV4(),
    fc.ipV6().map((ip) => `[${ip}]`),
    fc.string(),
  );
  fc.assert(
    fc.property(address, fc.oneof(fc.nat(99_999).map(String), fc.string()), (host, port) => {
      const parsed = parseLoopbackAddress(`${host}:${port}`);
      if (parsed === undefined) return;
      expect(isLoopbackAddress(parsed.address)).toBe(true);
      expect(parsed.port).toBeLessThanOrEqual(65_535);
    }),
  );
});
