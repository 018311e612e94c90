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
      await timeout(Math.min(left, timerMsMax), signal);
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
  const limited = new AbortController();
  const finished = new AbortController();
  const expiry = clock.sleep(ms, finished.signal).then(
    () => limited.abort(baseError('DEADLINE_EXCEEDED', { what, afterMs: ms })),
    () => undefined,
  );
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(limited.signal.reason);
  limited.signal.addEventListener('abort', onAbort, { once: true });
  const passOn = (): void => limited.abort(signal.reason);
  signal.addEventListener('abort', passOn, { once: true });
  try {
    return await Promise.race([work(limited.signal), aborted.promise]);
  } finally {
    limited.signal.removeEventListener('abort', onAbort);
    signal.removeEventListener('abort', passOn);
    aborted.promise.catch(() => undefined);
    finished.abort(over);
    await expiry;
  }
}

/** A reason that is there already: one of Node's own is made with the stack of whoever aborts, for each batch that is sent. */
const over = new Error('the work was done in time');

/** As that of node:timers/promises, without an error of its own for each sleep that ends early. */
function timeout(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
