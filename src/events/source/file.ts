import { closeSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import type { Chunk, EventSource, Position, Positions } from '../event-source.ts';
import { eventsEvent } from '../log-events.ts';
import { wake } from '../wake.ts';
import { type Archive, type ArchiveMatch, type KnownRecord, openArchive } from './archive.ts';
import type { Encoding } from './encodings.ts';
import { bornMsOf, type FileRecord, fileItem } from './file-record.ts';
import { type FoundFile, findFiles, foldersOf, type Siblings, siblings } from './find-files.ts';
import { newFingerprint, recognize } from './fingerprint.ts';
import { folderWatch } from './folder-watch.ts';
import { type Generation, generationsOf } from './generations.ts';
import { type Compression, compressionOf, isInflatable } from './inflate.ts';
import { type AbsentFile, type KnownFiles, knownFiles } from './known-files.ts';
import { errnoOf, type OpenLogFile, openLogFile } from './open-log-file.ts';
import { refusedPaths } from './refused-paths.ts';
import { isGenerationOf, isNamedLikeCopy } from './rotated-name.ts';
import {
  type Predecessor,
  readBuffer,
  type TakenLines,
  type TrackedFile,
  trackFile,
} from './tracked-file.ts';

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
  /** Compressed files that are being read, by item, oldest first. */
  const archives = new Map<string, Archive>();
  /** Items of whose files reading goes on under another, by that: forgotten with its first position. */
  const superseded = new Map<string, string[]>();
  /** Files that started over, with what was read of them before: a copy may have the rest of that, which comes first. */
  const restarted = new Map<TrackedFile, AbsentFile>();
  const refusals = refusedPaths(source, log);
  const failingItems = new Set<string>();
  let cutPatterns: ReadonlySet<string> = new Set();
  let isFindFailing = false;
  let waiting = 0;
  /** How many were begun: their order. */
  let begun = 0;
  /** Files were renamed while they were being found. */
  let isMoving = false;
  /** What the globs found last. */
  let foundItems: ReadonlySet<string> = new Set();

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
        if (restarted.size > 0) findAtMs = Math.min(findAtMs, findNotBeforeMs);
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
        for (const archive of archives.values()) {
          if (signal.aborted) return;
          const chunk = await nextOf(archive);
          if (chunk === undefined) continue;
          isIdle = false;
          yield chunk;
        }
        if (restarted.size > 0) findAtMs = Math.min(findAtMs, findNotBeforeMs);
        if (isIdle) await rest(findAtMs - clock.monotonic(), signal);
      }
    } finally {
      watcher.close();
      for (const file of [...tracked.values(), ...archives.values()]) file.close();
      tracked.clear();
      archives.clear();
    }

    function next(file: TrackedFile): Chunk | undefined {
      if (restarted.has(file)) return undefined;
      if (file.after !== undefined && !file.after.isAtEnd) return undefined;
      file.after = undefined;
      const nowMs = clock.monotonic();
      const quietMs = nowMs - file.quietSinceMs;
      const isOver = file.isRetired && quietMs >= limits.retireAfterMs && (file.isOpen || file.isGone);
      try {
        const taken = file.take(buffer, nowMs, isOver || quietMs >= limits.partialLineMs);
        failingItems.delete(file.item);
        if (taken !== undefined) {
          return { ...chunkOf(file, taken, file.position()), isAtRisk: file.isRetired };
        }
      } catch (error) {
        fail(file, errnoOf(error));
        return undefined;
      }
      if (!isOver) return undefined;
      letGo(file);
      known.keepFinished(file.item, file.record());
      return overOf(file);
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

  async function nextOf(archive: Archive): Promise<Chunk | undefined> {
    if (archive.after !== undefined && !archive.after.isAtEnd) return undefined;
    const taken = await archive.take();
    if (taken !== undefined) return chunkOf(archive, taken, archive.position());
    return archive.isAtEnd ? endArchive(archive) : undefined;
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
    for (const other of tracked.values()) if (other.after?.item === file.item) other.after = undefined;
    if (failingItems.has(file.item)) return;
    failingItems.add(file.item);
    log(eventsEvent('events.file-read-failed', { source, path: file.currentPath, reason }));
  }

  function chunkOf(file: Reading, taken: TakenLines, position: Position): Chunk {
    const before = superseded.get(file.item) ?? [];
    superseded.delete(file.item);
    // Only where there are bytes: a position without any waits for the next batch of its stream, which may never come.
    const forgotten =
      taken.bytes.length === 0 ? [] : known.takeForgotten().filter(({ item }) => !tracked.has(item));
    const positions = [position, ...before.map((item) => ({ item, value: undefined })), ...forgotten];
    return { ...taken, timeMs: clock.now().getTime(), positions, file: file.path };
  }

  /** Nothing more comes of it. Its position goes when that of the file after it comes, so that one of them is there. */
  function overOf(file: Reading): Chunk {
    const nothing = { bytes: Buffer.alloc(0) };
    const next = [...tracked.values(), ...archives.values()].find(
      ({ item, after }) => after?.item === file.item && !superseded.has(item),
    );
    if (next === undefined) return chunkOf(file, nothing, { item: file.item, value: undefined });
    superseded.set(next.item, [file.item, ...(superseded.get(file.item) ?? [])]);
    superseded.delete(file.item);
    return { ...nothing, timeMs: clock.now().getTime(), positions: [], file: file.path };
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
    foundItems = new Set(present.keys());
    const beside = siblings();
    const seek: SeekMissed = (missed, isRestWanted, beforeMs = Infinity) => {
      const generations = generationsOf(missed.record, isRestWanted, beside, exclude);
      const own = generations.filter(
        ({ file }) => file.stat.mtimeMs < beforeMs && !present.has(fileItem(file.stat)),
      );
      return readMissed(missed, isRestWanted, own);
    };
    const waitedBefore = waiting;
    waiting = 0;
    for (const file of tracked.values()) retrack(file, present.get(file.item), beside, seek);
    for (const [file, former] of restarted) {
      seek(former, true);
      file.after = predecessorOf(file);
    }
    restarted.clear();
    followAbsent(present, beside, seek);
    // Those with a record first: one that turns out to be another file sets its record free for a copy of the old one.
    for (const each of found.filter(({ stat }) => known.has(fileItem(stat)))) consider(each, seek);
    for (const each of found) consider(each, seek);
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

  function retrack(
    file: TrackedFile,
    found: FoundFile | undefined,
    beside: Siblings,
    seek: SeekMissed,
  ): void {
    if (found !== undefined && !file.isOf(found.stat)) {
      letGo(file);
    } else if (found !== undefined) {
      file.currentPath = found.path;
      file.isRetired = false;
    } else if (!isStillThere(file)) {
      const wasRetired = file.isRetired;
      file.isRetired = true;
      if (!wasRetired) seek({ item: file.item, record: file.record() }, false);
      if (!file.isOpen) reopenRenamed(file, beside.renamed(file.path, file.item));
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

  /** Files known from before that no glob finds: renamed while the agent was down, compressed, or gone. */
  function followAbsent(present: ReadonlyMap<string, FoundFile>, beside: Siblings, seek: SeekMissed): void {
    const absent = known
      .newlyAbsent(present)
      .map(({ item, record }) => ({ item, record, found: beside.renamed(record.path, item) }))
      .toSorted((one, other) => writtenMsOf(one) - writtenMsOf(other));
    for (const [index, { item, record, found }] of absent.entries()) {
      // What came after a later one of the same path is for that to find.
      const later = absent.slice(index + 1).find((other) => other.record.path === record.path);
      const beforeMs = later === undefined ? Infinity : writtenMsOf(later);
      if (record.archive?.isDone === true) {
        known.forget(item);
        continue;
      }
      const isElsewhere = found !== undefined && !tracked.has(fileItem(found.stat));
      if (isElsewhere && !makeRoomForOne()) {
        known.tellAgain(item);
        waiting += 1;
      } else if (isElsewhere && followRenamed(item, record, found)) {
        seek({ item, record }, false, beforeMs);
      } else if (!seek({ item, record }, true, beforeMs)) {
        sayVanished(record);
      }
    }
  }

  function sayVanished({ path, offset }: FileRecord): void {
    log(eventsEvent('events.file-vanished', { source, path, offset }));
  }

  /** False when it is not the file of the record. */
  function followRenamed(item: string, record: FileRecord, { path, stat }: FoundFile): boolean {
    const opened = openLogFile(path, readFrom);
    if ('refused' in opened) return false;
    if (isAnother(opened, stat)) {
      known.tellAgain(item);
      return true;
    }
    const compression = record.archive === undefined ? undefined : compressionOf(opened.handle);
    if (compression !== undefined && isInflatable(compression)) {
      readArchive(record.path, path, opened, compression, { isWanted: false, rest: { item, record } });
      return true;
    }
    const file = goOn(path, opened);
    if (file === undefined) {
      closeSync(opened.handle);
      return false;
    }
    file.isRetired = true;
    file.after = predecessorOf(file);
    return true;
  }

  /**
   * Reads what was rotated away while nobody looked: the rest of a file, if wanted, and whole files that came after it.
   * Returns whether there is anything that may be its rest.
   */
  function readMissed(
    { item, record }: AbsentFile,
    isRestWanted: boolean,
    generations: readonly Generation[],
  ): boolean {
    let isRestFound = false;
    for (const { file: found, isLater } of generations) {
      const its = fileItem(found.stat);
      // By birth as well: an inode of a file that is gone is soon another's.
      const isKnown = known.has(its) && known.get(its)?.bornMs === bornMsOf(found.stat);
      if (tracked.has(its) || archives.has(its) || isKnown) continue;
      if (!makeRoomForOne()) {
        waiting += 1;
        continue;
      }
      const opened = openLogFile(found.path, readFrom);
      if ('refused' in opened || isAnother(opened, found.stat)) continue;
      const compression = compressionOf(opened.handle);
      if (compression === undefined) {
        const isRest: boolean =
          isRestWanted && !isRestFound && goOnInCopy(found.path, opened, { item, record });
        isRestFound ||= isRest;
        if (isRest) continue;
        if (isLater) retire(track(record.path, found.path, opened, 0));
        else closeSync(opened.handle);
      } else if (isInflatable(compression)) {
        const rest = isRestWanted && !isRestFound ? { item, record } : undefined;
        readArchive(record.path, found.path, opened, compression, { isWanted: isLater, rest });
        isRestFound ||= isRestWanted;
      } else {
        closeSync(opened.handle);
        refusals.say(found.path, `compressed-${compression}`);
      }
    }
    return isRestFound;
  }

  function retire(file: TrackedFile): void {
    file.isRetired = true;
    file.after = predecessorOf(file);
  }

  /** Goes on in a copy of a file that was truncated; false when it is none. */
  function goOnInCopy(path: string, opened: OpenLogFile, { item, record }: AbsentFile): boolean {
    if (record.offset > opened.stat.size || record.offset === 0) return false;
    const state = recognize(opened.handle, record.fingerprint, record.offset);
    if (state === undefined) return false;
    known.delete(item);
    const file = track(record.path, path, opened, record.offset, state, record);
    superseded.set(file.item, [item]);
    retire(file);
    return true;
  }

  /** Reads a compressed file, if it turns out to have something that was missed. */
  function readArchive(
    path: string,
    currentPath: string,
    opened: OpenLogFile,
    compression: 'gzip' | 'zstd',
    { isWanted, rest }: { readonly isWanted: boolean; readonly rest: AbsentFile | undefined },
  ): void {
    const item = fileItem(opened.stat);
    function* candidates(): Generator<KnownRecord> {
      if (rest !== undefined) yield { ...rest, isRead: false };
      for (const each of known.records()) {
        if (each.item !== item && isNamedLikeCopy(currentPath, each.record.path))
          yield { ...each, isRead: false };
      }
      for (const each of [...tracked.values(), ...archives.values()]) {
        if (each.item !== item) yield { item: each.item, record: each.record(), isRead: true };
      }
    }
    begun += 1;
    const archive: Archive = openArchive(opened, {
      rank: begun,
      path,
      currentPath,
      compression,
      encoding,
      isWanted,
      patienceMs: limits.retireAfterMs,
      monotonic: () => clock.monotonic(),
      candidates,
      onMatched: (match) => matched(archive, match, rest),
      onDamaged: (reason) =>
        log(eventsEvent('events.archive-damaged', { source, path: currentPath, reason })),
    });
    archive.after = predecessorOf(archive);
    archives.set(item, archive);
  }

  function matched(archive: Archive, match: ArchiveMatch, rest: AbsentFile | undefined): void {
    const { item, currentPath, offset } = archive;
    if (match.kind !== 'nothing') {
      log(eventsEvent('events.file-opened', { source, path: currentPath, offset }));
    }
    if (match.kind === 'rest') {
      known.delete(match.item);
      if (match.item !== item) superseded.set(item, [match.item]);
    }
    const isRest = match.kind === 'rest' && match.item === rest?.item;
    if (rest !== undefined && !isRest) sayVanished(rest.record);
  }

  function endArchive(archive: Archive): Chunk | undefined {
    const { item, currentPath, offset } = archive;
    archives.delete(item);
    archive.close();
    if (archive.hasBegun) {
      log(eventsEvent('events.file-finished', { source, path: currentPath, bytes: offset }));
    }
    if (foundItems.has(item)) {
      known.keepDone(item, archive.record());
      return chunkOf(archive, { bytes: Buffer.alloc(0) }, archive.position());
    }
    known.keepFinished(item, archive.record());
    return archive.hasBegun ? overOf(archive) : undefined;
  }

  /** Goes on in a file that is known; undefined when nothing was read of it. */
  function goOn(path: string, opened: OpenLogFile): TrackedFile | undefined {
    const before = known.take(path, opened);
    if (before === undefined) return undefined;
    const { record, state } = before;
    const file = track(record.path, path, opened, record.offset, state, record);
    if (before.item !== file.item) superseded.set(file.item, [before.item]);
    return file;
  }

  /** Says what became of the file, or the content, that had this one's inode before. */
  function replace(path: string, stat: Stats, seek: SeekMissed): void {
    const item = fileItem(stat);
    const record = known.get(item);
    if (record === undefined) return;
    known.delete(item);
    if (record.bornMs !== undefined && record.bornMs !== bornMsOf(stat)) {
      if (!seek({ item, record }, true)) sayVanished(record);
    } else {
      log(eventsEvent('events.file-restarted', { source, path, offset: record.offset }));
      seek({ item: known.keepFormer(item, record), record }, true);
    }
  }

  function track(
    path: string,
    currentPath: string,
    opened: OpenLogFile,
    offset: number,
    state = newFingerprint(),
    record?: Pick<FileRecord, 'longLine' | 'restarts' | 'writtenMs'>,
  ): TrackedFile {
    const nowMs = clock.monotonic();
    begun += 1;
    const file = trackFile(opened, {
      rank: begun,
      path,
      currentPath,
      offset,
      state,
      longLine: record?.longLine,
      restarts: record?.restarts,
      writtenMs: record?.writtenMs,
      encoding,
      nowMs,
      onHole: (at, bytes) => log(eventsEvent('events.hole-skipped', { source, path, offset: at, bytes })),
      onRestart(former) {
        log(eventsEvent('events.file-restarted', { source, path, offset: former.offset }));
        restarted.set(file, { item: known.keepFormer(file.item, former), record: former });
      },
    });
    tracked.set(file.item, file);
    log(eventsEvent('events.file-opened', { source, path: currentPath, offset }));
    return file;
  }

  function consider({ path, stat }: FoundFile, seek: SeekMissed): void {
    const item = fileItem(stat);
    if (archives.has(item) || isDoneArchive(item, stat)) return;
    const file = tracked.get(item);
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
    if (isAnother(opened, stat)) return;
    const compression = compressionOf(opened.handle);
    if (compression !== undefined) {
      considerArchive(path, opened, compression);
      return;
    }
    refusals.delete(path);
    const started = goOn(path, opened) ?? start(path, opened, seek);
    started.after = predecessorOf(started);
  }

  function isDoneArchive(item: string, stat: Stats): boolean {
    const record = known.get(item);
    return record?.archive?.isDone === true && record.bornMs === bornMsOf(stat);
  }

  function considerArchive(path: string, opened: OpenLogFile, compression: Compression): void {
    if (!isInflatable(compression)) {
      closeSync(opened.handle);
      refusals.say(path, `compressed-${compression}`);
      return;
    }
    refusals.delete(path);
    const item = fileItem(opened.stat);
    const own = known.get(item);
    const rest = own?.archive === undefined ? undefined : { item, record: own };
    readArchive(own?.path ?? originalOf(path), path, opened, compression, { isWanted: true, rest });
  }

  /** The path from which a file was rotated to this one, as far as its name tells. */
  function originalOf(path: string): string {
    const records = [...known.records()].map(({ record }) => record);
    return [...tracked.values(), ...records].find((each) => isGenerationOf(path, each.path))?.path ?? path;
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

  function start(path: string, opened: OpenLogFile, seek: SeekMissed): TrackedFile {
    const before = known.get(fileItem(opened.stat));
    replace(path, opened.stat, seek);
    const restarts = before === undefined ? 0 : (before.restarts ?? 0) + 1;
    return track(path, path, opened, 0, newFingerprint(), { restarts });
  }

  /** What had this one's path before it: what is there of it now comes first, not what is still added to it. */
  function predecessorOf({ item, path }: Reading): Predecessor | undefined {
    const former = [...tracked.values()].filter(
      ({ isRetired, currentPath }) => isRetired || currentPath !== path,
    );
    const last = [...former, ...archives.values()]
      .filter((other) => other.path === path && other.item !== item)
      .toSorted((one, other) => one.rank - other.rank)
      .at(-1);
    if (last === undefined) return undefined;
    const until = 'isRetired' in last ? last.sizeNow() : Infinity;
    return {
      item: last.item,
      get isAtEnd() {
        return last.isAtEnd || last.offset >= until;
      },
    };
  }

  /** Closes the file that has been quiet longest when no more may be open; false when none can be closed. */
  function makeRoomForOne(): boolean {
    const open = [...tracked.values()].filter(({ isOpen }) => isOpen);
    if (open.length + archives.size < limits.openFilesMax) return true;
    const quiet = open
      .filter(({ isAtEnd, isRetired, lagBytes }) => isAtEnd && !isRetired && lagBytes === 0)
      .toSorted((one, other) => one.quietSinceMs - other.quietSinceMs)[0];
    quiet?.close();
    return quiet !== undefined;
  }

  return {
    chunks,
    counts: () => ({
      lagBytes: [...tracked.values(), ...archives.values()].reduce((sum, { lagBytes }) => sum + lagBytes, 0),
      items: tracked.size + archives.size,
    }),
  };
}

/** When a file was written to last, as far as it is known. */
function writtenMsOf({
  found,
  record,
}: {
  readonly found: FoundFile | undefined;
  readonly record: FileRecord;
}): number {
  return found?.stat.mtimeMs ?? record.writtenMs ?? 0;
}

/** Looks for what was missed of a file, or after it; tells whether something may be its rest. */
type SeekMissed = (missed: AbsentFile, isRestWanted: boolean, beforeMs?: number) => boolean;

/** A file that is being read, compressed or not. */
type Reading = Pick<TrackedFile, 'item' | 'path'>;

/** At its path though the globs no longer tell: their folder may be closed to us for a moment. */
function isStillThere({ currentPath, item }: TrackedFile): boolean {
  try {
    const stat = statSync(currentPath, { throwIfNoEntry: false });
    return stat !== undefined && fileItem(stat) === item;
  } catch {
    return true;
  }
}
