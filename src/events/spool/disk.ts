import type { Clock } from '../../base/clock.ts';
import { errnoOf } from '../../base/errno.ts';
import { asGatehouseError } from '../../base/errors.ts';
import type { Log } from '../../base/log-events.ts';
import type { Batch, StreamName } from '../batch.ts';
import { returnBody } from '../body-memory.ts';
import { eventsError } from '../errors.ts';
import { eventsEvent } from '../log-events.ts';
import type { BatchToAppend, Spool, SpooledBatch } from '../spool.ts';
import { bodyCache } from './body-cache.ts';
import type { KeyRing } from './data-keys.ts';
import { openDeadLetters } from './dead-letters.ts';
import { type Appended, groupBytesMax, type HeldRecord } from './group-writer.ts';
import { keptPositions, type PositionEntry, positionEntries } from './kept-positions.ts';
import { type LossReason, losses } from './lost-batches.ts';
import { openQuarantine } from './quarantine.ts';
import { recordKind } from './record.ts';
import { openRecordLog, type Replayed } from './record-log.ts';
import { room } from './room.ts';
import type { Storage } from './storage.ts';
import type { StoredRecord } from './stored-records.ts';
import { type WaitingBatch, waitingBatches } from './waiting-batches.ts';

/** The folders of a spool, in the state directory. */
export interface SpoolFolders {
  readonly spool: Storage;
  readonly deadLetter: Storage;
  readonly quarantine: Storage;
}

export interface DiskSpoolOptions {
  readonly folders: SpoolFolders;
  readonly bytesMax: number;
  /** Undefined: what is appended stays in clear. */
  readonly keys: KeyRing | undefined;
  /** Whether it may. */
  readonly allowClearSpool: boolean;
  /** Refused events beyond this are lost, oldest first, and that is said. */
  readonly deadLetterBytesMax: number;
  readonly segmentBytes?: number;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Log;
}

/** Segments of the spool; an eighth of its bound where that is less. */
export const segmentBytesMax = 64 * 2 ** 20;
/** Batches that wait. Each takes about 200 bytes of memory; many small ones are counted as larger than they are. */
export const batchesMax = 1_000_000;
/**
 * Bodies that were just written stay in memory: mostly they are sent at once and need not be read and opened again. What
 * comes after them is read ahead into the same room.
 */
export const cacheBytesMax = 8 * 2 ** 20;
/** Behind so many of its stream a batch is not kept: the room is for those whose turn comes before. */
const keptInStreamMax = 8;
/** A batch that the disk did not give this often is given up. */
const readTriesMax = 8;

interface BatchMeta {
  readonly id: number;
  readonly group: string;
  readonly stream: string;
  /** As in `StreamName`. */
  readonly roleOf?: string;
  readonly events: number;
  readonly bytes: number;
  readonly positions: readonly PositionEntry[];
  /** Absent from what an older version kept: then its age is not known, and begins with this start. */
  readonly addedMs?: number;
  /** As in `Batch`. */
  readonly mayHaveMetrics?: boolean;
}

interface SpoolState {
  readonly lastId: number;
  readonly positions: readonly PositionEntry[];
}

/**
 * The spool on a local disk: batches with their positions are records of a log (`record-log.ts`), and dead letters are
 * records of another. Bodies are sealed (AES-256-GCM, bound to id and stream); positions, names and counts are in clear.
 *
 * What does not read is told of, put into quarantine, and passed over. Where it was the positions, sources go on from an
 * older place, or from the start: duplicates rather than loss.
 *
 * @throws EVENTS_SPOOL_KEY_MISSING, EVENTS_SPOOL_UNWRITABLE, EVENTS_SPOOL_UNREADABLE: it may open later
 */
