import { isNoRoom } from '../../base/errno.ts';
import { eventsError } from '../errors.ts';
import { compaction } from './compaction.ts';
import { diskReserve, reserveBytes } from './disk-reserve.ts';
import {
  type Appended,
  type BodySealer,
  groupBytesMax,
  groupWriter,
  type HeldRecord,
  type RecordDraft,
} from './group-writer.ts';
import { openFiles } from './open-files.ts';
import { contentOf, type RecordContent, recordKind } from './record.ts';
import { type Checkpoint, checkpointIn, type FoundSegment, findLog } from './recovery.ts';
import { emptySegment, type Segment, segmentsOfLog } from './segments.ts';
import type { Storage, StorageFile } from './storage.ts';
import { type StoredRecord, storedRecords } from './stored-records.ts';

/** A record as it is met at the opening. */
export interface Replayed extends RecordContent {
  readonly record: HeldRecord;
  readonly isSettled: boolean;
}

/** Bytes, or a whole segment, that were durable and do not read. */
export interface Damage {
  readonly kind: 'gap' | 'missing' | 'unreadable';
  readonly segment: number;
  /** Of a gap: where in the segment it is. */
  readonly from?: number;
  readonly to?: number;
  /** Of a missing segment: how many needed records it held, as far as is known. */
  readonly records?: number;
  /** Whether there is no checkpoint left: the state is only what later records add up to. */
  readonly isState: boolean;
  /** What of it can be read. */
  readonly bytes: (lengthMax: number) => Promise<Buffer>;
}

export interface RecordLogOptions<State> {
  readonly storage: Storage;
  /** A segment that is longer, its checkpoint not counted, is followed by a new one. */
  readonly segmentBytes: number;
  /** What to seal with; undefined: bodies stay in clear. A throw refuses the appends that need it. */
  readonly sealer: () => Promise<BodySealer | undefined>;
  /** What a checkpoint keeps: all that the durable records add up to, beside the held ones. */
  readonly state: () => State;
  /** Told of that at the opening, */
  readonly restore: (state: State) => void;
  /** and of every record that is there, in order; */
  readonly replay: (replayed: Replayed) => void;
  /** then asked which of them are needed. */
  readonly held: () => Iterable<HeldRecord>;
  readonly onDamage: (damage: Damage) => Promise<void>;
  /** Told of bytes at the end that a crash left and nobody was told of. */
  readonly onCut: (segment: number, bytes: number) => void;
}

/**
 * Records appended to segment files, and removed by removing segments. Appends that come while a sync is under way go
 * with the next one: together they cost one write and one sync, neither of them on this thread.
 *
 * Durable means: the bytes are synced, and so is the name of a new segment. A record that is not needed any more is
 * marked in its place, which takes no space on the disk and is not waited for: after a power loss it may be there again.
 * A segment none of whose records is needed is removed; one that holds few of them gives them to the newest.
 *
 * Each segment begins with a checkpoint, so that older ones may go.
 */
