import type { Clock } from '../../base/clock.ts';
import type { Position, Positions } from '../event-source.ts';
import { hashOf } from './fingerprint.ts';

/** Kept beside the records of files, under a name that no file has. */
export const lookItem = 'looked';

/**
 * Until when all that globs led to was surely seen. What was written to since then, and has the name of a file that was
 * rotated, may have come and gone while nobody looked.
 */
export interface LastLook {
  /** Milliseconds since 1970, of the run before; undefined where there was none, or it had other globs. */
  readonly sinceMs: number | undefined;
  /** To be kept with what was read; undefined while the one before is new enough, unless a file `isOver`. */
  next(isOver: boolean): Position | undefined;
  /** Some of what came and went has been found, and nothing of it was read yet: it must be found again after a kill. */
  holdBack(): void;
}

/**
 * What was read so long ago is durable, or the note of it is left out. Less than the time after which a rotated file is
 * let go and forgotten: it must not be taken for one that nobody has seen.
 */
const durableAfterMs = 20_000;
const keepEveryMs = 5_000;

export function lastLook(
  { files, exclude }: { readonly files: readonly string[]; readonly exclude: readonly string[] },
  from: Positions,
  clock: Pick<Clock, 'now' | 'monotonic'>,
): LastLook {
  const globs = hashOf(Buffer.from(JSON.stringify([files, exclude]))).slice(0, 16);
  const [keptMs, keptGlobs] = (from.get(lookItem) ?? '').split(' ');
  const sinceMs = keptGlobs === globs && Number.isFinite(Number(keptMs)) ? Number(keptMs) : undefined;
  let keptAtMs = Number.NEGATIVE_INFINITY;
  let heldBackUntilMs = Number.NEGATIVE_INFINITY;

  return {
    sinceMs,
    next(isOver) {
      const nowMs = clock.monotonic();
      if (nowMs < heldBackUntilMs || (!isOver && nowMs - keptAtMs < keepEveryMs)) return undefined;
      keptAtMs = nowMs;
      const value = `${clock.now().getTime() - durableAfterMs} ${globs}`;
      return { item: lookItem, value, durableByMs: nowMs - durableAfterMs };
    },
    holdBack() {
      heldBackUntilMs = clock.monotonic() + durableAfterMs;
    },
  };
}
