import type { Storage, StorageFile } from './storage.ts';

/** Files of a storage, opened when they are needed and closed when others are needed more. */
export interface OpenFiles {
  /** Of the storage. */
  readonly path: string;
  of(name: string): Promise<StorageFile>;
  /** Hands over one that is open already. */
  add(name: string, file: StorageFile): StorageFile;
  close(name: string): Promise<void>;
  closeAll(): Promise<void>;
}

/** Open at the same time, for each of the spool's two folders. */
export const openSegmentsMax = 16;

export function openFiles(storage: Storage): OpenFiles {
  /** The least recently used first. */
  const files = new Map<string, Promise<StorageFile>>();

  function keep(name: string, file: Promise<StorageFile>): Promise<StorageFile> {
    files.delete(name);
    files.set(name, file);
    const [oldest] = files.keys();
    // Node closes a file when what is under way on it is done.
    if (files.size > openSegmentsMax && oldest !== undefined) void close(oldest);
    return file;
  }

  async function close(name: string): Promise<void> {
    const file = files.get(name);
    files.delete(name);
    await file?.then((opened) => opened.close()).catch(() => undefined);
  }

  return {
    path: storage.path,

    async of(name) {
      const known = files.get(name);
      if (known !== undefined) return keep(name, known);
      const opening = storage.open(name);
      opening.catch(() => files.delete(name));
      return keep(name, opening);
    },
    add(name, file) {
      void keep(name, Promise.resolve(file));
      return file;
    },
    close,
    async closeAll() {
      await Promise.all([...files.keys()].map(close));
    },
  };
}