export interface RecordLog {
  /**
   * Makes all of them durable, with one write. `onDurable` is called in the order of the appends, before the promise
   * resolves. @throws EVENTS_SPOOL_UNWRITABLE, and what the sealer throws: then none is there
   */
  append(...records: readonly Appended[]): Promise<void>;
  /** Whoever reads it holds the memory of its body. @throws EVENTS_SPOOL_DAMAGED, EVENTS_SPOOL_UNREADABLE */
  read(record: HeldRecord): Promise<StoredRecord>;
  /** What is there, whether or not it is whole. @throws EVENTS_SPOOL_UNREADABLE */
  raw(record: HeldRecord): Promise<Buffer>;
  /** The record is needed no more. @throws EVENTS_SPOOL_UNWRITABLE, and then it is held as before */
  settle(record: HeldRecord): Promise<void>;
  /** As `settle`, where it cannot be marked: it may be there again at the next opening. */
  forget(record: HeldRecord): void;
  /** Bytes of all segments. */
  readonly fileBytes: number;
  /**
   * Bytes that the disk did not give at the opening, and may give at the next: records may be in them that are known of
   * neither here nor in `keys`.
   */
  readonly unreadBytes: number;
  /** How many held records each key seals. */
  readonly keys: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

interface Queued {
  readonly records: readonly Appended[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * What is written durably takes no marks with it. They are made durable with each so many groups, beside them: of no more
 * batches a power loss sends some again, or of those of half a minute, for after that the kernel writes them.
 */
const groupsPerMarksSync = 8;

/** @throws EVENTS_SPOOL_UNWRITABLE, EVENTS_SPOOL_UNREADABLE: it may open later */
export async function openRecordLog<State>(options: RecordLogOptions<State>): Promise<RecordLog> {
  const { storage, segmentBytes, onDamage } = options;
  const { path } = storage;
  const segments = segmentsOfLog();
  const files = openFiles(storage);
  const stored = storedRecords(files);
  const reserve = diskReserve(storage);
  let queue: Queued[] = [];
  /** Segments that are gone, or soon will be, while no durable record says so. */
  const dropped = new Set<number>();
  const writer = groupWriter();
  let highest = 0;
  /** The newest segment whose checkpoint is durable. */
  let base = 0;
  /** The segment that is appended to; never one of an earlier process, whose end is not known to be ours. */
  let active: Segment | undefined;
  let flushing: Promise<void> | undefined;
  const compacting = compaction({
    segments,
    segmentBytes,
    read: stored.read,
    append,
    mark: stored.mark,
    onEmptied: tidy,
  });
  let isClosed = false;
  /** Since marks were synced. */
  let groups = 0;
  /** The last write found no room. */
  let isFull = false;

  try {
    await recover();
  } catch (error) {
    await files.closeAll();
    throw error;
  }

  async function recover(): Promise<void> {
    const names = await storage.list();
    reserve.find(names);
    const found = await findLog(names, files);
    base = found.base;
    const isState = base === 0;
    highest = found.highest;
    for (const next of found.segments) await replay(await next(), isState);
    for (const { segment, records } of found.missing) {
      await onDamage({ kind: 'missing', segment, records, isState, bytes: nothing });
    }
    for (const record of options.held()) segments.hold(record);
    try {
      // What a killed process wrote may not be on the disk yet, and from now on is relied upon.
      for (const { number, name } of segments.all.values())
        if (number >= base) await (await files.of(name)).sync();
      if (segments.all.size > 0) await storage.sync();
    } catch (error) {
      throw eventsError('EVENTS_SPOOL_UNWRITABLE', { path }, error);
    }
    await Promise.all(found.leftovers.map((name) => storage.remove(name).catch(() => undefined)));
    noteEmpty();
  }

  async function replay(segment: FoundSegment, isState: boolean): Promise<void> {
    const { number, file, end, records, gaps, cutBytes } = segment;
    const unreadBytes = gaps.reduce((sum, { from, to, isUnread }) => sum + (isUnread ? to - from : 0), 0);
    const first = records.find(({ head }) => head.kind === recordKind.checkpoint);
    segments.add(emptySegment(number, { end, unreadBytes, checkpointBytes: first?.head.length ?? 0 }));
    if (file === undefined) await onDamage({ kind: 'unreadable', segment: number, isState, bytes: nothing });
    for (const { from, to } of gaps) {
      const bytes = async (lengthMax: number) =>
        (await file?.read(from, Math.min(lengthMax, to - from)).catch(() => undefined)) ?? nothing();
      await onDamage({ kind: 'gap', segment: number, from, to, isState, bytes });
    }
    if (cutBytes > 0) options.onCut(number, cutBytes);
    for (const { at, head } of records) {
      writer.goOnAfter(head.sequence);
      if (head.kind === recordKind.checkpoint) {
        options.restore(checkpointIn<State>(head.meta).state);
        continue;
      }
      const record = { segment: number, at, length: head.length, keyId: head.sealed?.keyId };
      options.replay({ ...contentOf(head), record, isSettled: head.isMarked });
    }
  }

  function append(...records: readonly Appended[]): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const bytes = records.reduce((sum, { draft }) => sum + (draft.body?.length ?? 0), 0);
    if (isClosed) reject(eventsError('EVENTS_SPOOL_UNWRITABLE', { path }));
    else queue.push({ records, bytes, resolve, reject });
    startFlush();
    return promise;
  }

  function startFlush(): void {
    flushing ??= flush().finally(() => {
      flushing = undefined;
      if (queue.length > 0) startFlush();
      else startCompacting();
    });
  }

  async function flush(): Promise<void> {
    // Whoever appends in this turn of the loop goes with this group.
    await Promise.resolve();
    while (queue.length > 0 || dropped.size > 0 || isStuck()) {
      if (isStuck()) await startAnew();
      const group = nextGroup();
      const leaving = [...dropped];
      try {
        const drafts = group.flatMap(({ records }) => records.map(({ draft }) => draft));
        answer(group, await written(drafts, leaving));
        await remove(leaving);
        for (const number of leaving) dropped.delete(number);
        groups = (groups + 1) % groupsPerMarksSync;
        if (groups === 0) void stored.syncMarks();
      } catch (error) {
        for (const queued of group) queued.reject(error);
        // It makes room, though it could not be written down; that is made up for with the next group.
        await remove(leaving);
        if (group.length === 0) break;
      }
      noteEmpty();
    }
  }

  /** Whether the newest segment, maybe of an earlier process, is what fills the disk, though nobody needs a record of it. */
  function isStuck(): boolean {
    const newest = segments.all.get(base);
    return (
      isFull &&
      reserve.isThere &&
      newest !== undefined &&
      newest.end > reserveBytes &&
      newest.held.size === 0 &&
      newest.unreadBytes === 0
    );
  }

  async function startAnew(): Promise<void> {
    const before = active;
    active = undefined;
    await reserve.giveUp();
    await written([], []).catch(() => {
      active = before;
    });
    noteEmpty();
  }

  function answer(group: readonly Queued[], places: readonly HeldRecord[]): void {
    let index = 0;
    for (const { records, resolve } of group) {
      for (const { draft, onDurable } of records) {
        const record = places[index];
        index += 1;
        if (record === undefined) continue;
        if (draft.body !== undefined) segments.hold(record);
        onDurable?.(record);
      }
      resolve();
    }
  }

  function nextGroup(): Queued[] {
    let bytes = 0;
    let count = 0;
    for (const queued of queue) {
      bytes += queued.bytes;
      if (count > 0 && bytes > groupBytesMax) break;
      count += 1;
    }
    const group = queue.slice(0, count);
    queue = queue.slice(count);
    return group;
  }

  /** Writes and syncs, with a note of the segments that leave; returns where each record is. */
  async function written(
    drafts: readonly RecordDraft[],
    leaving: readonly number[],
  ): Promise<readonly HeldRecord[]> {
    const isSealing = drafts.some(({ context }) => context !== undefined);
    const sealer = isSealing ? await options.sealer() : undefined;
    const isNew = active === undefined || active.end - active.checkpointBytes >= segmentBytes;
    const segment = active === undefined || isNew ? newSegment() : active;
    const first: RecordDraft[] = isNew ? [{ kind: recordKind.checkpoint, meta: checkpoint() }] : [];
    if (leaving.length > 0) first.push({ kind: recordKind.dropped, meta: leaving });
    const { bytes, places } = writer.encode(segment, [...first, ...drafts], sealer);
    try {
      const file = isNew
        ? files.add(segment.name, await storage.create(segment.name))
        : await files.of(segment.name);
      await put(segment, file, bytes);
      if (isNew) await storage.sync();
    } catch (error) {
      isFull = isNoRoom(error);
      if (isNew) await discard(segment);
      throw eventsError('EVENTS_SPOOL_UNWRITABLE', { path }, error);
    }
    isFull = false;
    segment.end += bytes.length;
    if (isNew) {
      segment.checkpointBytes = places[0]?.length ?? 0;
      segments.add(segment);
      active = segment;
      base = segment.number;
    }
    writer.rest();
    if (!reserve.isThere) await reserve.make();
    return places.slice(first.length);
  }

  function newSegment(): Segment {
    highest += 1;
    return emptySegment(highest);
  }

  async function put(segment: Segment, file: StorageFile, bytes: Uint8Array): Promise<void> {
    try {
      await file.writeDurably(bytes, segment.end);
    } catch (error) {
      // What found no room is taken back. After any other failure nobody knows what of it is on the disk, and another
      // sync does not tell: what follows goes to a new segment.
      if (!isNoRoom(error)) active = undefined;
      await file.truncate(segment.end).catch(() => {
        active = undefined;
      });
      throw error;
    }
  }

  async function discard({ name }: Segment): Promise<void> {
    await files.close(name);
    await storage.remove(name).catch(() => undefined);
  }

  function checkpoint(): Checkpoint<State> {
    const kept = [...segments.all.values()].filter(({ number }) => !dropped.has(number));
    return {
      segments: kept.map(({ number, end, held }) => [number, end, held.size]),
      state: options.state(),
    };
  }

  /** Notes segments that nobody needs. Never the base: what all records add up to begins there. */
  function noteEmpty(): void {
    for (const { number, held, unreadBytes } of segments.all.values()) {
      if (held.size === 0 && unreadBytes === 0 && number < base) dropped.add(number);
    }
  }

  async function remove(numbers: readonly number[]): Promise<void> {
    for (const number of numbers) {
      const segment = segments.all.get(number);
      if (segment === undefined) continue;
      segments.remove(number);
      await discard(segment);
    }
  }

  /** After records were released. */
  function tidy(): void {
    noteEmpty();
    if ((dropped.size > 0 || isStuck()) && !isClosed) startFlush();
    else startCompacting();
  }

  function startCompacting(): void {
    if (!isClosed) compacting.look(base);
  }

  return {
    append,
    read: stored.read,
    raw: stored.raw,

    async settle(record) {
      for (let marked = -1; segments.isHeld(record) && marked !== record.segment; ) {
        marked = record.segment;
        // It may be moved while it is marked: then where it is now, too.
        await stored.mark(record);
      }
      segments.release(record);
      tidy();
    },

    forget(record) {
      segments.release(record);
      tidy();
    },

    get fileBytes() {
      return segments.fileBytes;
    },

    get unreadBytes() {
      return segments.unreadBytes;
    },

    keys: segments.keys,

    async close() {
      const closed =
        active === undefined
          ? undefined
          : append({ draft: { kind: recordKind.closed, meta: null } }).catch(() => undefined);
      isClosed = true;
      await closed;
      await compacting.underWay;
      await flushing;
      await stored.syncMarks();
      await files.closeAll();
    },
  };
}

async function nothing(): Promise<Buffer> {
  return Buffer.alloc(0);
}
