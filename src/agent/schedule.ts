import type { Clock } from '../base/clock.ts';
import { sleepUntilNextRun } from '../config/schedule.ts';

/** Hosts that were started together ask AWS at different moments. */
const jitterMaxMs = 30_000;

/** Does `work` whenever `expression()`, asked anew each time, is due, until the signal aborts. Runs never overlap. */
export async function runOnSchedule(
  expression: () => string,
  work: (signal: AbortSignal) => Promise<unknown>,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await sleepUntilNextRun(expression, { jitterMaxMs }, clock, signal);
    await work(signal);
  }
}
