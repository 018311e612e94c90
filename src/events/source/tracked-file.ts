import { closeSync, fstatSync, readSync, type Stats } from 'node:fs';
import { readAreas } from '../encoding/encoder-memory.ts';
import type { Origin, Position } from '../event-source.ts';
import type { LinePart } from '../long-line.ts';
import type { Encoding } from './encodings.ts';
import {
  bornMsOf,
  type FileRecord,
  fileItem,
  filePosition,
  generationOf,
  type LongLine,
} from './file-record.ts';
import { type FingerprintState, hashOf, newFingerprint } from './fingerprint.ts';
import { holeStart, textStart } from './hole.ts';
import { type OpenLogFile, statOf } from './open-log-file.ts';
import { type DetectedFormat, markBytesMax, textFormat } from './text-format.ts';

/** Reads are this long: measured, larger ones fall out of the processor's cache while they are encoded. */
const readBytes = 128 * 1024;
const newline = 0x0a;
/** How much of a hole is looked at before other files have their turn. */
const holeBytesInTurn = 16 * 2 ** 20;

/** Memory to read into, used by all files of a source in turn. */
export interface ReadBuffer {
  /** At least `length` bytes; what the last call gave is no longer valid. */
  ofLength(length: number): Buffer;
  /** Nothing that it gave is needed any more. */
  close(): void;
}

/** Where lines are encoded from without being copied, if there is room for one source more. */
export function readBuffer(): ReadBuffer {
  const area = readAreas.borrow();
  const usual = area ?? Buffer.allocUnsafeSlow(readBytes + 1024);
  let long = Buffer.alloc(0);
  return {
    ofLength(length) {
      if (length <= usual.length) return usual;
      if (long.length < length) long = Buffer.allocUnsafeSlow(length);
      return long;
    },

    close() {
      if (area === undefined) return;
      // Lines as they were read, with secrets in them: nobody else may read into it for long.
      area.fill(0);
      readAreas.giveBack(area);
    },
  };
}

/** What was read: whole lines, or one part of a line too long for one event. */
export interface TakenLines {
  /** UTF-8, but for what is no text at all. May be empty while a hole is being crossed. */
  readonly bytes: Buffer;
  /** Where they begin, where they are as they stand in the file. */
  readonly origin?: Origin;
  readonly part?: LinePart;
}

/** A file that comes before another. */
export interface Predecessor {
  readonly item: string;
  readonly isAtEnd: boolean;
}

/** One file that is being read. */
export interface TrackedFile {
  readonly item: string;
  /** The path under which it was first found: `{file}`. */
  readonly path: string;
  /** The path under which it was found last. */
  currentPath: string;
  readonly offset: number;
  /** Bytes that were there to be read when it was last looked at. */
  readonly lagBytes: number;
  /** Its length in bytes, as far as it can be seen. */
  sizeNow(): number;
  /** No longer at its path: read to its end, then let go. */
  isRetired: boolean;
  /** Neither open nor found any more. */
  isGone: boolean;
  /** What had this path before: its rest comes first. */
  after: Predecessor | undefined;
  /** Grows with each file that is begun. */
  readonly rank: number;
  /** Whether all that was there when it was last looked at has been read, but for a line without end. */
  readonly isAtEnd: boolean;
  /** Since when it has not been written to, on the monotonic clock. */
  readonly quietSinceMs: number;
  readonly isOpen: boolean;
  /** Whether this is the file, and not another that has its inode. Always so while it is open. */
  isOf(stat: Stats): boolean;
  /** The next lines, or undefined when there are none yet. With `partial` a last line without end is taken as well. */
  take(buffer: ReadBuffer, nowMs: number, partial: boolean): TakenLines | undefined;
  record(): FileRecord;
  /** Where reading goes on after what was taken. */
  position(): Position;
  reopen(file: OpenLogFile): void;
  close(): void;
}

