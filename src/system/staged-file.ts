import { randomBytes } from 'node:crypto';
import {
  type BigIntStats,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsync,
  fsyncSync,
  linkSync,
  lstatSync,
  open,
  openSync,
  read,
  readSync,
  renameSync,
  unlinkSync,
  write,
} from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { errnoOf } from '../base/errno.ts';
import { systemError } from './errors.ts';
import { at, failed, selfPath } from './walk.ts';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/** What a file is made of: all of it, or piece by piece. */
export type FileBytes = Uint8Array | AsyncIterable<Uint8Array>;

/** Tells a file from any other that had or gets its name, and from itself once somebody wrote to it. */
export type FileIdentity = string;

/** Owner and mode of a file, set before it has its name. */
export interface FileOwnership {
  readonly mode: number;
  /** Left as the process has it where not given. */
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

export interface StageOptions extends FileOwnership {
  /** What its name begins with until it is committed. */
  readonly prefix: string;
}

/** A regular file held open. */
export interface OpenFile {
  readonly uid: number;
  readonly gid: number;
  /** Permission bits. */
  readonly mode: number;
  readonly identity: FileIdentity;
  readonly bytes: number;
  /** Its bytes from the beginning; again at each call. Each piece is a buffer of its own. */
  chunks(): AsyncGenerator<Buffer>;
  close(): Promise<void>;
}

/** A whole and durable file that waits for its name. */
export interface StagedFile {
  /** What was written. */
  chunks(): AsyncIterable<Uint8Array>;
  /**
   * Gives it the name; with `instead` only in place of that very file, or only where there is none. Synchronous, so that
   * a transaction can be around it; durable after `sync`. False where another file has the name.
   * @throws FILE_EXISTS where there is to be none, FILE_…
   */
  commit(instead?: { readonly of: FileIdentity } | 'nothing'): boolean;
  /** Makes the commits in its directory durable. */
  sync(): void;
  /** Removes it, unless it was committed. */
  discard(): void;
}

const chunkBytes = 256 * 1024;

/** A file up to this size is read at once. */
const smallBytesMax = 64 * 1024;

/**
 * What waits for a disk goes to the thread pool. The rest (opening what is there, reading a small file, status, owner,
 * mode, close) is synchronous: it takes a few microseconds, and as a turn of the pool thirty to a hundred, or as long as
 * every fsync before it.
 */
const inPool = {
  open: promisify(open),
  read: promisify(read),
  write: promisify(write),
  fsync: promisify(fsync),
};

/** The file of this name in an open directory; `path` is for errors. */
export async function openFileAt(directory: FileHandle, name: string, path: string): Promise<OpenFile> {
  try {
    // O_NONBLOCK: opening a FIFO would else wait for its writer.
    const file = openSync(at(directory, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const status = fstatSync(file, { bigint: true });
      if (!status.isFile()) throw systemError('FILE_NOT_REGULAR', { path });
      return opened(file, status, path);
    } catch (error) {
      closeSync(file);
      throw error;
    }
  } catch (error) {
    throw failed(error, path);
  }
}

function opened(file: number, status: BigIntStats, path: string): OpenFile {
  let isOpen = true;
  const isSmall = status.size <= smallBytesMax;
  const readInto = async (buffer: Buffer, position: number): Promise<number> => {
    try {
      if (isSmall) return readSync(file, buffer, 0, buffer.length, position);
      return (await inPool.read(file, buffer, 0, buffer.length, position)).bytesRead;
    } catch (error) {
      throw failed(error, path);
    }
  };
  return {
    identity: identityOf(status),
    bytes: Number(status.size),
    uid: Number(status.uid),
    gid: Number(status.gid),
    mode: Number(status.mode) & 0o7777,
    async *chunks() {
      const size = Number(status.size);
      const length = Math.min(chunkBytes, size + 1);
      for (let position = 0; ; ) {
        // Its number may be another file's by now.
        if (!isOpen) throw new TypeError('a file is read that was closed');
        const buffer = Buffer.allocUnsafe(length);
        const bytesRead = await readInto(buffer, position);
        if (bytesRead === 0) return;
        position += bytesRead;
        yield buffer.subarray(0, bytesRead);
        // One byte more was asked for than there was: it has not grown, and need not be asked again.
        if (bytesRead < length && position === size) return;
      }
    },
    async close() {
      if (isOpen) closeSync(file);
      isOpen = false;
    },
  };
}

/** Writes what is to become `name` in an open directory; `path` is for errors. */
export async function stageAt(
  directory: FileHandle,
  name: string,
  path: string,
  bytes: FileBytes,
  options: StageOptions,
): Promise<StagedFile> {
  const temporary = at(directory, `${options.prefix}${randomBytes(8).toString('hex')}.tmp`);
  let isThere = true;
  const discard = (): void => {
    if (!isThere) return;
    isThere = false;
    try {
      unlinkSync(temporary);
    } catch {
      // A later sweep finds it.
    }
  };
  try {
    await writeNew(temporary, bytes, options);
  } catch (error) {
    discard();
    throw errnoOf(error) === undefined ? error : failed(error, path);
  }

  return {
    async *chunks() {
      const file = openSync(temporary, O_RDONLY | O_NOFOLLOW);
      try {
        yield* opened(file, fstatSync(file, { bigint: true }), path).chunks();
      } finally {
        closeSync(file);
      }
    },

    commit(instead) {
      try {
        const inside = at(directory, name);
        if (instead === 'nothing') {
          linkSync(temporary, inside);
          discard();
          return true;
        }
        if (instead !== undefined && currentIdentity(inside) !== instead.of) return false;
        renameSync(temporary, inside);
        isThere = false;
        return true;
      } catch (error) {
        throw errnoOf(error) === 'EEXIST' ? systemError('FILE_EXISTS', { path }, error) : failed(error, path);
      }
    },

    sync() {
      const readable = openSync(selfPath(directory), O_RDONLY | O_DIRECTORY);
      try {
        fsyncSync(readable);
      } catch (error) {
        throw failed(error, path);
      } finally {
        closeSync(readable);
      }
    },

    discard,
  };
}

/** Writes a new file, durably, with its owner and mode. */
export async function writeNew(
  path: string,
  bytes: FileBytes,
  ownership: FileOwnership,
): Promise<FileIdentity> {
  const file = await inPool.open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    for await (const piece of gathered(bytes)) await writeWhole(file, piece);
    own(file, ownership);
    await inPool.fsync(file);
    return identityOf(fstatSync(file, { bigint: true }));
  } finally {
    closeSync(file);
  }
}

/** Gives a file its owner and mode; nothing is written where it has them, which most files have as they are made. */
function own(file: number, { uid = -1, gid = -1, mode }: FileOwnership): void {
  const there = fstatSync(file);
  // -1: left as it is, chown(2). The owner before the mode, since a change of owner clears bits of the mode.
  const isChanged = (uid !== -1 && uid !== there.uid) || (gid !== -1 && gid !== there.gid);
  if (isChanged) fchownSync(file, uid, gid);
  if (isChanged || (there.mode & 0o7777) !== mode) fchmodSync(file, mode);
}

async function writeWhole(file: number, bytes: Uint8Array): Promise<void> {
  for (let from = 0; from < bytes.length; ) {
    from += (await inPool.write(file, bytes, from, bytes.length - from)).bytesWritten;
  }
}

/** Joins pieces up to what is read at once: a small file is one write, and a large one few. */
async function* gathered(bytes: FileBytes): AsyncGenerator<Uint8Array> {
  if (bytes instanceof Uint8Array) {
    yield bytes;
    return;
  }
  let pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of bytes) {
    pieces.push(piece);
    length += piece.length;
    if (length < chunkBytes) continue;
    yield Buffer.concat(pieces, length);
    pieces = [];
    length = 0;
  }
  yield Buffer.concat(pieces, length);
}

/** Owner and mode are no part of it: a file that changed hands still has its content. */
export function identityOf({ dev, ino, size, mtimeNs }: BigIntStats): FileIdentity {
  return [dev, ino, size, mtimeNs].join(':');
}

function currentIdentity(inside: string): FileIdentity | undefined {
  const status = lstatSync(inside, { bigint: true, throwIfNoEntry: false });
  return status === undefined ? undefined : identityOf(status);
}
