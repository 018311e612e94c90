import type { Clock } from '../../base/clock.ts';

/** An answer that is used again for a short time. */
export interface Briefly<T> {
  /** The answer, as it was at most `ms` ago. A failure is not kept. */
  get(): Promise<T>;
  /** The next `get` asks anew. */
  forget(): void;
}

export function briefly<T>(ask: () => Promise<T>, ms: number, clock: Pick<Clock, 'monotonic'>): Briefly<T> {
  let kept: { readonly answer: Promise<T>; readonly untilMs: number } | undefined;

  return {
    get() {
      if (kept !== undefined && clock.monotonic() < kept.untilMs) return kept.answer;
      const mine = { answer: ask(), untilMs: clock.monotonic() + ms };
      kept = mine;
      mine.answer.catch(() => {
        if (kept === mine) kept = undefined;
      });
      return mine.answer;
    },
    forget() {
      kept = undefined;
    },
  };
}
