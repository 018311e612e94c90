import { constants } from 'node:fs';
import { chmod, type FileHandle, lstat, mkdir, open, readlink } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import { errnoOf, isNoRoom } from '../base/errno.ts';
import { GatehouseError } from '../base/errors.ts';
import { systemError } from './errors.ts';

const { O_DIRECTORY, O_NOFOLLOW } = constants;

/**
 * Not among Node's constants; the same on every architecture that Node runs on. A directory opened so asks only for the
 * right to pass through: /home with mode 0711 would else stop an ordinary user.
 */
const O_PATH = 0x20_0000;

/** Links followed in one path, as many as Linux follows. */
export const linksMax = 40;

/** Where a walk may make directories and must end; anywhere, and none, where `within` is not given. */
export interface Allowance {
  /** With the path they stand for, where they are links. */
  readonly within?: readonly string[];
  readonly mode?: number;
  /** False: nothing is made, not even there. */
  readonly isMade?: boolean;
}

/**
 * Opens the directory at an absolute path, component by component. A link counts only if root or this user made it, so
 * nobody else can lead us elsewhere. The handle is an O_PATH one: for `at` and `stat`, not for reading.
 * @throws FILE_NOT_FOUND, FILE_DENIED, FILE_LINK_UNTRUSTED, FILE_NOT_ALLOWED, FILE_FAILED
 */
export async function walked(
  path: string,
  allowed: Allowance,
): Promise<{ directory: FileHandle; path: string }> {
  if (!isAbsolute(path)) throw new TypeError('a path that is walked is absolute');
  const pending = partsOf(path);
  let reached = '/';
  let links = 0;
  let directory = await open('/', O_PATH | O_DIRECTORY);
  try {
    for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
      const next = await step(directory, name, resolve(reached, name), allowed);
      if (typeof next === 'string') {
        links += 1;
        if (links > linksMax) throw systemError('FILE_LINK_UNTRUSTED', { path, problem: 'too many links' });
        pending.unshift(...partsOf(next));
        await directory.close();
        directory = await open('/', O_PATH | O_DIRECTORY);
        reached = '/';
      } else {
        await directory.close();
        directory = next;
        reached = resolve(reached, name);
      }
    }
    if (allowed.within !== undefined && !isWithin(reached, allowed.within)) {
      throw systemError('FILE_NOT_ALLOWED', { path, resolved: reached });
    }
    return { directory, path: reached };
  } catch (error) {
    await directory.close();
    throw failed(error, path);
  }
}

/** The directory `name`, made if it may be; or, where it is a link that counts, the path that it means. */
async function step(
  parent: FileHandle,
  name: string,
  path: string,
  allowed: Allowance,
): Promise<FileHandle | string> {
  const inside = at(parent, name);
  try {
    return await open(inside, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ELOOP' || errno === 'ENOTDIR') {
      const target = await linkTarget(inside, path, dirname(path));
      if (target !== undefined) return target;
    }
    const mayMake = allowed.isMade !== false && isWithin(path, allowed.within ?? []);
    if (errno !== 'ENOENT' || !mayMake) throw failed(error, path);
    return await made(inside, allowed.mode ?? 0o700);
  }
}

async function made(path: string, mode: number): Promise<FileHandle> {
  await mkdir(path, { mode: 0o700 }).catch((error: unknown) => {
    if (errnoOf(error) !== 'EEXIST') throw error;
  });
  const directory = await open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  // mkdir's mode is cut by the umask; fchmod(2) does not take an O_PATH descriptor.
  await chmod(selfPath(directory), mode);
  return directory;
}

/** Where a link leads, if `inside` is one and may be followed; undefined when it is no link. */
export async function linkTarget(inside: string, path: string, parent: string): Promise<string | undefined> {
  const status = await lstat(inside).catch((error: unknown) => {
    throw failed(error, path);
  });
  if (!status.isSymbolicLink()) return undefined;
  if (status.uid !== 0 && status.uid !== ownUid()) {
    throw systemError('FILE_LINK_UNTRUSTED', { path, ownerUid: status.uid });
  }
  return resolve(parent, await readlink(inside));
}

/** A name in an open directory: what openat(2) would take. */
export function at(directory: FileHandle, name: string): string {
  return `${selfPath(directory)}/${name}`;
}

/** The open directory itself. */
export function selfPath(directory: FileHandle): string {
  return `/proc/self/fd/${directory.fd}`;
}

function partsOf(path: string): string[] {
  return resolve(path)
    .split('/')
    .filter((part) => part !== '');
}

function isWithin(path: string, prefixes: readonly string[]): boolean {
  return prefixes.some(
    (prefix) => path === prefix || path.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`),
  );
}

export function ownUid(): number {
  return process.geteuid?.() ?? 0;
}

/** A file system's refusal as one of ours. */
export function failed(error: unknown, path: string): GatehouseError {
  if (error instanceof GatehouseError) return error;
  const errno = errnoOf(error);
  if (errno === 'ENOENT') return systemError('FILE_NOT_FOUND', { path }, error);
  if (errno === 'EACCES' || errno === 'EPERM') return systemError('FILE_DENIED', { path, errno }, error);
  if (isNoRoom(error) || errno === 'EROFS') {
    return systemError('FILE_SYSTEM_FULL', { path, errno }, error);
  }
  return systemError('FILE_FAILED', { path, errno }, error);
}
