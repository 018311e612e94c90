import { describe, expect, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { clockSkew, corrected } from './clock-skew.ts';

function setup() {
  const clock = fakeClock();
  const logged: LogEvent[] = [];
  const skew = clockSkew(clock, (event) => logged.push(event));
  /** An answer of a server whose clock is so far ahead. */
  const answer = (seconds: number): void =>
    skew.observe(new Date(clock.now().getTime() + seconds * 1000).toUTCString());
  return { clock, skew, answer, names: () => logged.map(({ name, fields }) => [name, fields['seconds']]) };
}

describe('the clock of a host beside that of AWS', () => {
  test.each([0, 1, -59, 59])('%i seconds apart does not matter', (seconds) => {
    const { skew, answer, names } = setup();

    answer(seconds);

    expect(skew.seconds()).toBe(0);
    expect(names()).toEqual([]);
  });

  test.each([600, -86_400])('%i seconds apart is said once, and once when it is mended', (seconds) => {
    const { skew, answer, names } = setup();

    answer(seconds);
    answer(seconds + 1);
    const during = skew.seconds();
    answer(0);
    answer(1);

    expect(during).toBe(seconds + 1);
    expect(skew.seconds()).toBe(0);
    expect(names()).toEqual([
      ['clock.skewed', seconds],
      ['clock.right', undefined],
    ]);
  });

  test('that is no date tells nothing', () => {
    const { skew, answer } = setup();
    answer(600);

    skew.observe('yesterday');

    expect(skew.seconds()).toBe(600);
  });

  test('is corrected for what expires in AWS’s time', () => {
    const { clock, skew, answer } = setup();
    answer(-3600);

    const apartMs = corrected(clock, skew).now().getTime() - clock.now().getTime();

    expect(apartMs).toBe(-3_600_000);
  });
});
