import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log-events.ts';
import { keysEvent } from './log-events.ts';

export interface MaterialExpiryOptions {
  readonly keyArn: string;
  /** As it was known at the start; absent where the material does not expire, or is KMS's own. */
  readonly expiresAt: Date | undefined;
  /** Asks again: material is imported anew, with another end. */
  readonly ask: (signal: AbortSignal) => Promise<Date | undefined>;
  readonly clock: Clock;
  readonly log: Log;
}

/** When the imported material of the binding key ends, after which nothing that it wraps opens. */
export interface MaterialExpiry {
  readonly keyArn: string;
  expiresAt(): Date | undefined;
  /** Asks twice a day and warns 30, 7 and 1 days ahead, and once it has happened, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

const dayMs = 24 * 60 * 60 * 1000;
const askEveryMs = dayMs / 2;
/** Days ahead of the end at which it is said; each once. */
const warningDays = [0, 1, 7, 30];

export function materialExpiry({
  keyArn,
  clock,
  log,
  ask,
  ...options
}: MaterialExpiryOptions): MaterialExpiry {
  let { expiresAt } = options;
  let said: number | undefined;

  function look(): void {
    const days = expiresAt === undefined ? undefined : (expiresAt.getTime() - clock.now().getTime()) / dayMs;
    const due = days === undefined ? undefined : warningDays.find((each) => days <= each);
    if (due !== undefined && due !== said) {
      const fields = { keyArn, expiresAt: expiresAt?.toISOString(), days: Math.floor(days ?? 0) };
      log(keysEvent(due === 0 ? 'key.material-expired' : 'key.material-expiring', fields));
    }
    said = due;
  }

  return {
    keyArn,
    expiresAt: () => expiresAt,

    async run(signal) {
      for (;;) {
        look();
        await clock.sleep(askEveryMs, signal);
        try {
          expiresAt = await ask(signal);
        } catch {
          // Denied or out of reach: what was known last is what is warned of.
          signal.throwIfAborted();
        }
      }
    },
  };
}
