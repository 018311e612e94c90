import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import type { StreamName } from '../batch.ts';
import { type DeadLetter, type SourcePosition, type Spool, type SpooledBatch, streamKey } from '../spool.ts';
import { room } from './room.ts';

export interface MemorySpoolOptions {
  readonly bytesMax: number;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Log;
}

/** A spool that lasts as long as the process: for tests of what stands on the port. */
export function memorySpool({ bytesMax, clock, log }: MemorySpoolOptions): Spool {
  const batches = new Map<number, SpooledBatch>();
  const positions = new Map<string, Map<string, string>>();
  const deadLetters: DeadLetter[] = [];
  const space = room(bytesMax, 0, log);
  let lastId = 0;

  function move(moved: readonly SourcePosition[]): void {
    for (const { source, item, value } of moved) {
      const items = positions.get(source) ?? new Map<string, string>();
      positions.set(source, items);
      if (value === undefined) items.delete(item);
      else items.set(item, value);
    }
  }

  return {
    append: (batch, moved, signal) =>
      space.within(batch.body.length, signal, () => {
        lastId += 1;
        batches.set(lastId, { ...batch, id: lastId });
        move(moved);
      }),

    async keep(moved) {
      move(moved);
    },

    async read({ stream, batchesMax }) {
      const key = streamKey(stream);
      return [...batches.values()].filter((batch) => streamKey(batch.stream) === key).slice(0, batchesMax);
    },

    async settle(batch, refused) {
      if (!batches.delete(batch.id)) return;
      for (const event of refused) {
        deadLetters.push({
          ...event,
          id: deadLetters.length + 1,
          stream: batch.stream,
          refusedMs: clock.now().getTime(),
        });
      }
      space.give(batch.body.length);
    },

    position: (source) => new Map(positions.get(source)),

    streams() {
      const streams = new Map<string, StreamName>();
      for (const { stream } of batches.values()) streams.set(streamKey(stream), stream);
      return [...streams.values()];
    },

    deadLetters: (limit) => deadLetters.slice(0, limit),

    counts: () => ({
      batches: batches.size,
      bytes: space.bytes,
      bytesMax,
      isSealed: false,
      deadLetters: deadLetters.length,
      deadLetterBytes: deadLetters.reduce((sum, { message }) => sum + message.length, 0),
    }),

    close() {},
  };
}
