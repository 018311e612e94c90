import { expect, it } from 'vitest';
import { dice, diceOf, tell } from '../support/dice.ts';
import { powerLosses } from '../support/power-loss.ts';
import { sized } from './sized.ts';

const schedules = sized(5_000, 1_000);

it.each(['always', 'when-needed'] as const)(
  `${schedules} schedules of work, kills and power losses leave no position whose bytes are gone, spooling %s`,
  async (mode) => {
    const { between } = dice('power loss');
    const total = { losses: 0, appends: 0, recovered: 0 };
    for (let schedule = 0; schedule < schedules; schedule += 1) {
      const seed = between(0, 2 ** 31);
      const { losses, appends, recovered, faults } = await powerLosses(diceOf(seed), mode);
      total.losses += losses;
      total.appends += appends;
      total.recovered += recovered;
      expect({ schedule, seed, faults }).toStrictEqual({ schedule, seed, faults: [] });
    }
    tell(`power loss, ${mode}: ${schedules} schedules: ${JSON.stringify(total)}`);
    expect(total.appends).toBeGreaterThan(schedules);
  },
);
