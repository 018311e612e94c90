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

test('a record that finds the queue full is counted and said', async () => {
  const events: LogEvent[] = [];
  const source = auditSource({
    name: 'agent',
    queueBytesMax: 10,
    clock: fakeClock(),
    log: (event) => events.push(event),
  });

  source.push('12345');
  source.push('67890');
  source.push('x');

  expect(events).toMatchObject([{ name: 'events.audit-dropped', fields: { records: 1 } }]);
  const read = reading(source);
  await read.stop();
  expect(read.lines()).toEqual(['12345', 'x']);
});

test('losses are said once as they begin and then once a minute, with their count, and are no audit records', async () => {
  const events: LogEvent[] = [];
  const clock = fakeClock();
  const source = auditSource({ name: 'agent', queueBytesMax: 10, clock, log: (event) => events.push(event) });

  for (let each = 0; each < 1_000; each += 1) source.push('1234567');
  expect(events.map(({ fields }) => fields['records'])).toEqual([1]);
  await clock.advance(60_000);
  source.push('1234567');
  expect(events.map(({ fields }) => fields['records'])).toEqual([1, 1_000]);

  source.push('1234567');
  await clock.advance(60_000);
  const read = reading(source);
  await read.stop();
  expect(events.map(({ fields }) => fields['records'])).toEqual([1, 1_000, 1_001]);
  expect(events.filter(({ audit }) => audit !== undefined)).toEqual([]);
});

test('what is lost of audit records or dead letters is not an audit record, which would be lost as well', () => {
  for (const name of ['events.audit-dropped', 'events.dead-letter-full'] as const) {
    expect(eventsEvent(name, {}).audit).toBeUndefined();
  }
});

test('what was pushed before the stop is handed on', async () => {
  const source = auditSource({ name: 'agent', clock: fakeClock(), log: () => undefined });
  source.push('last words');

  const read = reading(source);
  await read.stop();

  expect(read.lines()).toEqual(['last words']);
});
