import { hash } from 'node:crypto';
import { readSync } from 'node:fs';

/**
 * What a file is known by beside device and inode, which are used again: its first bytes and those just before the
 * place up to which it was read. Both grow with the file until they have their full length. Two files that agree in
 * both, at the same offset, are one file, or a copy of it.
 */
export interface Fingerprint {
  readonly headBytes: number;
  readonly head: string;
  readonly tailBytes: number;
  readonly tail: string;
}

/** A fingerprint with so long a head says by itself which file it is of, but for files that are made alike. */
export const headBytesMax = 1024;
const tailBytesMax = 256;

/** Keeps the first and the last bytes of what was read of a file. */
export interface FingerprintState {
  /** The bytes just before the offset. Its own memory: changes with `advance`. */
  readonly tail: Buffer;
  advance(bytes: Buffer): void;
  /** As `advance` with that many NUL bytes. */
  skipNul(length: number): void;
  fingerprint(): Fingerprint;
}

export function newFingerprint(
  head: Buffer = Buffer.alloc(0),
  tail: Buffer = Buffer.alloc(0),
): FingerprintState {
  let first = head;
  let last = tail;
  let firstHash: string | undefined;

  function advance(bytes: Buffer): void {
    if (first.length < headBytesMax) {
      first = Buffer.concat([first, bytes.subarray(0, headBytesMax - first.length)]);
      firstHash = undefined;
    }
    last =
      bytes.length >= tailBytesMax
        ? Buffer.from(bytes.subarray(-tailBytesMax))
        : Buffer.concat([last, bytes]).subarray(-tailBytesMax);
  }

  return {
    get tail() {
      return last;
    },
    advance,
    // More than head and tail hold changes neither.
    skipNul: (length) => advance(Buffer.alloc(Math.min(length, headBytesMax + tailBytesMax))),
    fingerprint() {
      firstHash ??= hashOf(first);
      return { headBytes: first.length, head: firstHash, tailBytes: last.length, tail: hashOf(last) };
    },
  };
}

/** The state of a file that has this fingerprint at `offset`; undefined when it is another file. */
export function recognize(handle: number, known: Fingerprint, offset: number): FingerprintState | undefined {
  const head = readAt(handle, 0, known.headBytes);
  if (hashOf(head) !== known.head) return undefined;
  const tail = readAt(handle, offset - known.tailBytes, known.tailBytes);
  return hashOf(tail) === known.tail ? newFingerprint(head, tail) : undefined;
}

function readAt(handle: number, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  return bytes.subarray(0, length === 0 ? 0 : readSync(handle, bytes, 0, length, position));
}

/** 128 bits are kept: enough to tell files apart. */
export function hashOf(bytes: Buffer): string {
  return hash('sha256', bytes, 'hex').slice(0, 32);
}
