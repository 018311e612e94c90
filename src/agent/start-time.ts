import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log-events.ts';
import { agentEvent } from './log-events.ts';

/**
 * What a start may take that AWS answers late, or not at all. Below TimeoutStartSec= of the unit, so that it is the agent
 * that ends it and says what it waited for, and so that one that lacks secrets only is up before it is killed.
 */
export const startMsMax = 95_000;

/** Kept of that for the secrets, whatever came before took. */
export const secretsMsMin = 15_000;

/** What takes longer than this is said while it is waited for. */
const saidAfterMs = 10_000;

/** What a start waits for, as `status` tells it. */
export interface StartWait {
  readonly what: string;
  /** ISO 8601. */
  readonly since: string;
  /** Whole seconds from then, after which the start goes on without it or ends. */
  readonly withinSeconds: number;
}

/** The one deadline over the parts of a start, each of which has limits of its own that may be longer. */
export interface StartTime {
  /**
   * Does what there is no agent without, in what is left for it. What it waits for is said when it takes long.
   * @throws DEADLINE_EXCEEDED when nothing is left; `what` names the work in its details
   */
  part<T>(what: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** The same for what ends by itself within `withinMs`. */
  wait<T>(what: string, withinMs: number, work: () => Promise<T>): Promise<T>;
  /** What is waited for now. */
  waitsFor(): StartWait | undefined;
  /** Milliseconds left for such parts, at least 1. */
  left(): number;
  /** Milliseconds left for reading secrets, at least 1; undefined once the start is over. */
  leftForSecrets(): number | undefined;
  /** From here on nothing is limited. */
  over(): void;
}

export function startTime({ clock, log }: { readonly clock: Clock; readonly log: Log }): StartTime {
  const endsAt = clock.monotonic() + startMsMax;
  let isOver = false;
  let waitsFor: StartWait | undefined;
  const leftUntil = (at: number): number => Math.max(1, at - clock.monotonic());
  const left = (): number => leftUntil(endsAt - secretsMsMin);

  async function wait<T>(what: string, withinMs: number, work: () => Promise<T>): Promise<T> {
    const done = new AbortController();
    waitsFor = { what, since: clock.now().toISOString(), withinSeconds: Math.ceil(withinMs / 1000) };
    clock.sleep(saidAfterMs, done.signal).then(
      () => log(agentEvent('agent.start-waits', { what, withinMs: Math.round(withinMs) })),
      () => undefined,
    );
    try {
      return await work();
    } finally {
      waitsFor = undefined;
      done.abort();
    }
  }

  return {
    left,
    leftForSecrets: () => (isOver ? undefined : leftUntil(endsAt)),
    over() {
      isOver = true;
    },
    waitsFor: () => waitsFor,
    wait,
    part(what, signal, work) {
      const withinMs = Math.round(left());
      return wait(what, withinMs, () => clock.deadline(withinMs, what, signal, work));
    },
  };
}
