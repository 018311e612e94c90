import { expect, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { eventSourceContract, reading } from '../event-source.contract.ts';
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

test('a record that finds the queue full is counted, and said before and after', async () => {
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

  source.push('67890');
  const whileFull = [...events];
  const read = reading(source);
  await read.stop();

  expect(whileFull).toMatchObject([{ name: 'events.audit-full' }]);
  expect(events.slice(1)).toMatchObject([{ name: 'events.audit-dropped', fields: { records: 2 } }]);
  expect(read.lines()).toEqual(['12345', 'x']);
  expect([source.taken(), source.lost(), source.isLosing()]).toEqual([2, 2, false]);
});

test('what was pushed before the stop is handed on', async () => {
  const source = auditSource({ name: 'agent', clock: fakeClock(), log: () => undefined });
  source.push('last words');

  const read = reading(source);
  await read.stop();

  expect(read.lines()).toEqual(['last words']);
});
