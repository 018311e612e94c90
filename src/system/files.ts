import { createHash, randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import {
  type FileHandle,
  link,
  lstat,
  open,
  opendir,
  realpath,
  rename,
  statfs,
  unlink,
} from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { errnoOf } from '../base/errno.ts';
import { GatehouseError } from '../base/errors.ts';
import { systemError } from './errors.ts';
import {
  type FileBytes,
  type FileIdentity,
  type FileOwnership,
  identityOf,
  type OpenFile,
  openFileAt,
  type StagedFile,
  type StageOptions,
  stageAt,
  writeNew,
} from './staged-file.ts';
import { type Allowance, at, failed, linksMax, linkTarget, ownUid, selfPath, walked } from './walk.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/** Names looked at in one directory when old temporaries are searched. */
const namesMax = 100_000;

/** statfs(2) types of file systems without a disk. Their pages may still be swapped out. */
const inMemoryTypes: ReadonlySet<number> = new Set([0x0102_1994, 0x8584_58f6]);

export interface OpenDirectoryOptions {
  /** Directories that are missing are made when they lie in one of these, and the result must lie in one of them. */
  readonly within?: readonly string[];
  /** Mode of directories that are made. */
  readonly mode?: number;
  /** False: none is made. */
  readonly isMade?: boolean;
}

export interface WriteOptions extends FileOwnership {
  /** False: FILE_EXISTS when the name is taken. True where not given. */
  readonly overwrite?: boolean | undefined;
}

/** A file's content with what decides who may read it. */
export interface FileContent {
  readonly bytes: Buffer;
  readonly uid: number;
  readonly gid: number;
  /** Permission bits. */
  readonly mode: number;
  readonly identity: FileIdentity;
}

/** A directory held open: names in it stay in it, whatever happens to its path meanwhile. */
export interface OpenDirectory {
  /** Its path with every link resolved. */
  readonly path: string;
  readonly uid: number;
  /** Permission bits with the sticky bit. */
  readonly mode: number;
  isInMemory(): Promise<boolean>;
  /** The content of a regular file; undefined when there is none that could be read, or a longer or linked one. */
  read(name: string, bytesMax: number): Promise<FileContent | undefined>;
  /** Puts a file in place of `name`, whole or not at all; owner, group and mode are right before the name exists. */
  replace(name: string, bytes: Uint8Array, options: WriteOptions): Promise<FileIdentity>;
  /** Removes the file of this name, if it is still the very one. */
  remove(name: string, identity: FileIdentity): Promise<'removed' | 'absent' | 'another'>;
  /** Removes what an interrupted `replace` of this name left behind. Not while another one is under way. */
  removeStale(name: string): Promise<void>;
  /** Opens a regular file for reading in pieces. @throws FILE_NOT_FOUND, FILE_NOT_REGULAR, FILE_DENIED, FILE_FAILED */
  openFile(name: string): Promise<OpenFile>;
  /**
   * Writes what is to become `name`, durably, under a name of its own that begins with `prefix`. The caller keeps the
   * directory open until it was committed or discarded.
   */
  stage(name: string, bytes: FileBytes, options: StageOptions): Promise<StagedFile>;
  /** Removes what interrupted stages with this prefix left behind. Not while another one is under way. */
  sweep(prefix: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a directory component by component: a link counts only if root or this user made it, so nobody else can lead
 * us elsewhere. Node has no openat; `/proc/self/fd/N/name` does the same.
 * @throws FILE_NOT_FOUND, FILE_DENIED, FILE_LINK_UNTRUSTED, FILE_NOT_ALLOWED, FILE_FAILED
 */
export async function openDirectory(
  path: string,
  options: OpenDirectoryOptions = {},
): Promise<OpenDirectory> {
  const handle = await walked(path, await allowance(options));
  try {
    return openedDirectory(handle.directory, handle.path, await handle.directory.stat());
  } catch (error) {
    await handle.directory.close();
    throw failed(error, path);
  }
}

/**
 * The same for a directory that something is to be written into: that it is not there is no missing input.
 * @throws FILE_DIRECTORY_MISSING, and as `openDirectory` for the rest
 */
export async function openOutputDirectory(
  path: string,
  options: OpenDirectoryOptions = {},
): Promise<OpenDirectory> {
  return openDirectory(path, options).catch((error: unknown) => {
    if (!(error instanceof GatehouseError) || error.code !== 'FILE_NOT_FOUND') throw error;
    throw systemError('FILE_DIRECTORY_MISSING', error.details, error.cause);
  });
}

/**
 * Writes a file whole or not at all, into a directory that exists.
 * @throws FILE_EXISTS, and as `openOutputDirectory`
 */
export async function writeFileAtomically(
  path: string,
  bytes: Uint8Array,
  options: WriteOptions,
): Promise<void> {
  const absolute = resolve(path);
  const directory = await openOutputDirectory(dirname(absolute));
  try {
    await directory.replace(basename(absolute), bytes, options);
  } finally {
    await directory.close();
  }
}

/**
 * Removes a file, also after a power loss. False where there was none.
 * @throws as `openDirectory`
 */
export async function removeFileDurably(path: string): Promise<boolean> {
  const absolute = resolve(path);
  const { directory } = await walked(dirname(absolute), {});
  try {
    await unlink(at(directory, basename(absolute)));
    await syncDirectory(directory);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw failed(error, path);
  } finally {
    await directory.close();
  }
}

/**
 * Reads a regular file of at most `bytesMax` bytes. Links count as for `openDirectory`.
 * @throws FILE_NOT_FOUND, FILE_DENIED, FILE_LINK_UNTRUSTED, FILE_NOT_REGULAR, FILE_TOO_LARGE, FILE_FAILED
 */
export async function readRegularFile(
  path: string,
  { bytesMax }: { readonly bytesMax: number },
): Promise<Buffer> {
  return whereItIs(path, (directory, name, target) => readOpened(at(directory, name), target, bytesMax));
}

/**
 * The content of a regular file, for whoever replaces it: undefined only where there is none, for what is there and
 * cannot be read must not be written over.
 * @throws FILE_DENIED, FILE_LINK_UNTRUSTED, FILE_NOT_REGULAR, FILE_TOO_LARGE, FILE_CHANGED, FILE_FAILED
 */
export async function contentIn(
  directory: OpenDirectory,
  name: string,
  bytesMax: number,
): Promise<FileContent | undefined> {
  const file = await directory.openFile(name).catch((error: unknown) => {
    if (error instanceof GatehouseError && error.code === 'FILE_NOT_FOUND') return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  const path = `${directory.path}/${name}`;
  const chunks: Buffer[] = [];
  try {
    const { uid, gid, mode, identity, bytes: size } = file;
    if (size > bytesMax) throw systemError('FILE_TOO_LARGE', { path, bytes: size, bytesMax });
    let filled = 0;
    for await (const chunk of file.chunks()) {
      filled += chunk.length;
      chunks.push(chunk);
      if (filled > size) throw systemError('FILE_CHANGED', { path });
    }
    return { bytes: Buffer.concat(chunks), uid, gid, mode, identity };
  } finally {
    for (const chunk of chunks) chunk.fill(0);
    await file.close();
  }
}

/**
 * Opens a regular file for reading in pieces. Links count as for `openDirectory`.
 * @throws FILE_NOT_FOUND, FILE_DENIED, FILE_LINK_UNTRUSTED, FILE_NOT_REGULAR, FILE_FAILED
 */
export async function openRegularFile(path: string): Promise<OpenFile> {
  return whereItIs(path, openFileAt);
}

/** Follows the links that count, up to the folder and name of what is no link. */
async function whereItIs<T>(
  path: string,
  use: (directory: FileHandle, name: string, target: string) => Promise<T>,
): Promise<T> {
  let target = resolve(path);
  for (let links = 0; links < linksMax; links += 1) {
    const { directory, path: parent } = await walked(dirname(target), {});
    try {
      const next = await linkTarget(at(directory, basename(target)), target, parent);
      if (next === undefined) return await use(directory, basename(target), target);
      target = next;
    } finally {
      await directory.close();
    }
  }
  throw systemError('FILE_LINK_UNTRUSTED', { path, problem: 'too many links' });
}

/**
 * Makes sure that a directory is there, is ours, and lets nobody else in.
 * @throws FILE_DIRECTORY_UNSAFE, and as `openDirectory`
 */
export async function ensurePrivateDirectory(path: string): Promise<void> {
  const directory = await openDirectory(path, { within: [path], mode: 0o700 });
  await directory.close();
  if (directory.uid !== ownUid() || (directory.mode & 0o077) !== 0) {
    throw systemError('FILE_DIRECTORY_UNSAFE', {
      path,
      ownerUid: directory.uid,
      mode: directory.mode.toString(8),
    });
  }
}

/** True when what is written there reaches no disk: tmpfs or ramfs. */
export async function isInMemory(path: string): Promise<boolean> {
  const { type } = await statfs(path).catch((error: unknown) => {
    throw failed(error, path);
  });
  return inMemoryTypes.has(type);
}

async function allowance({ within, mode = 0o700, isMade = true }: OpenDirectoryOptions): Promise<Allowance> {
  if (within === undefined) return {};
  // The prefixes come from who runs the agent, so their own links are trusted.
  const real = await Promise.all(within.map((prefix) => realpath(prefix).catch(() => prefix)));
  return { within: [...within, ...real], mode, isMade };
}

async function readOpened(inside: string, path: string, bytesMax: number): Promise<Buffer> {
  try {
    // O_NONBLOCK: opening a FIFO would else wait for its writer.
    const file = await open(inside, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const status = await file.stat();
      if (!status.isFile()) throw systemError('FILE_NOT_REGULAR', { path });
      return await wholeContent(file, path, bytesMax);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw failed(error, path);
  }
}

/** Reads to the end rather than to the size that stat gave: the file may be growing. */
async function wholeContent(file: FileHandle, path: string, bytesMax: number): Promise<Buffer> {
  const { size } = await file.stat();
  if (size > bytesMax) throw systemError('FILE_TOO_LARGE', { path, bytes: size, bytesMax });
  const buffer = Buffer.alloc(size + 1);
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, filled);
    if (bytesRead === 0) return buffer.subarray(0, filled);
    filled += bytesRead;
  }
  throw systemError('FILE_CHANGED', { path });
}

function openedDirectory(handle: FileHandle, path: string, status: Stats): OpenDirectory {
  return {
    path,
    uid: status.uid,
    mode: status.mode & 0o7777,
    isInMemory: () => isInMemory(selfPath(handle)),

    async read(name, bytesMax) {
      const inside = at(handle, checkedName(name));
      try {
        const file = await open(inside, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
        try {
          const { uid, gid, mode, nlink, size } = await file.stat();
          if (nlink !== 1 || size > bytesMax) return undefined;
          // Before the content: a write in between then shows as another file.
          const identity = identityOf(await file.stat({ bigint: true }));
          const bytes = await wholeContent(file, inside, bytesMax);
          return { bytes, uid, gid, mode: mode & 0o7777, identity };
        } finally {
          await file.close();
        }
      } catch {
        return undefined;
      }
    },

    async replace(name, bytes, options) {
      const temporary = at(
        handle,
        `${temporaryPrefix(checkedName(name))}${randomBytes(8).toString('hex')}.tmp`,
      );
      const target = `${path}/${name}`;
      try {
        const identity = await writeNew(temporary, bytes, options);
        if (options.overwrite === false) await link(temporary, at(handle, name));
        else await rename(temporary, at(handle, name));
        await syncDirectory(handle);
        return identity;
      } catch (error) {
        throw errnoOf(error) === 'EEXIST'
          ? systemError('FILE_EXISTS', { path: target }, error)
          : failed(error, target);
      } finally {
        // Gone after a rename; otherwise this is the other name of a link, or what a failure left.
        await unlink(temporary).catch(() => undefined);
      }
    },

    async remove(name, identity) {
      const inside = at(handle, checkedName(name));
      try {
        if (identityOf(await lstat(inside, { bigint: true })) !== identity) return 'another';
        await unlink(inside);
        return 'removed';
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return 'absent';
        throw failed(error, `${path}/${name}`);
      }
    },

    removeStale: (name) => removeTemporaries(handle, temporaryPrefix(checkedName(name))),
    openFile: (name) => openFileAt(handle, checkedName(name), `${path}/${name}`),
    stage: (name, bytes, stageOptions) =>
      stageAt(handle, checkedName(name), `${path}/${name}`, bytes, stageOptions),
    sweep: (prefix) => removeTemporaries(handle, prefix),

    close: () => handle.close(),
  };
}

async function removeTemporaries(directory: FileHandle, prefix: string): Promise<void> {
  let seen = 0;
  for await (const entry of await opendir(selfPath(directory))) {
    seen += 1;
    if (seen > namesMax) return;
    if (entry.name.startsWith(prefix) && entry.name.endsWith('.tmp')) {
      await unlink(at(directory, entry.name)).catch(() => undefined);
    }
  }
}

async function syncDirectory(directory: FileHandle): Promise<void> {
  const readable = await open(selfPath(directory), O_RDONLY | O_DIRECTORY);
  try {
    await readable.sync();
  } finally {
    await readable.close();
  }
}

/** The same for every temporary of one name, however long the name. */
function temporaryPrefix(name: string): string {
  return `.gatehouse-${createHash('sha256').update(name).digest('hex').slice(0, 16)}-`;
}

function checkedName(name: string): string {
  if (name === '' || name === '.' || name === '..' || name.includes('/'))
    throw new TypeError('expected one file name');
  return name;
}
