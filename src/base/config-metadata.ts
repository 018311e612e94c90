import type { GlobalMeta as _ } from 'zod';

declare module 'zod' {
  /** What every key of a config schema says of itself; the reference pages are made from it. */
  interface GlobalMeta {
    /** When a change takes effect: in the running agent, or at its next start. */
    applies?: 'live' | 'restart';
    /** The unit of a number: `seconds`, `bytes`. */
    unit?: string;
  }
}
