import type { Clock } from '../../base/clock.ts';
import type { SpoolCounts } from '../spool.ts';

/** Keeps reading in step with the calls. */
export interface InStep {
  /** Whether what is in the spool stays in memory until it is sent. */
  readonly isNear: boolean;
  /** Waits, but never for long, while more is in the spool than stays in memory until it is sent. */
  wait(): Promise<void>;
  /** Something left the spool. */
  left(): void;
}

/** Less than a spool keeps in memory of what was just written: the rest of that is on its way there. */
const aheadBytesMax = 2.5 * 2 ** 20;
/**
 * Longest wait for the calls, once a batch. Calls that take longer are not waited for: what is read is durable, and what
 * is still in a file may be truncated away.
 */
const waitMsMax = 10;

/**
 * Reading is faster than calls are. What gets far ahead of them is read from the disk again and opened, which costs as
 * much as all that was done to it before.
 */
export function inStep(spool: { counts(): Pick<SpoolCounts, 'bytes'> }, clock: Pick<Clock, 'sleep'>): InStep {
  let waiting = new Set<() => void>();
  const isNear = (): boolean => spool.counts().bytes <= aheadBytesMax;

  return {
    get isNear() {
      return isNear();
    },

    async wait() {
      if (isNear()) return;
      const over = new AbortController();
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.add(resolve);
      clock.sleep(waitMsMax, over.signal).then(resolve, () => undefined);
      await promise;
      waiting.delete(resolve);
      over.abort(caughtUp);
    },

    left() {
      const told = waiting;
      waiting = new Set();
      for (const tell of told) tell();
    },
  };
}

/** There already: one of Node's own is made with a stack, for each batch. */
const caughtUp = new Error('the calls have caught up');
