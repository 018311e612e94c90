import { setTimeout as timeout } from 'node:timers/promises';
import { baseError } from './errors.ts';

/** All our waiting goes through a clock, so that tests never sleep. Timers inside the AWS SDK are exempt. */
export interface Clock {
  /** Wall-clock time. */
  now(): Date;
  /** Milliseconds from an arbitrary origin; never goes backwards. */
  monotonic(): number;
  /** Resolves after `ms` milliseconds; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /**
   * Runs `work` with a signal that aborts when `signal` does or after `ms` milliseconds.
   * @throws DEADLINE_EXCEEDED when the time ran out; `what` names the work in its details.
   */
  deadline<T>(
    ms: number,
    what: string,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T>;
}

/** setTimeout's own limit; a longer sleep is made of several. */
const timerMsMax = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => new Date(),
  monotonic: () => performance.now(),

  async sleep(ms, signal) {
    signal.throwIfAborted();
    for (let left = ms; left > 0; left -= timerMsMax) {
      await timeout(Math.min(left, timerMsMax), undefined, { signal }).catch((error: unknown) => {
        throw signal.aborted ? signal.reason : error;
      });
    }
  },

  deadline: (ms, what, signal, work) => withDeadline(systemClock, ms, what, signal, work),
};

/** `Clock.deadline` in terms of `Clock.sleep`, for implementations of the port. */
export async function withDeadline<T>(
  clock: Pick<Clock, 'sleep'>,
  ms: number,
  what: string,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const expired = new AbortController();
  const finished = new AbortController();
  const expiry = clock.sleep(ms, finished.signal).then(
    () => expired.abort(baseError('DEADLINE_EXCEEDED', { what, afterMs: ms })),
    () => undefined,
  );
  const either = AbortSignal.any([signal, expired.signal]);
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(either.reason);
  either.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work(either), aborted.promise]);
  } finally {
    // Node keeps a combined signal alive for as long as somebody listens to it.
    either.removeEventListener('abort', onAbort);
    aborted.promise.catch(() => undefined);
    finished.abort();
    await expiry;
  }
}
