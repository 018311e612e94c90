import { chunkBytesMax } from '../event-source.ts';
import { messageBytesMax } from '../limits.ts';
import { partBytesMax, partLength } from '../long-line.ts';
import type { Encoding } from './encodings.ts';

/** How a file's bytes are text. Lengths are of the file's bytes, and whole units of its encoding. */
export interface TextFormat {
  /** Bytes of one unit: lengths that are handed in are cut down to whole ones. */
  readonly unitBytes: 1 | 2;
  /** Whether NUL bytes are no text, but places that nothing was written to. */
  readonly hasHoles: boolean;
  /** A line that has more bytes may be too long for one event, and is split. */
  readonly lineBytesMax: number;
  /** Read at most at once, so that a chunk can hold it as UTF-8; more than `lineBytesMax`. */
  readonly readBytesMax: number;
  /** Length up to and with the last, or the first, line end; 0 when there is none. */
  lastLineEnd(bytes: Buffer): number;
  firstLineEnd(bytes: Buffer): number;
  /** How much of a line makes one part at most. */
  partLength(bytes: Buffer): number;
  /** May be the same memory. */
  toUtf8(bytes: Buffer): Buffer;
}

export interface DetectedFormat {
  readonly format: TextFormat;
  /** Bytes of the byte order mark, which is no text. */
  readonly markBytes: number;
}

/** `head`: the first bytes of the file. With `auto`, a file is UTF-16 where its byte order mark says so, else UTF-8. */
export function textFormat(encoding: Encoding, head: Buffer): DetectedFormat {
  const mark = marks.find(({ bytes }) => bytes.equals(head.subarray(0, bytes.length)));
  const named = encoding === 'auto' ? (mark?.encoding ?? 'utf-8') : encoding;
  return { format: formats[named], markBytes: mark?.encoding === named ? mark.bytes.length : 0 };
}

/** The longest byte order mark. */
export const markBytesMax = 3;

const marks = [
  { encoding: 'utf-8', bytes: Buffer.from([0xef, 0xbb, 0xbf]) },
  { encoding: 'utf-16le', bytes: Buffer.from([0xff, 0xfe]) },
  { encoding: 'utf-16be', bytes: Buffer.from([0xfe, 0xff]) },
] as const;

const newline = 0x0a;

const utf8: TextFormat = {
  unitBytes: 1,
  hasHoles: true,
  lineBytesMax: messageBytesMax,
  readBytesMax: chunkBytesMax,
  lastLineEnd: (bytes) => bytes.lastIndexOf(newline) + 1,
  firstLineEnd: (bytes) => bytes.indexOf(newline) + 1,
  partLength,
  toUtf8: (bytes) => bytes,
};

const latin1: TextFormat = {
  ...utf8,
  // A byte becomes two at most.
  lineBytesMax: Math.floor(partBytesMax / 2),
  readBytesMax: Math.floor(partBytesMax / 2) + 1,
  partLength: (bytes) => Math.min(bytes.length, Math.floor(partBytesMax / 2)),
  toUtf8: (bytes) => Buffer.from(bytes.toString('latin1')),
};

/** Two bytes become three at most, and nine where a half of a pair stands alone, which has to be escaped. */
const utf16LineBytesMax = Math.floor(partBytesMax / 9) * 2;

function utf16(isBigEndian: boolean): TextFormat {
  const lineEnd = Buffer.from(isBigEndian ? [0, newline] : [newline, 0]);

  function unitAt(bytes: Buffer, index: number): number {
    return isBigEndian ? bytes.readUInt16BE(index) : bytes.readUInt16LE(index);
  }

  return {
    unitBytes: 2,
    hasHoles: false,
    lineBytesMax: utf16LineBytesMax,
    readBytesMax: utf16LineBytesMax + 2,
    lastLineEnd(bytes) {
      let at = bytes.lastIndexOf(lineEnd);
      while (at >= 0 && at % 2 === 1) at = at === 0 ? -1 : bytes.lastIndexOf(lineEnd, at - 1);
      return at < 0 ? 0 : at + 2;
    },
    firstLineEnd(bytes) {
      let at = bytes.indexOf(lineEnd);
      while (at >= 0 && at % 2 === 1) at = bytes.indexOf(lineEnd, at + 1);
      return at < 0 ? 0 : at + 2;
    },
    partLength(bytes) {
      const end = Math.min(bytes.length & ~1, utf16LineBytesMax);
      const isInsidePair = end >= 2 && end < bytes.length && (unitAt(bytes, end - 2) & 0xfc00) === 0xd800;
      return isInsidePair ? end - 2 : end;
    },
    toUtf8: (bytes) => wtf8((isBigEndian ? Buffer.from(bytes).swap16() : bytes).toString('utf16le')),
  };
}

/** UTF-8 of text that may hold halves of pairs alone: these as three bytes each, which are not UTF-8 and are escaped. */
function wtf8(text: string): Buffer {
  if (text.isWellFormed()) return Buffer.from(text);
  const pieces = text.split(/(\p{Surrogate})/u).map((piece) => {
    const code = piece.charCodeAt(0);
    const isAlone = piece.length === 1 && code >= 0xd800 && code <= 0xdfff;
    return isAlone
      ? Buffer.from([0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)])
      : Buffer.from(piece);
  });
  return Buffer.concat(pieces);
}

const formats = { 'utf-8': utf8, latin1, 'utf-16le': utf16(false), 'utf-16be': utf16(true) } as const;
