import { setTimeout as timeout } from 'node:timers/promises';
import { patienceMs } from '../../support/patience.ts';

const pollMs = 100;

/**
 * Asks until it holds.
 * @throws with `what`, and with what `look` then finds to have happened instead
 */
export async function until(
  what: string,
  holds: () => Promise<boolean> | boolean,
  look: () => Promise<string> | string = () => '',
): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`${what}, which did not happen:\n${await look()}`);
    await timeout(pollMs);
  }
}
