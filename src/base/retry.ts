import type { Clock } from './clock.ts';

/** Exponential back-off with full jitter: the n-th wait is uniform in [0, min(cap, base · 2ⁿ)). */
export interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
}

/** The wait before attempt `attempt` + 1, in milliseconds; `attempt` counts from 0. `random` is uniform in [0, 1). */
export function backoffMs(attempt: number, backoff: Backoff, random: () => number = Math.random): number {
  return random() * Math.min(backoff.capMs, backoff.baseMs * 2 ** Math.min(attempt, 30));
}

export interface RetryPolicy extends Backoff {
  /** Tries in all, the first included; Infinity to go on until the signal aborts. */
  readonly attemptsMax: number;
  isRetryable(error: unknown): boolean;
  /** Told of each failure that will be tried again. */
  onRetry?(error: unknown, attempt: number, waitMs: number): void;
}

/** Repeats `work` while it fails with what the policy calls retryable. Throws its last error. */
export async function retrying<T>(
  work: (signal: AbortSignal) => Promise<T>,
  policy: RetryPolicy,
  clock: Clock,
  signal: AbortSignal,
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await work(signal);
    } catch (error) {
      if (signal.aborted || attempt + 1 >= policy.attemptsMax || !policy.isRetryable(error)) throw error;
      const waitMs = backoffMs(attempt, policy);
      policy.onRetry?.(error, attempt, waitMs);
      await clock.sleep(waitMs, signal);
    }
  }
}
