import { closeSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import type { Chunk, EventSource, Position, Positions } from '../event-source.ts';
import { eventsEvent } from '../log-events.ts';
import { wake } from '../wake.ts';
import type { Encoding } from './encodings.ts';
import { bornMsOf, type FileRecord, fileItem, type LongLine } from './file-record.ts';
import { type FindRenamed, type FoundFile, findFiles, foldersOf, renamedFiles } from './find-files.ts';
import { newFingerprint } from './fingerprint.ts';
import { folderWatch } from './folder-watch.ts';
import { type KnownFiles, knownFiles } from './known-files.ts';
import { errnoOf, type OpenLogFile, openLogFile } from './open-log-file.ts';
import { refusedPaths } from './refused-paths.ts';
import { readBuffer, type TakenLines, type TrackedFile, trackFile } from './tracked-file.ts';

export interface FileSourceOptions {
  readonly name: string;
  /** Globs of absolute paths. */
  readonly files: readonly string[];
  readonly exclude?: readonly string[];
  /** Prefixes outside which nothing is read: `allow.readFrom`. */
  readonly readFrom: readonly string[];
  readonly encoding?: Encoding;
  readonly limits?: Partial<FileSourceLimits>;
  readonly clock: Clock;
  readonly log: Log;
}

export interface FileSourceLimits {
  readonly openFilesMax: number;
  /** Files being read, open or not, and entries of folders looked at for one glob. */
  readonly filesMax: number;
  /** How long a last line waits for its end before it is shipped without. */
  readonly partialLineMs: number;
  /** How long a rotated file is kept open after it last grew: its writer may not have noticed. */
  readonly retireAfterMs: number;
  /** How often files are looked at though no change was told. */
  readonly lookEveryMs: number;
  /** How often globs are expanded though no change was told. */
  readonly findEveryMs: number;
  /** Changes told within this time are taken together. */
  readonly gatherMs: number;
  /** Files remembered that are not there: they may have been renamed, or their disk may be away. */
  readonly absentFilesMax: number;
  /** How long they are remembered. */
  readonly forgetAfterMs: number;
}

export const fileSourceLimits: FileSourceLimits = {
  openFilesMax: 256,
  filesMax: 10_000,
  partialLineMs: 5_000,
  retireAfterMs: 30_000,
  lookEveryMs: 5_000,
  findEveryMs: 10_000,
  gatherMs: 20,
  absentFilesMax: 1_000,
  forgetAfterMs: 60 * 60 * 1000,
};

/** A look for files is followed by at least this many times its length without one, whatever changes. */
const findRestFactor = 4;

/**
 * Lines of files. What was read of a file is known by device, inode, birth and content, so that reading goes on in it wherever
 * it is renamed to, by name or through its open handle, and another file under an old name or inode starts from its
 * beginning. Guarantee on kill: nothing is lost that is still on the disk when the agent starts again.
 *
 * File calls are synchronous on purpose: this runs in a worker of its own, and a read from the page cache costs less
 * than the way to a thread pool and back.
 */
export function fileSource(options: FileSourceOptions): EventSource {
  const { name: source, files, exclude = [], readFrom, encoding = 'auto', clock, log } = options;
  const limits = { ...fileSourceLimits, ...options.limits };
  /** By item, in the order in which they take turns. */
  const tracked = new Map<string, TrackedFile>();
  let known: KnownFiles = knownFiles(new Map(), limits, clock);
  /** Items of whose files reading goes on under another, by that: forgotten with its first position. */
  const superseded = new Map<string, string>();
  const refusals = refusedPaths(source, log);
  const failingItems = new Set<string>();
  let cutPatterns: ReadonlySet<string> = new Set();
  let isFindFailing = false;
  let waiting = 0;
  /** Files were renamed while they were being found. */
  let isMoving = false;

  async function* chunks(from: Positions, signal: AbortSignal): AsyncGenerator<Chunk> {
    const bell = wake();
    const buffer = readBuffer();
    let findAtMs = clock.monotonic();
    let findNotBeforeMs = findAtMs;
    const watcher = folderWatch({
      onChange: bell.ring,
      onNames() {
        findAtMs = Math.min(findAtMs, findNotBeforeMs);
        bell.ring();
      },
      onFailed: (path, reason) => log(eventsEvent('events.watch-failed', { source, path, reason })),
    });
    known = knownFiles(from, limits, clock);
    // Before the first look, so that what comes while it lasts is not found only by the next.
    watcher.follow(new Set(foldersOf(files)));
    try {
      while (!signal.aborted) {
        if (clock.monotonic() >= findAtMs) {
          const beganMs = clock.monotonic();
          const found = find();
          watcher.follow(new Set([...foldersOf(files), ...found.map(({ path }) => dirname(path))]));
          const nowMs = clock.monotonic();
          findNotBeforeMs = nowMs + findRestFactor * (nowMs - beganMs);
          findAtMs = Math.max(nowMs + (isMoving ? limits.gatherMs : limits.findEveryMs), findNotBeforeMs);
        }
        let isIdle = true;
        for (const file of tracked.values()) {
          if (signal.aborted) return;
          const chunk = next(file);
          if (chunk === undefined) continue;
          isIdle = false;
          yield chunk;
        }
        if (isIdle) await rest(findAtMs - clock.monotonic(), signal);
      }
    } finally {
      watcher.close();
      for (const file of tracked.values()) file.close();
      tracked.clear();
    }

    function next(file: TrackedFile): Chunk | undefined {
      if (file.after !== undefined && !file.after.isAtEnd) return undefined;
      file.after = undefined;
      const nowMs = clock.monotonic();
      const quietMs = nowMs - file.quietSinceMs;
      const isOver = file.isRetired && quietMs >= limits.retireAfterMs && (file.isOpen || file.isGone);
      try {
        const taken = file.take(buffer, nowMs, isOver || quietMs >= limits.partialLineMs);
        failingItems.delete(file.item);
        if (taken !== undefined) return chunkOf(file, taken, file.position());
      } catch (error) {
        fail(file, errnoOf(error));
        return undefined;
      }
      if (!isOver) return undefined;
      letGo(file);
      return chunkOf(file, { bytes: Buffer.alloc(0) }, { item: file.item, value: undefined });
    }

    async function rest(findInMs: number, stop: AbortSignal): Promise<void> {
      const rested = new AbortController();
      const either = AbortSignal.any([stop, rested.signal]);
      const sleep = (ms: number): Promise<void> => clock.sleep(ms, either).catch(() => undefined);
      const lookInMs = Math.max(1, Math.min(limits.lookEveryMs, findInMs, partialInMs()));
      await Promise.race([bell.rung(either).then(() => sleep(limits.gatherMs)), sleep(lookInMs)]);
      rested.abort();
    }
  }

  /** When the next last line without its end has waited long enough. */
  function partialInMs(): number {
    const nowMs = clock.monotonic();
    const waits = [...tracked.values()]
      .filter(({ lagBytes, isOpen }) => isOpen && lagBytes > 0)
      .map(({ quietSinceMs }) => quietSinceMs + limits.partialLineMs - nowMs);
    return Math.min(Infinity, ...waits.filter((ms) => ms > 0));
  }

  function fail(file: TrackedFile, reason: string): void {
    for (const other of tracked.values()) if (other.after === file) other.after = undefined;
    if (failingItems.has(file.item)) return;
    failingItems.add(file.item);
    log(eventsEvent('events.file-read-failed', { source, path: file.currentPath, reason }));
  }

  function chunkOf(file: TrackedFile, taken: TakenLines, position: Position): Chunk {
    const before = superseded.get(file.item);
    superseded.delete(file.item);
    // Only where there are bytes: a position without any waits for the next batch of its stream, which may never come.
    const forgotten =
      taken.bytes.length === 0 ? [] : known.takeForgotten().filter(({ item }) => !tracked.has(item));
    const positions = [
      position,
      ...(before === undefined ? [] : [{ item: before, value: undefined }]),
      ...forgotten,
    ];
    return { ...taken, timeMs: clock.now().getTime(), positions, file: file.path };
  }

  /** Reads no more of a file. Only of one that was open to its end is it known that this was read. */
  function letGo(file: TrackedFile): void {
    const { path, offset } = file;
    log(
      file.isOpen
        ? eventsEvent('events.file-finished', { source, path, bytes: offset })
        : eventsEvent('events.file-vanished', { source, path, offset }),
    );
    file.close();
    tracked.delete(file.item);
  }

  /** Nothing that is planted under a log folder ends the source; what the system refuses is tried again. */
  function find(): readonly FoundFile[] {
    try {
      const found = findAll();
      isFindFailing = false;
      return found;
    } catch (error) {
      const reason = errnoOf(error);
      if (reason === 'unknown') throw error;
      if (!isFindFailing) log(eventsEvent('events.find-failed', { source, reason }));
      isFindFailing = true;
      return [];
    }
  }

  /** Expands the globs and follows what became of the files that are being read. */
  function findAll(): readonly FoundFile[] {
    isMoving = false;
    const { found, refused, cut } = findFiles(files, exclude, limits.filesMax);
    refusals.keepOnly(new Set([...found, ...refused].map(({ path }) => path)));
    for (const { path, reason } of refused) refusals.say(path, reason);
    sayCut(cut);
    const present = new Map(found.map((each) => [fileItem(each.stat), each]));
    const renamed = renamedFiles();
    const waitedBefore = waiting;
    waiting = 0;
    for (const file of tracked.values()) retrack(file, present.get(file.item), renamed);
    followAbsent(present, renamed);
    // Those with a record first: one that turns out to be another file sets its record free for a copy of the old one.
    for (const each of found.filter(({ stat }) => known.has(fileItem(stat)))) consider(each);
    for (const each of found) consider(each);
    if (waiting > 0 && waitedBefore === 0) {
      log(eventsEvent('events.files-too-many', { source, openFilesMax: limits.openFilesMax, waiting }));
    }
    return found;
  }

  function sayCut(cut: readonly string[]): void {
    for (const pattern of cut) {
      if (cutPatterns.has(pattern)) continue;
      log(eventsEvent('events.entries-too-many', { source, pattern, filesMax: limits.filesMax }));
    }
    cutPatterns = new Set(cut);
  }

  function retrack(file: TrackedFile, found: FoundFile | undefined, renamed: FindRenamed): void {
    if (found !== undefined && !file.isOf(found.stat)) {
      letGo(file);
    } else if (found !== undefined) {
      file.currentPath = found.path;
      file.isRetired = false;
    } else if (!isStillThere(file)) {
      file.isRetired = true;
      if (!file.isOpen) reopenRenamed(file, renamed(file.path, file.item));
    }
  }

  function reopenRenamed(file: TrackedFile, found: FoundFile | undefined): void {
    file.isGone = found === undefined || !file.isOf(found.stat);
    if (found === undefined || file.isGone) return;
    if (makeRoomForOne()) reopen(file, found.path);
    else waiting += 1;
  }

  function reopen(file: TrackedFile, path: string): void {
    const opened = openLogFile(path, readFrom);
    if ('refused' in opened) return;
    if (file.isOf(opened.stat)) file.reopen(opened);
    else closeSync(opened.handle);
  }

  /** Files known from before that no glob finds: renamed while the agent was down, or gone. */
  function followAbsent(present: ReadonlyMap<string, FoundFile>, renamed: FindRenamed): void {
    const absent = known
      .newlyAbsent(present)
      .map(({ item, record }) => ({ item, record, found: renamed(record.path, item) }))
      .toSorted((one, other) => (one.found?.stat.mtimeMs ?? 0) - (other.found?.stat.mtimeMs ?? 0));
    for (const { item, record, found } of absent) {
      const isElsewhere = found !== undefined && !tracked.has(fileItem(found.stat));
      if (isElsewhere && !makeRoomForOne()) {
        known.tellAgain(item);
        waiting += 1;
      } else if (isElsewhere) {
        followRenamed(item, record, found);
      } else {
        log(eventsEvent('events.file-vanished', { source, path: record.path, offset: record.offset }));
      }
    }
  }

  function followRenamed(item: string, record: FileRecord, { path, stat }: FoundFile): void {
    const opened = openLogFile(path, readFrom);
    if (!('refused' in opened) && isAnother(opened, stat)) {
      known.tellAgain(item);
      return;
    }
    const file = 'refused' in opened ? undefined : goOn(path, opened);
    if (file !== undefined) {
      file.isRetired = true;
      file.after = predecessorOf(file);
      return;
    }
    if (!('refused' in opened)) closeSync(opened.handle);
    log(eventsEvent('events.file-vanished', { source, path: record.path, offset: record.offset }));
  }

  /** Goes on in a file that is known; undefined when nothing was read of it. */
  function goOn(path: string, opened: OpenLogFile): TrackedFile | undefined {
    const before = known.take(path, opened);
    if (before === undefined) return undefined;
    const { record, state } = before;
    const file = track(record.path, path, opened, record.offset, state, record.longLine);
    if (before.item !== file.item) superseded.set(file.item, before.item);
    return file;
  }

  /** Says what became of the file, or the content, that had this one's inode before. */
  function replace(path: string, stat: Stats): void {
    const item = fileItem(stat);
    const record = known.get(item);
    if (record === undefined) return;
    known.delete(item);
    if (record.bornMs !== undefined && record.bornMs !== bornMsOf(stat)) {
      log(eventsEvent('events.file-vanished', { source, path: record.path, offset: record.offset }));
    } else {
      log(eventsEvent('events.file-restarted', { source, path, offset: record.offset }));
      known.keepFormer(item, record);
    }
  }

  function track(
    path: string,
    currentPath: string,
    opened: OpenLogFile,
    offset: number,
    state = newFingerprint(),
    longLine?: LongLine,
  ): TrackedFile {
    const nowMs = clock.monotonic();
    const file = trackFile(opened, {
      path,
      currentPath,
      offset,
      state,
      longLine,
      encoding,
      nowMs,
      onHole: (at, bytes) => log(eventsEvent('events.hole-skipped', { source, path, offset: at, bytes })),
      onRestart(former) {
        log(eventsEvent('events.file-restarted', { source, path, offset: former.offset }));
        known.keepFormer(fileItem(opened.stat), former);
      },
    });
    tracked.set(file.item, file);
    log(eventsEvent('events.file-opened', { source, path: currentPath, offset }));
    return file;
  }

  function consider({ path, stat }: FoundFile): void {
    const file = tracked.get(fileItem(stat));
    if (file !== undefined && (file.isOpen || file.offset === stat.size)) return;
    // What is no file is refused without a place, which would else be made by closing one.
    const hasPlace = file !== undefined || tracked.size < limits.filesMax;
    if (stat.isFile() && !(hasPlace && makeRoomForOne())) {
      waiting += 1;
      return;
    }
    if (file !== undefined) {
      reopen(file, path);
      return;
    }
    const opened = openLogFile(path, readFrom);
    if ('refused' in opened) {
      refusals.say(path, opened.refused);
      return;
    }
    refusals.delete(path);
    if (isAnother(opened, stat)) return;
    const started = goOn(path, opened) ?? start(path, opened);
    started.after = predecessorOf(started);
  }

  /**
   * Whether a path was given to another file between being found and being opened, by a rotation. That may be one that
   * is being read already: it is let go, and all is looked for again soon.
   */
  function isAnother(opened: OpenLogFile, found: Stats): boolean {
    if (fileItem(opened.stat) === fileItem(found)) return false;
    closeSync(opened.handle);
    isMoving = true;
    return true;
  }

  function start(path: string, opened: OpenLogFile): TrackedFile {
    replace(path, opened.stat);
    return track(path, path, opened, 0);
  }

  /** The file that had this one's path before it: the rest of that comes first. */
  function predecessorOf({ item, path }: TrackedFile): TrackedFile | undefined {
    return [...tracked.values()].findLast(
      (other) =>
        other.item !== item && other.path === path && (other.isRetired || other.currentPath !== path),
    );
  }

  /** Closes the file that has been quiet longest when no more may be open; false when none can be closed. */
  function makeRoomForOne(): boolean {
    const open = [...tracked.values()].filter(({ isOpen }) => isOpen);
    if (open.length < limits.openFilesMax) return true;
    const quiet = open
      .filter(({ isAtEnd, isRetired, lagBytes }) => isAtEnd && !isRetired && lagBytes === 0)
      .toSorted((one, other) => one.quietSinceMs - other.quietSinceMs)[0];
    quiet?.close();
    return quiet !== undefined;
  }

  return {
    chunks,
    counts: () => ({
      lagBytes: [...tracked.values()].reduce((sum, { lagBytes }) => sum + lagBytes, 0),
      items: tracked.size,
    }),
  };
}

/** At its path though the globs no longer tell: their folder may be closed to us for a moment. */
function isStillThere({ currentPath, item }: TrackedFile): boolean {
  try {
    const stat = statSync(currentPath, { throwIfNoEntry: false });
    return stat !== undefined && fileItem(stat) === item;
  } catch {
    return true;
  }
}
