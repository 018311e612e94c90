import type { Log } from '../base/log-events.ts';
import { eventsEvent } from './log-events.ts';

/** Says that a part of the spool is full, and that there is room again, once each. */
export interface Brim {
  /** Something waits for room. */
  full(bytes: number): void;
  /** Something left it. */
  left(bytes: number): void;
}

/** Room again is said when this part is free: at the brim it would be said for each batch. */
const relievedShare = 0.5;

export function brim(bytesMax: number, log: Log): Brim {
  let isFull = false;

  return {
    full(bytes) {
      if (!isFull) log(eventsEvent('events.spool-full', { bytes, bytesMax }));
      isFull = true;
    },

    left(bytes) {
      if (!isFull || bytes > bytesMax * relievedShare) return;
      isFull = false;
      log(eventsEvent('events.spool-relieved', { bytes }));
    },
  };
}
