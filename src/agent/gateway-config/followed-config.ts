import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../base/clock.ts';
import { type ErrorReport, reportOf } from '../../base/errors.ts';
import type { Log } from '../../base/log-events.ts';
import { backoffMs } from '../../base/retry.ts';
import type { Secret } from '../../base/secret.ts';
import { difference } from '../../config/difference.ts';
import { configEvent } from '../../config/log-events.ts';
import { type GatewayConfig, gatewaySchema } from '../config.ts';
import type { CopyKeeper } from './copy-keeper.ts';
import type { LastKnownGood } from './last-known-good.ts';
import { verdictOn } from './stand-in.ts';

/** One version of the gateway config, found valid. */
export interface GatewayVersion {
  readonly config: GatewayConfig;
  /** Version id of the secret that holds it. */
  readonly versionId: string;
  /** Of the call that fetched it, as CloudTrail has it. */
  readonly awsRequestId?: string;
}

/** One that Secrets Manager gave. */
export interface FetchedVersion extends GatewayVersion {
  /** As it was stored there. */
  readonly value: Secret;
}

/** One out of the sealed copy. */
export interface CopiedVersion extends GatewayVersion {
  readonly sealedAt: Date;
  /** Which key opened it. */
  readonly key: string;
}

export interface FollowedConfigOptions {
  readonly secretName: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Fetches and validates the current version. */
  read(signal: AbortSignal): Promise<FetchedVersion>;
  /** Milliseconds that are left of the start, for the first version and for the copy where it does not come. */
  leftMs(): number;
  /** What there is to fall back on at the start. */
  readonly copy: Pick<LastKnownGood, 'isThere' | 'standIn' | 'heed'>;
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
  /** Present while the agent runs by the sealed copy, for want of what Secrets Manager has. */
  readonly lastKnownGood?: {
    /** When the copy was sealed; ISO 8601. */
    readonly sealedAt: string;
    /** Which key opened it: the ARN of a KMS key, or a generation of the master key. */
    readonly key: string;
  };
}

export type Refreshed = 'applied' | 'unchanged' | 'refused';

/** The gateway config that the agent runs by, followed through its versions. */
export interface FollowedConfig {
  /** The first version, or the sealed copy. Throws what reading it throws where no copy may stand in for it. */
  start(signal: AbortSignal): Promise<GatewayConfig>;
  /** Has every version that is fetched kept from now on, and the one in use. */
  keptBy(keeper: Pick<CopyKeeper, 'offer'>): void;
  /**
   * After a start with the sealed copy: has `refresh` called, with pauses, until there is a version of Secrets Manager's.
   * @throws what AWS says when it refuses this host the config: with that answer the agent would not have started
   */
  untilFetched(refresh: (signal: AbortSignal) => Promise<unknown>, signal: AbortSignal): Promise<void>;
  /** Reads the config again. A version that cannot be read or is not valid is refused, and the running one stays. */
  refresh(signal: AbortSignal): Promise<Refreshed>;
  /** The config that is in effect. */
  current(): GatewayConfig;
  state(): FollowedConfigState;
}

/** With a copy to fall back on, what the first reading may take; without one only the SDK's own limits count. */
const firstReadMsMax = 30_000;

/** Between tries while the agent runs by the copy. */
const fetchBackoff = { baseMs: 4_000, capMs: 55_000 };
const fetchWaitMsMin = 1_000;

export function followedConfig(options: FollowedConfigOptions): FollowedConfig {
  const { secretName, clock, log, copy } = options;
  let running: GatewayVersion | undefined;
  let appliedAt: string | undefined;
  let readAt: string | undefined;
  let refused: ErrorReport | undefined;
  /** The config that the parts which need a restart still run by. */
  let startedWith: GatewayConfig | undefined;
  /** Set while it is the one that runs. */
  let copied: CopiedVersion | undefined;
  /** What AWS said when it refused the config to an agent that runs by the copy, and has not taken back. */
  let revoked: { readonly error: unknown } | undefined;
  let keeper: Pick<CopyKeeper, 'offer'> | undefined;
  /** What was fetched before there was a keeper. */
  let unkept: FetchedVersion | undefined;

  const runsByCopy = (): boolean => copied !== undefined;

  const offer = (version: FetchedVersion): void => {
    if (keeper === undefined) unkept = version;
    else keeper.offer(version);
  };

  const adopt = (version: GatewayVersion, changed: readonly string[]): void => {
    running = version;
    appliedAt = clock.now().toISOString();
    const { versionId, awsRequestId } = version;
    log(configEvent('config.applied', { secretName, versionId, changed, awsRequestId }));
  };

  const read = async (signal: AbortSignal): Promise<FetchedVersion> => {
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

  const first = async (signal: AbortSignal): Promise<GatewayVersion> => {
    try {
      // Opening the copy takes its time as well.
      const withinMs = Math.min(firstReadMsMax, Math.ceil(options.leftMs() / 2));
      const version = await (copy.isThere()
        ? clock.deadline(withinMs, 'Secrets Manager', signal, read)
        : read(signal));
      offer(version);
      return version;
    } catch (error) {
      signal.throwIfAborted();
      await copy.heed(error);
      copied = await copy.standIn(error, signal);
      refused = reportOf(error);
      return copied;
    }
  };

  const refuse = (error: unknown): Refreshed => {
    const report = reportOf(error);
    if (!isSameRefusal(report, refused)) log(configEvent('config.refused', { secretName, error: report }));
    refused = report;
    return 'refused';
  };

  return {
    async start(signal) {
      const version = await first(signal);
      startedWith = version.config;
      adopt(version, []);
      return version.config;
    },

    keptBy(by) {
      keeper = by;
      if (unkept !== undefined) by.offer(unkept);
      unkept = undefined;
    },

    async untilFetched(refresh, signal) {
      for (let attempt = 0; runsByCopy(); attempt += 1) {
        await clock.sleep(fetchWaitMsMin + backoffMs(attempt, fetchBackoff), signal);
        if (runsByCopy() && revoked === undefined) await refresh(signal);
        if (revoked !== undefined) throw revoked.error;
      }
    },

    async refresh(signal) {
      let next: FetchedVersion;
      try {
        next = await read(signal);
      } catch (error) {
        signal.throwIfAborted();
        await copy.heed(error);
        if (copied !== undefined && verdictOn(error) === 'is void') revoked = { error };
        return refuse(error);
      }
      revoked = undefined;
      if (copied !== undefined) {
        const { versionId: copyVersionId } = copied;
        const { versionId } = next;
        log(configEvent('config.last-known-good-left', { secretName, versionId, copyVersionId }));
        copied = undefined;
      } else if (refused !== undefined) log(configEvent('config.accepted-again', { secretName }));
      refused = undefined;
      const { live } = difference(gatewaySchema, current(), next.config);
      const { versionId } = next;
      if (versionId === running?.versionId) {
        log(configEvent('config.unchanged', { secretName, versionId }));
        offer(next);
        return 'unchanged';
      }
      await options.apply(next.config, signal);
      adopt(next, live);
      offer(next);
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
      ...(copied === undefined
        ? {}
        : { lastKnownGood: { sealedAt: copied.sealedAt.toISOString(), key: copied.key } }),
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
