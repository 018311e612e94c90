import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../base/clock.ts';
import { asGatehouseError, type GatehouseError, reportOf } from '../base/errors.ts';
import type { Log } from '../base/log-events.ts';
import {
  type SecretConfig,
  type SecretSourceName,
  type SecretsConfig,
  secretSourceNames,
  sharedValue,
} from './config.ts';
import { secretsError } from './errors.ts';
import { secretsEvent } from './log-events.ts';
import type { SecretReading } from './secret-source.ts';

/** Reads a secret by the `place` that its config gives, as `SecretSource.read`. */
type ReadFrom<At> = (name: string, place: At, signal: AbortSignal) => Promise<SecretReading>;

/** The sources, each under the key that a secret's config has for it. */
export type SecretSources = {
  readonly [Source in SecretSourceName]: ReadFrom<NonNullable<SecretConfig[Source]>>;
};

export interface SecretsOptions {
  /** Sources for one round of reading: what several secrets take fields of is read once in it. */
  readonly round: () => SecretSources & Disposable;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Log;
}

/** What reading secrets again brought, by name. */
export interface SecretsRefresh {
  /** Read for the first time, or in another version than before. */
  readonly changed: readonly string[];
  /** Not read this time; the last good value, if any, stays. */
  readonly failed: ReadonlyMap<string, GatehouseError>;
}

export interface SecretStatus {
  readonly name: string;
  readonly source: SecretSourceName;
  /** The version in use; absent before the first good read. */
  readonly version?: string;
  /** When it was last read, changed or not; ISO 8601. Absent before the first good read. */
  readonly readAt?: string;
  /** The code of the failure of the last read; absent when it succeeded. */
  readonly failing?: string;
}

/** All secrets of the host by name, each with its last good value, in memory only. */
export interface Secrets {
  /**
   * Says which secrets there are. Values of those that stay where they are, are kept; the others are forgotten, for a
   * name that moved means another secret. Reads nothing.
   */
  configure(config: SecretsConfig): void;
  /**
   * Reads the named secrets, and those that are fields of the same value, or all, each on its own: one failure never
   * stops another. Refreshes never overlap. Throws only the reason of an aborted signal.
   */
  refresh(names: readonly string[] | undefined, signal: AbortSignal): Promise<SecretsRefresh>;
  /** The last good value; undefined where there is none. Owned by this holder: not to be disposed of. */
  get(name: string): SecretReading | undefined;
  status(): SecretStatus[];
  /** Overwrites every value. */
  close(): void;
}

/** One place where a secret is read. */
interface Place<Source extends SecretSourceName = SecretSourceName> {
  readonly source: Source;
  read(sources: SecretSources, signal: AbortSignal): Promise<SecretReading>;
}

interface Held {
  readonly config: SecretConfig;
  readonly place: Place;
  current?: SecretReading;
  readAt?: string;
  failing?: string;
}

/** Reads under way at once: a host has few secrets, and Secrets Manager many hosts. */
const readsMax = 8;

export function secrets({ round, clock, log }: SecretsOptions): Secrets {
  const all = new Map<string, Held>();
  let last: Promise<unknown> = Promise.resolve();

  /** True when the secret changed. */
  async function readOne(
    name: string,
    held: Held,
    sources: SecretSources,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { source } = held.place;
    try {
      const reading = await held.place.read(sources, signal);
      if (all.get(name) !== held) {
        // It moved, or left the config, meanwhile.
        reading.value.dispose();
        return false;
      }
      const { version } = reading;
      if (held.failing !== undefined) log(secretsEvent('secret.recovered', { secret: name, version }));
      delete held.failing;
      const isNew = held.current?.version !== version;
      const isChanged = isNew || held.current?.value.equals(reading.value) === false;
      const { awsRequestId } = reading;
      if (isNew) log(secretsEvent('secret.read', { secret: name, version, source, awsRequestId }));
      // The value before is not overwritten: a delivery may be writing it this moment.
      held.current = reading;
      held.readAt = clock.now().toISOString();
      return isChanged;
    } catch (error) {
      signal.throwIfAborted();
      const failure = asGatehouseError(error);
      if (held.failing !== failure.code) {
        const heldVersion = held.current?.version;
        const fields = { secret: name, source, error: reportOf(failure), heldVersion };
        log(secretsEvent('secret.read-failed', fields));
      }
      held.failing = failure.code;
      throw failure;
    }
  }

  /** These, and those that take fields of the same values: one of them alone would be of another version. */
  function withSiblings(names: readonly string[]): string[] {
    const shared = (name: string): string | undefined => {
      const held = all.get(name);
      return held === undefined ? undefined : sharedValue(held.config);
    };
    const values = new Set(names.map(shared).filter((value) => value !== undefined));
    const siblings = [...all.keys()].filter((name) => values.has(shared(name) ?? ''));
    return [...new Set([...names, ...siblings])];
  }

  async function refreshNow(
    names: readonly string[] | undefined,
    signal: AbortSignal,
  ): Promise<SecretsRefresh> {
    signal.throwIfAborted();
    const changed: string[] = [];
    const failed = new Map<string, GatehouseError>();
    using sources = round();
    const waiting = (names === undefined ? [...all.keys()] : withSiblings(names)).values();

    const lane = async (): Promise<void> => {
      for (const name of waiting) {
        const held = all.get(name);
        if (held === undefined) {
          failed.set(name, secretsError('SECRET_UNKNOWN', { secret: name }));
          continue;
        }
        try {
          if (await readOne(name, held, sources, signal)) changed.push(name);
        } catch (error) {
          signal.throwIfAborted();
          failed.set(name, asGatehouseError(error));
        }
      }
    };
    await Promise.all(Array.from({ length: readsMax }, lane));
    return { changed, failed };
  }

  return {
    configure(config) {
      for (const name of all.keys()) {
        if (!Object.hasOwn(config, name)) all.delete(name);
      }
      for (const [name, secret] of Object.entries(config)) {
        if (isDeepStrictEqual(all.get(name)?.config, secret)) continue;
        all.set(name, { config: secret, place: placeOf(name, secret) });
      }
    },

    refresh(names, signal) {
      const turn = last.then(() => refreshNow(names, signal));
      last = turn.catch(() => undefined);
      return turn;
    },

    get: (name) => all.get(name)?.current,

    status: () => [...all].map(([name, held]) => statusOf(name, held)),

    close() {
      for (const { current } of all.values()) current?.value.dispose();
      all.clear();
    },
  };
}

function statusOf(name: string, { place: { source }, current, readAt, failing }: Held): SecretStatus {
  return {
    name,
    source,
    ...(current === undefined ? {} : { version: current.version }),
    ...(readAt === undefined ? {} : { readAt }),
    ...(failing === undefined ? {} : { failing }),
  };
}

function placeOf(name: string, config: SecretConfig): Place {
  const placeIn = <Source extends SecretSourceName>(source: Source): Place<Source> | undefined => {
    const place = config[source];
    if (place === undefined) return undefined;
    return { source, read: (sources, signal) => sources[source](name, place, signal) };
  };
  for (const source of secretSourceNames) {
    const place = placeIn(source);
    if (place !== undefined) return place;
  }
  throw new TypeError(`the schema let a secret pass that is nowhere: ${name}`);
}
