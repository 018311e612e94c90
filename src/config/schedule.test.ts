import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { cronProblem, nextJitteredRun, nextRun, sleepUntilNextRun } from './schedule.ts';

const almostOne = () => 0.999;

function setup() {
  const clock = fakeClock();
  const stop = new AbortController();
  const ran: string[] = [];
  const sleeping = sleepUntilNextRun(() => '*/5 * * * *', { jitterMaxMs: 0 }, clock, stop.signal).then(() =>
    ran.push(clock.now().toISOString()),
  );
  return { clock, stop, ran, sleeping };
}

describe('a cron expression', () => {
  it.each(['*/5 * * * *', '0 3 * * *', '0 0 1 1 *', '15,45 8-18 * * mon-fri', '0 0 29 2 *'])(
    '%s is accepted',
    (text) => {
      expect(cronProblem(text)).toBeUndefined();
    },
  );

  it.each([
    ['', 'five fields'],
    ['* * * *', 'five fields'],
    ['* * * * * *', 'five fields'],
    ['@daily', 'five fields'],
    ['0-9999999999 * * * *', 'five fields'],
    ['60 * * * *', 'the field minute is wrong'],
    ['*/0 * * * *', 'the field minute is wrong'],
    ['0 0 30 2 *', 'the field dayOfMonth is wrong'],
    ['0 0 L * *', 'not supported'],
    ['0 0 15W * *', 'not supported'],
    ['0 0 1 * 1', 'not both'],
    ['0 0 * * canary', 'the field dayOfWeek is wrong'],
  ])('%s is refused', (text, why) => {
    expect(cronProblem(text)).toContain(why);
    expect(cronProblem(text)).not.toContain('canary');
  });

  it('never makes the check throw, nor an accepted one the calculation', () => {
    const field = fc.stringMatching(/^[\d*,/LWa-z#-]{1,6}$/u);
    const expression = fc.array(field, { minLength: 4, maxLength: 6 }).map((fields) => fields.join(' '));

    fc.assert(
      fc.property(fc.oneof(fc.string(), expression), (text) => {
        const after = new Date('2026-11-22T12:00:00Z');

        const next = cronProblem(text) === undefined ? nextRun(text, after) : new Date('9999-01-01');

        expect(next.getTime()).toBeGreaterThan(after.getTime());
      }),
    );
  });
});

describe('the next run', () => {
  it.each([
    ['*/5 * * * *', '2026-11-22T12:00:00.000Z', '2026-11-22T12:05:00.000Z'],
    ['*/5 * * * *', '2026-11-22T12:04:59.999Z', '2026-11-22T12:05:00.000Z'],
    ['0 3 * * *', '2026-11-22T03:00:00.001Z', '2026-11-23T03:00:00.000Z'],
    ['0 0 1 1 *', '2026-11-22T12:00:00.000Z', '2027-01-01T00:00:00.000Z'],
    ['30 9 * * mon', '2026-11-22T12:00:00.000Z', '2026-11-23T09:30:00.000Z'],
    ['0 0 29 2 *', '2096-03-01T00:00:00.000Z', '2104-02-29T00:00:00.000Z'],
    ['59 23 31 * *', '2026-11-30T23:59:00.000Z', '2026-12-31T23:59:00.000Z'],
  ])('of %s after %s is %s', (expression, after, expected) => {
    expect(nextRun(expression, new Date(after)).toISOString()).toBe(expected);
  });

  it('is put off by less than the jitter and by at most half the way to the run after it', () => {
    const after = new Date('2026-11-22T12:00:00Z');

    const little = nextJitteredRun('*/5 * * * *', after, { jitterMaxMs: 10_000, random: almostOne });
    const much = nextJitteredRun('*/5 * * * *', after, { jitterMaxMs: 3_600_000, random: almostOne });

    expect(little.toISOString()).toBe('2026-11-22T12:05:09.990Z');
    expect(much.toISOString()).toBe('2026-11-22T12:07:29.850Z');
  });
});

describe('sleeping until the next run', () => {
  it('ends when the run is due', async () => {
    const { clock, ran, sleeping } = setup();

    await clock.advance(299_999);
    expect(ran).toEqual([]);
    await clock.advance(1);
    await sleeping;

    expect(ran).toEqual(['2026-11-22T12:05:00.000Z']);
  });

  it('follows a clock that is set forward within a minute', async () => {
    const { clock, ran, sleeping } = setup();

    await clock.advance(1);
    clock.jump(3_600_000);
    await clock.advance(60_000);
    await sleeping;

    expect(ran).toHaveLength(1);
  });

  it('ends with the reason of the signal when that aborts', async () => {
    const { clock, stop, sleeping } = setup();
    const reason = new Error('stop');

    await clock.advance(1);
    stop.abort(reason);

    await expect(sleeping).rejects.toBe(reason);
  });
});
