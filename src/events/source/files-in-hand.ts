import type { Chunk, Position } from '../event-source.ts';
import { eventsEvent } from '../log-events.ts';
import { type Archive, type ArchiveMatch, type KnownRecord, openArchive } from './archive.ts';
import type { FileSourceLimits, FileSourceOptions } from './file-limits.ts';
import { type FileRecord, fileItem } from './file-record.ts';
import { newFingerprint } from './fingerprint.ts';
import type { AbsentFile, KnownFiles } from './known-files.ts';
import type { OpenLogFile } from './open-log-file.ts';
import { isNamedLikeCopy } from './rotated-name.ts';
import { type Predecessor, type TakenLines, type TrackedFile, trackFile } from './tracked-file.ts';

/** A file that is being read, compressed or not. */
type Reading = Pick<TrackedFile, 'item' | 'path'>;

/** The files that a source reads: begun, let go, and told of with their positions. Which they are is `fileSearch`'s. */
export type FilesInHand = ReturnType<typeof filesInHand>;

export interface FilesInHandOptions
  extends Pick<FileSourceOptions, 'name' | 'clock' | 'log'>,
    Required<Pick<FileSourceOptions, 'encoding'>> {
  readonly limits: FileSourceLimits;
  readonly known: KnownFiles;
}

export function filesInHand({ name: source, encoding, limits, known, clock, log }: FilesInHandOptions) {
  /** By item, in the order in which they take turns. */
  const tracked = new Map<string, TrackedFile>();
  /** Compressed files that are being read, by item, oldest first. */
  const archives = new Map<string, Archive>();
  /** Items of whose files reading goes on under another, by that: forgotten with its first position. */
  const superseded = new Map<string, string[]>();
  /** Files that started over, with what was read of them before: a copy may have the rest of that, which comes first. */
  const restarted = new Map<TrackedFile, AbsentFile>();
  /** How many were begun: their order. */
  let begun = 0;

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

  /** Goes on in a file that is known; undefined when nothing was read of it. */
  function goOn(path: string, opened: OpenLogFile): TrackedFile | undefined {
    const before = known.take(path, opened);
    if (before === undefined) return undefined;
    const { record, state } = before;
    const file = track(record.path, path, opened, record.offset, state, record);
    if (before.item !== file.item) superseded.set(file.item, [before.item]);
    return file;
  }

  function retire(file: TrackedFile): void {
    file.isRetired = true;
    file.after = predecessorOf(file);
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

  function endArchive(archive: Archive, isFound: (item: string) => boolean): Chunk | undefined {
    const { item, currentPath, offset } = archive;
    archives.delete(item);
    archive.close();
    if (archive.hasBegun) {
      log(eventsEvent('events.file-finished', { source, path: currentPath, bytes: offset }));
    }
    if (isFound(item)) {
      known.keepDone(item, archive.record());
      return chunkOf(archive, { bytes: Buffer.alloc(0) }, archive.position());
    }
    known.keepFinished(item, archive.record());
    return archive.hasBegun ? overOf(archive) : undefined;
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
    const inflating = [...archives.values()].filter(({ isAtEnd }) => !isAtEnd);
    if (open.length + inflating.length < limits.openFilesMax) return true;
    const quiet = open
      .filter(({ isAtEnd, isRetired, lagBytes }) => isAtEnd && !isRetired && lagBytes === 0)
      .toSorted((one, other) => one.quietSinceMs - other.quietSinceMs)[0];
    quiet?.close();
    return quiet !== undefined;
  }

  function sayVanished({ path, offset }: FileRecord): void {
    log(eventsEvent('events.file-vanished', { source, path, offset }));
  }

  return {
    known,
    tracked,
    archives,
    superseded,
    restarted,
    track,
    goOn,
    retire,
    readArchive,
    letGo,
    endArchive,
    chunkOf,
    overOf,
    predecessorOf,
    makeRoomForOne,
    sayVanished,

    closeAll(): void {
      for (const file of [...tracked.values(), ...archives.values()]) file.close();
      tracked.clear();
      archives.clear();
    },

    counts: () => ({
      lagBytes: [...tracked.values(), ...archives.values()].reduce((sum, { lagBytes }) => sum + lagBytes, 0),
      items: tracked.size + archives.size,
    }),
  };
}
