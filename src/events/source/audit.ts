import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import type { EventSource } from '../event-source.ts';
import { eventsEvent } from '../log-events.ts';
import { wake } from '../wake.ts';

export interface AuditSourceOptions {
  readonly name: string;
  /** Bytes that wait before the spool. */
  readonly queueBytesMax?: number;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Log;
}

export interface AuditSource extends EventSource {
  /** Takes one record: a line of JSON without its end. A record that finds the queue full is lost, counted and said. */
  push(line: string): void;
  /** Records taken since the start. */
  taken(): number;
  /** Records that found no room since the start. */
  lost(): number;
  /** Whether records are being lost: from the first that found no room until half of the queue is free. */
  isLosing(): boolean;
}

const auditQueueBytesMax = 4 * 2 ** 20;
const recordBytesMax = 256 * 1024;
/**
 * A chunk of records must fit into one batch, whatever a chain adds to each: the head of the chain becomes durable with
 * all of them or none. A batch takes 10,000 events and 1 MiB.
 */
const chunkRecordsMax = 500;
const chunkBytesMax = 512 * 1024;

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
  let taken = 0;
  let lost = 0;
  /** Of `lost`, those that were told of. */
  let toldLost = 0;
  let isLosing = false;

  function take(): Buffer {
    let length = 0;
    let count = 0;
    for (const line of queue) {
      if (length + line.length > chunkBytesMax || count === chunkRecordsMax) break;
      length += line.length;
      count += 1;
    }
    const bytes = Buffer.concat(queue.slice(0, count), length);
    queue = queue.slice(count);
    queuedBytes -= length;
    noteRoom();
    return bytes;
  }

  /** Told when there is room again: it is a record itself, and would be lost like those it tells of. */
  function noteRoom(): void {
    if (!isLosing || queuedBytes > queueBytesMax / 2) return;
    isLosing = false;
    log(eventsEvent('events.audit-dropped', { source: name, records: lost - toldLost }));
    toldLost = lost;
  }

  return {
    push(line) {
      const bytes = Buffer.from(`${line}\n`);
      if (bytes.length > recordBytesMax || queuedBytes + bytes.length > queueBytesMax) {
        lost += 1;
        if (!isLosing) log(eventsEvent('events.audit-full', { source: name }));
        isLosing = true;
        return;
      }
      taken += 1;
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

    taken: () => taken,
    lost: () => lost,
    isLosing: () => isLosing,
    counts: () => ({ lagBytes: queuedBytes, items: queue.length }),
  };
}
