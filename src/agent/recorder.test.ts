import { expect, test } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { LogEvent } from '../base/log-events.ts';
import { type AuditRecord, auditPendingMax, createRecorder } from './recorder.ts';

const event = (number: number): LogEvent => ({
  name: 'thing.done',
  level: 'info',
  summary: 's',
  fields: { number },
  audit: 'success',
});

function setup() {
  const logged: LogEvent[] = [];
  const records: AuditRecord[] = [];
  let key: string | undefined;
  const recorder = createRecorder({
    logger: { log: (happened) => logged.push(happened) },
    clock: fakeClock(),
    accessKeyId: () => key,
  });
  return {
    recorder,
    logged,
    records,
    listen: () => recorder.auditTo((record) => records.push(record)),
    useKey: (id: string) => {
      key = id;
    },
  };
}

test('a record says which access key was in use, once there is one', () => {
  const { recorder, records, listen, useKey } = setup();
  recorder.log(event(1));
  useKey('ASIAEXAMPLE');

  listen();
  recorder.log(event(2));

  expect(records).toEqual([
    { time: '2026-11-22T12:00:00.000Z', event: 'thing.done', outcome: 'success', fields: { number: 1 } },
    {
      time: '2026-11-22T12:00:00.000Z',
      event: 'thing.done',
      outcome: 'success',
      accessKeyId: 'ASIAEXAMPLE',
      fields: { number: 2 },
    },
  ]);
});

test('records that found no room to wait are told of, in the audit too', () => {
  const { recorder, records, logged, listen } = setup();
  for (let number = 0; number < auditPendingMax + 3; number += 1) recorder.log(event(number));

  listen();

  expect(records).toHaveLength(auditPendingMax + 1);
  expect(records[0]).toMatchObject({ event: 'agent.audit-lost', outcome: 'failure', fields: { count: 3 } });
  expect(records[1]?.fields).toEqual({ number: 3 });
  expect(logged.at(-1)?.name).toBe('agent.audit-lost');
});
