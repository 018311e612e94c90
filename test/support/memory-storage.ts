import type { Storage, StorageFile } from '../../src/events/spool/storage.ts';

/** One of the calls by which a log reaches its storage. */
export type StorageCall =
  | 'list'
  | 'create'
  | 'open'
  | 'remove'
  | 'sync-folder'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate';

export interface MemoryStorage extends Storage {
  /** Called before each call; a throw is what the call throws. May be set at any time. */
  onCall: (call: StorageCall, name: string) => void | Promise<void>;
  /** A write that makes its files longer than this in all is refused with ENOSPC. */
  bytesMax: number;
  /** What is there, as another process would see it; a change of the bytes is a change of the file. */
  readonly files: ReadonlyMap<string, Buffer>;
  replaceFile(name: string, bytes: Buffer): void;
  removeFile(name: string): void;
  /** The process ends: what it wrote stays, and nothing of it reaches the storage any more. */
  killed(): MemoryStorage;
  /**
   * The power goes: what was synced stays, of the rest any part may; `chance` decides, with a number below 1, for each
   * sector and each name.
   */
  unplugged(chance: () => number): MemoryStorage;
}

const sectorBytes = 512;

interface MemoryFile {
  bytes: Buffer;
  durable: Buffer;
}

/**
 * A folder in memory that knows what is on its disk and what is only on its way there: as POSIX has it, not more. A sync
 * of a file makes its bytes and its length durable, but not its name; a durable write does so with what it writes; a sync
 * of the folder makes names durable. In between each sector, and each name, may or may not have got there, in any order.
 */
export function memoryStorage(
  files: Map<string, MemoryFile> = new Map(),
  durableNames: Map<string, MemoryFile> = new Map(),
): MemoryStorage {
  let isOver = false;

  async function called(call: StorageCall, name: string): Promise<void> {
    await storage.onCall(call, name);
    // What a dead process asks for is never done, and never answered.
    if (isOver) await new Promise(() => {});
  }

  function fileOf(name: string, file: MemoryFile): StorageFile {
    const made: StorageFile = {
      async size() {
        await called('read', name);
        return file.bytes.length;
      },
      async read(at, length) {
        await called('read', name);
        return Buffer.from(file.bytes.subarray(at, at + length));
      },
      async write(bytes, at) {
        await called('write', name);
        const others = [...files.values()].reduce(
          (sum, each) => sum + (each === file ? 0 : each.bytes.length),
          0,
        );
        const isLonger = at + bytes.length > file.bytes.length;
        if (isLonger && others + at + bytes.length > storage.bytesMax) throw failure('ENOSPC');
        const longer = Buffer.alloc(Math.max(file.bytes.length, at + bytes.length));
        file.bytes.copy(longer);
        longer.set(bytes, at);
        file.bytes = longer;
      },
      async writeDurably(bytes, at) {
        await made.write(bytes, at);
        await called('sync', name);
        // These bytes and no others: what else was written to the file may still be on its way.
        const longer = Buffer.alloc(Math.max(file.durable.length, at + bytes.length));
        file.durable.copy(longer);
        longer.set(bytes, at);
        file.durable = longer;
      },
      async sync() {
        await called('sync', name);
        file.durable = Buffer.from(file.bytes);
      },
      async truncate(length) {
        await called('truncate', name);
        file.bytes = Buffer.from(file.bytes.subarray(0, length));
      },
      async close() {},
    };
    return made;
  }

  const storage: MemoryStorage = {
    path: '/memory',
    onCall: () => undefined,
    bytesMax: Infinity,

    get files() {
      return new Map([...files].map(([name, { bytes }]) => [name, bytes]));
    },

    replaceFile(name, bytes) {
      files.set(name, { bytes, durable: bytes });
    },

    removeFile(name) {
      files.delete(name);
    },

    async list() {
      await called('list', '');
      // A folder gives names in no order.
      return [...files.keys()].toReversed();
    },

    async create(name) {
      await called('create', name);
      if (files.has(name)) throw failure('EEXIST');
      const file = { bytes: Buffer.alloc(0), durable: Buffer.alloc(0) };
      files.set(name, file);
      return fileOf(name, file);
    },

    async open(name) {
      await called('open', name);
      const file = files.get(name);
      if (file === undefined) throw failure('ENOENT');
      return fileOf(name, file);
    },

    async remove(name) {
      await called('remove', name);
      if (!files.delete(name)) throw failure('ENOENT');
    },

    async sync() {
      await called('sync-folder', '');
      durableNames.clear();
      for (const [name, file] of files) durableNames.set(name, file);
    },

    killed() {
      isOver = true;
      return memoryStorage(files, durableNames);
    },

    unplugged(chance) {
      isOver = true;
      const left = new Map<string, MemoryFile>();
      for (const name of new Set([...durableNames.keys(), ...files.keys()])) {
        const [before, now] = [durableNames.get(name), files.get(name)];
        const file = before === now || chance() < 0.5 ? before : now;
        if (file !== undefined) left.set(name, settled(file, chance));
      }
      return memoryStorage(left, new Map(left));
    },
  };
  return storage;
}

/** A file after the power went: of each sector the old bytes or the new, and a length between the old and the new. */
function settled({ bytes, durable }: MemoryFile, chance: () => number): MemoryFile {
  const length = durable.length + Math.round(chance() * (bytes.length - durable.length));
  const after = Buffer.alloc(Math.max(0, length));
  durable.copy(after);
  const isKept = chance();
  for (let at = 0; at < after.length; at += sectorBytes) {
    const isNew = chance() < isKept;
    if (isNew) bytes.copy(after, at, at, Math.min(at + sectorBytes, after.length));
  }
  return { bytes: after, durable: Buffer.from(after) };
}

/** An error as the system gives it. */
export function failure(code: string): Error {
  return Object.assign(new Error(code), { code, errno: -1, syscall: 'test' });
}
