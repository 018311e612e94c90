import { closeSync, fstatSync, readSync, type Stats } from 'node:fs';
import { characterEnd, messageBytesMax } from '../batch.ts';
import { chunkBytesMax, type Position } from '../event-source.ts';
import { bornMsOf, type FileRecord, fileItem, filePosition } from './file-record.ts';
import { type FingerprintState, newFingerprint } from './fingerprint.ts';
import type { OpenLogFile } from './open-log-file.ts';

/** Reads are this long: measured, larger ones fall out of the processor's cache while they are encoded. */
const readBytes = 128 * 1024;
const newline = 0x0a;

/** Memory to read into, used by all files of a source in turn. */
export interface ReadBuffer {
  /** At least `length` bytes; what the last call gave is no longer valid. */
  ofLength(length: number): Buffer;
}

export function readBuffer(): ReadBuffer {
  let buffer = Buffer.allocUnsafeSlow(readBytes + 1024);
  return {
    ofLength(length) {
      if (buffer.length < length) buffer = Buffer.allocUnsafeSlow(length);
      return buffer;
    },
  };
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
  /** No longer at its path: read to its end, then let go. */
  isRetired: boolean;
  /** Neither open nor found any more. */
  isGone: boolean;
  /** The file that had this path before: its rest comes first. */
  after: TrackedFile | undefined;
  /** Whether all that was there when it was last looked at has been read, but for a line without end. */
  readonly isAtEnd: boolean;
  /** Since when it has not grown, on the monotonic clock. */
  readonly quietSinceMs: number;
  readonly isOpen: boolean;
  /** Whether this is the file, and not another that has its inode. Always so while it is open. */
  isOf(stat: Stats): boolean;
  /** The next lines, or undefined when there are none yet. With `partial` a last line without end is taken as well. */
  take(buffer: ReadBuffer, nowMs: number, partial: boolean): Buffer | undefined;
  /** Where reading goes on after what was taken. */
  position(): Position;
  reopen(file: OpenLogFile): void;
  close(): void;
}

export interface Tracking {
  readonly path: string;
  readonly currentPath: string;
  readonly offset: number;
  readonly state: FingerprintState;
  readonly nowMs: number;
  /** Told when the file has shrunk or what was read of it has changed: it starts over. */
  readonly onRestart: (former: FileRecord) => void;
}

export function trackFile(opened: OpenLogFile, tracking: Tracking): TrackedFile {
  const item = fileItem(opened.stat);
  const { path, onRestart } = tracking;
  const bornMs = bornMsOf(opened.stat);
  let handle: number | undefined = opened.handle;
  let offset = tracking.offset;
  let state = tracking.state;
  let size = opened.stat.size;
  let quietSinceMs = tracking.nowMs;
  let isAtEnd = false;

  const record = (): FileRecord => ({
    path,
    offset,
    ...(bornMs === undefined ? {} : { bornMs }),
    fingerprint: state.fingerprint(),
  });

  function restart(): void {
    onRestart(record());
    offset = 0;
    state = newFingerprint();
  }

  /** Reads what follows the offset; undefined when what is before it is no longer what was read. */
  function readOn(open: number, buffer: ReadBuffer, length: number): Buffer | undefined {
    const { tail } = state;
    const target = buffer.ofLength(tail.length + length);
    const got = readSync(open, target, 0, tail.length + length, offset - tail.length);
    if (got < tail.length || tail.compare(target, 0, tail.length) !== 0) return undefined;
    return target.subarray(tail.length, got);
  }

  function look(open: number, nowMs: number): void {
    const seen = fstatSync(open).size;
    if (seen !== size) quietSinceMs = nowMs;
    size = seen;
    if (size < offset) restart();
  }

  function lines(open: number, buffer: ReadBuffer, partial: boolean): Buffer | undefined {
    for (const length of [readBytes, chunkBytesMax]) {
      const bytes = readOn(open, buffer, Math.min(length, size - offset));
      if (bytes === undefined) {
        restart();
        return lines(open, buffer, partial);
      }
      const end = bytes.lastIndexOf(newline) + 1;
      if (end > 0) return bytes.subarray(0, end);
      if (bytes.length > messageBytesMax) {
        return bytes.subarray(
          0,
          characterEnd(messageBytesMax, (at) => bytes[at]),
        );
      }
      if (offset + bytes.length >= size) return partial && bytes.length > 0 ? bytes : undefined;
    }
    return undefined;
  }

  return {
    item,
    path,
    currentPath: tracking.currentPath,
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

    isOf: (stat) => fileItem(stat) === item && (handle !== undefined || bornMsOf(stat) === bornMs),

    take(buffer, nowMs, partial) {
      if (handle === undefined) return undefined;
      look(handle, nowMs);
      const taken = size === offset ? undefined : lines(handle, buffer, partial);
      isAtEnd = taken === undefined;
      if (taken === undefined) return undefined;
      offset += taken.length;
      state.advance(taken);
      return taken;
    },

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