export interface Tracking {
  readonly rank: number;
  readonly path: string;
  readonly currentPath: string;
  readonly offset: number;
  readonly state: FingerprintState;
  readonly longLine?: LongLine | undefined;
  /** How often what has this inode has started over. */
  readonly restarts?: number | undefined;
  /** Of the record with which reading goes on. */
  readonly writtenMs?: number | undefined;
  readonly encoding: Encoding;
  readonly nowMs: number;
  /** Told when the file has shrunk or what was read of it has changed: it starts over with the next take. */
  readonly onRestart: (former: FileRecord) => void;
  /** Told of a stretch of NUL bytes that is passed over. */
  readonly onHole: (offset: number, bytes: number) => void;
}

export function trackFile(opened: OpenLogFile, tracking: Tracking): TrackedFile {
  const item = fileItem(opened.stat);
  const { path, encoding, onRestart, onHole } = tracking;
  const bornMs = bornMsOf(opened.stat);
  let handle: number | undefined = opened.handle;
  let offset = tracking.offset;
  let state = tracking.state;
  let longLine = tracking.longLine;
  let restarts = tracking.restarts ?? 0;
  let generation = generationOf(opened.stat, restarts);
  let detected: DetectedFormat | undefined;
  let size = opened.stat.size;
  let seenMs = opened.stat.mtimeMs;
  /** As it was when what was read last was read: of a file that starts over that is older than what it has now. */
  let writtenMs = tracking.writtenMs ?? seenMs;
  let quietSinceMs = tracking.nowMs;
  let isAtEnd = false;
  let isRestarted = false;
  /** From the offset up to here there are only NUL bytes. */
  let holeSeenTo = 0;

  const record = (): FileRecord => ({
    path,
    offset,
    ...(bornMs === undefined ? {} : { bornMs }),
    writtenMs,
    fingerprint: state.fingerprint(),
    ...(longLine === undefined ? {} : { longLine }),
    ...(restarts === 0 ? {} : { restarts }),
  });

  function restart(): void {
    onRestart(record());
    offset = 0;
    restarts += 1;
    generation = generationOf(opened.stat, restarts);
    state = newFingerprint();
    longLine = undefined;
    detected = undefined;
    holeSeenTo = 0;
    isRestarted = true;
  }

  /** Reads what follows the offset; undefined when what is before it is no longer what was read. */
  function readOn(open: number, buffer: ReadBuffer, length: number): Buffer | undefined {
    const { tail } = state;
    const target = buffer.ofLength(tail.length + length);
    const got = readSync(open, target, 0, tail.length + length, offset - tail.length);
    if (got < tail.length || tail.compare(target, 0, tail.length) !== 0) return undefined;
    return target.subarray(tail.length, got);
  }

  function look(open: number, buffer: ReadBuffer, nowMs: number): void {
    const seen = fstatSync(open);
    // Its time as well: a file with room at its end does not grow when it is written to.
    const isWritten = seen.size !== size || seen.mtimeMs !== seenMs;
    if (isWritten) quietSinceMs = nowMs;
    size = seen.size;
    seenMs = seen.mtimeMs;
    // Truncated, and grown to just where it was.
    const isReplaced = isWritten && size === offset && readOn(open, buffer, 0) === undefined;
    if (size < offset || isReplaced) restart();
  }

  function formatOf(open: number): DetectedFormat {
    if (detected !== undefined) return detected;
    const head = Buffer.alloc(markBytesMax);
    const known = textFormat(encoding, head.subarray(0, readSync(open, head, 0, markBytesMax, 0)));
    // A mark may still be on its way into a file so short.
    if (size >= markBytesMax) detected = known;
    return known;
  }

  function take(open: number, buffer: ReadBuffer, partial: boolean): TakenLines | undefined {
    const { format, markBytes } = formatOf(open);
    for (const length of [readBytes, format.readBytesMax]) {
      const bytes = readOn(open, buffer, Math.min(length, size - offset));
      if (bytes === undefined) {
        restart();
        return undefined;
      }
      const isLineStart = offset === 0 || [newline, 0].includes(state.tail.at(-1) ?? 0);
      const hole = format.hasHoles ? holeStart(bytes, isLineStart, offset) : -1;
      if (hole === 0) return crossHole(open);
      const text = bytes.subarray(0, hole < 0 ? bytes.length - (bytes.length % format.unitBytes) : hole);
      const end = longLine === undefined ? format.lastLineEnd(text) : format.firstLineEnd(text);
      const isRest = hole > 0 || offset + bytes.length >= size;
      const isEnded = (partial && text.length > 0 && isRest) || (hole > 0 && isFollowed(open, offset + hole));
      if (longLine !== undefined) {
        const room = format.partLength(text);
        if (end > 0 && end <= room) return lines(text.subarray(0, end), true);
        if (text.length > room) return lines(text.subarray(0, room), false);
        if (isEnded) return lines(text, true);
      } else if (end > 0) {
        return lines(text.subarray(0, end));
      } else if (isEnded && text.length <= format.lineBytesMax) {
        return lines(text);
      } else if (text.length > format.lineBytesMax) {
        longLine = { start: offset, parts: 0 };
        return lines(text.subarray(0, format.partLength(text)), false);
      }
      if (offset + bytes.length >= size) return undefined;
    }
    return undefined;

    function lines(taken: Buffer, isLast?: boolean): TakenLines {
      const part = isLast === undefined ? undefined : nextPart(isLast);
      const unmarked = offset === 0 ? taken.subarray(markBytes) : taken;
      const text = format.toUtf8(unmarked);
      const at = offset + taken.length - unmarked.length;
      const origin = text === unmarked ? { origin: { generation, offset: at } } : {};
      pass(taken);
      return part === undefined ? { bytes: text, ...origin } : { bytes: text, part };
    }
  }

  /** Whether there is text after a hole: at the end of a file it may be room that is still to be written to. */
  function isFollowed(open: number, hole: number): boolean {
    return textStart(open, hole, Math.min(size, hole + holeBytesInTurn)).isText;
  }

  function pass(taken: Buffer): void {
    offset += taken.length;
    state.advance(taken);
  }

  function nextPart(isLast: boolean): LinePart {
    const { start, parts } = longLine ?? { start: offset, parts: 0 };
    const number = parts + 1;
    longLine = isLast ? undefined : { start, parts: number };
    return { line: hashOf(Buffer.from(`${item}@${start}`)).slice(0, 8), number, isLast };
  }

  /** Passes over NUL bytes once it is known that something follows them. */
  function crossHole(open: number): TakenLines | undefined {
    const from = Math.max(offset, holeSeenTo);
    const end = textStart(open, from, Math.min(size, from + holeBytesInTurn));
    holeSeenTo = end.at;
    const nothing = { bytes: Buffer.alloc(0) };
    if (!end.isText) return end.at < size ? nothing : undefined;
    onHole(offset, end.at - offset);
    state.skipNul(end.at - offset);
    offset = end.at;
    return nothing;
  }

  return {
    item,
    path,
    currentPath: tracking.currentPath,
    rank: tracking.rank,
    isRetired: false,
    isGone: false,
    after: undefined,
    get offset() {
      return offset;
    },
    get lagBytes() {
      return Math.max(0, size - offset);
    },
    get isAtEnd() {
      return isAtEnd;
    },
    get quietSinceMs() {
      return quietSinceMs;
    },
    get isOpen() {
      return handle !== undefined;
    },

    sizeNow: () => (handle === undefined ? size : (statOf(handle)?.size ?? size)),

    isOf: (stat) => fileItem(stat) === item && (handle !== undefined || bornMsOf(stat) === bornMs),

    take(buffer, nowMs, partial) {
      if (handle === undefined) return undefined;
      isRestarted = false;
      look(handle, buffer, nowMs);
      const taken = size === offset || isRestarted ? undefined : take(handle, buffer, partial);
      isAtEnd = taken === undefined && !isRestarted;
      if (!isRestarted) writtenMs = seenMs;
      return taken;
    },

    record,
    position: () => filePosition(item, record()),

    reopen(file) {
      if (handle !== undefined) closeSync(handle);
      handle = file.handle;
    },

    close() {
      if (handle !== undefined) closeSync(handle);
      handle = undefined;
    },
  };
}
