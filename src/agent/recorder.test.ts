import { expect, test } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { baseError, reportOf } from '../base/errors.ts';
import type { LogEvent } from '../base/log-events.ts';
import { agentEvent } from './log-events.ts';
import { type AuditRecord, auditPendingMax, createRecorder, recentErrorsMax } from './recorder.ts';

function setup() {
  const written: LogEvent[] = [];
  const clock = fakeClock(new Date('2026-11-22T12:00:00Z'));
  const logger = { log: (event: LogEvent) => written.push(event) };
  const audited: AuditRecord[] = [];
  let caller: { accessKeyId?: string; sessionName?: string } = {};
  const use = (next: typeof caller): void => {
    caller = next;
  };
  const recorder = createRecorder({ logger, clock, caller: () => caller });
  return { written, audited, clock, recorder, use };
}

const starting = agentEvent('agent.starting', { name: 'web-1' });
const ready = agentEvent('agent.ready', { name: 'web-1' });
const failed = agentEvent('agent.failed', {});

test('every event is written and counted', () => {
  const { written, recorder } = setup();

  for (const event of [starting, ready, ready]) recorder.log(event);

  expect(written).toEqual([starting, ready, ready]);
  expect(recorder.counters()).toEqual({ 'agent.starting': 1, 'agent.ready': 2 });
});

test('an audit record says what, when and how it ended, of events that are marked for it', () => {
  const { audited, recorder } = setup();
  recorder.auditTo((record) => audited.push(record));

  for (const event of [starting, ready, failed]) recorder.log(event);

  const time = '2026-11-22T12:00:00.000Z';
  expect(audited).toEqual([
    { time, event: 'agent.ready', outcome: 'success', fields: { name: 'web-1' } },
    { time, event: 'agent.failed', outcome: 'failure', fields: {} },
  ]);
});

test('records from before there is a sink wait for it, in order and with their own time', async () => {
  const { audited, clock, recorder } = setup();
  recorder.log(ready);
  await clock.advance(1000);
  recorder.log(failed);

  recorder.auditTo((record) => audited.push(record));

  expect(audited.map(({ event, time }) => [event, time])).toEqual([
    ['agent.ready', '2026-11-22T12:00:00.000Z'],
    ['agent.failed', '2026-11-22T12:00:01.000Z'],
  ]);
});

test('records wait again once the sink is taken away, and come once', () => {
  const { audited, recorder } = setup();
  recorder.auditTo((record) => audited.push(record));
  recorder.log(ready);
  recorder.auditTo(undefined);
  recorder.log(failed);
  expect(audited.length).toBe(1);

  for (let time = 0; time < 2; time += 1) recorder.auditTo((record) => audited.push(record));

  expect(audited.map(({ event }) => event)).toEqual(['agent.ready', 'agent.failed']);
});

test('a record says which access key of which session was in use, once there is one', () => {
  const { audited, recorder, use } = setup();
  recorder.log(ready);
  use({ accessKeyId: 'AKIAEXAMPLE' });
  recorder.log(ready);
  use({ accessKeyId: 'ASIAEXAMPLE', sessionName: 'web-1' });

  recorder.auditTo((record) => audited.push(record));
  recorder.log(failed);

  expect(audited.map(({ event, accessKeyId, sessionName }) => [event, accessKeyId, sessionName])).toEqual([
    ['agent.ready', undefined, undefined],
    ['agent.ready', 'AKIAEXAMPLE', undefined],
    ['agent.failed', 'ASIAEXAMPLE', 'web-1'],
  ]);
});

test('beyond the bound the oldest waiting record is lost, and that is said and audited once', () => {
  const { audited, written, recorder } = setup();
  recorder.log(failed);
  for (let count = 0; count < auditPendingMax; count += 1) recorder.log(ready);

  recorder.auditTo((record) => audited.push(record));

  expect(audited.length).toBe(auditPendingMax + 1);
  expect(audited[0]).toMatchObject({ event: 'agent.audit-lost', outcome: 'failure', fields: { count: 1 } });
  expect(audited[1]?.event).toBe('agent.ready');
  expect(written.at(-1)).toEqual(agentEvent('agent.audit-lost', { count: 1 }));
  recorder.auditTo((record) => audited.push(record));
  expect(recorder.counters()['agent.audit-lost']).toBe(1);
});

test('the newest warnings and errors are remembered, with when and which, and no more of them than that', async () => {
  const { clock, recorder } = setup();
  const error = reportOf(baseError('DEADLINE_EXCEEDED', { what: 'a secret name' }));
  recorder.log(ready);
  recorder.log(agentEvent('agent.failed', { error }));
  await clock.advance(1000);
  recorder.log(agentEvent('watchdog.withheld', { reason: 'wedged' }));

  expect(recorder.recentErrors()).toEqual([
    { time: '2026-11-22T12:00:00.000Z', event: 'agent.failed', level: 'error', code: 'DEADLINE_EXCEEDED' },
    { time: '2026-11-22T12:00:01.000Z', event: 'watchdog.withheld', level: 'error' },
  ]);
  for (let count = 0; count < recentErrorsMax; count += 1) recorder.log(failed);
  expect(recorder.recentErrors()).toHaveLength(recentErrorsMax);
  expect(recorder.recentErrors().every(({ event }) => event === 'agent.failed')).toBe(true);
});

test('what was asked for is no trouble, however loud it is said', () => {
  const { recorder } = setup();

  recorder.log(agentEvent('agent.log-level-changed', { logLevel: 'debug' }));

  expect(recorder.recentErrors()).toEqual([]);
});
