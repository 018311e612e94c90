import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log-events.ts';
import type { Batch, StreamName } from './batch.ts';
import { returnBody } from './body-memory.ts';
import { eventsEvent } from './log-events.ts';
import type { Departures } from './pipeline/departures.ts';
import { seldomSaid } from './seldom-said.ts';
import { type Spool, type SpooledBatch, streamKey } from './spool.ts';

export const overflowPolicies = ['pause', 'drop-oldest', 'drop-newest'] as const;

/** What happens to a batch for which the spool has no room: it waits, or something is lost, which is said. */
export type OverflowPolicy = (typeof overflowPolicies)[number];

export interface OverflowOptions {
  readonly spool: Spool;
  readonly departures: Departures;
  readonly policy: Exclude<OverflowPolicy, 'pause'>;
  /** Streams of which nothing is dropped, by key: audit. */
  readonly spared: ReadonlySet<string>;
  /** Bytes that others than audit may fill. */
  readonly bytesMax: number;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly log: Log;
}

export interface Overflow {
  /** Whether the batch is to be kept, once there is room for it; false when it is the one to be dropped. */
  admit(batch: Batch, signal: AbortSignal): Promise<boolean>;
  /** Since the start. */
  readonly dropped: { readonly events: number; readonly bytes: number };
  /** Says what was not said yet: nothing more will be dropped. */
  end(): void;
}

/** Streams of which the oldest batch is looked for. */
const streamsLookedAt = 64;

/** Loses events rather than hold sources back, for whoever asks for that. */
export function overflow({
  spool,
  departures,
  policy,
  spared,
  bytesMax,
  clock,
  log,
}: OverflowOptions): Overflow {
  const dropped = { events: 0, bytes: 0 };
  let said = { events: 0, bytes: 0 };
  const saying = seldomSaid(clock, () => {
    const since = { events: dropped.events - said.events, bytes: dropped.bytes - said.bytes };
    said = { ...dropped };
    log(eventsEvent('events.dropped', { policy, ...since }));
  });

  const hasRoom = (wanted: number): boolean => {
    const { bytes } = spool.counts();
    return bytes === 0 || bytes + wanted <= bytesMax;
  };

  function note({ events, bytes }: Batch): void {
    dropped.events += events;
    dropped.bytes += bytes;
    saying.note();
  }

  function droppable(): readonly StreamName[] {
    return spool.streams().filter((stream) => !spared.has(streamKey(stream)));
  }

  /** The batch that was appended first, of those that may go. */
  async function oldest(signal: AbortSignal): Promise<SpooledBatch | undefined> {
    const heads = await Promise.all(
      droppable()
        .slice(0, streamsLookedAt)
        .map(async (stream) => {
          const [head] = await spool.read({ stream, batchesMax: 1, except: departures.sending }, signal);
          // What is asked of it is only how old it is.
          if (head !== undefined) returnBody(head.body);
          return head;
        }),
    );
    return heads.filter((head) => head !== undefined).toSorted((one, other) => one.id - other.id)[0];
  }

  return {
    dropped,
    end: () => saying.end(),
    async admit(batch, signal) {
      const wanted = spool.sizeOf(batch);
      if (hasRoom(wanted)) return true;
      if (policy === 'drop-newest') {
        note(batch);
        return false;
      }
      while (!hasRoom(wanted)) {
        const victim = await oldest(signal);
        // It takes its time, in which others may have been sent.
        if (hasRoom(wanted)) break;
        if (victim === undefined) {
          // Only audit is left: its part is not ours to take, so the batch waits.
          if (droppable().length === 0) return true;
          // What else is there is being sent, and nobody is held back for that.
          note(batch);
          return false;
        }
        // Another source may have made room with it, or it is sent: then it is not ours to count.
        if (await departures.takeOut(victim, () => spool.settle(victim, []))) note(victim);
      }
      return true;
    },
  };
}
