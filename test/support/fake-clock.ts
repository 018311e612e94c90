import { type Clock, withDeadline } from '../../src/base/clock.ts';

interface Sleeper {
  readonly at: number;
  wake(): void;
}

export interface FakeClock extends Clock {
  /** Moves time on by `ms`, waking sleepers in order and letting what they started run. */
  advance(ms: number): Promise<void>;
  /** Changes wall-clock time only, as an operator or NTP would. */
  jump(ms: number): void;
  /** How many sleeps are under way. */
  readonly sleeping: number;
}

/** A clock that moves only when told to. */
export function fakeClock(start: Date = new Date('2026-11-22T12:00:00Z')): FakeClock {
  let elapsed = 0;
  let offset = 0;
  let sleepers: Sleeper[] = [];

  const clock: FakeClock = {
    now: () => new Date(start.getTime() + elapsed + offset),
    monotonic: () => elapsed,

    async sleep(ms, signal) {
      signal.throwIfAborted();
      if (ms <= 0) return;
      await new Promise<void>((resolve, reject) => {
        const forget = (): void => {
          sleepers = sleepers.filter((other) => other !== sleeper);
        };
        const onAbort = (): void => {
          forget();
          reject(signal.reason);
        };
        const sleeper: Sleeper = {
          at: elapsed + ms,
          wake() {
            forget();
            signal.removeEventListener('abort', onAbort);
            resolve();
          },
        };
        signal.addEventListener('abort', onAbort, { once: true });
        sleepers.push(sleeper);
      });
    },

    deadline: (ms, what, signal, work) => withDeadline(clock, ms, what, signal, work),

    async advance(ms) {
      const target = elapsed + ms;
      for (;;) {
        await settled();
        const next = sleepers.toSorted((a, b) => a.at - b.at)[0];
        if (next === undefined || next.at > target) break;
        elapsed = Math.max(elapsed, next.at);
        next.wake();
      }
      elapsed = target;
      await settled();
    },

    jump(ms) {
      offset += ms;
    },

    get sleeping() {
      return sleepers.length;
    },
  };
  return clock;
}

/** Lets promise chains that are ready run: a few turns of the event loop. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}
