import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../base/clock.ts';
import { type ErrorReport, reportOf } from '../../base/errors.ts';
import type { Log } from '../../base/log-events.ts';
import { difference } from '../../config/difference.ts';
import { configEvent } from '../../config/log-events.ts';
import { type GatewayConfig, gatewaySchema } from '../config.ts';

/** One version of the gateway config, fetched and found valid. */
export interface GatewayVersion {
  readonly config: GatewayConfig;
  /** Version id of the secret that holds it. */
  readonly versionId: string;
  /** Of the call that fetched it, as CloudTrail has it. */
  readonly awsRequestId?: string;
}

export interface FollowedConfigOptions {
  readonly secretName: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Fetches and validates the current version. */
  read(signal: AbortSignal): Promise<GatewayVersion>;
  /** Makes the running agent follow a new version. */
  apply(config: GatewayConfig, signal: AbortSignal): Promise<void>;
}

/** What `status` says of the gateway config. */
export interface FollowedConfigState {
  readonly secretName: string;
  readonly versionId: string | undefined;
  /** ISO 8601. */
  readonly appliedAt: string | undefined;
  /** When it was last read and found good, changed or not; ISO 8601. */
  readonly readAt: string | undefined;
  /** Paths of keys whose change waits for a restart. */
  readonly restartNeeded: readonly string[];
  /** Code of the error that keeps a newer version from being used. */
  readonly refused: string | undefined;
}

export type Refreshed = 'applied' | 'unchanged' | 'refused';

/** The gateway config that the agent runs by, followed through its versions. */
export interface FollowedConfig {
  /** The first version. Throws what reading it throws: there is nothing to fall back on. */
  start(signal: AbortSignal): Promise<GatewayConfig>;
  /** Reads the config again. A version that cannot be read or is not valid is refused, and the running one stays. */
  refresh(signal: AbortSignal): Promise<Refreshed>;
  /** The config that is in effect. */
  current(): GatewayConfig;
  state(): FollowedConfigState;
}

export function followedConfig(options: FollowedConfigOptions): FollowedConfig {
  const { secretName, clock, log } = options;
  let running: GatewayVersion | undefined;
  let appliedAt: string | undefined;
  let readAt: string | undefined;
  let refused: ErrorReport | undefined;
  /** The config that the parts which need a restart still run by. */
  let startedWith: GatewayConfig | undefined;

  const adopt = (version: GatewayVersion, changed: readonly string[]): void => {
    running = version;
    appliedAt = clock.now().toISOString();
    const { versionId, awsRequestId } = version;
    log(configEvent('config.applied', { secretName, versionId, changed, awsRequestId }));
  };

  const read = async (signal: AbortSignal): Promise<GatewayVersion> => {
    const version = await options.read(signal);
    readAt = clock.now().toISOString();
    return version;
  };

  const current = (): GatewayConfig => {
    if (running === undefined) throw new TypeError('the gateway config is asked for before it was read');
    return running.config;
  };

  const restartNeeded = (): readonly string[] =>
    running === undefined ? [] : difference(gatewaySchema, startedWith, running.config).restart;

  const refuse = (error: unknown): Refreshed => {
    const report = reportOf(error);
    if (!isSameRefusal(report, refused)) log(configEvent('config.refused', { secretName, error: report }));
    refused = report;
    return 'refused';
  };

  return {
    async start(signal) {
      const first = await read(signal);
      startedWith = first.config;
      adopt(first, []);
      return first.config;
    },

    async refresh(signal) {
      let next: GatewayVersion;
      try {
        next = await read(signal);
      } catch (error) {
        signal.throwIfAborted();
        return refuse(error);
      }
      if (refused !== undefined) log(configEvent('config.accepted-again', { secretName }));
      refused = undefined;
      const { live } = difference(gatewaySchema, current(), next.config);
      const { versionId } = next;
      if (versionId === running?.versionId) {
        log(configEvent('config.unchanged', { secretName, versionId }));
        return 'unchanged';
      }
      await options.apply(next.config, signal);
      adopt(next, live);
      const waiting = restartNeeded();
      if (waiting.length > 0) log(configEvent('config.restart-needed', { versionId, changed: waiting }));
      return 'applied';
    },

    current,
    state: () => ({
      secretName,
      versionId: running?.versionId,
      appliedAt,
      readAt,
      restartNeeded: restartNeeded(),
      refused: refused?.code,
    }),
  };
}

/** The same failure at another call is still the same. */
function isSameRefusal(one: ErrorReport, other: ErrorReport | undefined): boolean {
  return other !== undefined && isDeepStrictEqual(withoutCall(one), withoutCall(other));
}

function withoutCall({ details, ...report }: ErrorReport): object {
  const { awsRequestId: _, ...rest } = details;
  return { ...report, details: rest };
}
