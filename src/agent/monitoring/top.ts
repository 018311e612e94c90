import type { EventsStatus } from '../../events/status.ts';
import type { Launch } from '../launch.ts';
import { type AgentStatus, status } from './status.ts';

/** One look at the running agent. */
export interface Look {
  /** ISO 8601, UTC: of the machine that looks, which is the agent's. */
  readonly time: string;
  /** Milliseconds from an arbitrary origin. */
  readonly atMs: number;
  readonly status: AgentStatus;
}

export interface Rate {
  readonly eventsPerSecond: number;
  readonly bytesPerSecond: number;
}

/** What moved between two looks. */
export interface Rates {
  readonly overMs: number;
  readonly sources: readonly (Rate & { readonly name: string })[];
  /** Taken by CloudWatch Logs. */
  readonly sent: Rate;
}

/**
 * Asks the running agent of this host for its state.
 * @throws as `status`
 */
export async function look(launch: Launch, signal: AbortSignal): Promise<Look> {
  const { clock } = launch;
  const found = await status(launch, signal);
  return { time: clock.now().toISOString(), atMs: clock.monotonic(), status: found };
}

/** Undefined where they cannot be told: nothing is shipped, or it was another agent before. */
export function ratesBetween(before: Look, now: Look): Rates | undefined {
  const [first, second] = [before.status.events, now.status.events];
  const overMs = now.atMs - before.atMs;
  if (first === undefined || second === undefined || overMs <= 0) return undefined;
  if (before.status.pid !== now.status.pid || before.status.startedAt !== now.status.startedAt) {
    return undefined;
  }
  return {
    overMs,
    sources: second.sources.map((source) => ({
      name: source.name,
      ...rate(sourceOf(first, source.name), source, overMs),
    })),
    sent: rate(first.sent, second.sent, overMs),
  };
}

interface Count {
  readonly events: number;
  readonly bytes: number;
}

function sourceOf(events: EventsStatus, wanted: string): Count {
  return events.sources.find(({ name }) => name === wanted) ?? { events: 0, bytes: 0 };
}

function rate(before: Count, now: Count, overMs: number): Rate {
  const perSecond = (key: keyof Count): number =>
    Math.round((Math.max(0, now[key] - before[key]) * 1000) / overMs);
  return { eventsPerSecond: perSecond('events'), bytesPerSecond: perSecond('bytes') };
}
