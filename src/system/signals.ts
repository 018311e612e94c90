import { constants } from 'node:os';
import { aborted as abortOf } from '../base/aborted.ts';

const stopping = ['SIGTERM', 'SIGINT'] as const;

/** Why work was cancelled: somebody asked the process to stop. */
export class StopRequested extends Error {
  override readonly name = 'StopRequested';
  /** What a shell would say of a process that this signal ended: 128 + n. */
  readonly exitCode: number;

  constructor(signal: NodeJS.Signals) {
    super(signal);
    this.exitCode = 128 + constants.signals[signal];
  }
}

/**
 * A signal that aborts, with StopRequested, at the first SIGTERM or SIGINT. The second one ends the process at once,
 * which is safe because nothing that matters is only in memory.
 */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of stopping) {
    process.on(name, () => {
      const request = new StopRequested(name);
      if (controller.signal.aborted) process.exit(request.exitCode);
      controller.abort(request);
    });
  }
  return controller.signal;
}

/** Calls back at each SIGUSR2 of this process, which would end it otherwise. For the rest of the process. */
export function onDebugSignal(toggle: () => void): void {
  process.on('SIGUSR2', toggle);
}

/** The SIGHUPs of this process, which end it no more. */
export interface HangUps {
  /**
   * Resolves when one came since the last call, or comes; many at once are one.
   * Rejects with the signal's reason when it aborts first.
   */
  next(signal: AbortSignal): Promise<void>;
}

/** Of a process whose SIGHUPs are somebody else's. */
export const noHangUps: HangUps = {
  async next(signal) {
    await abortOf(signal);
    signal.throwIfAborted();
  },
};

/** Counts SIGHUPs from this call on, for the rest of the process: also one that comes while it drains ends nothing. */
export function hangUps(): HangUps {
  let pending = Promise.withResolvers<void>();
  process.on('SIGHUP', () => pending.resolve());

  return {
    async next(signal) {
      const aborted = Promise.withResolvers<never>();
      const onAbort = (): void => aborted.reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        signal.throwIfAborted();
        await Promise.race([pending.promise, aborted.promise]);
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
      pending = Promise.withResolvers();
    },
  };
}
