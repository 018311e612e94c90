import type { Health, Probe } from '../../api/monitoring.ts';
import type { Clock } from '../../base/clock.ts';
import type { AgentStatus } from './status.ts';

/** By what the watchdog and every probe judge the agent. */
export interface Vitals {
  /** Resolves when the main thread and the events worker have both answered. */
  readonly condition: () => Promise<Pick<AgentStatus, 'state' | 'failing'>>;
  /** Whether what the agent is there for moves: false while it is wedged. */
  readonly isHealthy: () => boolean;
}

/** Below what probes usually wait for, so that they hear the reason rather than nothing. */
const answerMsMax = 3_000;

/**
 * Answers probes. `live` asks what a restart may mend: both threads answer, and nothing is wedged. `startup` and `ready`
 * ask for that and for an agent that has started; `ready` says no again once it stops. A degraded agent is ready.
 */
export function healthOf({ condition, isHealthy }: Vitals, clock: Clock) {
  return async (probe: Probe, signal: AbortSignal): Promise<Health> => {
    const found = await clock.deadline(answerMsMax, 'health', signal, condition).catch(() => undefined);
    signal.throwIfAborted();
    if (found === undefined) return { isOk: false, reason: 'no answer' };
    const { state, failing } = found;
    const reason = isHealthy() ? reasonOf(probe, state) : 'wedged';
    const said = { state, failing: failing.length };
    return reason === undefined ? { isOk: true, ...said } : { isOk: false, ...said, reason };
  };
}

function reasonOf(probe: Probe, state: AgentStatus['state']): Health['reason'] {
  if (probe !== 'live' && state === 'starting') return 'starting';
  return probe === 'ready' && state === 'stopping' ? 'stopping' : undefined;
}
