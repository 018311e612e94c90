import { chownSync, lstatSync, mkdirSync, readdirSync, type Stats } from 'node:fs';
import { basename, join } from 'node:path';
import { errnoOf } from '../../base/errno.ts';
import { GatehouseError } from '../../base/errors.ts';
import { keysError } from '../../keys/errors.ts';
import { type Ledger, openLedger, targetOf } from '../../keys/ledger.ts';
import { systemError } from '../../system/errors.ts';
import { openOutputDirectory, readRegularFile } from '../../system/files.ts';
import { type Lock, takeLock } from '../../system/lock.ts';

/** The master key as this host keeps it: `master-key/` in the state directory. */
export interface MasterKeyState {
  readonly folder: string;
  readonly ledger: Ledger;
  /** Where the wrapped key of a generation is: `1.wrapped`. */
  wrappedPath(generation: number): string;
  /** Generations whose wrapped key is here. */
  wrappedGenerations(): number[];
  /** Undefined where there is none. */
  readWrapped(generation: number): Promise<Buffer | undefined>;
  /** Durable when it resolves. Only under `lockChanges`. @throws FILE_EXISTS without `overwrite` */
  writeWrapped(generation: number, wrapped: Buffer, options: { readonly overwrite: boolean }): Promise<void>;
  /** One change at a time, of all processes. @throws MASTER_KEY_CHANGING */
  lockChanges(): Lock;
  close(): void;
}

const wrappedBytesMax = 64 * 1024;
const namesMax = 10_000;

/**
 * Opens the master key's folder; undefined where there is none and it is not to be made. Only the state directory's
 * owner and root work there; what root writes is the owner's.
 * @throws STATE_DIRECTORY_UNUSABLE, STATE_DIRECTORY_UNSAFE, LEDGER_…
 */
export function openMasterKeyState(
  stateDirectory: string,
  { isMade, busyMsMax = 30_000 }: { readonly isMade: boolean; readonly busyMsMax?: number },
): MasterKeyState | undefined {
  const folder = folderIn(stateDirectory);
  const found = statusOf(folder);
  if (found === undefined && !isMade) return undefined;
  if (found === undefined) makeFolder(stateDirectory, folder);
  const { uid, gid } = found ?? owned(stateDirectory);
  requireOurs(folder);
  const ledger = openLedger(join(folder, 'ledger.db'), { busyMsMax, owner: { uid, gid } });

  const wrappedPath = (generation: number) => wrappedPathIn(stateDirectory, generation);

  const state: MasterKeyState = {
    folder,
    ledger,
    wrappedPath,

    wrappedGenerations() {
      return readdirSync(folder)
        .slice(0, namesMax)
        .flatMap((name) => {
          const [, number] = /^([1-9]\d{0,8})\.wrapped$/u.exec(name) ?? [];
          return number === undefined ? [] : [Number(number)];
        })
        .toSorted((one, other) => one - other);
    },

    readWrapped: (generation) => readWrappedKey(stateDirectory, generation),

    async writeWrapped(generation, wrapped, { overwrite }) {
      const directory = await openOutputDirectory(folder);
      try {
        const name = basename(wrappedPath(generation));
        // What a change left that was killed.
        await directory.removeStale(name);
        await directory.replace(name, wrapped, { mode: 0o600, overwrite, ...ownerFor(uid, gid) });
      } finally {
        await directory.close();
      }
    },

    lockChanges() {
      const path = join(folder, 'change.lock');
      let lock: Lock | undefined;
      try {
        lock = takeLock(path);
        if (lock !== undefined && isRoot()) chownSync(path, uid, gid);
      } catch (error) {
        throw systemError('STATE_DIRECTORY_UNUSABLE', { path: folder }, error);
      }
      if (lock !== undefined) return lock;
      const change = ledger.change();
      // The other one looks at its keys still, or wraps them, which touches no files.
      if (change === undefined) throw keysError('MASTER_KEY_CHANGING');
      const { at: done, all: of } = ledger.count(targetOf(change));
      throw keysError('MASTER_KEY_CHANGING', { done, of });
    },

    close: () => ledger.close(),
  };
  adoptFound(state);
  return state;
}

/** Which key a generation was when it was opened on this host; undefined where it never was. */
export function fingerprintOnRecord(
  { ledger }: Pick<MasterKeyState, 'ledger'>,
  generation: number,
): string | undefined {
  return ledger.generations().find(({ number }) => number === generation)?.proof?.fingerprint;
}

/** The generation that seals now. @throws MASTER_KEY_ABSENT */
export function sealingGeneration({ folder, ledger }: MasterKeyState): number {
  const generation = ledger.sealing();
  if (generation === undefined) throw keysError('MASTER_KEY_ABSENT', { folder });
  return generation;
}

/** The wrapped key of a generation, which needs nothing but its file; undefined where there is none. */
export async function readWrappedKey(
  stateDirectory: string,
  generation: number,
): Promise<Buffer | undefined> {
  try {
    return await readRegularFile(wrappedPathIn(stateDirectory, generation), { bytesMax: wrappedBytesMax });
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'FILE_NOT_FOUND') return undefined;
    throw error;
  }
}

function folderIn(stateDirectory: string): string {
  return join(stateDirectory, 'master-key');
}

function wrappedPathIn(stateDirectory: string, generation: number): string {
  return join(folderIn(stateDirectory), `${generation}.wrapped`);
}

/** Where the ledger was lost, the wrapped keys are still there: the newest is the current one, until told otherwise. */
function adoptFound(state: MasterKeyState): void {
  if (state.ledger.sealing() !== undefined) return;
  for (const number of state.wrappedGenerations()) {
    state.ledger.adopt({ number, createdAt: lstatSync(state.wrappedPath(number)).mtime });
  }
}

function makeFolder(stateDirectory: string, folder: string): void {
  try {
    mkdirSync(stateDirectory, { recursive: true, mode: 0o700 });
    requireOurs(stateDirectory);
    mkdirSync(folder, { mode: 0o700 });
    const { uid, gid } = owned(stateDirectory);
    if (isRoot()) chownSync(folder, uid, gid);
  } catch (error) {
    throw error instanceof GatehouseError
      ? error
      : systemError('STATE_DIRECTORY_UNUSABLE', { path: folder }, error);
  }
}

/** Whoever else could write there could put another wrapped key in place. */
function requireOurs(path: string): void {
  const { uid, mode } = owned(path);
  const ownUid = process.geteuid?.() ?? uid;
  if (uid !== ownUid && ownUid !== 0) {
    throw systemError('STATE_DIRECTORY_UNSAFE', { path, ownerUid: uid, expectedUid: ownUid });
  }
  if ((mode & 0o022) !== 0) {
    throw systemError('STATE_DIRECTORY_UNSAFE', { path, mode: (mode & 0o777).toString(8) });
  }
}

function owned(path: string): Stats {
  const status = statusOf(path);
  if (status?.isDirectory() !== true) throw systemError('STATE_DIRECTORY_UNUSABLE', { path });
  return status;
}

function statusOf(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') return undefined;
    throw systemError('STATE_DIRECTORY_UNUSABLE', { path, errno }, error);
  }
}

function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

function ownerFor(uid: number, gid: number): { uid?: number; gid?: number } {
  return isRoot() ? { uid, gid } : {};
}
