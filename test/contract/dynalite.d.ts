declare module 'dynalite' {
  import type { Server } from 'node:http';

  /** A server that holds tables in memory where no path is given. */
  export default function dynalite(options: {
    readonly createTableMs: number;
    readonly deleteTableMs: number;
  }): Server;
}
