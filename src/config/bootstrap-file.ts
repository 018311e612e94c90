import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  readSync,
  type Stats,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { errnoOf } from '../base/errno.ts';
import { shellWord } from '../base/shell-word.ts';
import { configError } from './errors.ts';
import { parseJson } from './json.ts';

/** A bootstrap config has a few lines; the examples of every key together are under 4 KiB. */
export const bootstrapBytesMax = 1024 * 1024;

const linksMax = 16;
const writableByOthers = 0o022;

/**
 * Reads a bootstrap config. Whoever can change it decides what Gatehouse may touch, so it must be a regular file of
 * root's or of the current user's, that nobody else may write; links count only when one of these two made them
 * (Kubernetes mounts its config maps as links). Owner and mode are those of the opened file, not of the name.
 *
 * @param uid the current user
 * @returns undefined when there is no such file
 * @throws CONFIG_FILE_UNSAFE, CONFIG_FILE_NOT_REGULAR, CONFIG_FILE_TOO_LARGE, CONFIG_FILE_UNREADABLE, CONFIG_NOT_JSON
 */
export function readBootstrapFile(file: string, uid: number): unknown {
  const bytes = readTrusted(file, uid);
  return bytes === undefined ? undefined : parseBootstrap(bytes, file);
}

/** What a bootstrap config says. @throws CONFIG_NOT_JSON */
export function parseBootstrap(bytes: Uint8Array, file: string): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw configError('CONFIG_NOT_JSON', { file, fault: 'not-utf-8' }, error);
  }
  const parsed = parseJson(text);
  if ('fault' in parsed) throw configError('CONFIG_NOT_JSON', { file, ...parsed });
  return parsed.value;
}

function readTrusted(file: string, uid: number): Buffer | undefined {
  let descriptor: number;
  try {
    const target = followTrustedLinks(resolve(file), file, uid);
    // Without O_NONBLOCK a pipe would keep the open waiting for a writer.
    descriptor = openSync(target, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
    if (errno === 'EACCES' || errno === 'EPERM') throw configError('CONFIG_FILE_UNREADABLE', { file }, error);
    // A link that came after the check, a socket, a device without a driver.
    if (errno !== undefined) throw configError('CONFIG_FILE_NOT_REGULAR', { file }, error);
    throw error;
  }
  try {
    requireTrusted(fstatSync(descriptor), file, uid);
    return readBounded(descriptor, file);
  } finally {
    closeSync(descriptor);
  }
}

/** The path with every link replaced by what it names. A link that somebody else made is refused. */
function followTrustedLinks(path: string, file: string, uid: number): string {
  let rest = path.split('/').filter((part) => part !== '');
  let done = '/';
  let links = 0;
  while (rest.length > 0) {
    const [part = '', ...after] = rest;
    const next = join(done, part);
    const stats = lstatSync(next);
    if (!stats.isSymbolicLink()) {
      done = next;
      rest = after;
      continue;
    }
    links += 1;
    if (links > linksMax) throw configError('CONFIG_FILE_NOT_REGULAR', { file, linksMax });
    if (!isTrusted(stats, uid)) {
      const run = `chown --no-dereference root:root ${shellWord(next)}`;
      throw configError('CONFIG_FILE_UNSAFE', { file, link: next, ownerUid: stats.uid, run });
    }
    const target = resolve(dirname(next), readlinkSync(next));
    rest = [...target.split('/').filter((targetPart) => targetPart !== ''), ...after];
    done = '/';
  }
  return done;
}

function requireTrusted(stats: Stats, file: string, uid: number): void {
  if (!stats.isFile()) throw configError('CONFIG_FILE_NOT_REGULAR', { file });
  const isWritable = (stats.mode & writableByOthers) !== 0;
  const run = [
    ...(isTrusted(stats, uid) ? [] : [`chown root:root ${shellWord(file)}`]),
    ...(isWritable ? [`chmod go-w ${shellWord(file)}`] : []),
  ];
  if (run.length > 0) {
    const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0');
    throw configError('CONFIG_FILE_UNSAFE', { file, ownerUid: stats.uid, mode, run: run.join(' && ') });
  }
  if (stats.size > bootstrapBytesMax) {
    throw configError('CONFIG_FILE_TOO_LARGE', { file, bytes: stats.size, bytesMax: bootstrapBytesMax });
  }
}

function isTrusted(stats: Stats, uid: number): boolean {
  return stats.uid === 0 || stats.uid === uid;
}

/** The size may have grown since it was checked, or be 0 as files of /proc say: the bound holds for what is read. */
function readBounded(descriptor: number, file: string): Buffer {
  const buffer = Buffer.alloc(bootstrapBytesMax + 1);
  let length = 0;
  for (;;) {
    const count = readSync(descriptor, buffer, length, buffer.length - length, null);
    if (count === 0) return buffer.subarray(0, length);
    length += count;
    if (length > bootstrapBytesMax) {
      throw configError('CONFIG_FILE_TOO_LARGE', { file, bytesMax: bootstrapBytesMax });
    }
  }
}
