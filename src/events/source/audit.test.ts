import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { eventSourceContract, reading } from '../event-source.contract.ts';
import { eventsEvent } from '../log-events.ts';
import { auditSource } from './audit.ts';

eventSourceContract('auditSource', () => {
  const clock = fakeClock();
  const source = auditSource({ name: 'agent', clock, log: () => undefined });
  return {
    source,
    clock,
    async write(lines) {
      for (const line of lines) source.push(line);
    },
  };
});

/** A source that is soon full. */
function losing() {
  const events: LogEvent[] = [];
  const clock = fakeClock();
  const source = auditSource({ name: 'agent', queueBytesMax: 10, clock, log: (event) => events.push(event) });
  return { events, clock, source };
}

test('a record that finds the queue full is counted, and said before and after', async () => {
  const { events, source } = losing();

  source.push('12345');
  source.push('67890');
  source.push('x');

  source.push('67890');
  const whileFull = [...events];
  const read = reading(source);
  await read.stop();

  expect(whileFull).toMatchObject([{ name: 'events.audit-full' }]);
  expect(events.slice(1)).toMatchObject([{ name: 'events.audit-dropped', fields: { records: 2 } }]);
  expect(read.lines()).toEqual(['12345', 'x']);
  expect([source.taken(), source.lost(), source.isLosing()]).toEqual([2, 2, false]);
});

test('a loss that lasts is said again once a minute, with what came to it, and no saying is an audit record', async () => {
  const { events, clock, source } = losing();

  for (let each = 0; each < 1_000; each += 1) source.push('1234567');
  await clock.advance(60_000);
  source.push('1234567');
  source.push('1234567');
  const read = reading(source);
  await read.stop();

  expect(events.map(({ name, fields }) => [name, fields['records']])).toEqual([
    ['events.audit-full', undefined],
    ['events.audit-dropped', 1_000],
    ['events.audit-dropped', 1],
  ]);
  expect(events.filter(({ audit }) => audit !== undefined)).toEqual([]);
});

test('losses that begin and end all the time are said once a minute', async () => {
  const { events, clock, source } = losing();
  const read = reading(source);

  for (let each = 0; each < 100; each += 1) {
    for (let count = 0; count < 3; count += 1) source.push('1234567');
    while (source.counts().items > 0) await turn();
  }
  expect(events.map(({ name, fields }) => [name, fields['records']])).toEqual([
    ['events.audit-full', undefined],
    ['events.audit-dropped', 2],
  ]);
  await clock.advance(60_000);
  source.push('1');
  await read.stop();

  expect(events.at(-1)?.fields).toEqual({ source: 'agent', records: 198 });
  expect(events).toHaveLength(3);
});

test('what is lost of audit records is not an audit record, which would be lost as well', () => {
  expect(eventsEvent('events.audit-dropped', {}).audit).toBeUndefined();
});

test('what was pushed before the stop is handed on', async () => {
  const source = auditSource({ name: 'agent', clock: fakeClock(), log: () => undefined });
  source.push('last words');

  const read = reading(source);
  await read.stop();

  expect(read.lines()).toEqual(['last words']);
});

test.each([
  ['500 records', Array.from({ length: 501 }, () => 'x'), [1_000, 2]],
  ['512 KiB', Array.from({ length: 3 }, () => 'x'.repeat(2 ** 18 - 1)), [2 ** 19, 2 ** 18]],
])(
  'no chunk has more than %s: with what a chain adds it is to be one batch',
  async (_bound, records, lengths) => {
    const source = auditSource({ name: 'agent', clock: fakeClock(), log: () => undefined });
    for (const record of records) source.push(record);
    const stop = new AbortController();
    stop.abort();

    const taken: number[] = [];
    for await (const { bytes } of source.chunks(new Map(), stop.signal)) taken.push(bytes.length);

    expect(taken).toEqual(lengths);
  },
);

test('a record that no chunk could hold is lost, counted and said', () => {
  const events: LogEvent[] = [];
  const source = auditSource({ name: 'agent', clock: fakeClock(), log: (event) => events.push(event) });

  source.push('x'.repeat(2 ** 18));

  expect([source.taken(), source.lost()]).toEqual([0, 1]);
  expect(events.map(({ name }) => name)).toEqual(['events.audit-full']);
});

test('the queue holds 4 MiB', () => {
  const source = auditSource({ name: 'agent', clock: fakeClock(), log: () => undefined });

  for (let each = 0; each < 17; each += 1) source.push('x'.repeat(2 ** 18 - 1));

  expect([source.taken(), source.lost(), source.counts().lagBytes]).toEqual([16, 1, 2 ** 22]);
});
