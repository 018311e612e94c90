import type { Clock } from '../base/clock.ts';

/** What may happen often and is said seldom. */
export interface SeldomSaid {
  /** It happened. */
  note(): void;
  /** Says what was not said yet, for nothing more will come. */
  end(): void;
}

const sayEveryMs = 60_000;

/** Says the first at once, and those after it together, with the next that comes a minute later or at the end. */
export function seldomSaid(clock: Pick<Clock, 'monotonic'>, say: (times: number) => void): SeldomSaid {
  let times = 0;
  let sayAtMs = -Infinity;

  function end(): void {
    if (times === 0) return;
    say(times);
    times = 0;
  }

  return {
    note() {
      times += 1;
      if (clock.monotonic() < sayAtMs) return;
      sayAtMs = clock.monotonic() + sayEveryMs;
      end();
    },
    end,
  };
}
