import { randomBytes } from 'node:crypto';
import { createReadStream, fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import type { EventSource } from '../event-source.ts';
import { eventsEvent } from '../log-events.ts';
import { lineCutter } from './line-cutter.ts';
import { textFormat } from './text-format.ts';

export interface StdinSourceOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  /** What is read; our own standard input when absent. */
  readonly input?: Readable;
}

/** How long a last line waits for its end before it is shipped without. */
const partialLineMs = 5_000;

/**
 * Lines of standard input. A writer waits while the spool is full. Guarantee on kill: what was read and is not in the
 * spool yet is lost, and so is what waits in the pipe.
 */
export function stdinSource({ name, clock, log, input }: StdinSourceOptions): EventSource {
  const { format } = textFormat('utf-8', Buffer.alloc(0));
  const cutter = lineCutter(format, () => randomBytes(4).toString('hex'));

  return {
    async *chunks(_from, signal) {
      const stream = input ?? standardInput();
      const pieces = stream[Symbol.asyncIterator]();
      let pending: Promise<IteratorResult<Buffer>> | undefined;
      const stop = (): void => void stream.destroy();
      signal.addEventListener('abort', stop, { once: true });
      try {
        for (;;) {
          pending ??= pieces.next().catch((): IteratorResult<Buffer> => ({ done: true, value: undefined }));
          const next = cutter.heldBytes === 0 ? await pending : await inTime(pending, signal);
          if (next !== undefined) pending = undefined;
          const isOver = next === undefined || next.done === true;
          for (const taken of isOver ? cutter.end() : cutter.push(next.value)) {
            yield { ...taken, timeMs: clock.now().getTime(), positions: [], file: undefined };
          }
          if (next?.done === true) break;
        }
      } finally {
        signal.removeEventListener('abort', stop);
        stream.destroy();
      }
      if (!signal.aborted) log(eventsEvent('events.stdin-ended', { source: name }));
    },
    counts: () => ({ lagBytes: cutter.heldBytes, items: 1 }),
  };

  /** Undefined when nothing came in time. */
  async function inTime<T>(next: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
    const done = new AbortController();
    const either = AbortSignal.any([signal, done.signal]);
    const late = clock.sleep(partialLineMs, either).then(
      () => undefined,
      () => next,
    );
    try {
      return await Promise.race([next, late]);
    } finally {
      done.abort();
    }
  }
}

/** A pipe or socket without a thread that waits in a read, which could not be ended. */
function standardInput(): Readable {
  const stat = fstatSync(0);
  if (stat.isFIFO() || stat.isSocket()) return new Socket({ fd: 0, readable: true, writable: false });
  return createReadStream('', { fd: 0 });
}
