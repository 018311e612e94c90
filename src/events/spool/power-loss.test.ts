import { expect, test } from 'vitest';
import { diceOf } from '../../../test/support/dice.ts';
import { powerLosses } from '../../../test/support/power-loss.ts';

/** `test/chaos/power-loss.test.ts` does the same with thousands. */
const schedules = 100;
const timeoutMs = 60_000;

test.each(['always', 'when-needed'] as const)(
  `${schedules} schedules of work and power losses leave no position whose bytes are gone, spooling %s`,
  async (mode) => {
    let recovered = 0;
    let appends = 0;
    for (let seed = 1; seed <= schedules; seed += 1) {
      const outcome = await powerLosses(diceOf(seed), mode);
      recovered += outcome.recovered;
      appends += outcome.appends;
      expect({ seed, faults: outcome.faults }).toEqual({ seed, faults: [] });
    }

    expect(appends).toBeGreaterThan(schedules);
    expect(recovered).toBeGreaterThan(schedules);
  },
  timeoutMs,
);
