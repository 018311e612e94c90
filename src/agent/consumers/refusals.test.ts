import { expect, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { refusals } from './refusals.ts';

function setup() {
  const clock = fakeClock();
  const logged: LogEvent[] = [];
  const all = refusals({ clock, log: (event) => logged.push(event) });
  return { clock, all, records: () => logged.map(({ fields }) => fields) };
}

const wrongToken = { way: 'container', reason: 'wrong token', consumer: 'app' } as const;

test('a refusal is on record at once, and those of its kind once a minute with their count', async () => {
  const { clock, all, records } = setup();

  for (let time = 0; time < 1000; time += 1) all.record(wrongToken);
  expect(records()).toEqual([{ ...wrongToken, count: 1 }]);
  await clock.advance(60_000);
  all.record(wrongToken);

  expect(records()).toEqual([
    { ...wrongToken, count: 1 },
    { ...wrongToken, count: 1000 },
  ]);
  expect(all.total()).toBe(1001);
});

test('another reason, way or consumer is another kind', () => {
  const { all, records } = setup();

  all.record(wrongToken);
  all.record({ ...wrongToken, reason: 'no token' });
  all.record({ ...wrongToken, way: 'metadata' });
  all.record({ ...wrongToken, consumer: 'other' });
  all.record({ ...wrongToken, consumer: undefined });

  expect(records()).toHaveLength(5);
});
