import type { Clock } from '../base/clock.ts';
import type { Progress } from '../keys/reencryption.ts';

/** How the work goes on, for whoever waits: one line that changes on a terminal, now and then a line elsewhere. */
export interface ShownProgress {
  readonly progress: (progress: Progress) => void;
  /** Whether there was anything to tell of. */
  hasBegun(): boolean;
  /** Ends the line. */
  end(): void;
}

const terminalEveryMs = 100;
const plainEveryMs = 5000;

/** Where a line of stderr begins: on a terminal that of the progress makes way. */
export function lineStart({ isTTY }: Pick<NodeJS.WriteStream, 'isTTY'>): string {
  return isTTY ? '\r\u001b[K' : '';
}

export function progressOf(
  clock: Pick<Clock, 'monotonic'>,
  stderr: Pick<NodeJS.WriteStream, 'isTTY' | 'write'>,
  isJson: boolean,
): ShownProgress {
  const everyMs = stderr.isTTY ? terminalEveryMs : plainEveryMs;
  let phase: Progress['phase'] | undefined;
  let startedAt = 0;
  let doneAtStart = 0;
  let shownAt = Number.NEGATIVE_INFINITY;
  let isLineOpen = false;

  return {
    progress(now) {
      const at = clock.monotonic();
      if (now.phase !== phase) {
        phase = now.phase;
        startedAt = at;
        doneAtStart = now.done;
        shownAt = Number.NEGATIVE_INFINITY;
      }
      const isLast = now.done === now.of;
      if (isJson || (at - shownAt < everyMs && !(isLast && stderr.isTTY))) return;
      shownAt = at;
      const text = progressText(now, now.done - doneAtStart, at - startedAt);
      isLineOpen = stderr.isTTY;
      stderr.write(`${lineStart(stderr)}${text}${stderr.isTTY ? '' : '\n'}`);
    },
    hasBegun: () => phase !== undefined,
    end() {
      if (isLineOpen) stderr.write('\n');
      isLineOpen = false;
    },
  };
}

function progressText({ phase, done, of }: Progress, doneSince: number, sinceMs: number): string {
  const start = `${phase} ${done} of ${of} files`;
  if (doneSince === 0 || sinceMs <= 0) return start;
  const perSecond = (doneSince / sinceMs) * 1000;
  return `${start}, ${perSecond.toFixed(0)} a second, ${durationText((of - done) / perSecond)} left`;
}

function durationText(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
