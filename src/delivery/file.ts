import { basename, dirname } from 'node:path';
import { GatehouseError } from '../base/errors.ts';
import type { DeliveryConfig } from './config.ts';
import type { Delivery } from './delivery.ts';
import { deliveryError } from './errors.ts';

/** A directory held open, whose names nobody can lead elsewhere. */
export interface DeliveryFolder {
  readonly path: string;
  readonly uid: number;
  /** Permission bits with the sticky bit. */
  readonly mode: number;
  isInMemory(): Promise<boolean>;
  read(
    name: string,
    bytesMax: number,
  ): Promise<
    | {
        readonly bytes: Buffer;
        readonly uid: number;
        readonly gid: number;
        readonly mode: number;
        readonly identity: string;
      }
    | undefined
  >;
  /** Gives the identity of the file that is now there: another for another file and after any write. */
  replace(
    name: string,
    bytes: Uint8Array,
    options: { readonly mode: number; readonly uid: number; readonly gid: number },
  ): Promise<string>;
  remove(name: string, identity: string): Promise<'removed' | 'absent' | 'another'>;
  removeStale(name: string): Promise<void>;
  close(): Promise<void>;
}

/** What delivery to files needs of the system. */
export interface FileDeliveryParts {
  /** Directories that may be delivered to: `allow.deliverTo` of the bootstrap config. */
  readonly allowedUnder: readonly string[];
  /** The user and group of the agent. */
  readonly self: { readonly uid: number; readonly gid: number };
  /**
   * Opens a folder without following planted links, makes it if it lies `within` and `isMade` is not false, refuses what
   * does not.
   */
  readonly openDirectory: (
    path: string,
    options: { readonly within: readonly string[]; readonly mode: number; readonly isMade?: boolean },
  ) => Promise<DeliveryFolder>;
  readonly ownerIds: (
    owner: string | undefined,
    group: string | undefined,
    signal: AbortSignal,
  ) => Promise<{ readonly uid?: number; readonly gid?: number }>;
  /**
   * Path → identity of what these deliveries put there or found in place since this start: all that may be removed.
   * Shared, for a file may pass from one delivery to the next.
   */
  readonly delivered: Map<string, string>;
}

/** Folders are passed through by those who know a name in them, and listed by nobody else. */
const folderMode = 0o711;

const writableByOthers = 0o022;
const sticky = 0o1000;

/** Delivery as a file: right owner, group and mode before the name exists, whole or not at all, in memory only. */
export function fileDelivery(
  config: Pick<DeliveryConfig, 'file' | 'owner' | 'group' | 'mode' | 'allowDisk'>,
  { allowedUnder, self, openDirectory, ownerIds, delivered }: FileDeliveryParts,
): Delivery {
  const { file, owner, group, allowDisk } = config;
  const name = basename(file);
  const mode = Number.parseInt(config.mode, 8);

  return {
    async deliver({ value }, signal) {
      signal.throwIfAborted();
      const { uid = self.uid, gid = self.gid } = await ownerIds(owner, group, signal);
      const folder = await openDirectory(dirname(file), { within: allowedUnder, mode: folderMode });
      try {
        await requireFit(folder, uid);
        await folder.removeStale(name);
        const present = await folder.read(name, value.length);
        const isInPlace =
          present?.uid === uid &&
          present.gid === gid &&
          present.mode === mode &&
          present.bytes.equals(value.revealBytes());
        present?.bytes.fill(0);
        if (isInPlace) {
          delivered.set(file, present.identity);
          return { written: false };
        }

        signal.throwIfAborted();
        delivered.set(file, await folder.replace(name, value.revealBytes(), { mode, uid, gid }));
        return { written: true };
      } finally {
        await folder.close();
      }
    },

    async withdraw(signal) {
      signal.throwIfAborted();
      const identity = delivered.get(file);
      if (identity === undefined) return { removed: false };
      const outcome = await removed(identity);
      delivered.delete(file);
      if (outcome === 'another') throw deliveryError('DELIVERY_CHANGED_BY_OTHERS', { file });
      return { removed: outcome === 'removed' };
    },
  };

  async function removed(identity: string): Promise<'removed' | 'absent' | 'another'> {
    let folder: DeliveryFolder;
    try {
      folder = await openDirectory(dirname(file), { within: allowedUnder, mode: folderMode, isMade: false });
    } catch (error) {
      if (error instanceof GatehouseError && error.code === 'FILE_NOT_FOUND') return 'absent';
      throw error;
    }
    try {
      return await folder.remove(name, identity);
    } finally {
      await folder.close();
    }
  }

  async function requireFit(folder: DeliveryFolder, ownerUid: number): Promise<void> {
    const isForeign = folder.uid !== 0 && folder.uid !== self.uid && folder.uid !== ownerUid;
    const isOpen = (folder.mode & writableByOthers) !== 0 && (folder.mode & sticky) === 0;
    if (isForeign || isOpen) {
      const details = {
        file,
        folder: folder.path,
        folderUid: folder.uid,
        folderMode: folder.mode.toString(8),
      };
      throw deliveryError('DELIVERY_FOLDER_UNSAFE', details);
    }
    if (!allowDisk && !(await folder.isInMemory())) {
      throw deliveryError('DELIVERY_NOT_IN_MEMORY', { file, folder: folder.path });
    }
  }
}
