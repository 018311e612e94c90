import { randomUUID } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../base/errno.ts';
import { systemError } from './errors.ts';
import { writeFileAtomically } from './files.ts';
import { type Lock, takeLock } from './lock.ts';

/** The state directory, held by this agent alone until it is released. */
export interface StateDirectory {
  readonly path: string;
  /** Generated once and kept: tells this host from others that have its name. */
  readonly hostId: string;
  /** The form in which its files are: an older one than `stateVersion` is to be migrated. */
  readonly version: number;
  /** Says that everything in it is in the newest form. */
  upgrade(): Promise<void>;
  release(): void;
}

/** Raised when an older program would not understand what is in it. docs/upgrading.md says what each one is. */
const stateVersion = 2;

/**
 * Makes sure the state directory is ours and private, and locks it.
 * @throws STATE_DIRECTORY_UNUSABLE, STATE_DIRECTORY_UNSAFE, STATE_DIRECTORY_LOCKED, STATE_DIRECTORY_NEWER,
 * STATE_VERSION_DAMAGED, STATE_HOST_ID_DAMAGED
 */
export async function lockStateDirectory(path: string): Promise<StateDirectory> {
  assertPrivate(path);
  const lock = exclusiveLock(path);
  try {
    const version = await keptVersion(path);
    const hostId = await keptHostId(path);
    return {
      path,
      hostId,
      version,
      upgrade: async () => (version === stateVersion ? undefined : writeVersion(path)),
      release: () => lock.release(),
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function assertPrivate(path: string): void {
  let status: ReturnType<typeof lstatSync>;
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    status = lstatSync(path);
  } catch (error) {
    throw systemError('STATE_DIRECTORY_UNUSABLE', { path }, error);
  }
  if (!status.isDirectory()) throw systemError('STATE_DIRECTORY_UNUSABLE', { path });
  const uid = process.getuid?.() ?? status.uid;
  if (status.uid !== uid) {
    throw systemError('STATE_DIRECTORY_UNSAFE', { path, ownerUid: status.uid, expectedUid: uid });
  }
  if ((status.mode & 0o022) !== 0) {
    throw systemError('STATE_DIRECTORY_UNSAFE', { path, mode: (status.mode & 0o777).toString(8) });
  }
}

function exclusiveLock(directory: string): Lock {
  const path = join(directory, 'lock');
  try {
    const lock = takeLock(path);
    if (lock !== undefined) return lock;
  } catch (error) {
    throw systemError('STATE_DIRECTORY_UNUSABLE', { path: directory }, error);
  }
  throw systemError('STATE_DIRECTORY_LOCKED', { path: directory });
}

/** @throws STATE_DIRECTORY_NEWER: nothing in it was touched */
async function keptVersion(directory: string): Promise<number> {
  const path = versionPath(directory);
  try {
    const kept = readFileSync(path, 'utf8').trim();
    if (!/^[1-9]\d{0,5}$/u.test(kept)) throw systemError('STATE_VERSION_DAMAGED', { path });
    const version = Number(kept);
    if (version > stateVersion) {
      throw systemError('STATE_DIRECTORY_NEWER', { path, version, newestKnown: stateVersion });
    }
    return version;
  } catch (error) {
    assertMissing(error, path);
  }
  // The first version had no such file.
  if (existsSync(hostIdPath(directory))) return 1;
  await writeVersion(directory);
  return stateVersion;
}

async function writeVersion(directory: string): Promise<void> {
  await writeFileAtomically(versionPath(directory), Buffer.from(`${stateVersion}\n`), { mode: 0o600 });
}

function versionPath(directory: string): string {
  return join(directory, 'version');
}

function hostIdPath(directory: string): string {
  return join(directory, 'host-id');
}

/** @throws what kept a file from being read, but for that it is not there */
function assertMissing(error: unknown, path: string): void {
  const errno = errnoOf(error);
  if (errno === 'ENOENT') return;
  throw errno === undefined ? error : systemError('STATE_DIRECTORY_UNUSABLE', { path }, error);
}

async function keptHostId(directory: string): Promise<string> {
  const path = hostIdPath(directory);
  try {
    const kept = readFileSync(path, 'utf8').trim();
    if (!/^[0-9a-f-]{36}$/u.test(kept)) throw systemError('STATE_HOST_ID_DAMAGED', { path });
    return kept;
  } catch (error) {
    assertMissing(error, path);
  }
  const hostId = randomUUID();
  await writeFileAtomically(path, Buffer.from(`${hostId}\n`), { mode: 0o600 });
  return hostId;
}
