/** Numbers in [0, 1) that a seed decides. */
export interface Dice {
  readonly seed: number;
  readonly next: () => number;
  /** An integer in [from, to). */
  readonly between: (from: number, to: number) => number;
}

/** Dice under the seed of `GATEHOUSE_CHAOS_SEED`, else under one of their own; said, so that a run can be had again. */
export function dice(what: string): Dice {
  const given = process.env['GATEHOUSE_CHAOS_SEED'];
  const seed = given === undefined ? crypto.getRandomValues(new Uint32Array(1))[0] : Number(given);
  if (seed === undefined || !Number.isSafeInteger(seed)) throw new RangeError('the seed must be an integer');
  tell(`${what}: GATEHOUSE_CHAOS_SEED=${seed}`);
  return diceOf(seed);
}

/** mulberry32 */
export function diceOf(seed: number): Dice {
  let state = Math.trunc(seed);
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return { seed, next, between: (from, to) => from + Math.floor(next() * (to - from)) };
}

/** Figures of a chaos test, on the output of the run. */
export function tell(line: string): void {
  process.stdout.write(`chaos: ${line}\n`);
}
