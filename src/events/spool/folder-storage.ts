import { constants, fstatSync, statSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../base/errno.ts';
import { bodyBytesUsual, borrowBody } from '../body-memory.ts';
import type { Storage, StorageFile } from './storage.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR, O_RDONLY, O_DIRECTORY, O_DSYNC } = constants;

/** A folder on a local disk; made, with mode 0700, where it is missing. */
export async function folderStorage(path: string): Promise<Storage> {
  await mkdir(path, { recursive: true, mode: 0o700 });

  async function create(name: string): Promise<StorageFile> {
    const made = () => open(join(path, name), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      return await writableFile(name, await made());
    } catch (error) {
      // Somebody has deleted the folder, or moved it away: what was in it is told of where it is missed.
      if (errnoOf(error) !== 'ENOENT') throw error;
      await mkdir(path, { mode: 0o700 });
      return writableFile(name, await made());
    }
  }

  async function writableFile(name: string, handle: FileHandle): Promise<StorageFile> {
    try {
      return fileIn(handle, await open(join(path, name), O_RDWR | O_NOFOLLOW | O_DSYNC));
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** A file that knows which folder it was found in. */
  function fileIn(handle: FileHandle, durable?: FileHandle): StorageFile {
    const folder = folderAt(path);
    const file = storageFile(handle, durable);
    // Whoever looks for it at the next start looks there: a folder that somebody moved away is as good as deleted.
    const stillThere = (): void => {
      const here = folderAt(path);
      if (here === undefined || here !== folder)
        throw Object.assign(new Error('moved away'), { code: 'ENOENT' });
    };
    return {
      ...file,
      async sync() {
        await file.sync();
        stillThere();
      },
      async writeDurably(bytes, at) {
        await file.writeDurably(bytes, at);
        stillThere();
      },
    };
  }

  return {
    path,
    list: () => readdir(path),
    create,
    open: async (name) => fileIn(await open(join(path, name), O_RDWR | O_NOFOLLOW)),
    remove: (name) => unlink(join(path, name)),

    async sync() {
      const folder = await open(path, O_RDONLY | O_DIRECTORY);
      try {
        await folder.sync();
      } finally {
        await folder.close();
      }
    },
  };
}

/** Which folder is at a path; undefined where there is none. */
function folderAt(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat && `${stat.dev}:${stat.ino}`;
}

/** A full batch is read into memory that is used again when it was sent. */
function bufferOf(length: number): Buffer {
  const isFull = length > bodyBytesUsual / 2 && length <= bodyBytesUsual;
  return isFull ? borrowBody() : Buffer.allocUnsafeSlow(length);
}

/**
 * `durable` is the same file once more, opened with O_DSYNC: what is written through it is durable when the write returns.
 * That is one way to the thread pool instead of two, and the second had to wait until this thread had time for it.
 */
export function storageFile(handle: FileHandle, durable?: FileHandle): StorageFile {
  // Bytes of a file that has no name any more could not be read back: nothing else says that somebody deleted it.
  const stillNamed = (): void => {
    if (fstatSync(handle.fd).nlink === 0) throw Object.assign(new Error('deleted'), { code: 'ENOENT' });
  };
  const file: StorageFile = {
    size: async () => (await handle.stat()).size,

    async read(at, length) {
      const buffer = bufferOf(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await handle.read(buffer, filled, length - filled, at + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return buffer.subarray(0, filled);
    },

    write: (bytes, at) => writeAll(handle, bytes, at),

    async writeDurably(bytes, at) {
      await writeAll(durable ?? handle, bytes, at);
      if (durable === undefined) await file.sync();
      else stillNamed();
    },

    async sync() {
      // The length is a part of what fdatasync makes durable: without it the bytes could not be read back.
      await handle.datasync();
      stillNamed();
    },
    truncate: (length) => handle.truncate(length),
    async close() {
      await durable?.close();
      await handle.close();
    },
  };
  return file;
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, at + written);
    written += bytesWritten;
  }
}
