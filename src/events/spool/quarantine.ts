import type { Clock } from '../../base/clock.ts';
import type { Storage } from './storage.ts';

/** Bytes of the spool that do not read, kept as they are for whoever wants to look into what happened. */
export interface Quarantine {
  /** Keeps as much as there is room for, the oldest goes first; returns the name of the file, where there is one. */
  keep(what: string, bytes: Uint8Array): Promise<string | undefined>;
  readonly bytes: number;
}

export const quarantineBytesMax = 64 * 2 ** 20;
/** Of one fault. */
export const quarantinedAtOnceMax = 16 * 2 ** 20;

export async function openQuarantine(storage: Storage, clock: Pick<Clock, 'now'>): Promise<Quarantine> {
  const sizes = new Map<string, number>();
  for (const name of (await storage.list()).toSorted()) {
    const file = await storage.open(name);
    try {
      sizes.set(name, await file.size());
    } finally {
      await file.close();
    }
  }
  const total = (): number => [...sizes.values()].reduce((sum, size) => sum + size, 0);
  let kept = 0;

  async function makeRoom(wanted: number): Promise<void> {
    for (const name of sizes.keys()) {
      if (total() + wanted <= quarantineBytesMax) return;
      await storage.remove(name);
      sizes.delete(name);
    }
  }

  return {
    async keep(what, bytes) {
      if (bytes.length === 0) return undefined;
      const part = bytes.subarray(0, quarantinedAtOnceMax);
      kept += 1;
      const stamp = clock.now().toISOString().replaceAll(/[-:.]/gu, '');
      const name = `${stamp}-${String(kept).padStart(4, '0')}-${what}`;
      try {
        await makeRoom(part.length);
        const file = await storage.create(name);
        try {
          await file.write(part, 0);
        } finally {
          await file.close();
        }
        sizes.set(name, part.length);
        return name;
      } catch {
        // The disk is bad already: the loss is told of all the same, without its remains.
        return undefined;
      }
    },

    get bytes() {
      return total();
    },
  };
}
