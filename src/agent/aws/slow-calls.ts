import type { Clock } from '../../base/clock.ts';

/** A call as its client names it. */
export interface CallName {
  /** `KMS`. */
  readonly service: string;
  /** `Decrypt`. */
  readonly operation: string;
}

/** Says of calls that take long that they are waited for, while they are. */
export interface SlowCalls {
  during<Output>(call: CallName, work: () => Promise<Output>): Promise<Output>;
}

/** Whoever sits before a terminal wonders by then, and what answers at all has answered. */
export const lateAfterMs = 10_000;

/** Of one service it is said once, until one of its calls is quick again. */
export function slowCalls(clock: Clock, onLate: (call: CallName) => void): SlowCalls {
  const said = new Set<string>();

  return {
    async during(call, work) {
      const done = new AbortController();
      const say = (): void => {
        if (said.has(call.service)) return;
        said.add(call.service);
        onLate(call);
      };
      const startedAt = clock.monotonic();
      clock.sleep(lateAfterMs, done.signal).then(say, () => undefined);
      try {
        return await work();
      } finally {
        done.abort();
        if (clock.monotonic() - startedAt < lateAfterMs) said.delete(call.service);
      }
    },
  };
}
