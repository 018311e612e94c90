import { closeSync, type Stats, statSync } from 'node:fs';
import { matchesGlob } from 'node:path';
import { eventsEvent } from '../log-events.ts';
import type { FileSourceLimits, FileSourceOptions } from './file-limits.ts';
import { bornMsOf, type FileRecord, fileItem } from './file-record.ts';
import type { FilesInHand } from './files-in-hand.ts';
import { type FoundFile, findFiles, foldersNow, type Siblings, siblings } from './find-files.ts';
import { newFingerprint, recognize } from './fingerprint.ts';
import { type Generation, generationsOf } from './generations.ts';
import { type Compression, compressionOf, isInflatable } from './inflate.ts';
import type { AbsentFile } from './known-files.ts';
import { errnoOf, type OpenLogFile, openLogFile } from './open-log-file.ts';
import { refusedPaths } from './refused-paths.ts';
import { isGenerationOf, rotatedFrom } from './rotated-name.ts';
import type { TrackedFile } from './tracked-file.ts';

/** Finds the files of a source, and what became of those that it reads or has read. */
export interface FileSearch {
  /** Never throws for what is planted under a log folder, nor for what the system refuses: that is tried again. */
  find(): readonly FoundFile[];
  /** Whether files were renamed while they were being found: it should be looked again soon. */
  readonly isMoving: boolean;
  /** Bytes of files for which there is no place. */
  readonly waitingBytes: number;
  /** Whether files wait, and others had a place: more may have one as soon as those are read to their end. */
  readonly isTurning: boolean;
  /** Whether there is anything that came and went while nobody looked, and of which nothing had been read when last asked. */
  hasUnread(): boolean;
  /** Whether the globs found this item when they were expanded last. */
  isFound(item: string): boolean;
}

export interface FileSearchOptions
  extends Pick<FileSourceOptions, 'name' | 'files' | 'readFrom' | 'log'>,
    Required<Pick<FileSourceOptions, 'exclude'>> {
  /** What was written to since then may have come and gone while nobody looked; undefined: nobody has looked before. */
  readonly unseenSinceMs: number | undefined;
  readonly limits: FileSourceLimits;
  readonly hand: FilesInHand;
}

