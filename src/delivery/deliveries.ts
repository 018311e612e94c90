import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../base/clock.ts';
import { asGatehouseError, GatehouseError, reportOf } from '../base/errors.ts';
import type { Log } from '../base/log-events.ts';
import { backoffMs } from '../base/retry.ts';
import type { Secret } from '../base/secret.ts';
import type { DeliveriesConfig, DeliveryConfig } from './config.ts';
import type { Delivery } from './delivery.ts';
import { deliveryError } from './errors.ts';
import { deliveryEvent } from './log-events.ts';

export interface DeliveriesOptions {
  /** Makes the delivery that a config entry describes. */
  readonly make: (config: DeliveryConfig) => Delivery;
  /** The secret as it is now; undefined while it has not been read. */
  readonly secretOf: (name: string) => { readonly value: Secret; readonly version: string } | undefined;
  readonly log: Log;
  readonly clock: Clock;
  /** Uniform in [0, 1), for the jitter of retries. */
  readonly random?: () => number;
}

export interface DeliveryStatus {
  /** Where to: the path of the file. */
  readonly delivery: string;
  readonly secret: string;
  /** The version in place, and since when this agent knows, ISO 8601; absent before the first success. */
  readonly version?: string;
  readonly deliveredAt?: string;
  /** The code of the failure of the last attempt; absent when it succeeded. */
  readonly failing?: string;
}

/** All deliveries of the host, each on its own. */
export interface Deliveries {
  /**
   * Says which deliveries there are. What is known of those that stay the same is kept. Delivers nothing, and removes
   * nothing yet of those whose file is no longer named.
   */
  configure(config: DeliveriesConfig): void;
  /**
   * Tries each delivery once, or each of the named secrets: what is right already stays untouched, and a failure never
   * stops another. Where all are meant, what deliveries that left had handed over is removed then. Throws only the reason
   * of an aborted signal.
   */
  deliver(secrets: readonly string[] | undefined, signal: AbortSignal): Promise<void>;
  /** Tries failed deliveries and removals again, with back-off, until the signal aborts. Run it beside everything else. */
  run(signal: AbortSignal): Promise<void>;
  status(): DeliveryStatus[];
}

interface Entry {
  readonly config: DeliveryConfig;
  readonly delivery: Delivery;
  version?: string;
  deliveredAt?: string;
  failing?: string;
  failures: number;
  /** On the monotonic clock; set while it is failing. */
  retryAt?: number;
  /** The end of the attempt before at this file, so that attempts never overlap. */
  last: Promise<unknown>;
}

const backoff = { baseMs: 1_000, capMs: 60_000 };

/** Attempts under way at once: each holds file descriptors. */
const attemptsMax = 16;

/** Deliveries that left and could not be removed yet. Beyond this the oldest are given up: their errors were logged. */
const leavingMax = 1000;

/** No wait is shorter, however small the jitter came out. */
const retryMsMin = 250;

/** A folder on a dead network file system must not hold up the others for ever. */
const deliveryMsMax = 10_000;

