import { expect, test } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { runOnSchedule } from './schedule.ts';

const minuteMs = 60_000;

function setup(expression: () => string, work: () => Promise<unknown> = () => Promise.resolve()) {
  const clock = fakeClock(new Date('2026-11-22T12:00:30Z'));
  const stop = new AbortController();
  const runs: string[] = [];
  const running = runOnSchedule(
    expression,
    () => {
      runs.push(clock.now().toISOString().slice(11, 16));
      return work();
    },
    clock,
    stop.signal,
  );
  running.catch(() => undefined);
  return { clock, stop, runs, running };
}

test('work is done when the expression is due, jittered by less than a minute', async () => {
  const { clock, runs } = setup(() => '*/5 * * * *');

  await clock.advance(4 * minuteMs);
  expect(runs).toEqual([]);

  await clock.advance(2 * minuteMs);
  expect(runs).toEqual(['12:05']);

  await clock.advance(5 * minuteMs);
  expect(runs).toEqual(['12:05', '12:10']);
});

test('a change of the expression applies to the run that is waited for', async () => {
  let expression = '0 3 1 1 *';
  const { clock, runs } = setup(() => expression);

  await clock.advance(minuteMs);
  expression = '*/5 * * * *';
  await clock.advance(5 * minuteMs);
  expression = '0 * * * *';
  await clock.advance(60 * minuteMs);

  expect(runs).toEqual(['12:05', '13:00']);
});

test('runs never overlap: one that takes long puts off the next', async () => {
  const work = Promise.withResolvers<void>();
  const { clock, runs } = setup(
    () => '* * * * *',
    () => work.promise,
  );

  await clock.advance(10 * minuteMs);
  expect(runs.length).toBe(1);

  work.resolve();
  await clock.advance(2 * minuteMs);
  expect(runs.length).toBeGreaterThan(1);
});

test('it ends with the reason of its signal', async () => {
  const { stop, running } = setup(() => '* * * * *');

  stop.abort(new Error('stop asked for'));

  await expect(running).rejects.toThrow('stop asked for');
});
