import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import type { Batch, SingleEvent, StreamName } from '../batch.ts';
import { holdBody, returnBody } from '../body-memory.ts';
import {
  type DeadLetter,
  type RefusedEvent,
  type SourcePosition,
  type Spool,
  type SpooledBatch,
  streamKey,
} from '../spool.ts';
import { room } from './room.ts';

export interface MemorySpoolOptions {
  readonly bytesMax: number;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Log;
}

const sizeOf = ({ body }: Batch): number => body.length;

/** A spool that lasts as long as the process: for tests of what stands on the port. */
export function memorySpool({ bytesMax, clock, log }: MemorySpoolOptions): Spool {
  const batches = new Map<number, SpooledBatch>();
  const positions = new Map<string, Map<string, string>>();
  const deadLetters = new Map<number, DeadLetter & SingleEvent>();
  const space = room(bytesMax, 0, log);
  let lastId = 0;
  let lastLetterId = 0;

  function move(moved: readonly SourcePosition[]): void {
    for (const { source, item, value } of moved) {
      const items = positions.get(source) ?? new Map<string, string>();
      positions.set(source, items);
      if (value === undefined) items.delete(item);
      else items.set(item, value);
    }
  }

  function addLetters({ stream, mayHaveMetrics }: Batch, refused: readonly RefusedEvent[]): void {
    for (const event of refused) {
      lastLetterId += 1;
      deadLetters.set(lastLetterId, {
        ...event,
        id: lastLetterId,
        stream,
        refusedMs: clock.now().getTime(),
        bytes: event.message.length,
        ...(mayHaveMetrics === undefined ? {} : { mayHaveMetrics }),
      });
    }
  }

  return {
    sizeOf,

    append: (batch, moved, signal) =>
      space.within(sizeOf(batch), signal, () => {
        lastId += 1;
        holdBody(batch.body);
        batches.set(lastId, { ...batch, id: lastId, addedMs: clock.now().getTime() });
        move(moved);
        return lastId;
      }),

    async keep(moved) {
      move(moved);
    },

    async read({ stream, batchesMax, except }) {
      const key = streamKey(stream);
      const found = [...batches.values()].filter(
        (batch) => streamKey(batch.stream) === key && except?.has(batch.id) !== true,
      );
      const read = found.slice(0, batchesMax);
      for (const { body } of read) holdBody(body);
      return read;
    },

    async settle(batch, refused) {
      if (!batches.delete(batch.id)) return false;
      addLetters(batch, refused);
      space.give(sizeOf(batch));
      returnBody(batch.body);
      return true;
    },

    async refuse(batch, refused) {
      addLetters(batch, refused);
    },

    position: (source) => new Map(positions.get(source)),

    streams() {
      const streams = new Map<string, StreamName>();
      for (const { stream } of batches.values()) streams.set(streamKey(stream), stream);
      return [...streams.values()];
    },

    deadLetters: (limit, after = 0) =>
      [...deadLetters.values()]
        .filter(({ id }) => id > after)
        .slice(0, limit)
        .map(({ message: _message, timestamp: _timestamp, ...letter }) => letter),

    async deadLetter(id) {
      const letter = deadLetters.get(id);
      return letter === undefined ? undefined : { timestamp: letter.timestamp, message: letter.message };
    },

    dropDeadLetter: async (id) => deadLetters.delete(id),

    counts: () => ({
      batches: batches.size,
      bytes: space.bytes,
      bytesMax,
      fileBytes: 0,
      isSealed: false,
      isFailing: false,
      deadLetters: deadLetters.size,
      deadLetterBytes: [...deadLetters.values()].reduce((sum, { bytes }) => sum + bytes, 0),
      lostBatches: 0,
      lostEvents: 0,
      quarantineBytes: 0,
      isFull: space.isWaitedFor,
    }),

    async close() {},
  };
}
