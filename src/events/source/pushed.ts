import type { Clock } from '../../base/clock.ts';
import type { Chunk, EventSource } from '../event-source.ts';
import { chunkBytesMax } from '../event-source.ts';
import { wake } from '../wake.ts';

export interface PushedOptions {
  /** Bytes that wait before the spool. */
  readonly queueBytesMax?: number;
  readonly clock: Pick<Clock, 'now'>;
  /** Listens, until the signal aborts; what was pushed by then is still handed on. */
  readonly listen: (signal: AbortSignal) => Promise<void>;
}

export interface Pushed extends EventSource {
  /**
   * Takes an event, or whole lines where they are not one. False when there is no room: then nothing was taken.
   * `onDurable` is called once it cannot be lost any more.
   */
  push(bytes: Buffer, isOneEvent: boolean, onDurable?: () => void): boolean;
  /** Takes back what was pushed with this `onDurable`. False where it has left the queue. */
  withdraw(onDurable: () => void): boolean;
  /** Resolves when half of the queue is free: with false when nobody reads it any more. */
  roomAgain(): Promise<boolean>;
}

interface Item {
  readonly bytes: Buffer;
  readonly timeMs: number;
  readonly isOneEvent: boolean;
  readonly onDurable: (() => void) | undefined;
}

const queueBytesMax = 4 * 2 ** 20;
/** What an item costs beside its bytes. */
const itemBytes = 128;

/**
 * What others hand in, from a queue that is bounded. What waits in it is lost when the agent is killed. What comes
 * while a chunk is on its way to the disk goes together with the next.
 */
export function pushed(options: PushedOptions): Pushed {
  const { clock, listen } = options;
  const bytesMax = options.queueBytesMax ?? queueBytesMax;
  const bell = wake();
  /** Oldest first. */
  const queue = new Set<Item>();
  let queuedBytes = 0;
  let waiting: (() => void)[] = [];
  let isOver = false;

  function leave(bytes: number): void {
    queuedBytes -= bytes;
    if (queuedBytes > bytesMax / 2) return;
    for (const resume of waiting) resume();
    waiting = [];
  }

  function take(): Chunk {
    const taken: Item[] = [];
    let bytes = 0;
    for (const item of queue) {
      const [first = item] = taken;
      const isAlone = item.isOneEvent || first.isOneEvent;
      const isFull = bytes + item.bytes.length > chunkBytesMax;
      if (taken.length > 0 && (isAlone || item.timeMs !== first.timeMs || isFull)) break;
      bytes += item.bytes.length;
      taken.push(item);
    }
    const [first] = taken;
    if (first === undefined) throw new RangeError('nothing is queued');
    for (const item of taken) queue.delete(item);
    leave(bytes + taken.length * itemBytes);
    const told = taken.flatMap(({ onDurable }) => (onDurable === undefined ? [] : [onDurable]));
    return {
      bytes: taken.length === 1 ? first.bytes : Buffer.concat(taken.map((item) => item.bytes)),
      timeMs: first.timeMs,
      positions: [],
      file: undefined,
      isOneEvent: first.isOneEvent,
      ...(told.length === 0 ? {} : { onDurable: () => told.forEach((tell) => tell()) }),
    };
  }

  return {
    push(bytes, isOneEvent, onDurable) {
      const cost = bytes.length + itemBytes;
      // One that is larger than the queue is let in when that is empty, so that it is not refused for ever.
      if (queue.size > 0 && queuedBytes + cost > bytesMax) return false;
      queue.add({ bytes, isOneEvent, onDurable, timeMs: clock.now().getTime() });
      queuedBytes += cost;
      bell.ring();
      return true;
    },

    withdraw(onDurable) {
      const item = queue.values().find((each) => each.onDurable === onDurable);
      if (item === undefined) return false;
      queue.delete(item);
      leave(item.bytes.length + itemBytes);
      return true;
    },

    async roomAgain() {
      if (!isOver && queuedBytes > bytesMax / 2) await new Promise<void>((resolve) => waiting.push(resolve));
      return !isOver;
    },

    async *chunks(_from, signal) {
      isOver = false;
      const listening = listen(signal);
      try {
        for (;;) {
          while (queue.size > 0) yield take();
          // Looked at after the queue: what was pushed before the stop is still handed on.
          if (signal.aborted) break;
          await bell.rung(signal);
        }
      } finally {
        isOver = true;
        for (const resume of waiting) resume();
        await listening;
      }
      while (queue.size > 0) yield take();
    },

    counts: () => ({ lagBytes: queuedBytes, items: queue.size }),
  };
}
