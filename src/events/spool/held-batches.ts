import type { Clock } from '../../base/clock.ts';
import type { Batch } from '../batch.ts';
import { holdBody, returnBody } from '../body-memory.ts';
import { type SpooledBatch, streamKey } from '../spool.ts';

/** Batches in memory, oldest first, each with what `Held` says of it. Bounded in bytes: what finds no room waits. */
export interface HeldBatches<Held> {
  readonly size: number;
  readonly bytes: number;
  has(id: number): boolean;
  get(id: number): HeldBatch<Held> | undefined;
  ofStream(key: string): Iterable<HeldBatch<Held>>;
  all(): Iterable<HeldBatch<Held>>;
  /**
   * Holds the batch once there is room, and its body with it. Undefined where it is `isUnwanted` by then.
   * @throws what `signal` was aborted with
   */
  inTime(
    batch: Batch,
    about: (batch: SpooledBatch) => Held,
    isUnwanted: () => boolean,
    signal: AbortSignal,
  ): Promise<HeldBatch<Held> | undefined>;
  /** Gives its body back. */
  letGo(batch: SpooledBatch): void;
  /** Has all look again who wait. */
  changed(): void;
}

export interface HeldBatch<Held> {
  readonly batch: SpooledBatch;
  readonly entry: Held;
}

export function heldBatches<Held>(bytesMax: number, clock: Pick<Clock, 'now'>): HeldBatches<Held> {
  const held = new Map<number, HeldBatch<Held>>();
  const waiting = new Set<() => void>();
  // Above all ids of a spool, and growing as they do: what is held is newer than what is there.
  let lastId = 2 ** 52;
  let bytes = 0;

  function hold(batch: Batch, about: (batch: SpooledBatch) => Held): HeldBatch<Held> {
    lastId += 1;
    const spooled = { ...batch, id: lastId, addedMs: clock.now().getTime() };
    const one = { batch: spooled, entry: about(spooled) };
    holdBody(batch.body);
    held.set(lastId, one);
    bytes += batch.body.length;
    return one;
  }

  function changed(): void {
    for (const look of waiting) look();
  }

  function change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        waiting.delete(look);
        signal.removeEventListener('abort', look);
        resolve();
      };
      waiting.add(look);
      signal.addEventListener('abort', look, { once: true });
    });
  }

  return {
    get size() {
      return held.size;
    },
    get bytes() {
      return bytes;
    },
    has: (id) => held.has(id),
    get: (id) => held.get(id),
    all: () => held.values(),

    *ofStream(key) {
      for (const one of held.values()) if (streamKey(one.batch.stream) === key) yield one;
    },

    async inTime(batch, about, isUnwanted, signal) {
      while (!isUnwanted()) {
        // In one step: others wait for the same room.
        if (bytes === 0 || bytes + batch.body.length <= bytesMax) return hold(batch, about);
        signal.throwIfAborted();
        await change(signal);
      }
      signal.throwIfAborted();
      return undefined;
    },

    letGo({ id, body }) {
      if (held.delete(id)) {
        bytes -= body.length;
        returnBody(body);
      }
      changed();
    },

    changed,
  };
}
