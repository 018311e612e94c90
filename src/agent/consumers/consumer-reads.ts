import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import { agentEvent } from '../log-events.ts';

/** One access that was granted: by name, never the value. */
export interface ConsumerRead {
  /** Who read, as the gateway config names it. */
  readonly consumer: string;
  /** What: `secret database-password`, `credentials`. */
  readonly what: string;
  /** In which version: of a secret its version, of credentials their access key id. */
  readonly version: string;
}

/**
 * Puts what consumers read on record: the first read of a consumer, thing and version is an audit record of its own
 * (`consumer.read`), those after it are counted and told once a minute (`consumer.read-again`, with `count`). So a
 * program that asks a thousand times a second costs one record a minute, and no read goes uncounted.
 *
 * Every endpoint that hands something to a consumer calls `record` when it grants it and **before** the answer leaves.
 * Where `audit.whenFull` is `deny` it then awaits the audit gate, and answers only once that lets it pass. A read that
 * was refused is not for here: it is a log event of the endpoint's room, with `audit: 'failure'`.
 */
export interface ConsumerReads {
  record(read: ConsumerRead): void;
  /** Tells the counts each minute until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Tells what was counted since; to be called once nobody reads any more. */
  close(): void;
}

/** Reads told apart at once. Beyond it the one not seen for longest is forgotten, so its next is a first again. */
export const readsKnownMax = 10_000;

const tellEveryMs = 60_000;

interface Known extends ConsumerRead {
  /** Reads since it was last told. */
  count: number;
}

export function consumerReads({ clock, log }: { readonly clock: Clock; readonly log: Log }): ConsumerReads {
  /** By consumer, thing and version; the one seen last is the last. */
  const known = new Map<string, Known>();
  let toldAt = clock.monotonic();

  function tell(read: Known): void {
    const { consumer, what, version, count } = read;
    if (count === 0) return;
    read.count = 0;
    const withinMs = Math.round(clock.monotonic() - toldAt);
    log(agentEvent('consumer.read-again', { consumer, what, version, count, withinMs }));
  }

  function tellAll(): void {
    for (const read of known.values()) tell(read);
    toldAt = clock.monotonic();
  }

  function forgetOldest(): void {
    const [oldest] = known;
    if (oldest === undefined) return;
    tell(oldest[1]);
    known.delete(oldest[0]);
  }

  return {
    record({ consumer, what, version }) {
      const key = JSON.stringify([consumer, what, version]);
      const before = known.get(key);
      if (before !== undefined) {
        before.count += 1;
        known.delete(key);
        known.set(key, before);
        return;
      }
      if (known.size === readsKnownMax) forgetOldest();
      known.set(key, { consumer, what, version, count: 0 });
      log(agentEvent('consumer.read', { consumer, what, version }));
    },

    async run(signal) {
      for (;;) {
        await clock.sleep(tellEveryMs, signal);
        tellAll();
      }
    },

    close: tellAll,
  };
}
