import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log-events.ts';
import { eventsEvent } from './log-events.ts';

/** Watches that what waits also moves. */
export interface Movement {
  /** Something came to an end, well or with an error that is told elsewhere: whoever waits for AWS or a disk is no wedge. */
  readonly moved: () => void;
  /** Since when, in milliseconds, bytes have waited without moving; undefined where that is not for long. */
  readonly wedgedMs: number | undefined;
  /** Looks from time to time, until `signal` aborts. */
  watch(signal: AbortSignal): Promise<void>;
}

export interface MovementOptions {
  /** Bytes that wait without moving for so long are wedged: longer than any one try to send or write may take. */
  readonly wedgedAfterMs: number;
  readonly isWaiting: () => boolean;
  readonly clock: Pick<Clock, 'monotonic' | 'sleep'>;
  readonly log: Log;
}

const looksPerWedge = 10;

/**
 * A wedge is what no error says: a call that never ends, a promise that nobody keeps. In an outage tries end, one after
 * the other, so an agent is not restarted for it.
 */
export function movement({ wedgedAfterMs, isWaiting, clock, log }: MovementOptions): Movement {
  let movedMs = clock.monotonic();
  let isWedged = false;

  function look(): void {
    const now = clock.monotonic();
    if (!isWaiting()) movedMs = now;
    const isStill = now - movedMs >= wedgedAfterMs;
    if (isStill && !isWedged) log(eventsEvent('events.wedged', { forMs: Math.round(now - movedMs) }));
    if (!isStill && isWedged) log(eventsEvent('events.unwedged', {}));
    isWedged = isStill;
  }

  return {
    moved() {
      movedMs = clock.monotonic();
      if (isWedged) look();
    },
    get wedgedMs() {
      return isWedged ? clock.monotonic() - movedMs : undefined;
    },
    async watch(signal) {
      while (!signal.aborted) {
        await clock.sleep(wedgedAfterMs / looksPerWedge, signal).catch(() => undefined);
        look();
      }
    },
  };
}