export function deliveries(options: DeliveriesOptions): Deliveries {
  const { make, secretOf, log, clock, random = Math.random } = options;
  let entries: Entry[] = [];
  /** Out of the config, but what they handed over may still be there. */
  let leaving: Entry[] = [];
  let changed = Promise.withResolvers<void>();

  async function attempt(entry: Entry, signal: AbortSignal): Promise<void> {
    // It may have left while it waited for its turn, and nobody would remove what it writes now.
    if (!entries.includes(entry)) return;
    const { secret: name, file } = entry.config;
    const secret = secretOf(name);
    try {
      if (secret === undefined) throw deliveryError('DELIVERY_SECRET_MISSING', { secret: name });
      const { written } = await inTime(file, signal, (sig) =>
        entry.delivery.deliver({ name, ...secret }, sig),
      );
      succeeded(entry, secret.version, written);
    } catch (error) {
      signal.throwIfAborted();
      failed(entry, asGatehouseError(error));
    }
  }

  async function inTime<T>(
    file: string,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    try {
      return await clock.deadline(deliveryMsMax, 'delivery', signal, work);
    } catch (error) {
      if (!(error instanceof GatehouseError) || error.code !== 'DEADLINE_EXCEEDED') throw error;
      throw deliveryError('DELIVERY_TOO_LATE', { file, afterMs: deliveryMsMax }, error);
    }
  }

  function succeeded(entry: Entry, version: string, written: boolean): void {
    const fields = { delivery: entry.config.file, secret: entry.config.secret, version };
    log(deliveryEvent(written ? 'delivery.written' : 'delivery.current', fields));
    if (entry.failing !== undefined) log(deliveryEvent('delivery.recovered', fields));
    if (written || entry.version !== version) entry.deliveredAt = clock.now().toISOString();
    entry.version = version;
    entry.failures = 0;
    delete entry.failing;
    delete entry.retryAt;
  }

  function failed(entry: Entry, error: GatehouseError): void {
    if (entry.failing !== error.code) {
      const { file: delivery, secret } = entry.config;
      const fields = { delivery, secret, error: reportOf(error), deliveredVersion: entry.version };
      log(deliveryEvent('delivery.failed', fields));
    }
    retryLater(entry, error);
  }

  function retryLater(entry: Entry, error: GatehouseError): void {
    entry.failing = error.code;
    entry.retryAt = clock.monotonic() + Math.max(retryMsMin, backoffMs(entry.failures, backoff, random));
    entry.failures += 1;
    changed.resolve();
  }

  async function withdraw(entry: Entry, signal: AbortSignal): Promise<void> {
    // Its file may be delivered to again by now.
    if (!leaving.includes(entry)) return;
    const { file, secret } = entry.config;
    const fields = { delivery: file, secret, version: entry.version };
    try {
      const { removed } = await inTime(file, signal, (sig) => entry.delivery.withdraw(sig));
      if (removed) log(deliveryEvent('delivery.removed', fields));
      leaving = leaving.filter((other) => other !== entry);
    } catch (error) {
      signal.throwIfAborted();
      const failure = asGatehouseError(error);
      if (entry.failing !== failure.code) {
        log(deliveryEvent('delivery.remove-failed', { ...fields, error: reportOf(failure) }));
      }
      if (failure.code === 'DELIVERY_CHANGED_BY_OTHERS') leaving = leaving.filter((other) => other !== entry);
      else retryLater(entry, failure);
    }
  }

  async function each(
    chosen: readonly Entry[],
    work: (entry: Entry, signal: AbortSignal) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    const waiting = chosen.values();
    const lane = async (): Promise<void> => {
      for (const entry of waiting) {
        const turn = entry.last.then(() => work(entry, signal));
        entry.last = turn.catch(() => undefined);
        await turn;
      }
    };
    await Promise.all(Array.from({ length: attemptsMax }, lane));
  }

  return {
    configure(config) {
      const known = new Map([...leaving, ...entries].map((entry) => [entry.config.file, entry]));
      const present = new Set(entries);
      entries = config.map((item) => {
        const before = known.get(item.file);
        known.delete(item.file);
        if (before !== undefined && present.has(before) && isDeepStrictEqual(before.config, item))
          return before;
        return { config: item, delivery: make(item), failures: 0, last: before?.last ?? Promise.resolve() };
      });
      leaving = [...known.values()].slice(-leavingMax);
      for (const entry of leaving) if (present.has(entry)) startLeaving(entry);
      changed.resolve();
    },

    async deliver(secrets, signal) {
      const chosen = entries.filter(({ config }) => secrets === undefined || secrets.includes(config.secret));
      await each(chosen, attempt, signal);
      if (secrets === undefined) await each(leaving, withdraw, signal);
    },

    async run(signal) {
      while (!signal.aborted) {
        changed = Promise.withResolvers();
        const now = clock.monotonic();
        const toDeliver = entries.filter((entry) => isDue(entry, now));
        const toRemove = leaving.filter((entry) => isDue(entry, now));
        if (toDeliver.length + toRemove.length === 0) await untilDue(signal);
        else {
          await each(toDeliver, attempt, signal);
          await each(toRemove, withdraw, signal);
        }
      }
    },

    status: () => entries.map(statusOf),
  };

  /** Until the next retry is due, or something changed that may move it. */
  async function untilDue(signal: AbortSignal): Promise<void> {
    const next = Math.min(
      ...[...entries, ...leaving].map(({ retryAt }) => retryAt ?? Number.POSITIVE_INFINITY),
    );
    const awake = new AbortController();
    const either = AbortSignal.any([signal, awake.signal]);
    const aborted = Promise.withResolvers<void>();
    either.addEventListener('abort', () => aborted.resolve(), { once: true });
    if (either.aborted) return;
    const waits = [changed.promise, aborted.promise];
    if (Number.isFinite(next)) {
      waits.push(clock.sleep(next - clock.monotonic(), either).catch(() => undefined));
    }
    await Promise.race(waits);
    awake.abort();
  }
}

function isDue({ retryAt }: Entry, nowMs: number): boolean {
  return retryAt !== undefined && retryAt <= nowMs;
}

/** Its failures so far were those of delivering. */
function startLeaving(entry: Entry): void {
  entry.failures = 0;
  delete entry.failing;
  delete entry.retryAt;
}

function statusOf({ config, version, deliveredAt, failing }: Entry): DeliveryStatus {
  return {
    delivery: config.file,
    secret: config.secret,
    ...(version === undefined ? {} : { version }),
    ...(deliveredAt === undefined ? {} : { deliveredAt }),
    ...(failing === undefined ? {} : { failing }),
  };
}
