import { asGatehouseError, type GatehouseError, reportOf } from '../base/errors.ts';
import type { Log } from '../base/log-events.ts';
import type { SecretsConfig } from './config.ts';
import { secretsError } from './errors.ts';
import { secretsEvent } from './log-events.ts';
import type { SealedFileReference } from './sealed-file.ts';
import type { SecretReading, SecretSource } from './secret-source.ts';
import type { SecretsManagerReference } from './secrets-manager.ts';

export interface SecretsOptions {
  readonly secretsManager: SecretSource<SecretsManagerReference>;
  readonly sealedFile: SecretSource<SealedFileReference>;
  readonly log: Log;
}

/** What a refresh brought, by name. */
export interface Refreshed {
  /** Read for the first time, or in another version than before. */
  readonly changed: readonly string[];
  /** Not read this time; the last good value, if any, stays. */
  readonly failed: ReadonlyMap<string, GatehouseError>;
}

export interface SecretStatus {
  readonly name: string;
  readonly source: SourceName;
  /** The version in use; absent before the first good read. */
  readonly version?: string;
  /** The code of the failure of the last read; absent when it succeeded. */
  readonly failing?: string;
}

/** All secrets of the host by name, each with its last good value, in memory only. */
export interface Secrets {
  /** Says which secrets there are. Values of those that stay are kept, the others forgotten. Reads nothing. */
  configure(config: SecretsConfig): void;
  /**
   * Reads the named secrets, or all, each on its own: one failure never stops another. Refreshes never overlap.
   * Throws only the reason of an aborted signal.
   */
  refresh(names: readonly string[] | undefined, signal: AbortSignal): Promise<Refreshed>;
  /** The last good value; undefined where there is none. Owned by this holder: not to be disposed of. */
  get(name: string): SecretReading | undefined;
  status(): SecretStatus[];
  /** Overwrites every value. */
  close(): void;
}

type SourceName = 'secretsManager' | 'sealedFile';

type Reference =
  | { readonly source: 'secretsManager'; readonly reference: SecretsManagerReference }
  | { readonly source: 'sealedFile'; readonly reference: SealedFileReference };

interface Held {
  where: Reference;
  current?: SecretReading;
  failing?: string;
}

/** Reads under way at once: a host has few secrets, and Secrets Manager many hosts. */
const readsMax = 8;

export function secrets({ secretsManager, sealedFile, log }: SecretsOptions): Secrets {
  const all = new Map<string, Held>();
  let last: Promise<unknown> = Promise.resolve();

  const readFrom = (where: Reference, signal: AbortSignal): Promise<SecretReading> =>
    where.source === 'secretsManager'
      ? secretsManager.read(where.reference, signal)
      : sealedFile.read(where.reference, signal);

  /** True when the secret changed. */
  async function readOne(name: string, held: Held, signal: AbortSignal): Promise<boolean> {
    const { where } = held;
    try {
      const reading = await readFrom(where, signal);
      const { version } = reading;
      if (held.failing !== undefined) log(secretsEvent('secret.recovered', { secret: name, version }));
      delete held.failing;
      const isNew = held.current?.version !== version;
      const isChanged = isNew || held.current?.value.equals(reading.value) === false;
      if (isNew) {
        const { awsRequestId } = reading;
        log(secretsEvent('secret.read', { secret: name, version, source: where.source, awsRequestId }));
      }
      // The value before is not overwritten: a delivery may be writing it this moment.
      held.current = reading;
      return isChanged;
    } catch (error) {
      signal.throwIfAborted();
      const failure = asGatehouseError(error);
      if (held.failing !== failure.code) {
        const heldVersion = held.current?.version;
        const fields = { secret: name, source: where.source, error: reportOf(failure), heldVersion };
        log(secretsEvent('secret.read-failed', fields));
      }
      held.failing = failure.code;
      throw failure;
    }
  }

  async function refreshNow(names: readonly string[] | undefined, signal: AbortSignal): Promise<Refreshed> {
    signal.throwIfAborted();
    const changed: string[] = [];
    const failed = new Map<string, GatehouseError>();
    const waiting = [...new Set(names ?? all.keys())].values();

    const lane = async (): Promise<void> => {
      for (const name of waiting) {
        const held = all.get(name);
        if (held === undefined) {
          failed.set(name, secretsError('SECRET_UNKNOWN', { secret: name }));
          continue;
        }
        try {
          if (await readOne(name, held, signal)) changed.push(name);
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
        const where = referenceOf(name, secret);
        const held = all.get(name);
        if (held === undefined) all.set(name, { where });
        else held.where = where;
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

function statusOf(name: string, { where: { source }, current, failing }: Held): SecretStatus {
  return {
    name,
    source,
    ...(current === undefined ? {} : { version: current.version }),
    ...(failing === undefined ? {} : { failing }),
  };
}

function referenceOf(name: string, secret: SecretsConfig[string]): Reference {
  if (secret.secretsManager !== undefined)
    return { source: 'secretsManager', reference: secret.secretsManager };
  if (secret.sealedFile !== undefined)
    return { source: 'sealedFile', reference: { name, path: secret.sealedFile } };
  throw new TypeError(`the schema let a secret pass that is nowhere: ${name}`);
}
