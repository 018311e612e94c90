import { dirname } from 'node:path';
import type { Chunk, EventSource, Positions, SourceCounts } from '../event-source.ts';
import { eventsEvent } from '../log-events.ts';
import { wake } from '../wake.ts';
import type { Archive } from './archive.ts';
import { type FileSourceOptions, fileSourceLimits } from './file-limits.ts';
import { type FileSearch, fileSearch } from './file-search.ts';
import { type FilesInHand, filesInHand } from './files-in-hand.ts';
import { foldersOf } from './find-files.ts';
import { folderWatch } from './folder-watch.ts';
import { knownFiles } from './known-files.ts';
import { lastLook } from './last-look.ts';
import { errnoOf } from './open-log-file.ts';
import { readBuffer, type TrackedFile } from './tracked-file.ts';

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
  /** What is being read, once it is. */
  let hand: FilesInHand | undefined;
  let search: FileSearch | undefined;
  let unannounced = 0;

  async function* chunks(from: Positions, signal: AbortSignal): AsyncGenerator<Chunk> {
    const known = knownFiles(from, limits, clock);
    hand = filesInHand({ name: source, encoding, limits, known, clock, log });
    const { tracked, archives, restarted, chunkOf, letGo, overOf, endArchive } = hand;
    const looked = lastLook({ files, exclude }, from, clock);
    const unseenSinceMs = looked.sinceMs;
    const finder = fileSearch({ name: source, files, exclude, readFrom, unseenSinceMs, limits, hand, log });
    search = finder;
    const failingItems = new Set<string>();
    /** Items whose positions are no longer needed. They go with the next note of the last look. */
    const forgotten = new Set<string>();
    /** Whether a change was told since the last look that found nothing. */
    let isAnnounced = true;
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
    // Before the first look, so that what comes while it lasts is not found only by the next.
    watcher.follow(new Set(foldersOf(files)));
    try {
      if (looked.sinceMs === undefined) yield firstLook();
      while (!signal.aborted) {
        if (restarted.size > 0) findAtMs = Math.min(findAtMs, findNotBeforeMs);
        if (clock.monotonic() >= findAtMs) {
          const beganMs = clock.monotonic();
          const found = finder.find();
          watcher.follow(new Set([...foldersOf(files), ...found.map(({ path }) => dirname(path))]));
          const nowMs = clock.monotonic();
          findNotBeforeMs = nowMs + findRestFactor * (nowMs - beganMs);
          findAtMs = Math.max(
            nowMs + (finder.isMoving ? limits.gatherMs : limits.findEveryMs),
            findNotBeforeMs,
          );
        }
        let isIdle = true;
        for (const file of tracked.values()) {
          if (signal.aborted) return;
          const chunk = next(file);
          if (chunk === undefined) continue;
          isIdle = false;
          yield noted(chunk);
        }
        for (const archive of archives.values()) {
          if (signal.aborted) return;
          const chunk = await nextOf(archive);
          if (chunk === undefined) continue;
          isIdle = false;
          yield noted(chunk);
        }
        const isLookWanted = restarted.size > 0 || (isIdle && finder.isTurning);
        if (isLookWanted) findAtMs = Math.min(findAtMs, findNotBeforeMs);
        if (isIdle) await rest(findAtMs - clock.monotonic(), signal);
      }
    } finally {
      watcher.close();
      hand.closeAll();
      buffer.close();
    }

    /** The first of all, kept at once: there may be nothing else to keep for long. */
    function firstLook(): Chunk {
      const positions = [looked.next(true)].filter((each) => each !== undefined);
      const nothing = { bytes: Buffer.alloc(0), timeMs: clock.now().getTime(), file: undefined };
      return { ...nothing, positions, onDurable: () => undefined };
    }

    /**
     * What is forgotten goes with a note of when all was seen, or waits for one: where neither is kept, a file that was read
     * whole would be taken for one that came and went while nobody looked.
     */
    function noted(chunk: Chunk): Chunk {
      if (chunk.positions.length === 0) return chunk;
      const moved = chunk.positions.filter(({ value }) => value !== undefined);
      for (const { item, value } of chunk.positions) {
        if (value === undefined) forgotten.add(item);
        else forgotten.delete(item);
      }
      if (finder.hasUnread()) looked.holdBack();
      const note = looked.next(chunk.bytes.length === 0 || moved.length < chunk.positions.length);
      if (note === undefined) return { ...chunk, positions: moved };
      const { durableByMs } = note;
      const gone = [...forgotten]
        .filter((item) => !tracked.has(item) && !archives.has(item))
        .map((item) => ({ item, value: undefined, durableByMs }));
      forgotten.clear();
      return { ...chunk, positions: [...moved, ...gone, note] };
    }

    function next(file: TrackedFile): Chunk | undefined {
      if (restarted.has(file)) return undefined;
      if (file.after !== undefined && !file.after.isAtEnd) return undefined;
      file.after = undefined;
      const nowMs = clock.monotonic();
      const { quietSinceMs } = file;
      const quietMs = nowMs - quietSinceMs;
      const isOver = file.isRetired && quietMs >= limits.retireAfterMs && (file.isOpen || file.isGone);
      try {
        const taken = file.take(buffer, nowMs, isOver || quietMs >= limits.partialLineMs);
        failingItems.delete(file.item);
        // Once a look: what else it finds, it may find because it took so long.
        if (!isAnnounced && file.quietSinceMs !== quietSinceMs) {
          isAnnounced = true;
          unannounced += 1;
        }
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
      const told = async (): Promise<void> => {
        await bell.rung(either);
        isAnnounced ||= !either.aborted;
        await sleep(limits.gatherMs);
      };
      isAnnounced = false;
      await Promise.race([told(), sleep(lookInMs)]);
      rested.abort();
    }

    async function nextOf(archive: Archive): Promise<Chunk | undefined> {
      if (archive.after !== undefined && !archive.after.isAtEnd) return undefined;
      const taken = await archive.take();
      if (taken !== undefined) return chunkOf(archive, taken, archive.position());
      if (archive.isAtEnd) archive.close();
      return isArchiveOver(archive) ? endArchive(archive, (item) => finder.isFound(item)) : undefined;
    }

    /** Its position is kept as long as a plain file's: until the last look that is kept is later than its last change. */
    function isArchiveOver({ item, isAtEnd, hasBegun, openedMs }: Archive): boolean {
      if (!isAtEnd) return false;
      return !hasBegun || finder.isFound(item) || clock.monotonic() - openedMs >= limits.retireAfterMs;
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
  }

  function counts(): SourceCounts {
    const { lagBytes, items } = hand?.counts() ?? { lagBytes: 0, items: 0 };
    return { lagBytes: lagBytes + (search?.waitingBytes ?? 0), items, unannounced };
  }

  return { chunks, counts };
}
