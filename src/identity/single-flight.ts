/**
 * At most one `work` at a time: who asks while it is under way waits for the same result. A waiter whose signal aborts
 * leaves with that signal's reason; when the last has left, the work's own signal aborts.
 */
export function singleFlight<T>(
  work: (signal: AbortSignal) => Promise<T>,
): (signal: AbortSignal) => Promise<T> {
  let flight: { result: Promise<T>; waiters: number; abandoned: AbortController } | undefined;

  return async (signal) => {
    signal.throwIfAborted();
    if (flight === undefined) {
      const abandoned = new AbortController();
      const mine = { result: work(abandoned.signal), waiters: 0, abandoned };
      flight = mine;
      const land = (): void => {
        if (flight === mine) flight = undefined;
      };
      mine.result.then(land, land);
    }
    const joined = flight;
    joined.waiters += 1;
    const left = Promise.withResolvers<never>();
    const leave = (): void => left.reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    try {
      return await Promise.race([joined.result, left.promise]);
    } finally {
      signal.removeEventListener('abort', leave);
      joined.waiters -= 1;
      if (joined.waiters === 0) {
        if (flight === joined) flight = undefined;
        joined.abandoned.abort();
      }
    }
  };
}
