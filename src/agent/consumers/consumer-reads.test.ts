import { expect, onTestFinished, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { consumerReads, readsKnownMax } from './consumer-reads.ts';

const read = { consumer: 'billing', what: 'secret database-password', version: 'v1' };

const numbered = (number: number) => ({ ...read, version: String(number) });

function setup() {
  const clock = fakeClock();
  const logged: LogEvent[] = [];
  const reads = consumerReads({ clock, log: (event) => logged.push(event) });
  const stop = new AbortController();
  const ended = reads.run(stop.signal).catch(() => undefined);
  onTestFinished(async () => {
    stop.abort();
    await ended;
  });
  const told = () => logged.map(({ name, fields, audit }) => Object.assign({ name, audit }, fields));
  return { clock, reads, told };
}

test('the first read of a consumer, thing and version is a record of its own', () => {
  const { reads, told } = setup();

  reads.record(read);
  reads.record({ ...read, consumer: 'web' });
  reads.record({ ...read, what: 'credentials' });
  reads.record({ ...read, version: 'v2' });

  expect(told()).toEqual([
    { name: 'consumer.read', audit: 'success', ...read },
    { name: 'consumer.read', audit: 'success', ...read, consumer: 'web' },
    { name: 'consumer.read', audit: 'success', ...read, what: 'credentials' },
    { name: 'consumer.read', audit: 'success', ...read, version: 'v2' },
  ]);
});

test('reads after it are counted and told once a minute, and not at all when there were none', async () => {
  const { clock, reads, told } = setup();
  for (let count = 0; count < 1001; count += 1) reads.record(read);
  expect(told().length).toBe(1);

  await clock.advance(60_000);
  await clock.advance(60_000);
  reads.record(read);
  await clock.advance(60_000);

  const again = { name: 'consumer.read-again', audit: 'success', ...read, withinMs: 60_000 };
  expect(told().slice(1)).toEqual([
    { ...again, count: 1000 },
    { ...again, count: 1 },
  ]);
});

test('what was counted last is told at the end, with the time that it took', async () => {
  const { clock, reads, told } = setup();
  reads.record(read);
  reads.record(read);
  await clock.advance(20_000);

  reads.close();
  reads.close();

  expect(told().slice(1)).toMatchObject([{ name: 'consumer.read-again', count: 1, withinMs: 20_000 }]);
});

test('names that hold separators are told apart', () => {
  const { reads, told } = setup();

  reads.record({ consumer: 'a","b', what: 'c', version: 'd' });
  reads.record({ consumer: 'a', what: 'b","c', version: 'd' });

  expect(told().map(({ name }) => name)).toEqual(['consumer.read', 'consumer.read']);
});

test('beyond the bound the one not seen for longest is forgotten, but not its count', () => {
  const { reads, told } = setup();
  for (let number = 0; number < readsKnownMax; number += 1) reads.record(numbered(number));
  reads.record(numbered(1));
  reads.record(numbered(0));
  const before = told().length;

  for (let number = 0; number < readsKnownMax - 1; number += 1)
    reads.record(numbered(readsKnownMax + number));

  const again = told()
    .slice(before)
    .find(({ name }) => name === 'consumer.read-again');
  expect(again).toMatchObject({ version: '1', count: 1 });
  reads.record(numbered(0));
  expect(told().at(-1)).toMatchObject({ name: 'consumer.read', version: String(2 * readsKnownMax - 2) });
  reads.close();
  expect(told().at(-1)).toMatchObject({ name: 'consumer.read-again', version: '0', count: 2 });
});
