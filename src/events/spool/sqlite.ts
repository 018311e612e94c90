import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import type { Secret } from '../../base/secret.ts';
import type { Batch, SingleEvent, StreamName } from '../batch.ts';
import { eventsError } from '../errors.ts';
import { eventsEvent } from '../log-events.ts';
import {
  deadLetterBytesMax,
  type RefusedEvent,
  type SourcePosition,
  type Spool,
  type SpooledBatch,
  streamKey,
} from '../spool.ts';
import { room } from './room.ts';
import { spoolSeal } from './seal.ts';
import {
  bytesIn,
  inTransaction,
  numberIn,
  openDatabase,
  reasonIn,
  spoolError,
  statementsOf,
  streamIn,
  textIn,
} from './sqlite-database.ts';

export interface SqliteSpoolOptions {
  /** The file; made with mode 0600. Its folder must be on a local disk. */
  readonly path: string;
  readonly bytesMax: number;
  /** 32 bytes that seal every batch. The caller owns it and keeps it until `close`. */
  readonly dataKey: Secret | undefined;
  /** Whether batches may be kept in clear when there is no key. */
  readonly allowClearSpool: boolean;
  readonly deadLetterBytesMax?: number;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Log;
}

/** What a row costs beside its body; keeps many tiny batches inside the bound too. */
const rowBytes = 512;
/** Bodies of the newest batches stay in memory: mostly they are sent at once and need not be read and opened again. */
const cacheBytesMax = 8 * 2 ** 20;
/**
 * The spool in one SQLite file: WAL and `synchronous=FULL`, so that a resolved append survives power loss. Batches and
 * dead letters are sealed (AES-256-GCM, bound to id and stream); positions, names and counts are in clear.
 *
 * A settled batch is removed without waiting for the disk: it survives a killed process, and after a power loss the
 * batch may be sent once more, which at-least-once allows. Dead letters are synced.
 *
 * @throws EVENTS_SPOOL_KEY_MISSING, EVENTS_SPOOL_NEWER, EVENTS_SPOOL_LOCKED, EVENTS_SPOOL_DAMAGED, EVENTS_SPOOL_UNWRITABLE
 */