export async function diskSpool(options: DiskSpoolOptions): Promise<Spool> {
  const { folders, bytesMax, keys, clock, log } = options;
  const { path } = folders.spool;
  if (keys === undefined && !options.allowClearSpool) throw eventsError('EVENTS_SPOOL_KEY_MISSING', { path });

  const sizeMin = Math.ceil(bytesMax / batchesMax);
  const waiting = waitingBatches();
  const positions = keptPositions();
  const cache = bodyCache(cacheBytesMax);
  /** Ids of batches that are only in the dead letter: one that is refused again has the same. */
  const refusedIds = new WeakMap<Batch, number>();
  const openedMs = clock.now().getTime();
  let lastId = 0;

  const quarantine = await openQuarantine(folders.quarantine, clock);
  const lost = losses({ quarantine, raw: (record) => records.raw(record), log });
  const replayed = new Map<number, WaitingBatch>();
  const settledIds = new Set<number>();
  const sealer = async () => keys?.current();
  const records = await openRecordLog({
    storage: folders.spool,
    segmentBytes: options.segmentBytes ?? Math.min(segmentBytesMax, Math.floor(bytesMax / 8)),
    sealer,
    state: (): SpoolState => ({ lastId, positions: positions.entries() }),
    restore,
    replay,
    held: () => [...replayed.values()].map(({ record }) => record),
    onDamage: (damage) => lost.tellDamage('spool', damage),
    onCut: (segment, bytes) => log(eventsEvent('events.spool-cut', { segment, bytes })),
  });
  const letters = await orClose(
    openDeadLetters({
      storage: folders.deadLetter,
      bytesMax: options.deadLetterBytesMax,
      sealer,
      opened,
      onDamage: (damage) => lost.tellDamage('dead-letter', damage),
      clock,
      log,
    }),
    [records],
  );
  // Ids of batches that did not read, and may be read at the next start: none of them took less than a byte.
  lastId = Math.max(lastId, letters.batchIdMax) + records.unreadBytes + letters.unreadBytes;
  let spooledBytes = 0;
  // By id, not by place: a batch that was moved is as old as it was.
  for (const entry of [...replayed.values()].toSorted((a, b) => a.id - b.id)) {
    waiting.add(entry);
    spooledBytes += entry.size;
  }
  await orClose(
    letters.forgetBatches((id) => replayed.has(id)),
    [records, letters],
  );
  // What did not read may be sealed under any of them.
  if (records.unreadBytes + letters.unreadBytes === 0) {
    keys?.prune(() => [...records.keys.keys(), ...letters.keys.keys()]);
  }
  replayed.clear();
  settledIds.clear();
  const space = room(bytesMax, spooledBytes, log);

  function restore(state: SpoolState): void {
    lastId = Math.max(lastId, state.lastId);
    positions.clear();
    positions.move(state.positions);
  }

  function replay({ kind, json, record, isSettled, isMoved }: Replayed): void {
    if (kind === recordKind.notes) {
      const entries: readonly PositionEntry[] = JSON.parse(json);
      positions.move(entries);
    } else if (kind === recordKind.batch) {
      const batch: BatchMeta = JSON.parse(json);
      lastId = Math.max(lastId, batch.id);
      // A copy moves no position: its original did, before others.
      if (!isMoved) positions.move(batch.positions);
      if (isSettled) {
        settledIds.add(batch.id);
        replayed.delete(batch.id);
      } else if (!settledIds.has(batch.id)) {
        replayed.set(batch.id, entryOf(batch, record));
      }
    }
  }

  function entryOf(
    { id, group, stream, roleOf, events, bytes, addedMs, mayHaveMetrics = false }: BatchMeta,
    record: HeldRecord,
  ): WaitingBatch {
    const size = Math.max(record.length, sizeMin);
    return {
      id,
      stream: { logGroup: group, logStream: stream, ...(roleOf === undefined ? {} : { roleOf }) },
      events,
      bytes,
      addedMs: addedMs ?? openedMs,
      mayHaveMetrics,
      record,
      size,
      failedReads: 0,
    };
  }

  /** True for whoever removes it. */
  function take(entry: WaitingBatch): boolean {
    if (!waiting.remove(entry)) return false;
    cache.forget(entry.id);
    space.give(entry.size);
    return true;
  }

  async function opened({ head, body }: StoredRecord, context: string): Promise<Buffer> {
    if (head.sealed === undefined) return body;
    const { keyId, seal } = head.sealed;
    if (keys === undefined) throw eventsError('EVENTS_SPOOL_KEY_UNAVAILABLE', { keyId });
    return (await keys.of(keyId)).open(body, seal, context);
  }

  async function storedBody({ id, stream, record }: WaitingBatch): Promise<Buffer> {
    return opened(await records.read(record), contextOf(id, stream));
  }

  /** While a batch is being sent, the one after it is read and opened. */
  function readAhead(next: WaitingBatch | undefined): void {
    if (next !== undefined) cache.readAhead(next.id, next.record.length, () => storedBody(next));
  }

  /** Undefined where it was lost, which is told. @throws EVENTS_SPOOL_UNREADABLE, EVENTS_SPOOL_KEY_UNAVAILABLE: try again */
  async function bodyOf(entry: WaitingBatch): Promise<Buffer | undefined> {
    await cache.settled(entry.id);
    const known = cache.get(entry.id);
    if (known !== undefined) return known;
    const { segment } = entry.record;
    try {
      return await storedBody(entry);
    } catch (error) {
      // It was moved meanwhile, and what was read is gone with all that was in it.
      if (entry.record.segment !== segment) return bodyOf(entry);
      const { code, cause } = asGatehouseError(error);
      if (code === 'EVENTS_SPOOL_DAMAGED') await lose([entry], 'damaged');
      else if (code === 'EVENTS_SPOOL_KEY_LOST') await loseKey(entry);
      else if (code !== 'EVENTS_SPOOL_UNREADABLE') throw error;
      else if (errnoOf(cause) === 'ENOENT') await lose(inSegment(entry.record.segment), 'segment-missing');
      else if (entry.failedReads < readTriesMax) {
        entry.failedReads += 1;
        throw error;
      } else await lose([entry], 'unreadable');
      return undefined;
    }
  }

  function inSegment(segment: number): WaitingBatch[] {
    return waiting.all().filter(({ record }) => record.segment === segment);
  }

  async function loseKey({ record: { keyId } }: WaitingBatch): Promise<void> {
    await lose(
      waiting.all().filter(({ record }) => record.keyId === keyId),
      'key-lost',
    );
  }

  /** Passes over batches that will never be read; says what went, and keeps the remains. */
  async function lose(entries: readonly WaitingBatch[], reason: LossReason): Promise<void> {
    const taken = entries.filter(take);
    if (taken.length === 0) return;
    await lost.tell(taken, reason);
    // What cannot be marked may be met again at the next start, and then is told again.
    for (const { record } of taken) await records.settle(record).catch(() => records.forget(record));
  }

  function sizeOf({ body }: Batch): number {
    return Math.max(sizeMin, body.length + recordBytes);
  }

  /**
   * As many of the first as one write takes, no more than a small part of the bound, for others want room too, and no more
   * than there is room for: the first need not wait for theirs.
   */
  function together(asked: readonly BatchToAppend[]): readonly BatchToAppend[] {
    const togetherMax = Math.min(groupBytesMax, bytesMax / 8, bytesMax - space.bytes);
    let bytes = 0;
    const count = asked.findIndex(({ batch }) => (bytes += sizeOf(batch)) > togetherMax);
    return asked.slice(0, count < 0 ? asked.length : Math.max(1, count));
  }

  /** Asks for room for all of them at once, and writes them at once. */
  function appendAll(asked: readonly BatchToAppend[], signal: AbortSignal): Promise<readonly number[]> {
    const size = asked.reduce((sum, { batch }) => sum + sizeOf(batch), 0);
    return space.within(size, signal, async () => {
      const addedMs = clock.now().getTime();
      const added = asked.map((each) => {
        lastId += 1;
        return { id: lastId, record: recordOf(each, lastId, addedMs) };
      });
      await records.append(...added.map(({ record }) => record));
      return added.map(({ id }) => id);
    });
  }

  function recordOf({ batch, positions: moved }: BatchToAppend, id: number, addedMs: number): Appended {
    const { stream, body, events, bytes, mayHaveMetrics = false } = batch;
    const entries = positionEntries(moved);
    const meta = {
      id,
      group: stream.logGroup,
      stream: stream.logStream,
      ...(stream.roleOf === undefined ? {} : { roleOf: stream.roleOf }),
      events,
      bytes,
      positions: entries,
      addedMs,
      ...(mayHaveMetrics ? { mayHaveMetrics } : {}),
    } satisfies BatchMeta;
    return {
      draft: { kind: recordKind.batch, meta, body, context: contextOf(id, stream) },
      onDurable(record) {
        positions.move(entries);
        const size = sizeOf(batch);
        const own = { id, stream, events, bytes, addedMs, mayHaveMetrics };
        waiting.add({ ...own, record, size, failedReads: 0 });
        if (waiting.ofStream(stream).size <= keptInStreamMax) cache.keep(id, body);
      },
    };
  }

  return {
    sizeOf,

    async append(batch, moved, signal) {
      const [id = lastId] = await appendAll([{ batch, positions: moved }], signal);
      return id;
    },

    appendFirst: (asked, signal) => appendAll(together(asked), signal),

    async keep(moved) {
      const meta = positionEntries(moved);
      await records.append({
        draft: { kind: recordKind.notes, meta },
        onDurable: () => positions.move(meta),
      });
    },

    async read({ stream, batchesMax: limit, except }) {
      const found: SpooledBatch[] = [];
      for (const entry of waiting.ofStream(stream).values()) {
        if (except?.has(entry.id) === true) continue;
        if (found.length >= limit) {
          readAhead(entry);
          break;
        }
        const body = await bodyOf(entry);
        if (body === undefined) continue;
        const { id, events, bytes, addedMs, mayHaveMetrics } = entry;
        // It may have been settled while it was read.
        if (waiting.ofStream(stream).has(id)) {
          found.push({ id, stream, events, bytes, body, addedMs, mayHaveMetrics });
        } else returnBody(body);
      }
      return found;
    },

    async settle({ id, stream }, refused) {
      const entry = waiting.ofStream(stream).get(id);
      if (entry === undefined) return false;
      if (refused.length > 0) await letters.add(id, entry, refused);
      await records.settle(entry.record);
      return take(entry);
    },

    async refuse(batch, refused) {
      let id = refusedIds.get(batch);
      if (id === undefined) {
        lastId += 1;
        id = lastId;
        refusedIds.set(batch, id);
      }
      await letters.add(id, batch, refused);
    },

    position: (source) => positions.of(source),
    streams: () => waiting.streams(),
    deadLetters: (limit, after = 0) => letters.list(limit, after),
    deadLetter: (id) => letters.open(id),
    dropDeadLetter: (id) => letters.remove(id),

    counts: () => ({
      batches: waiting.size,
      bytes: space.bytes,
      bytesMax,
      fileBytes: records.fileBytes,
      isSealed: keys !== undefined,
      isFailing: false,
      deadLetters: letters.count,
      deadLetterBytes: letters.bytes,
      lostBatches: lost.batches,
      lostEvents: lost.events,
      quarantineBytes: quarantine.bytes,
      isFull: space.isWaitedFor,
    }),

    async close() {
      await records.close();
      await letters.close();
      cache.clear();
    },
  };
}

/** Where it fails, what is open already is closed: Node ends the process for a file that is only forgotten. */
async function orClose<T>(opening: Promise<T>, open: readonly { close(): Promise<void> }[]): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    await Promise.allSettled(open.map((each) => each.close()));
    throw error;
  }
}

/** What a record costs beside its body, about; keeps many tiny batches inside the bound too. */
const recordBytes = 512;
/** What sealed bytes are bound to. */
function contextOf(id: number, { logGroup, logStream, roleOf }: StreamName): string {
  return JSON.stringify(['batch', id, logGroup, logStream, ...(roleOf === undefined ? [] : [roleOf])]);
}
