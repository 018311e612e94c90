import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { expect, onTestFinished, test, vi } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { patient } from '../../../test/support/patience.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { connectionsMax, listenOn } from './listen.ts';

async function listening(server: Server, clock = fakeClock()) {
  onTestFinished(() => void server.close());
  const events: LogEvent[] = [];
  await listenOn(server, {
    source: 'syslog',
    name: '127.0.0.1:0',
    address: { kind: 'port', host: '127.0.0.1', port: 0 },
    mode: 0o600,
    clock,
    log: (event) => events.push(event),
  });
  return () => events.map(({ name, fields }) => [name, fields]);
}

const failure = Object.assign(new Error('accept ENOBUFS'), { code: 'ENOBUFS' });

test.each([
  ['HTTP', () => createHttpServer()],
  ['TCP', () => createServer()],
  ['TLS', () => createTlsServer({})],
])(
  'a connection that cannot be accepted ends nothing by %s: it is said once, and when it is over',
  async (_name, make) => {
    const server = make();
    const said = await listening(server);

    server.emit('error', failure);
    server.emit('error', failure);

    const where = { source: 'syslog', address: '127.0.0.1:0' };
    expect(said()).toEqual([['events.accept-failed', { ...where, reason: 'ENOBUFS' }]]);
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    await vi.waitFor(() => expect(said()).toContainEqual(['events.accept-recovered', where]), patient);
    expect(said()).toHaveLength(2);
  },
);

test('an address that is taken is told to the caller alone', async () => {
  const holder = createServer();
  await listening(holder);
  const events: LogEvent[] = [];

  await expect(
    listenOn(createServer(), {
      source: 'syslog',
      name: 'taken',
      address: { kind: 'port', host: '127.0.0.1', port: (holder.address() as AddressInfo).port },
      mode: 0o600,
      clock: fakeClock(),
      log: (event) => events.push(event),
    }),
  ).rejects.toMatchObject({ code: 'EADDRINUSE' });

  expect(events).toEqual([]);
});

const refused = (connections: number) => [
  'events.connections-refused',
  { source: 'syslog', address: '127.0.0.1:0', connections, connectionsMax },
];

const closed = (sockets: readonly Socket[]) =>
  vi.waitFor(() => expect(sockets.every(({ destroyed }) => destroyed)).toBe(true), patient);

test('connections beyond the bound are counted, and said at once, once a minute, and at the end', async () => {
  const clock = fakeClock();
  const server = createServer();
  const said = await listening(server, clock);
  const { port } = server.address() as AddressInfo;
  const open = (count: number) => {
    const sockets = Array.from({ length: count }, () =>
      connect(port, '127.0.0.1').on('error', () => undefined),
    );
    onTestFinished(() => sockets.forEach((socket) => socket.destroy()));
    return sockets;
  };
  const held = open(connectionsMax);
  await vi.waitFor(() => expect(held.every(({ readyState }) => readyState === 'open')).toBe(true), patient);

  await closed(open(3));
  expect(said()).toEqual([refused(1)]);
  await clock.advance(60_000);
  expect(said()).toEqual([refused(1), refused(2)]);
  await closed(open(2));
  for (const socket of held) socket.destroy();
  server.close();

  await vi.waitFor(() => expect(said()).toEqual([refused(1), refused(2), refused(2)]), patient);
});
