import type { Clock } from '../../base/clock.ts';
import { reportOf } from '../../base/errors.ts';
import type { Log } from '../../base/log-events.ts';
import type { Notify } from '../../system/notify.ts';
import { agentEvent } from '../log-events.ts';
import type { Vitals } from './health.ts';
import type { AgentStatus } from './status.ts';

export interface SupervisionParts extends Vitals {
  readonly notify: Notify;
  readonly clock: Clock;
  readonly log: Log;
}

/** The agent towards systemd: ready, reloading, alive, stopping. */
export interface Supervision {
  ready(): Promise<void>;
  /** Does `work` as a reload, after which the agent is ready again whatever came of it. */
  reload<Outcome>(work: () => Promise<Outcome>): Promise<Outcome>;
  /** `withinMs`: what stopping may take. */
  stopping(withinMs: number): void;
  /** Until `signal` aborts: keeps the watchdog quiet as long as all is well, and the status line true. */
  watch(signal: AbortSignal): Promise<void>;
}

/** A sign of life each third of the watchdog's time: one may be late and one be lost. */
const signsPerWatchdog = 3;
/** How often the status line is looked at where no watchdog is. */
const statusEveryMs = 30_000;

export function supervision({ notify, condition, isHealthy, clock, log }: SupervisionParts): Supervision {
  const everyMs = notify.watchdogMs === undefined ? statusEveryMs : notify.watchdogMs / signsPerWatchdog;
  let lastLine = '';
  let isWithheld = false;

  async function say(tell: (line: string) => Promise<void>, line: string): Promise<void> {
    lastLine = line;
    await tell(line);
  }

  async function ready(): Promise<void> {
    await say((line) => notify.ready(line), lineOf(await condition()));
  }

  /** @throws where an answer is not there in time */
  async function look(signal: AbortSignal): Promise<void> {
    const line = lineOf(await clock.deadline(everyMs, 'watchdog', signal, condition));
    if (line !== lastLine) await say((text) => notify.status(text), line);
    if (!isHealthy()) return withhold({ reason: 'wedged' });
    isWithheld = false;
    if (notify.watchdogMs !== undefined) await notify.alive();
  }

  function withhold(fields: Parameters<typeof agentEvent<'watchdog.withheld'>>[1]): void {
    if (!isWithheld) log(agentEvent('watchdog.withheld', fields));
    isWithheld = true;
  }

  return {
    ready,

    async reload(work) {
      if (!notify.isHeard) return work();
      await notify.reloading();
      try {
        return await work();
      } finally {
        await ready();
      }
    },

    stopping: (withinMs) => void notify.stopping(withinMs),

    async watch(signal) {
      if (!notify.isHeard) return;
      for (;;) {
        await clock.sleep(everyMs, signal);
        try {
          await look(signal);
        } catch (error) {
          signal.throwIfAborted();
          withhold({ reason: 'no answer', error: reportOf(error) });
        }
      }
    },
  };
}

/** Read by every local user: how many, not which. */
function lineOf({ state, failing }: Pick<AgentStatus, 'state' | 'failing'>): string {
  return failing.length === 0 ? state : `${state}: ${failing.length} failing, see gatehouse status`;
}
