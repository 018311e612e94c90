import type { StreamName } from '../batch.ts';
import { streamKey } from '../spool.ts';
import type { HeldRecord } from './group-writer.ts';

/** A batch that waits in the spool: all but its body. */
export interface WaitingBatch {
  readonly id: number;
  readonly stream: StreamName;
  readonly events: number;
  readonly bytes: number;
  readonly addedMs: number;
  /** As in `Batch`. */
  readonly mayHaveMetrics: boolean;
  readonly record: HeldRecord;
  /** What it holds of the room. */
  readonly size: number;
  failedReads: number;
}

/** The batches of a spool by stream, oldest first. */
export interface WaitingBatches {
  readonly size: number;
  add(batch: WaitingBatch): void;
  /** True for whoever removes it. */
  remove(batch: WaitingBatch): boolean;
  ofStream(stream: StreamName): ReadonlyMap<number, WaitingBatch>;
  streams(): StreamName[];
  all(): WaitingBatch[];
}

const none: ReadonlyMap<number, WaitingBatch> = new Map();

export function waitingBatches(): WaitingBatches {
  /** By the key of the stream, then by id. */
  const waiting = new Map<
    string,
    { readonly stream: StreamName; readonly batches: Map<number, WaitingBatch> }
  >();
  let size = 0;

  return {
    get size() {
      return size;
    },

    add(batch) {
      const key = streamKey(batch.stream);
      const own = waiting.get(key) ?? { stream: batch.stream, batches: new Map<number, WaitingBatch>() };
      waiting.set(key, own);
      own.batches.set(batch.id, batch);
      size += 1;
    },

    remove({ id, stream }) {
      const key = streamKey(stream);
      const own = waiting.get(key);
      if (own?.batches.delete(id) !== true) return false;
      if (own.batches.size === 0) waiting.delete(key);
      size -= 1;
      return true;
    },

    ofStream: (stream) => waiting.get(streamKey(stream))?.batches ?? none,
    streams: () => [...waiting.values()].map(({ stream }) => stream),
    all: () => [...waiting.values()].flatMap(({ batches }) => Array.from(batches.values())),
  };
}
