import type { RefusalReason } from '../../api/endpoint.ts';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import { agentEvent } from '../log-events.ts';
import type { WayName } from './consumer-ways.ts';

/** A request for credentials that was refused. */
export interface Refusal {
  readonly way: WayName;
  readonly reason: RefusalReason;
  readonly consumer?: string | undefined;
}

/**
 * Puts refusals on record: of each kind one a minute, with how many there were since the one before. Who is refused a
 * thousand times a second must not fill the log, nor the audit, which may stop all access when it is full.
 */
export interface Refusals {
  record(refusal: Refusal): void;
  /** How many in all since the start. */
  total(): number;
}

const recordEveryMs = 60_000;

/** Kinds are few: ways × reasons × consumers of the config. This bounds a long life with many configs. */
const kindsMax = 5_000;

export function refusals({
  clock,
  log,
}: {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
}): Refusals {
  const kinds = new Map<string, { recordedAt: number; count: number }>();
  let total = 0;

  return {
    record({ way, reason, consumer }) {
      total += 1;
      const key = JSON.stringify([way, reason, consumer]);
      const known = kinds.get(key);
      const now = clock.monotonic();
      if (known !== undefined && now - known.recordedAt < recordEveryMs) {
        known.count += 1;
        return;
      }
      if (known === undefined && kinds.size === kindsMax) kinds.clear();
      kinds.set(key, { recordedAt: now, count: 0 });
      log(agentEvent('consumer.refused', { consumer, way, reason, count: (known?.count ?? 0) + 1 }));
    },

    total: () => total,
  };
}
