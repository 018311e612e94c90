import type { Log } from '../../base/log-events.ts';
import { brim } from '../brim.ts';

/** A bounded space. Work that needs some of it is done in the order in which it was asked for. */
export interface Room {
  readonly bytes: number;
  /** Whether somebody waits for some of it. */
  readonly isWaitedFor: boolean;
  /**
   * Does `work` when there are `bytes` for it, which it then holds until they are given back; at once if there are.
   * Work larger than all the room is let in when the room is empty. Work that fails holds nothing.
   */
  within<T>(bytes: number, signal: AbortSignal, work: () => T | Promise<T>): Promise<T>;
  give(bytes: number): void;
}

interface Waiter {
  readonly bytes: number;
  enter(): void;
}

/** `bytes` are there already. Being full, and having room again, is said once each. */
export function room(bytesMax: number, bytes: number, log: Log): Room {
  let taken = bytes;
  const saying = brim(bytesMax, log);
  const waiters: Waiter[] = [];

  const hasRoom = (wanted: number): boolean => taken === 0 || taken + wanted <= bytesMax;

  async function enter<T>(wanted: number, work: () => T | Promise<T>): Promise<T> {
    taken += wanted;
    try {
      return await work();
    } catch (error) {
      give(wanted);
      throw error;
    }
  }

  function give(freed: number): void {
    taken -= freed;
    for (let [next] = waiters; next !== undefined && hasRoom(next.bytes); [next] = waiters) {
      waiters.shift();
      next.enter();
    }
    if (waiters.length === 0) saying.left(taken);
  }

  return {
    get bytes() {
      return taken;
    },
    get isWaitedFor() {
      return waiters.length > 0;
    },

    async within(wanted, signal, work) {
      signal.throwIfAborted();
      if (waiters.length === 0 && hasRoom(wanted)) return enter(wanted, work);
      saying.full(taken);
      return new Promise((resolve, reject) => {
        const onAbort = (): void => {
          waiters.splice(waiters.indexOf(waiter), 1);
          reject(signal.reason);
        };
        const waiter: Waiter = {
          bytes: wanted,
          enter() {
            signal.removeEventListener('abort', onAbort);
            resolve(enter(wanted, work));
          },
        };
        signal.addEventListener('abort', onAbort, { once: true });
        waiters.push(waiter);
      });
    },

    give,
  };
}
