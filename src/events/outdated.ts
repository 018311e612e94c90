import type { Clock } from '../base/clock.ts';
import { GatehouseError } from '../base/errors.ts';
import type { Log } from '../base/log-events.ts';
import { eventsOf, type StreamName } from './batch.ts';
import { returnBody } from './body-memory.ts';
import { eventsEvent } from './log-events.ts';
import type { Departures } from './pipeline/departures.ts';
import type { RefusedEvent, Spool } from './spool.ts';

export interface OutdatedOptions {
  readonly spool: Spool;
  readonly departures: Departures;
  readonly ageMaxDays: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Moves what has waited too long out of the spool into the dead letter: it bounds the spool's age. */
export interface Outdated {
  /** Looks from time to time, until `signal` aborts. */
  readonly watch: (signal: AbortSignal) => Promise<void>;
  /** Since the start. */
  readonly moved: { readonly events: number; readonly bytes: number };
}

const dayMs = 24 * 60 * 60 * 1000;
/** The first look is as late as all others: a clock that was wrong at the start has been set by then. */
const lookEveryMs = 10 * 60 * 1000;

export function outdated({ spool, departures, ageMaxDays, clock, log }: OutdatedOptions): Outdated {
  const moved = { events: 0, bytes: 0 };
  const started = { wallMs: clock.now().getTime(), steadyMs: clock.monotonic() };

  /** A clock that jumps ahead makes nothing older than it is. */
  function nowMs(): number {
    return Math.min(clock.now().getTime(), started.wallMs + clock.monotonic() - started.steadyMs);
  }

  async function moveOut(stream: StreamName, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const [batch] = await spool.read({ stream, batchesMax: 1, except: departures.sending }, signal);
      if (batch === undefined) return;
      if (nowMs() - batch.addedMs <= ageMaxDays * dayMs) {
        returnBody(batch.body);
        return;
      }
      const events = eventsOf(batch).map(
        ({ timestamp, message }): RefusedEvent => ({ timestamp, message, reason: 'outdated' }),
      );
      returnBody(batch.body);
      // It may be sent meanwhile: then it is not ours to count.
      if (!(await departures.takeOut(batch, () => spool.settle(batch, events)))) continue;
      moved.events += batch.events;
      moved.bytes += batch.bytes;
    }
  }

  async function look(signal: AbortSignal): Promise<void> {
    const before = { ...moved };
    for (const stream of spool.streams()) {
      try {
        await moveOut(stream, signal);
      } catch (error) {
        signal.throwIfAborted();
        // Whoever sends it meets the same and says so; the next look tries again.
        if (!(error instanceof GatehouseError && error.row.retry)) throw error;
      }
    }
    const events = moved.events - before.events;
    if (events > 0) {
      log(eventsEvent('events.outdated', { events, bytes: moved.bytes - before.bytes, ageMaxDays }));
    }
  }

  return {
    moved,
    async watch(signal) {
      while (!signal.aborted) {
        await clock.sleep(lookEveryMs, signal).catch(() => undefined);
        try {
          if (!signal.aborted) await look(signal);
        } catch (error) {
          if (!signal.aborted) throw error;
        }
      }
    },
  };
}
