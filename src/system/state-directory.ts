import { randomUUID } from 'node:crypto';
import { lstatSync, mkdirSync, readFileSync } from 'node:fs';
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
  release(): void;
}

/**
 * Makes sure the state directory is ours and private, and locks it.
 * @throws STATE_DIRECTORY_UNUSABLE, STATE_DIRECTORY_UNSAFE, STATE_DIRECTORY_LOCKED
 */
export async function lockStateDirectory(path: string): Promise<StateDirectory> {
  assertPrivate(path);
  const lock = exclusiveLock(path);
  try {
    const hostId = await keptHostId(path);
    return { path, hostId, release: () => lock.release() };
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

async function keptHostId(directory: string): Promise<string> {
  const path = join(directory, 'host-id');
  try {
    const kept = readFileSync(path, 'utf8').trim();
    if (!/^[0-9a-f-]{36}$/u.test(kept)) throw systemError('STATE_HOST_ID_DAMAGED', { path });
    return kept;
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  const hostId = randomUUID();
  await writeFileAtomically(path, Buffer.from(`${hostId}\n`), { mode: 0o600 });
  return hostId;
}
