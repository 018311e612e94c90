import { randomBytes } from 'node:crypto';
import type { Clock } from '../../src/base/clock.ts';
import type { LogEvent } from '../../src/base/log-events.ts';
import { Secret } from '../../src/base/secret.ts';
import { eventsError } from '../../src/events/errors.ts';
import { type DataKey, type KeyKeeper, keyRing } from '../../src/events/spool/data-keys.ts';
import { type DiskSpoolOptions, diskSpool, type SpoolFolders } from '../../src/events/spool/disk.ts';
import type { Spool } from '../../src/events/spool.ts';
import { fakeClock } from './fake-clock.ts';
import { type MemoryStorage, memoryStorage } from './memory-storage.ts';

/** A keeper of data keys that is in memory, and can be told to fail. */
export interface MemoryKeeper extends KeyKeeper {
  readonly keys: Map<string, { readonly bytes: Buffer; readonly madeMs: number }>;
  /** What every question is answered with until it is undefined again. */
  failure: Error | undefined;
  readonly asked: string[];
}

export function memoryKeeper(clock: Pick<Clock, 'now'>): MemoryKeeper {
  const keys = new Map<string, { readonly bytes: Buffer; readonly madeMs: number }>();
  const keeper: MemoryKeeper = {
    keys,
    failure: undefined,
    asked: [],
    async current() {
      const newest = [...keys].toSorted(([, one], [, other]) => one.madeMs - other.madeMs).at(-1);
      return newest === undefined ? keeper.fresh() : keeper.open(newest[0]);
    },
    async fresh() {
      keeper.asked.push('fresh');
      if (keeper.failure !== undefined) throw keeper.failure;
      const keyId = randomBytes(8).toString('hex');
      keys.set(keyId, { bytes: randomBytes(32), madeMs: clock.now().getTime() });
      return opened(keyId);
    },
    async open(keyId) {
      keeper.asked.push(keyId);
      if (keeper.failure !== undefined) throw keeper.failure;
      return opened(keyId);
    },
    keepOnly(kept) {
      for (const keyId of keys.keys()) if (!kept.includes(keyId)) keys.delete(keyId);
    },
  };

  function opened(keyId: string): DataKey {
    const key = keys.get(keyId);
    if (key === undefined) throw eventsError('EVENTS_SPOOL_KEY_LOST', { keyId });
    return { keyId, key: Secret.ofBytes(key.bytes), madeMs: key.madeMs };
  }

  return keeper;
}

export interface MemoryFolders {
  readonly spool: MemoryStorage;
  readonly deadLetter: MemoryStorage;
  readonly quarantine: MemoryStorage;
}

export function memoryFolders(): MemoryFolders {
  return { spool: memoryStorage(), deadLetter: memoryStorage(), quarantine: memoryStorage() };
}

/** After a kill, which is no power loss: what was written is there, and must be durable before it is relied upon. */
export function killed({ spool, deadLetter, quarantine }: MemoryFolders): MemoryFolders {
  return { spool: spool.killed(), deadLetter: deadLetter.killed(), quarantine: quarantine.killed() };
}

export function segmentsOf({ spool }: MemoryFolders): string[] {
  return [...spool.files.keys()].filter((name) => name.endsWith('.segment')).toSorted();
}

/** A disk spool on folders in memory, sealed under keys in memory. */
export function spoolFixture(options: Partial<DiskSpoolOptions> = {}) {
  const clock = fakeClock();
  const keeper = memoryKeeper(clock);
  const events: LogEvent[] = [];
  const log = (event: LogEvent): void => void events.push(event);
  // Not closed by itself: a process that was killed does not close its spool.
  const open = (folders: SpoolFolders, changed: Partial<DiskSpoolOptions> = {}): Promise<Spool> =>
    diskSpool({
      folders,
      bytesMax: 2 ** 24,
      segmentBytes: 2 ** 20,
      keys: keyRing(keeper, { clock, log }),
      allowClearSpool: false,
      deadLetterBytesMax: 2 ** 24,
      clock,
      log,
      ...options,
      ...changed,
    });
  const named = (name: string): LogEvent[] => events.filter((event) => event.name === name);
  return { clock, keeper, events, log, open, named };
}
