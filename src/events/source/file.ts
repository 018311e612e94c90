import { closeSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import type { Chunk, EventSource, Position, Positions } from '../event-source.ts';
import { eventsEvent } from '../log-events.ts';
import { wake } from '../wake.ts';
import { type FileRecord, fileItem, parseFileRecord } from './file-record.ts';
import { type FoundFile, findFiles, findRenamed, foldersOf } from './find-files.ts';
import { newFingerprint, recognize } from './fingerprint.ts';
import { folderWatch } from './folder-watch.ts';
import { errnoOf, type OpenLogFile, openLogFile } from './open-log-file.ts';
import { readBuffer, type TrackedFile, trackFile } from './tracked-file.ts';

export interface FileSourceOptions {
  readonly name: string;
  /** Globs of absolute paths. */
  readonly files: readonly string[];
  readonly exclude?: readonly string[];
  /** Prefixes outside which nothing is read: `allow.readFrom`. */
  readonly readFrom: readonly string[];
  readonly limits?: Partial<FileSourceLimits>;
  readonly clock: Clock;
  readonly log: Log;
}

export interface FileSourceLimits {
  readonly openFilesMax: number;
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
}

export const fileSourceLimits: FileSourceLimits = {
  openFilesMax: 256,
  partialLineMs: 5_000,
  retireAfterMs: 30_000,
  lookEveryMs: 5_000,
  findEveryMs: 10_000,
  gatherMs: 20,
  absentFilesMax: 1_000,
};

/** Refused paths that are remembered so that each is said once. */
const refusedPathsMax = 1_000;

/**
 * Lines of files. What was read of a file is known by device, inode and content, so that reading goes on in it wherever
 * it is renamed to, by name or through its open handle, and another file under an old name or inode starts from its
 * beginning. Guarantee on kill: nothing is lost that is still on the disk when the agent starts again.
 *
 * File calls are synchronous on purpose: this runs in a worker of its own, and a read from the page cache costs less
 * than the way to a thread pool and back.
 */
export function fileSource(options: FileSourceOptions): EventSource {
  const { name: source, files, exclude = [], readFrom, clock, log } = options;
  const limits = { ...fileSourceLimits, ...options.limits };
  /** By item, in the order in which they take turns. */
  const tracked = new Map<string, TrackedFile>();
  /** What is known of files that are not being read, by item. */
  const records = new Map<string, FileRecord>();
  const refusedPaths = new Map<string, string>();
  /** Items of absent files that were looked for. */
  const soughtItems = new Set<string>();
  const failingItems = new Set<string>();
  let waiting = 0;

  async function* chunks(from: Positions, signal: AbortSignal): AsyncGenerator<Chunk> {
    const bell = wake();
    const buffer = readBuffer();
    let findAtMs = clock.monotonic();
    const watcher = folderWatch({
      onChange: bell.ring,
      onNames() {
        findAtMs = 0;
        bell.ring();
      },
      onFailed: (path, reason) => log(eventsEvent('events.watch-failed', { source, path, reason })),
    });
    for (const [item, value] of from) {
      const record = parseFileRecord(value);
      if (record !== undefined) records.set(item, record);
    }
    try {
      while (!signal.aborted) {
        if (clock.monotonic() >= findAtMs) {
          findAtMs = clock.monotonic() + limits.findEveryMs;
          const found = find();
          watcher.follow(new Set([...foldersOf(files), ...found.map(({ path }) => dirname(path))]));
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
      const isOver = file.isRetired && quietMs >= limits.retireAfterMs;
      try {
        const bytes = file.take(buffer, nowMs, isOver || quietMs >= limits.partialLineMs);
        failingItems.delete(file.item);
        if (bytes !== undefined) return chunkOf(file, bytes, file.position());
      } catch (error) {
        fail(file, errnoOf(error));
        return undefined;
      }
      if (!isOver) return undefined;
      file.close();
      tracked.delete(file.item);
      log(eventsEvent('events.file-finished', { source, path: file.path, bytes: file.offset }));
      return chunkOf(file, Buffer.alloc(0), { item: file.item, value: undefined });
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

  function chunkOf(file: TrackedFile, bytes: Buffer, position: Position): Chunk {
    return { bytes, timeMs: clock.now().getTime(), positions: [position], file: file.path };
  }

  /** Expands the globs and follows what became of the files that are being read. */
  function find(): readonly FoundFile[] {
    const found = findFiles(files, exclude);
    const pathOf = new Map(found.map(({ path, stat }) => [fileItem(stat), path]));
    for (const file of tracked.values()) retrack(file, pathOf.get(file.item));
    followAbsent(pathOf);
    const waitedBefore = waiting;
    waiting = 0;
    // Those with a record first: one that turns out to be another file sets its record free for a copy of the old one.
    for (const each of found.filter(({ stat }) => records.has(fileItem(stat)))) consider(each, pathOf);
    for (const each of found) consider(each, pathOf);
    if (waiting > 0 && waitedBefore === 0) {
      log(eventsEvent('events.files-too-many', { source, openFilesMax: limits.openFilesMax, waiting }));
    }
    return found;
  }

  function retrack(file: TrackedFile, path: string | undefined): void {
    if (path !== undefined) {
      file.currentPath = path;
      file.isRetired = false;
    } else if (!isStillThere(file)) {
      file.isRetired = true;
      if (!file.isOpen) reopen(file, findRenamed(file.path, file.item));
    }
  }

  function reopen(file: TrackedFile, path: string | undefined): void {
    const opened = path === undefined ? undefined : openLogFile(path, readFrom);
    if (opened === undefined || 'refused' in opened) return;
    if (fileItem(opened.stat) === file.item) file.reopen(opened);
    else closeSync(opened.handle);
  }

  /** Files known from before that no glob finds: renamed while the agent was down, or gone. */
  function followAbsent(present: ReadonlyMap<string, string>): void {
    const renamed: { readonly path: string; readonly opened: OpenLogFile }[] = [];
    for (const [item, record] of records) {
      if (present.has(item) || soughtItems.has(item)) continue;
      soughtItems.add(item);
      const path = findRenamed(record.path, item);
      const opened = path === undefined ? undefined : openLogFile(path, readFrom);
      if (path !== undefined && opened !== undefined && 'handle' in opened) renamed.push({ path, opened });
      else log(eventsEvent('events.file-vanished', { source, path: record.path, offset: record.offset }));
    }
    for (const { path, opened } of renamed.toSorted(
      (a, b) => a.opened.stat.mtimeMs - b.opened.stat.mtimeMs,
    )) {
      const file = resume(path, opened, present);
      if (file === undefined) {
        closeSync(opened.handle);
        continue;
      }
      file.isRetired = true;
      file.after = predecessorOf(file);
    }
    for (const item of [...records.keys()].slice(limits.absentFilesMax)) records.delete(item);
  }

  /** Goes on in a file that is known; undefined when nothing was read of it. */
  function resume(
    path: string,
    opened: OpenLogFile,
    present: ReadonlyMap<string, string>,
  ): TrackedFile | undefined {
    const item = fileItem(opened.stat);
    const own = records.get(item);
    // The file itself on a disk whose number changed, or a copy of one that was truncated, is known by content alone:
    // first and last bytes together, for files that merely start alike must not be taken for one another; and never
    // that of a file that is still there, for two files may well have the same lines.
    const others = [...records].filter(
      ([other, { offset }]) => !present.has(other) && other !== item && offset > 0,
    );
    for (const [known, record] of [...(own === undefined ? [] : [[item, own] as const]), ...others]) {
      if (record.offset > opened.stat.size) continue;
      const state = recognize(opened.handle, record.fingerprint, record.offset);
      if (state === undefined) continue;
      records.delete(known);
      return track(record.path, path, opened, record.offset, state);
    }
    if (own !== undefined) {
      log(eventsEvent('events.file-restarted', { source, path, offset: own.offset }));
      records.delete(item);
      keepFormer(item, own);
    }
    return undefined;
  }

  /** What was read of a file that then started over: a copy of it may turn up. */
  function keepFormer(item: string, record: FileRecord): void {
    const former = `${item}@${record.offset}`;
    soughtItems.add(former);
    records.set(former, record);
  }

  function track(
    path: string,
    currentPath: string,
    opened: OpenLogFile,
    offset: number,
    state = newFingerprint(),
  ): TrackedFile {
    const nowMs = clock.monotonic();
    const file = trackFile(opened, {
      path,
      currentPath,
      offset,
      state,
      nowMs,
      onRestart(former) {
        log(eventsEvent('events.file-restarted', { source, path, offset: former.offset }));
        keepFormer(fileItem(opened.stat), former);
      },
    });
    tracked.set(file.item, file);
    log(eventsEvent('events.file-opened', { source, path: currentPath, offset }));
    return file;
  }

  function consider({ path, stat }: FoundFile, present: ReadonlyMap<string, string>): void {
    const known = tracked.get(fileItem(stat));
    if (known !== undefined && (known.isOpen || known.offset === stat.size)) return;
    if (!makeRoomForOne()) {
      waiting += 1;
      return;
    }
    if (known !== undefined) {
      reopen(known, path);
      return;
    }
    const opened = openLogFile(path, readFrom);
    if ('refused' in opened) {
      refuse(path, opened.refused);
      return;
    }
    refusedPaths.delete(path);
    const file = resume(path, opened, present) ?? track(path, path, opened, 0);
    file.after = predecessorOf(file);
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

  function refuse(path: string, refused: string): void {
    if (refused === 'ENOENT' || refusedPaths.get(path) === refused) return;
    if (refusedPaths.size < refusedPathsMax) refusedPaths.set(path, refused);
    log(eventsEvent('events.file-refused', { source, path, reason: refused }));
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
