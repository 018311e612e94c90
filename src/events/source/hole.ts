import { readSync } from 'node:fs';

/**
 * A hole: NUL bytes that nobody wrote. A file that is truncated under a writer who does not append starts with one, up
 * to where that writer was; a crash leaves others. Inside a file, shorter runs are text like any other.
 */
const holeBytesMin = 512;
const nul = Buffer.alloc(64 * 1024);
const scratch = Buffer.allocUnsafeSlow(nul.length);

/** Where the first hole in these bytes starts; -1 when there is none. At a line's start a file's rest may be all NUL. */
export function holeStart(bytes: Buffer, isLineStart: boolean, offset: number): number {
  let at = bytes.indexOf(0);
  while (at >= 0) {
    const end = runEnd(bytes, at);
    const isHole =
      end - at >= holeBytesMin || (at === 0 && isLineStart && (offset === 0 || end === bytes.length));
    if (isHole) return at;
    at = bytes.indexOf(0, end);
  }
  return -1;
}

function runEnd(bytes: Buffer, from: number): number {
  let at = from;
  while (at + nul.length <= bytes.length && nul.compare(bytes, at, at + nul.length) === 0) at += nul.length;
  while (at < bytes.length && bytes[at] === 0) at += 1;
  return at;
}

/** Where something other than NUL comes, from `from` on, or the place before `to` up to which there is none. */
export function textStart(
  handle: number,
  from: number,
  to: number,
): { readonly at: number; readonly isText: boolean } {
  let at = from;
  while (at < to) {
    const got = readSync(handle, scratch, 0, Math.min(nul.length, to - at), at);
    if (got === 0) break;
    const end = runEnd(scratch.subarray(0, got), 0);
    at += end;
    if (end < got) return { at, isText: true };
  }
  return { at, isText: false };
}
