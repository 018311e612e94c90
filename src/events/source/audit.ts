import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import { chunkBytesMax, type EventSource } from '../event-source.ts';
import { eventsEvent } from '../log-events.ts';
import { wake } from '../wake.ts';

export interface AuditSourceOptions {
  readonly name: string;
  /** Bytes that wait before the spool. */
  readonly queueBytesMax?: number;
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly log: Log;
}

export interface AuditSource extends EventSource {
  /** Takes one record: a line of JSON without its end. A record that finds the queue full is lost and counted. */
  push(line: string): void;
}

const auditQueueBytesMax = 4 * 2 ** 20;
/** Losses are said as they begin, and then at most this often. */
const sayEveryMs = 60 * 1000;
/** Well below what one chunk may have, for a record comes whole or not at all. */
const recordBytesMax = 256 * 1024;

/**
 * The agent's own audit records, handed in as they are made. Guarantee on kill: what waits here is lost; once in the
 * spool it is not.
 */
export function auditSource({
  name,
  queueBytesMax = auditQueueBytesMax,
  clock,
  log,
}: AuditSourceOptions): AuditSource {
  const bell = wake();
  let queue: Buffer[] = [];
  let queuedBytes = 0;
  let dropped = 0;
  let saidDropped = 0;
  let sayAtMs = 0;

  /** By the log alone, never as an audit record, which would find the queue as full. */
  function sayDropped(): void {
    if (dropped === saidDropped || clock.monotonic() < sayAtMs) return;
    sayAtMs = clock.monotonic() + sayEveryMs;
    saidDropped = dropped;
    log(eventsEvent('events.audit-dropped', { source: name, records: dropped }));
  }

  function take(): Buffer {
    let length = 0;
    let count = 0;
    for (const line of queue) {
      if (length + line.length > chunkBytesMax) break;
      length += line.length;
      count += 1;
    }
    const bytes = Buffer.concat(queue.slice(0, count), length);
    queue = queue.slice(count);
    queuedBytes -= length;
    sayDropped();
    return bytes;
  }

  return {
    push(line) {
      const bytes = Buffer.from(`${line}\n`);
      if (bytes.length > recordBytesMax || queuedBytes + bytes.length > queueBytesMax) {
        dropped += 1;
        sayDropped();
        return;
      }
      queue.push(bytes);
      queuedBytes += bytes.length;
      bell.ring();
    },

    async *chunks(_from, signal) {
      for (;;) {
        while (queue.length > 0) {
          yield { bytes: take(), timeMs: clock.now().getTime(), positions: [], file: undefined };
        }
        // Looked at after the queue: what was pushed before the stop is still handed on.
        if (signal.aborted) return;
        await bell.rung(signal);
      }
    },

    counts: () => ({ lagBytes: queuedBytes, items: queue.length }),
  };
}
