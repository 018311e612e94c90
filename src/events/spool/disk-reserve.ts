import type { Storage } from './storage.ts';

/**
 * Room for a new segment where there is none on the disk. A full disk drains as segments go, but the newest one is the
 * last: it may be all that fills the disk, with nothing needed in it but what a new one would begin with.
 */
export interface DiskReserve {
  readonly isThere: boolean;
  /** Whether an earlier process left it. */
  find(names: readonly string[]): void;
  /** As soon as there is room for it: the space is needed when there is none. */
  make(): Promise<void>;
  giveUp(): Promise<void>;
}

const name = 'reserve';
export const reserveBytes = 256 * 1024;

export function diskReserve(storage: Storage): DiskReserve {
  let isThere = false;

  async function giveUp(): Promise<void> {
    isThere = false;
    await storage.remove(name).catch(() => undefined);
  }

  return {
    get isThere() {
      return isThere;
    },
    find(names) {
      isThere = names.includes(name);
    },
    async make() {
      isThere = true;
      try {
        const file = await storage.create(name);
        try {
          await file.write(Buffer.alloc(reserveBytes), 0);
          await file.sync();
        } finally {
          await file.close();
        }
      } catch {
        await giveUp();
      }
    },
    giveUp,
  };
}
