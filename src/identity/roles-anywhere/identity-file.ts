import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

/** A file of the host's identity, as it was when it was read. */
export interface IdentityFile {
  readonly bytes: Buffer;
  /** Permission bits. */
  readonly mode: number;
}

/** Certificates with the longest chains take tens of kilobytes. */
const bytesMax = 1024 * 1024;

/**
 * Reads a regular file, through links: certificate managers swap a link. Synchronously: a few kilobytes from the page
 * cache, and each await costs a cold start more than the reading does.
 * @throws an Error with a `code` for whoever reads to wrap
 */
export function readIdentityFile(path: string): IdentityFile {
  // O_NONBLOCK: opening a FIFO would else wait for its writer.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const { mode, size } = fstatSync(file);
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw refused('not a regular file', 'NOT_REGULAR');
    if (size > bytesMax) throw refused('larger than a certificate or key is', 'TOO_LARGE');
    const buffer = Buffer.alloc(size + 1);
    let filled = 0;
    for (;;) {
      const read = readSync(file, buffer, filled, buffer.length - filled, filled);
      filled += read;
      if (read === 0) break;
      if (filled > size) throw refused('changed while it was read', 'CHANGED');
    }
    return { bytes: buffer.subarray(0, filled), mode: mode & 0o7777 };
  } finally {
    closeSync(file);
  }
}

function refused(message: string, code: string): Error {
  return Object.assign(new Error(message), { code });
}

/** What kept a file from being read, in one word: `ENOENT`, `EACCES`, `TOO_LARGE`. */
export function problemOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
}
