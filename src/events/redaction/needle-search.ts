/** A place where a needle stands. */
export interface Match {
  readonly start: number;
  readonly end: number;
  /** Which of the needles. */
  readonly needle: number;
}

export interface NeedleSearch {
  /** The first place from `from` on, the longest needle there; undefined when there is none. */
  next(bytes: Buffer, from: number): Match | undefined;
}

const blockValues = 65_536;
/** A longer window shifts further but needs more of the table in the cache: measured, there is nothing more to gain. */
const windowMax = 16;

/**
 * Looks for many byte strings at once, by a table of shifts over two bytes (Wu and Manber, 1994): most of the text is
 * jumped over. `needles` are at least two bytes long each.
 */
export function needleSearch(needles: readonly Buffer[]): NeedleSearch {
  if (needles.length === 0) return { next: () => undefined };
  const window = Math.min(windowMax, ...needles.map(({ length }) => length));
  if (window < 2) throw new RangeError('a needle must have at least two bytes');
  const shifts = new Uint8Array(blockValues).fill(window - 1);
  /** By the last two bytes of their window: those that may stand where the shift is nought, the longest first. */
  const candidates = new Map<number, number[]>();

  for (const [index, needle] of needles.entries()) {
    for (let at = 1; at < window; at += 1) {
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

  return {
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

function blockAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at - 1] ?? 0) << 8) | (bytes[at] ?? 0);
}
