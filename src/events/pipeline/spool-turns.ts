import type { Clock } from '../../base/clock.ts';
import { GatehouseError, reportOf } from '../../base/errors.ts';
import type { Log } from '../../base/log-events.ts';
import { backoffMs } from '../../base/retry.ts';
import { eventsEvent } from '../log-events.ts';
import type { Spool } from '../spool.ts';
import type { PipelineLimits } from './limits.ts';

/** What is asked of the spool: in turn where its order matters, and again while the spool cannot do it. */
export interface SpoolTurns {
  /** Works of one key, one after the other: one that is tried again must not be overtaken. */
  inTurn(key: string, work: () => Promise<void>): Promise<void>;
  /**
   * Tries again while the spool cannot do it: a full disk comes back, and so does a key. Soon after its files became
   * fewer or shorter, for then there is room. `what` names it, for the status.
   */
  untilDone<T>(what: string, work: () => Promise<T>, signal: AbortSignal): Promise<T>;
  /** Whether a work of this key is under way. */
  isTaken(key: string): boolean;
  /** Whether any is. */
  readonly isBusy: boolean;
  /** Whether there is anything that the spool did not do at the last try. */
  readonly isFailing: boolean;
}

export interface SpoolTurnsOptions {
  readonly spool: Pick<Spool, 'counts'>;
  readonly limits: Pick<PipelineLimits, 'backoffBaseMs' | 'backoffCapMs'>;
  /** Something came to an end, well or badly. */
  readonly onMoved: () => void;
  readonly onTurnEnd: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** How often it is looked whether there is room. */
const lookEveryMs = 250;
/** A disk is near: it is asked more often than an endpoint. */
const backoffCapMs = 5_000;

export function spoolTurns(options: SpoolTurnsOptions): SpoolTurns {
  const { spool, limits, onMoved, onTurnEnd, clock, log } = options;
  const backoff = { baseMs: limits.backoffBaseMs, capMs: Math.min(backoffCapMs, limits.backoffCapMs) };
  const turns = new Map<string, Promise<void>>();
  /** What the spool does not do just now, for which stream: small batches may fit where a large one does not. */
  const failing = new Set<string>();

  /** Waits, and not to the end where the spool's files took less meanwhile: then it is true. */
  async function roomIsMade(waitMs: number, signal: AbortSignal): Promise<boolean> {
    const { fileBytes } = spool.counts();
    for (let leftMs = waitMs; leftMs > 0; leftMs -= lookEveryMs) {
      await clock.sleep(Math.min(leftMs, lookEveryMs), signal);
      if (spool.counts().fileBytes < fileBytes) return true;
    }
    return false;
  }

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
      for (let attempt = 0; ; attempt += 1) {
        try {
          const done = await work();
          onMoved();
          if (failing.delete(what) && failing.size === 0) log(eventsEvent('events.spool-recovered', {}));
          return done;
        } catch (error) {
          if (signal.aborted || !(error instanceof GatehouseError && error.row.retry)) throw error;
          if (failing.size === 0) log(eventsEvent('events.spool-failed', { error: reportOf(error) }));
          failing.add(what);
          onMoved();
          if (await roomIsMade(backoffMs(attempt, backoff), signal)) attempt = -1;
        }
      }
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
