import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import { agentEvent } from '../log-events.ts';

/** How far this host's clock is from AWS's, as the `Date` of its answers tells. */
export interface ClockSkew {
  /** Takes the `Date` header of an answer that has just come in. */
  observe(date: string): void;
  /** Whole seconds that AWS is ahead of this host, negative when it is behind; 0 while that does not matter. */
  seconds(): number;
}

/** A signature may be five minutes off; `Date` has whole seconds, and an answer may take some to arrive. */
const skewedFromMs = 60_000;
const rightBelowMs = 30_000;

export function clockSkew(clock: Pick<Clock, 'now'>, log: Log): ClockSkew {
  let offsetMs = 0;

  return {
    observe(date) {
      const serverTime = Date.parse(date);
      if (Number.isNaN(serverTime)) return;
      const apartMs = serverTime - clock.now().getTime();
      const wasSkewed = offsetMs !== 0;
      const isSkewed = Math.abs(apartMs) >= (wasSkewed ? rightBelowMs : skewedFromMs);
      offsetMs = isSkewed ? apartMs : 0;
      if (isSkewed && !wasSkewed) {
        log(agentEvent('clock.skewed', { seconds: Math.round(apartMs / 1000) }));
      }
      if (!isSkewed && wasSkewed) log(agentEvent('clock.right', {}));
    },

    seconds: () => Math.round(offsetMs / 1000),
  };
}

/** The same clock, showing AWS's time: what expires in AWS's time is looked at in AWS's time. */
export function corrected(clock: Clock, skew: Pick<ClockSkew, 'seconds'>): Clock {
  return { ...clock, now: () => new Date(clock.now().getTime() + skew.seconds() * 1000) };
}
