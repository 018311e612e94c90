import type { Clock } from '../base/clock.ts';

/** What may happen often and is said seldom. */
export interface SeldomSaid {
  /** It happened. */
  note(): void;
  /** Says what was not said yet, for nothing more will come. */
  end(): void;
}

const sayEveryMs = 60_000;

/** Says the first at once, and what came in each minute after that at its end, be it the last for long. */
export function seldomSaid(clock: Pick<Clock, 'sleep'>, say: (times: number) => void): SeldomSaid {
  const over = new AbortController();
  let times = 0;
  let isWaiting = false;

  function sayNow(): void {
    const since = times;
    times = 0;
    say(since);
  }

  async function sayInTime(): Promise<void> {
    isWaiting = true;
    while (times > 0 && !over.signal.aborted) {
      sayNow();
      await clock.sleep(sayEveryMs, over.signal).catch(() => undefined);
    }
    isWaiting = false;
  }

  return {
    note() {
      times += 1;
      if (!isWaiting) void sayInTime();
    },
    end() {
      over.abort();
      if (times > 0) sayNow();
    },
  };
}
