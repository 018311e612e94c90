import type { Clock } from '../../base/clock.ts';
import { reportOf } from '../../base/errors.ts';
import type { Log } from '../../base/log-events.ts';
import type { Secret } from '../../base/secret.ts';
import { eventsEvent } from '../log-events.ts';
import { type SpoolSeal, spoolSeal } from './seal.ts';

/** A data key in clear: 32 bytes. Whoever gets it disposes of it. */
export interface DataKey {
  /** 16 hexadecimal digits, not all of them zero. */
  readonly keyId: string;
  readonly key: Secret;
  /** When it was made, in milliseconds since 1970. */
  readonly madeMs: number;
}

/** Who keeps the data keys, wrapped, and has them opened. @throws EVENTS_SPOOL_KEY_UNAVAILABLE, EVENTS_SPOOL_KEY_LOST */
export interface KeyKeeper {
  /** The newest there is; made where there is none. */
  current(): Promise<DataKey>;
  /** A new one. */
  fresh(): Promise<DataKey>;
  open(keyId: string): Promise<DataKey>;
  /** No other is needed any more. */
  keepOnly(keyIds: readonly string[]): void;
}

/** A data key seals no longer than this, */
const keyAgeMsMax = 24 * 60 * 60 * 1000;
/** no more than this, */
const keyBytesMax = 64 * 2 ** 30;
/** and no more often: random nonces of 96 bits are good for 2³² of them (NIST SP 800-38D, 8.3). */
const keySealsMax = 2 ** 28;
/** When a new key could not be had it is asked for again. */
const retryRotationMs = 5 * 60 * 1000;

/** The key to seal with, and all there are to open with. */
export interface KeyRing {
  /** What to seal with now; asks for a key where there is none yet. @throws EVENTS_SPOOL_KEY_UNAVAILABLE */
  current(): Promise<SealingKey>;
  /** @throws EVENTS_SPOOL_KEY_UNAVAILABLE, EVENTS_SPOOL_KEY_LOST */
  of(keyId: string): Promise<SpoolSeal>;
  /** From now on, keys that nothing is sealed under are let go; `inUse` says under which something is. */
  prune(inUse: () => Iterable<string>): void;
  close(): void;
}

export interface SealingKey extends Pick<SpoolSeal, 'seal'> {
  readonly keyId: string;
}

interface Held {
  readonly dataKey: DataKey;
  readonly seal: SpoolSeal;
}

/**
 * Keys are changed by age and by use, while sealing goes on under the old one: where no new one can be had that is said,
 * and tried again. `first` saves the start a question.
 */
export function keyRing(
  keeper: KeyKeeper,
  { first, clock, log }: { first?: DataKey; clock: Pick<Clock, 'now' | 'monotonic'>; log: Log },
): KeyRing {
  const open = new Map<string, Held>();
  const asked = new Map<string, Promise<Held>>();
  let current: Held | undefined;
  let usedBytes = 0;
  let seals = 0;
  let rotateNotBefore = 0;
  let isRotationFailing = false;
  let rotation: Promise<void> | undefined;
  let keysInUse: (() => Iterable<string>) | undefined;

  if (first !== undefined) current = hold(first);

  function hold(dataKey: DataKey): Held {
    const held = { dataKey, seal: spoolSeal(dataKey.key) };
    open.set(dataKey.keyId, held);
    return held;
  }

  function ask(what: string, load: () => Promise<DataKey>): Promise<Held> {
    const under = asked.get(what);
    if (under !== undefined) return under;
    const question = load()
      .then(hold)
      .finally(() => asked.delete(what));
    asked.set(what, question);
    return question;
  }

  async function rotate(): Promise<void> {
    try {
      const before = current;
      current = await ask('fresh', () => keeper.fresh());
      // What is being written is sealed under the key before, and is not known to be in use yet.
      letGo(current, before);
      usedBytes = 0;
      seals = 0;
      isRotationFailing = false;
      log(eventsEvent('events.key-rotated', { keyId: current.dataKey.keyId }));
    } catch (error) {
      rotateNotBefore = clock.monotonic() + retryRotationMs;
      if (!isRotationFailing) log(eventsEvent('events.key-rotation-failed', { error: reportOf(error) }));
      isRotationFailing = true;
    }
  }

  function letGo(...kept: readonly (Held | undefined)[]): void {
    if (keysInUse === undefined) return;
    const keyIds = kept.flatMap((held) => (held === undefined ? [] : [held.dataKey.keyId]));
    keeper.keepOnly([...new Set([...keyIds, ...keysInUse()])]);
  }

  function isSpent({ dataKey }: Held): boolean {
    const ageMs = clock.now().getTime() - dataKey.madeMs;
    return ageMs >= keyAgeMsMax || usedBytes >= keyBytesMax || seals >= keySealsMax;
  }

  return {
    prune(inUse) {
      keysInUse = inUse;
      if (current !== undefined) letGo(current);
    },

    async current() {
      if (current === undefined) {
        current = await ask('current', () => keeper.current());
        letGo(current);
      }
      if (isSpent(current) && clock.monotonic() >= rotateNotBefore && rotation === undefined) {
        rotation = rotate().finally(() => {
          rotation = undefined;
        });
      }
      const { seal, dataKey } = current;
      return {
        keyId: dataKey.keyId,
        seal(bytes, context, into, at) {
          usedBytes += bytes.length;
          seals += 1;
          return seal.seal(bytes, context, into, at);
        },
      };
    },

    async of(keyId) {
      const held = open.get(keyId) ?? (await ask(keyId, () => keeper.open(keyId)));
      return held.seal;
    },

    close() {
      for (const { dataKey } of open.values()) dataKey.key.dispose();
      open.clear();
    },
  };
}
