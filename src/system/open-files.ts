import { readdirSync, readFileSync } from 'node:fs';
import type { Clock } from '../base/clock.ts';
import { errnoOf } from '../base/errno.ts';
import type { Log } from '../base/log-events.ts';
import { systemEvent } from './log-events.ts';

export interface OpenFiles {
  /** What is open now. @throws EMFILE when there is none left to look with */
  count(): number;
  /** What may be open; undefined without a bound. */
  max(): number | undefined;
}

/** Tells when a process runs out of files: a connection that cannot be accepted for it is dropped, and Node says nothing. */
export interface OpenFilesWatch {
  /** Until `signal` aborts, and then throws its reason. */
  run(signal: AbortSignal): Promise<void>;
}

const lookEveryMs = 30_000;
const shortShare = 0.9;
const enoughShare = 0.8;

export function openFilesWatch(
  files: OpenFiles,
  { clock, log }: { readonly clock: Pick<Clock, 'sleep'>; readonly log: Log },
): OpenFilesWatch {
  let isShort = false;

  function look(): void {
    const bound = files.max();
    if (bound === undefined) return;
    const open = counted(files, bound);
    const share = open / bound;
    if (share >= shortShare && !isShort) {
      isShort = true;
      log(systemEvent('files.short', { open, max: bound }));
    }
    if (share < enoughShare && isShort) {
      isShort = false;
      log(systemEvent('files.enough', { open, max: bound }));
    }
  }

  return {
    async run(signal) {
      for (;;) {
        look();
        await clock.sleep(lookEveryMs, signal);
      }
    },
  };
}

/** Where none is left to look with, all are open. */
function counted(files: OpenFiles, bound: number): number {
  try {
    return files.count();
  } catch (error) {
    if (['EMFILE', 'ENFILE'].includes(errnoOf(error) ?? '')) return bound;
    throw error;
  }
}

/** Those of this process, both threads. */
export const ownOpenFiles: OpenFiles = {
  count: () => readdirSync('/proc/self/fd').length,
  max: softLimit(),
};

/** Read once, while there are files to read it with; nobody raises it. */
function softLimit(): () => number | undefined {
  let known: { readonly max: number | undefined } | undefined;
  return () => {
    known ??= { max: limitIn(readFileSync('/proc/self/limits', 'utf8')) };
    return known.max;
  };
}

function limitIn(limits: string): number | undefined {
  const [, soft] = /^Max open files +(\d+) /mu.exec(limits) ?? [];
  return soft === undefined ? undefined : Number(soft);
}
