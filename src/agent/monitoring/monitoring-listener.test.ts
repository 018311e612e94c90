import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { ownAddress } from '../../../test/support/own-address.ts';
import { listenOnLoopback } from '../../api/loopback-server.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { monitoringListener } from './monitoring-listener.ts';

async function taken() {
  const other = createServer();
  other.listen(0, ownAddress);
  await once(other, 'listening');
  const bound = other.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  const free = () =>
    new Promise<void>((resolve) => {
      other.close(() => resolve());
    });
  return { wanted: `${ownAddress}:${port}`, free };
}

function setup(wanted: string) {
  const clock = fakeClock();
  const logged: LogEvent[] = [];
  const listener = monitoringListener(wanted, {
    listen: listenOnLoopback,
    routes: [],
    clock,
    log: (event) => logged.push(event),
  });
  onTestFinished(() => listener.close());
  return { clock, listener, names: () => logged.map(({ name }) => name) };
}

test('it listens, and says where', async () => {
  const { listener, names } = setup('127.0.0.1:0');

  await listener.open();

  expect(listener.status()).toEqual({ address: expect.stringMatching(/^127\.0\.0\.1:[1-9]\d*$/u) });
  expect(names()).toEqual(['api.listening']);
});

test('a port that somebody else has stops nothing: it is said once, and taken when it is free', async () => {
  const { wanted, free } = await taken();
  const { clock, listener, names } = setup(wanted);
  const stop = new AbortController();

  await listener.open();
  expect(listener.status()).toEqual({ failing: 'API_ADDRESS_UNAVAILABLE' });
  const running = listener.run(stop.signal).catch(() => undefined);
  await clock.advance(60_000);
  await free();
  await clock.advance(60_000);
  await expect.poll(() => listener.status()).toEqual({ address: wanted });
  stop.abort();
  await running;

  expect(names()).toEqual(['api.listen-failed', 'api.listening']);
});

test('once closed it never listens again', async () => {
  const { listener } = setup('127.0.0.1:0');

  await listener.close();
  await listener.open();

  expect(listener.status()).toEqual({});
});