export function sqliteSpool(options: SqliteSpoolOptions): Spool {
  const { path, bytesMax, dataKey, allowClearSpool, clock, log } = options;
  if (dataKey === undefined && !allowClearSpool) throw eventsError('EVENTS_SPOOL_KEY_MISSING', { path });
  const database = openDatabase(path);
  try {
    return spoolOf(database);
  } catch (error) {
    database.close();
    throw spoolError(error, path);
  }

  function spoolOf(db: DatabaseSync): Spool {
    const seal = dataKey === undefined ? undefined : spoolSeal(dataKey);
    const statements = statementsOf(db);
    const letterBytesMax = options.deadLetterBytesMax ?? deadLetterBytesMax;

    const waiting = new Map<string, { readonly stream: StreamName; batches: number }>();
    const sizes = new Map<number, number>();
    const cache = new Map<number, Buffer>();
    let cacheBytes = 0;
    const kept = statements.letterCounts.get();
    let letters = { count: numberIn(kept, 'count'), bytes: numberIn(kept, 'bytes') };
    let lastId = numberIn(statements.lastBatchId.get(), 'seq');
    let spooledBytes = 0;
    for (const row of statements.batchSizes.iterate()) {
      const size = numberIn(row, 'size') + rowBytes;
      count(streamIn(row), 1);
      sizes.set(numberIn(row, 'id'), size);
      spooledBytes += size;
    }
    const space = room(bytesMax, spooledBytes, log);

    function count(stream: StreamName, change: 1 | -1): void {
      const key = streamKey(stream);
      const entry = waiting.get(key) ?? { stream, batches: 0 };
      entry.batches += change;
      if (entry.batches === 0) waiting.delete(key);
      else waiting.set(key, entry);
    }

    function remember(id: number, body: Buffer): void {
      if (cacheBytes + body.length > cacheBytesMax) return;
      cache.set(id, body);
      cacheBytes += body.length;
    }

    function forget(id: number): void {
      cacheBytes -= cache.get(id)?.length ?? 0;
      cache.delete(id);
    }

    function insert(id: number, { stream, body, events, bytes }: Batch): void {
      const { logGroup, logStream } = stream;
      const stored = sealed(body, contextOf('batch', id, stream));
      statements.insertBatch.run(id, logGroup, logStream, events, bytes, stored.seal, stored.bytes);
    }

    function bodyOf(id: number, stream: StreamName): Buffer {
      const row = statements.body.get(id);
      return opened(row?.['seal'], bytesIn(row, 'body'), contextOf('batch', id, stream));
    }

    function sealed(bytes: Buffer, context: string): { seal: Uint8Array | null; bytes: Uint8Array } {
      if (seal === undefined) return { seal: null, bytes };
      const { ciphertext, seal: own } = seal.seal(bytes, context);
      return { seal: own, bytes: ciphertext };
    }

    function opened(own: SQLOutputValue | undefined, bytes: Uint8Array, context: string): Buffer {
      if (!(own instanceof Uint8Array)) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      if (seal === undefined) throw eventsError('EVENTS_SPOOL_KEY_MISSING', { path });
      return seal.open({ ciphertext: bytes, seal: own }, context);
    }

    function keepRefused(stream: StreamName, refused: readonly RefusedEvent[]): void {
      for (const { reason, timestamp, message } of refused) {
        const id = numberIn(statements.lastLetterId.get(), 'seq') + 1;
        const event = Buffer.from(JSON.stringify({ timestamp, message }));
        const { logGroup, logStream } = stream;
        const stored = sealed(event, contextOf('dead letter', id, stream));
        const refusedMs = clock.now().getTime();
        statements.insertLetter.run(id, logGroup, logStream, reason, refusedMs, stored.seal, stored.bytes);
        letters = { count: letters.count + 1, bytes: letters.bytes + event.length };
      }
    }

    /** Makes room in the dead letter, oldest first; returns how many went. */
    function trimLetters(): number {
      let lost = 0;
      while (letters.bytes > letterBytesMax) {
        const oldest = statements.deleteOldestLetter.get();
        if (oldest === undefined) break;
        letters = { count: letters.count - 1, bytes: letters.bytes - numberIn(oldest, 'size') };
        lost += 1;
      }
      return lost;
    }

    function move(positions: readonly SourcePosition[]): void {
      for (const { source, item, value } of positions) {
        if (value === undefined) statements.deletePosition.run(source, item);
        else statements.putPosition.run(source, item, value);
      }
    }

    return {
      append(batch, positions, signal) {
        const size = batch.body.length + rowBytes;
        return space.within(size, signal, () => {
          const id = lastId + 1;
          try {
            inTransaction(db, () => {
              move(positions);
              insert(id, batch);
            });
          } catch (error) {
            throw spoolError(error, path);
          }
          lastId = id;
          sizes.set(id, size);
          count(batch.stream, 1);
          remember(id, batch.body);
        });
      },

      async keep(positions) {
        try {
          inTransaction(db, () => move(positions));
        } catch (error) {
          throw spoolError(error, path);
        }
      },

      async read({ stream, batchesMax }) {
        try {
          const rows = statements.heads.all(stream.logGroup, stream.logStream, batchesMax);
          return rows.map((row): SpooledBatch => {
            const id = numberIn(row, 'id');
            const body = cache.get(id) ?? bodyOf(id, stream);
            return { id, stream, events: numberIn(row, 'events'), bytes: numberIn(row, 'bytes'), body };
          });
        } catch (error) {
          throw spoolError(error, path);
        }
      },

      async settle({ id, stream }, refused) {
        const size = sizes.get(id);
        if (size === undefined) return;
        let lost = 0;
        const before = letters;
        try {
          if (refused.length === 0) db.exec('PRAGMA synchronous = NORMAL');
          inTransaction(db, () => {
            statements.deleteBatch.run(id);
            keepRefused(stream, refused);
            lost = trimLetters();
          });
        } catch (error) {
          letters = before;
          throw spoolError(error, path);
        } finally {
          if (refused.length === 0) db.exec('PRAGMA synchronous = FULL');
        }
        sizes.delete(id);
        count(stream, -1);
        forget(id);
        space.give(size);
        if (lost > 0) {
          log(eventsEvent('events.dead-letter-full', { events: lost, bytesMax: letterBytesMax }));
        }
      },

      position(source) {
        const rows = statements.positions.all(source);
        return new Map(rows.map((row) => [textIn(row, 'item'), textIn(row, 'value')]));
      },

      streams: () => [...waiting.values()].map(({ stream }) => stream),

      deadLetters(limit) {
        return statements.letters.all(limit).map((row) => {
          const id = numberIn(row, 'id');
          const stream = streamIn(row);
          const context = contextOf('dead letter', id, stream);
          const event = opened(row['seal'], bytesIn(row, 'event'), context);
          const { timestamp, message }: SingleEvent = JSON.parse(event.toString());
          return {
            id,
            stream,
            reason: reasonIn(row),
            refusedMs: numberIn(row, 'refused_ms'),
            timestamp,
            message,
          };
        });
      },

      counts: () => ({
        batches: sizes.size,
        bytes: space.bytes,
        bytesMax,
        isSealed: seal !== undefined,
        deadLetters: letters.count,
        deadLetterBytes: letters.bytes,
      }),

      close() {
        db.close();
        cache.clear();
      },
    };
  }
}

/** What sealed bytes are bound to. */
function contextOf(kind: string, id: number, { logGroup, logStream }: StreamName): string {
  return JSON.stringify([kind, id, logGroup, logStream]);
}