/** Rotation in one place: by rename, copy, compression or a new file, seen while it happens or found afterwards. */
export function fileSearch({
  name: source,
  files,
  exclude,
  readFrom,
  unseenSinceMs,
  limits,
  hand,
  log,
}: FileSearchOptions): FileSearch {
  const { known, tracked, archives, superseded, restarted } = hand;
  const { track, goOn, retire, readArchive, letGo, predecessorOf, makeRoomForOne, sayVanished } = hand;
  const refusals = refusedPaths(source, log);
  let cutPatterns: ReadonlySet<string> = new Set();
  let isFindFailing = false;
  /** Files for which there was no place, and their bytes; and those that had one. */
  let waiting = 0;
  let waitingBytes = 0;
  let placed = 0;
  /** Paths of files that answered with an error, at this look. */
  let unreadable: string[] = [];
  let isMoving = false;
  let foundItems: ReadonlySet<string> = new Set();
  /** What came and went while nobody looked, and the path it had; undefined before the first look. */
  let unseen: readonly UnseenFile[] | undefined;
  /** Those of them that were opened, by item, until something of them was read. */
  const unread = new Set<string>();

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
    refusals.keepOnly(new Set([...[...found, ...refused].map(({ path }) => path), ...unreadable]));
    unreadable = [];
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
    waitingBytes = 0;
    placed = 0;
    for (const file of tracked.values()) retrack(file, present.get(file.item), beside, seek);
    for (const [file, former] of restarted) {
      seek(former, true);
      file.after = predecessorOf(file);
    }
    restarted.clear();
    followAbsent(present, beside, seek);
    unseen ??= unseenSinceMs === undefined ? [] : unseenSince(unseenSinceMs, present, beside);
    unseen = unseen.filter((each) => !isReadOrGone(each, beside));
    // Those with a record first: one that turns out to be another file sets its record free for a copy of the old one.
    for (const each of found.filter(({ stat }) => known.has(fileItem(stat)))) consider(each, seek);
    for (const each of found) consider(each, seek);
    if (waiting > 0 && waitedBefore === 0) {
      log(eventsEvent('events.files-too-many', { source, openFilesMax: limits.openFilesMax, waiting }));
    }
    return found;
  }

  /** What needs a file's bytes. A file that answers with an error is closed and refused, and tried again at the next look. */
  function ifReadable<T>(path: string, { handle }: OpenLogFile, read: () => T): T | 'unreadable' {
    try {
      return read();
    } catch (error) {
      const reason = errnoOf(error);
      closeSync(handle);
      if (reason === 'unknown') throw error;
      refusals.say(path, reason);
      unreadable.push(path);
      return 'unreadable';
    }
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

  /**
   * Whole files that came and went while nobody looked, of paths of which nothing is known: their names tell whose they
   * are, and their times that they are new. Where something is known of a path, that is where to start from.
   */
  function unseenSince(
    sinceMs: number,
    present: ReadonlyMap<string, FoundFile>,
    beside: Siblings,
  ): readonly UnseenFile[] {
    const records = [...known.records()].map(({ record }) => record);
    const knownPaths = new Set([...records, ...tracked.values()].map(({ path }) => path));
    const news = [...foldersNow(files, limits.filesMax)]
      .flatMap((folder) => beside.inside(folder))
      .filter(({ stat }) => stat.mtimeMs > sinceMs && stat.size > 0 && !present.has(fileItem(stat)))
      .filter(({ path }) => !isMatched(path, exclude));
    return news.flatMap((file) => {
      const path = rotatedFrom(file.path).find(
        (original) => isMatched(original, files) && !isMatched(original, exclude),
      );
      return path === undefined || knownPaths.has(path) ? [] : [{ path, file }];
    });
  }

  /** False where it has to wait for a place, does not read, or is being renamed. */
  function isReadOrGone({ path, file }: UnseenFile, beside: Siblings): boolean {
    const now = beside.renamed(file.path, fileItem(file.stat));
    if (now === undefined || bornMsOf(now.stat) !== bornMsOf(file.stat)) return true;
    const before = { waiting, unreadable: unreadable.length, isMoving };
    isMoving = false;
    const record = { path, offset: 0, fingerprint: newFingerprint().fingerprint() };
    readMissed({ item: '', record }, false, [{ file: now, isLater: true }]);
    const isLeft = waiting > before.waiting || unreadable.length > before.unreadable || isMoving;
    isMoving ||= before.isMoving;
    if (!isLeft) unread.add(fileItem(file.stat));
    return !isLeft;
  }

  function hasUnread(): boolean {
    const had = unread.size > 0 || (unseen?.length ?? 0) > 0;
    for (const item of unread) {
      const { offset = 0, isAtEnd = true } = tracked.get(item) ?? archives.get(item) ?? {};
      if (offset > 0 || isAtEnd) unread.delete(item);
    }
    return had;
  }

  /** False when it is not the file of the record. */
  function followRenamed(item: string, record: FileRecord, { path, stat }: FoundFile): boolean {
    const opened = openLogFile(path, readFrom);
    if ('refused' in opened) return false;
    if (isAnother(opened, stat)) {
      known.tellAgain(item);
      return true;
    }
    const compression =
      record.archive === undefined ? undefined : ifReadable(path, opened, () => compressionOf(opened.handle));
    if (compression !== undefined && compression !== 'unreadable' && isInflatable(compression)) {
      readArchive(record.path, path, opened, compression, { isWanted: false, rest: { item, record } });
      return true;
    }
    const file =
      compression === 'unreadable' ? compression : ifReadable(path, opened, () => goOn(path, opened));
    if (file === 'unreadable') {
      known.tellAgain(item);
      return true;
    }
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
    const unreadableBefore = unreadable.length;
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
      if ('refused' in opened) {
        isMoving ||= opened.refused === 'ENOENT';
        continue;
      }
      if (isAnother(opened, found.stat)) continue;
      const compression = ifReadable(found.path, opened, () => compressionOf(opened.handle));
      if (compression === 'unreadable') continue;
      if (compression === undefined) {
        const isRest: boolean | 'unreadable' =
          isRestWanted &&
          !isRestFound &&
          ifReadable(found.path, opened, () => goOnInCopy(found.path, opened, { item, record }));
        isRestFound ||= isRest === true;
        if (isRest !== false) continue;
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
    if (isRestFound || !isRestWanted || unreadable.length === unreadableBefore) return isRestFound;
    // It may be in what did not read: that is looked at again, as long as there is something to compare it with.
    known.tellAgain(item);
    return known.has(item);
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

  function consider({ path, stat }: FoundFile, seek: SeekMissed): void {
    const item = fileItem(stat);
    if (archives.has(item) || isDoneArchive(item, stat)) return;
    const file = tracked.get(item);
    if (file !== undefined && (file.isOpen || file.offset === stat.size)) return;
    // What is no file is refused without a place, which would else be made by closing one.
    const hasPlace = file !== undefined || tracked.size < limits.filesMax;
    if (stat.isFile() && !(hasPlace && makeRoomForOne())) {
      waiting += 1;
      waitingBytes += Math.max(0, stat.size - (file?.offset ?? known.get(item)?.offset ?? 0));
      return;
    }
    placed += 1;
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
    const compression = ifReadable(path, opened, () => compressionOf(opened.handle));
    if (compression === 'unreadable') return;
    if (compression !== undefined) {
      considerArchive(path, opened, compression);
      return;
    }
    const goneOn = ifReadable(path, opened, () => goOn(path, opened));
    if (goneOn === 'unreadable') return;
    refusals.delete(path);
    const started = goneOn ?? start(path, opened, seek);
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

  return {
    find,
    get isMoving() {
      return isMoving;
    },
    get waitingBytes() {
      return waitingBytes;
    },
    get isTurning() {
      return waiting > 0 && placed > 0;
    },
    hasUnread,
    isFound: (item) => foundItems.has(item),
  };
}

function isMatched(path: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => matchesGlob(path, pattern));
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

interface UnseenFile {
  /** From which it was rotated. */
  readonly path: string;
  readonly file: FoundFile;
}

/** Looks for what was missed of a file, or after it; tells whether something may be its rest. */
type SeekMissed = (missed: AbsentFile, isRestWanted: boolean, beforeMs?: number) => boolean;

/** At its path though the globs no longer tell: their folder may be closed to us for a moment. */
function isStillThere({ currentPath, item }: TrackedFile): boolean {
  try {
    const stat = statSync(currentPath, { throwIfNoEntry: false });
    return stat !== undefined && fileItem(stat) === item;
  } catch {
    return true;
  }
}
