import { randomBytes } from 'node:crypto';
import {
  type BigIntStats,
  closeSync,
  constants,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  renameSync,
  unlinkSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
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

/** The file of this name in an open directory; `path` is for errors. */
export async function openFileAt(directory: FileHandle, name: string, path: string): Promise<OpenFile> {
  try {
    // O_NONBLOCK: opening a FIFO would else wait for its writer.
    const file = await open(at(directory, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const status = await file.stat({ bigint: true });
      if (!status.isFile()) throw systemError('FILE_NOT_REGULAR', { path });
      return opened(file, status, path);
    } catch (error) {
      await file.close();
      throw error;
    }
  } catch (error) {
    throw failed(error, path);
  }
}

function opened(file: FileHandle, status: BigIntStats, path: string): OpenFile {
  return {
    identity: identityOf(status),
    bytes: Number(status.size),
    uid: Number(status.uid),
    gid: Number(status.gid),
    mode: Number(status.mode) & 0o7777,
    async *chunks() {
      const length = Math.min(chunkBytes, Number(status.size) + 1);
      for (let position = 0; ; ) {
        const { bytesRead, buffer } = await file
          .read(Buffer.allocUnsafe(length), 0, length, position)
          .catch((error: unknown) => {
            throw failed(error, path);
          });
        if (bytesRead === 0) return;
        position += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    },
    close: () => file.close(),
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
      const file = await open(temporary, O_RDONLY | O_NOFOLLOW);
      try {
        yield* opened(file, await file.stat({ bigint: true }), path).chunks();
      } finally {
        await file.close();
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
  { uid, gid, mode }: FileOwnership,
): Promise<FileIdentity> {
  const file = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    await file.writeFile(bytes);
    // -1: left as it is, chown(2). The owner before the mode, since a change of owner clears bits of the mode.
    if (uid !== undefined || gid !== undefined) await file.chown(uid ?? -1, gid ?? -1);
    await file.chmod(mode);
    await file.sync();
    return identityOf(await file.stat({ bigint: true }));
  } finally {
    await file.close();
  }
}

/** Owner and mode are no part of it: a file that changed hands still has its content. */
export function identityOf({ dev, ino, size, mtimeNs }: BigIntStats): FileIdentity {
  return [dev, ino, size, mtimeNs].join(':');
}

function currentIdentity(inside: string): FileIdentity | undefined {
  const status = lstatSync(inside, { bigint: true, throwIfNoEntry: false });
  return status === undefined ? undefined : identityOf(status);
}
