import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { expect, onTestFinished, test, vi } from 'vitest';
import { patient } from '../../../test/support/patience.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { listenOn } from './listen.ts';

async function listening(server: Server) {
  onTestFinished(() => void server.close());
  const events: LogEvent[] = [];
  await listenOn(server, {
    source: 'syslog',
    name: '127.0.0.1:0',
    address: { kind: 'port', host: '127.0.0.1', port: 0 },
    mode: 0o600,
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
      log: (event) => events.push(event),
    }),
  ).rejects.toMatchObject({ code: 'EADDRINUSE' });

  expect(events).toEqual([]);
});
