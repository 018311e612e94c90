import type { Clock } from '../../base/clock.ts';
import { reportOf } from '../../base/errors.ts';
import type { Log } from '../../base/log-events.ts';
import type { Seen } from '../../keys/ledger.ts';
import { keysEvent } from '../../keys/log-events.ts';
import type { Registry } from '../../keys/registry.ts';

/**
 * The highest versions of this host's secrets as the registry has them, for the running agent: what its state directory
 * lost or was rid of is still known there. Best effort: while the registry is away nothing waits for it, which is said.
 */
export interface Watermark {
  /**
   * What the registry knows, asked for once, by the first who wants it; undefined while it is away. `isAfresh` asks
   * again, once until the next `raise`: an operator may have allowed an older version.
   */
  seen(
    signal: AbortSignal,
    options?: { readonly isAfresh?: boolean },
  ): Promise<ReadonlyMap<string, Seen> | undefined>;
  /** Raises what rose, in one step, and what could not be raised before. */
  raise(versions: ReadonlyMap<string, number>, signal: AbortSignal): Promise<void>;
}

export interface WatermarkOptions {
  readonly registry: Registry;
  readonly agentName: string;
  readonly clock: Pick<Clock, 'deadline'>;
  readonly log: Log;
}

/** A start waits no longer than this for a registry that does not answer. */
const answerMsMax = 3_000;

export function watermark({ registry, agentName, clock, log }: WatermarkOptions): Watermark {
  const { table } = registry;
  const unsent = new Map<string, number>();
  let known: Promise<Map<string, Seen> | undefined> | undefined;
  let hasAskedAgain = false;
  let isAway = false;

  async function bestEffort<T>(work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal) {
    try {
      const result = await clock.deadline(answerMsMax, 'key registry', signal, work);
      if (isAway) log(keysEvent('master-key.watermark-back', { table }));
      isAway = false;
      return { result };
    } catch (error) {
      signal.throwIfAborted();
      if (!isAway) log(keysEvent('master-key.watermark-away', { table, error: reportOf(error) }));
      isAway = true;
      return undefined;
    }
  }

  function ask(signal: AbortSignal): Promise<Map<string, Seen> | undefined> {
    const asking = bestEffort(async (sig) => new Map(await registry.seen(agentName, sig)), signal).then(
      (answer) => answer?.result,
    );
    known = asking;
    // Whoever comes after an abort asks anew.
    asking.catch(() => {
      known = undefined;
    });
    return asking;
  }

  return {
    seen(signal, { isAfresh = false } = {}) {
      if (known !== undefined && (!isAfresh || hasAskedAgain)) return known;
      hasAskedAgain = isAfresh;
      return ask(signal);
    },

    async raise(versions, signal) {
      for (const [name, version] of versions) unsent.set(name, version);
      hasAskedAgain = false;
      if (unsent.size === 0) return;
      const before = await (known ?? ask(signal));
      if (before === undefined) {
        // It was away a moment ago: next time.
        known = undefined;
        return;
      }
      const rising = new Map(
        [...unsent].filter(([name, version]) => version > (before.get(name)?.version ?? 0)),
      );
      const isDone =
        rising.size === 0 ||
        (await bestEffort((sig) => registry.raise(agentName, rising, sig), signal)) !== undefined;
      if (!isDone) return;
      for (const [name, version] of rising) before.set(name, { version });
      unsent.clear();
    },
  };
}
