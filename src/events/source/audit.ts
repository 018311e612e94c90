import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import type { EventSource } from '../event-source.ts';
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
  /** Records taken since the start. */
  taken(): number;
  /** Records that found no room since the start. */
  lost(): number;
  /** Whether records are being lost: from the first that found no room until half of the queue is free. */
  isLosing(): boolean;
}

const auditQueueBytesMax = 4 * 2 ** 20;
/** Losses are said as they begin, and then at most this often. */
const sayEveryMs = 60 * 1000;
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
  /** Of `lost`, those that were said. */
  let saidLost = 0;
  let isLosing = false;
  /** Whether the loss that goes on, or the last one, was said as it began. */
  let isBeginSaid = false;
  let sayAtMs = 0;

  /** Losses are said by the log alone, never as audit records, which would find the queue as full. */
  function beginLosing(): void {
    isLosing = true;
    isBeginSaid = clock.monotonic() >= sayAtMs;
    if (!isBeginSaid) return;
    sayAtMs = clock.monotonic() + sayEveryMs;
    log(eventsEvent('events.audit-full', { source: name }));
  }

  function sayLost(): void {
    if (lost === saidLost) return;
    log(eventsEvent('events.audit-dropped', { source: name, records: lost - saidLost }));
    saidLost = lost;
  }

  function sayLostWhenDue(): void {
    if (lost === saidLost || clock.monotonic() < sayAtMs) return;
    sayAtMs = clock.monotonic() + sayEveryMs;
    sayLost();
  }

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

  function noteRoom(): void {
    const isOver = isLosing && queuedBytes <= queueBytesMax / 2;
    if (isOver) isLosing = false;
    // An end belongs to its beginning: there are as few of one as of the other.
    if (isOver && isBeginSaid) sayLost();
    else sayLostWhenDue();
  }

  return {
    push(line) {
      const bytes = Buffer.from(`${line}\n`);
      if (bytes.length > recordBytesMax || queuedBytes + bytes.length > queueBytesMax) {
        lost += 1;
        if (isLosing) sayLostWhenDue();
        else beginLosing();
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
