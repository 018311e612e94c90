import type { Clock } from '../../base/clock.ts';
import { GatehouseError, reportOf } from '../../base/errors.ts';
import type { Log } from '../../base/log-events.ts';
import { retrying } from '../../base/retry.ts';
import { eventsEvent } from '../log-events.ts';
import type { PipelineLimits } from './limits.ts';

/** What is asked of the spool: in turn where its order matters, and again while the spool cannot do it. */
export interface SpoolTurns {
  /** Works of one key, one after the other: one that is tried again must not be overtaken. */
  inTurn(key: string, work: () => Promise<void>): Promise<void>;
  /** Tries again while the spool cannot do it: a full disk comes back, and so does a key. `what` names it, for the status. */
  untilDone<T>(what: string, work: () => Promise<T>, signal: AbortSignal): Promise<T>;
  /** Whether a work of this key is under way. */
  isTaken(key: string): boolean;
  /** Whether any is. */
  readonly isBusy: boolean;
  /** Whether there is anything that the spool did not do at the last try. */
  readonly isFailing: boolean;
}

export interface SpoolTurnsOptions {
  readonly limits: Pick<PipelineLimits, 'backoffBaseMs' | 'backoffCapMs'>;
  /** Something came to an end, well or badly. */
  readonly onMoved: () => void;
  readonly onTurnEnd: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

export function spoolTurns({ limits, onMoved, onTurnEnd, clock, log }: SpoolTurnsOptions): SpoolTurns {
  const turns = new Map<string, Promise<void>>();
  /** What the spool does not do just now, for which stream: small batches may fit where a large one does not. */
  const failing = new Set<string>();

  return {
    async inTurn(key, work) {
      const before = turns.get(key);
      const turn = before === undefined ? work() : before.then(work);
      turns.set(key, turn);
      try {
        await turn;
      } finally {
        if (turns.get(key) === turn) turns.delete(key);
        onTurnEnd();
      }
    },

    async untilDone(what, work, signal) {
      const policy = {
        baseMs: limits.backoffBaseMs,
        capMs: limits.backoffCapMs,
        attemptsMax: Infinity,
        isRetryable: (error: unknown) => error instanceof GatehouseError && error.row.retry,
        onRetry(error: unknown) {
          if (failing.size === 0) log(eventsEvent('events.spool-failed', { error: reportOf(error) }));
          failing.add(what);
          onMoved();
        },
      };
      const done = await retrying(work, policy, clock, signal);
      onMoved();
      if (failing.delete(what) && failing.size === 0) log(eventsEvent('events.spool-recovered', {}));
      return done;
    },

    isTaken: (key) => turns.has(key),
    get isBusy() {
      return turns.size > 0;
    },
    get isFailing() {
      return failing.size > 0;
    },
  };
}
