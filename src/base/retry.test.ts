import { assert, double, nat, property } from 'fast-check';
import { expect, test } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { backoffMs, type RetryPolicy, retrying } from './retry.ts';

function setup(policy: Partial<RetryPolicy> = {}) {
  const clock = fakeClock();
  const waits: number[] = [];
  const full: RetryPolicy = {
    baseMs: 100,
    capMs: 1000,
    attemptsMax: 4,
    isRetryable: () => true,
    onRetry: (_error, _attempt, waitMs) => waits.push(waitMs),
    ...policy,
  };
  return { clock, waits, policy: full, signal: new AbortController().signal };
}

test('the wait is within its bound, whatever the attempt and the dice', () => {
  assert(
    property(nat(200), double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (attempt, dice) => {
      const waitMs = backoffMs(attempt, { baseMs: 100, capMs: 5000 }, () => dice);
      expect(waitMs).toBeGreaterThanOrEqual(0);
      expect(waitMs).toBeLessThanOrEqual(Math.min(5000, 100 * 2 ** attempt));
    }),
  );
});

test('work is tried again until it succeeds', async () => {
  const { clock, policy, signal, waits } = setup();
  let calls = 0;

  const done = retrying(
    async () => {
      calls += 1;
      if (calls < 3) throw new Error('not yet');
      return calls;
    },
    policy,
    clock,
    signal,
  );
  await clock.advance(10_000);

  await expect(done).resolves.toBe(3);
  expect(waits).toHaveLength(2);
});

test('its last error is thrown when the attempts are used up', async () => {
  const { clock, policy, signal } = setup({ attemptsMax: 2 });
  let calls = 0;

  const work = retrying(
    () => {
      calls += 1;
      return Promise.reject(new Error(`attempt ${calls}`));
    },
    policy,
    clock,
    signal,
  );
  const [failed] = await Promise.all([work.catch((error: unknown) => error), clock.advance(10_000)]);

  expect(failed).toEqual(new Error('attempt 2'));
});

test('what is not retryable is thrown at once', async () => {
  const { clock, policy, signal, waits } = setup({ isRetryable: () => false });

  await expect(retrying(() => Promise.reject(new Error('final')), policy, clock, signal)).rejects.toThrow(
    'final',
  );
  expect(waits).toEqual([]);
});
