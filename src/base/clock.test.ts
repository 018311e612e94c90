import { expect, test } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { clockContract } from './clock.contract.ts';
import { systemClock } from './clock.ts';

clockContract('of the system', () => ({
  clock: systemClock,
  pass: (ms) => systemClock.sleep(ms, new AbortController().signal),
}));

clockContract('of tests', () => {
  const clock = fakeClock();
  return { clock, pass: (ms) => clock.advance(ms) };
});

test('the clock of tests wakes sleepers in the order of their time, and forgets those that were done', async () => {
  const clock = fakeClock();
  const woken: number[] = [];
  const { signal } = new AbortController();
  for (const ms of [30, 10, 20]) void clock.sleep(ms, signal).then(() => woken.push(ms));

  await clock.advance(25);

  expect(woken).toEqual([10, 20]);
  expect(clock.sleeping).toBe(1);
});
