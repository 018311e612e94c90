import { randomBytes } from 'node:crypto';
import { createReadStream, fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import type { EventSource } from '../event-source.ts';
import { eventsEvent } from '../log-events.ts';
import { lineChunks } from './line-chunks.ts';
import { lineCutter } from './line-cutter.ts';
import { textFormat } from './text-format.ts';

export interface StdinSourceOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  /** What is read; our own standard input when absent. */
  readonly input?: Readable;
}

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
      const stop = (): void => void stream.destroy();
      signal.addEventListener('abort', stop, { once: true });
      try {
        yield* lineChunks({ stream, cutter, file: undefined, clock }, signal);
      } finally {
        signal.removeEventListener('abort', stop);
        stream.destroy();
      }
      if (!signal.aborted) log(eventsEvent('events.stdin-ended', { source: name }));
    },
    counts: () => ({ lagBytes: cutter.heldBytes, items: 1 }),
  };
}

/** A pipe or socket without a thread that waits in a read, which could not be ended. */
function standardInput(): Readable {
  const stat = fstatSync(0);
  if (stat.isFIFO() || stat.isSocket()) return new Socket({ fd: 0, readable: true, writable: false });
  return createReadStream('', { fd: 0 });
}
