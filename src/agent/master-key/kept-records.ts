import { reportOf } from '../../base/errors.ts';
import type { Log } from '../../base/log-events.ts';
import type { Proof, Seen } from '../../keys/ledger.ts';
import { keysEvent } from '../../keys/log-events.ts';
import { generationOf, isUnderMasterKey } from '../../keys/master-keyring.ts';
import { parseHeader } from '../../keys/sealed-message.ts';
import { secretsError } from '../../secrets/errors.ts';
import { secretsEvent } from '../../secrets/log-events.ts';
import type { OpenedSealedFile } from '../../secrets/sealed-file.ts';
import { fingerprintOnRecord, type MasterKeyState, openMasterKeyState, sealingGeneration } from './state.ts';
import type { Watermark } from './watermark.ts';

/**
 * The master key's records as the running agent uses them: best effort. Without them sealed files still open, and that
 * an older one was put back is not noticed, which is said in the log.
 */
export interface KeptRecords {
  proven(generation: number, proof: Proof): void;
  /** Which key a generation was before; undefined where that is not known. */
  fingerprint(generation: number): string | undefined;
  /** The generation that seals now. Not best effort. @throws MASTER_KEY_ABSENT, LEDGER_…, STATE_DIRECTORY_… */
  sealingGeneration(): number;
  /** Notes a file that opened. @throws SECRET_ROLLED_BACK where a newer version was seen under its name */
  admit(file: OpenedSealedFile, signal: AbortSignal): Promise<void>;
  /**
   * Makes durable what was noted: here in one step, for each is a wait for the disk, and in the registry in one call,
   * only where a version rose.
   */
  keep(signal: AbortSignal): Promise<void>;
  close(): void;
}

export interface KeptRecordsOptions {
  readonly stateDirectory: string;
  readonly log: Log;
  /** What the registry of this table knows; the table is the config's, or else the one that this host is bound to. */
  readonly table: string | undefined;
  readonly watermarkIn: (table: string) => Promise<Watermark>;
}

/** The main thread waits no longer than this for an operator's command. */
const busyMsMax = 500;

export function keptRecords({ stateDirectory, log, ...options }: KeptRecordsOptions): KeptRecords {
  const versions = new Map<string, number>();
  /** What was seen of the names under which an older file was refused. */
  const refused = new Map<string, number>();
  const files = new Map<string, number>();
  let state: MasterKeyState | undefined;
  let hasFailed = false;
  let inRegistry: Promise<Watermark> | undefined;

  const opened = (): MasterKeyState => {
    state ??= openMasterKeyState(stateDirectory, { isMade: true, busyMsMax });
    if (state === undefined) throw new TypeError('a folder that is made was not');
    return state;
  };

  function bestEffort<T>(work: () => T): T | undefined {
    try {
      const result = work();
      hasFailed = false;
      return result;
    } catch (error) {
      if (!hasFailed) log(keysEvent('master-key.records-failed', { error: reportOf(error) }));
      hasFailed = true;
      return undefined;
    }
  }

  /** Undefined on a host without a registry, to which an operator may bind it meanwhile. */
  async function watermark(): Promise<Watermark | undefined> {
    if (inRegistry !== undefined) return inRegistry;
    const table = options.table ?? bestEffort(() => opened().ledger.registryTable());
    if (table === undefined) return undefined;
    inRegistry = options.watermarkIn(table);
    return inRegistry;
  }

  /** The higher of what this host knows and what the registry knows. */
  async function seenOf(name: string, version: number, signal: AbortSignal): Promise<Seen> {
    const here = bestEffort(() => opened().ledger.seen(name)) ?? { version: 0 };
    const registry = await watermark();
    let there = (await registry?.seen(signal))?.get(name);
    if (version < (there?.version ?? 0)) {
      there = (await registry?.seen(signal, { isAfresh: true }))?.get(name);
    }
    return {
      version: Math.max(here.version, there?.version ?? 0),
      loweredFrom: Math.max(here.loweredFrom ?? 0, there?.loweredFrom ?? 0),
    };
  }

  /**
   * What was admitted, and what only the registry knew of names that are new here, or were refused: sealing counts on
   * from what this host knows, and what is sealed in place of the refused must not be refused too.
   */
  function rising(here: ReadonlyMap<string, Seen>, there: ReadonlyMap<string, Seen> = new Map()) {
    const lost = [...there]
      .filter(([name]) => !here.has(name))
      .map(([name, seen]) => [name, seen.version] as const);
    return new Map(
      [...lost, ...refused, ...versions].filter(
        ([name, version]) => version > (here.get(name)?.version ?? 0),
      ),
    );
  }

  return {
    proven: (generation, proof) => bestEffort(() => opened().ledger.proven(generation, proof)),

    fingerprint: (generation) => bestEffort(() => fingerprintOnRecord(opened(), generation)),

    sealingGeneration: () => sealingGeneration(opened()),

    async admit({ name, path, version, sealed }, signal) {
      const { version: seen, loweredFrom = 0 } = await seenOf(name, version, signal);
      if (version < seen) {
        refused.set(name, seen);
        throw secretsError('SECRET_ROLLED_BACK', { secret: name, path, version, seen });
      }
      if (version < loweredFrom) {
        log(secretsEvent('secret.older-admitted', { secret: name, version, seen: loweredFrom }));
      }
      versions.set(name, version);
      const under = parseHeader(sealed).wrappedKeys.find(isUnderMasterKey);
      const generation = under === undefined ? undefined : generationOf(under);
      // So that a change of the master key finds it, wherever it came from.
      if (generation !== undefined) files.set(path, generation);
    },

    async keep(signal) {
      const registry = await watermark();
      const there = versions.size === 0 ? undefined : await registry?.seen(signal);
      bestEffort(() => {
        if (versions.size + refused.size > 0) {
          opened().ledger.met(rising(opened().ledger.allSeen(), there), files);
        }
      });
      await registry?.raise(versions, signal);
      for (const noted of [versions, refused, files]) noted.clear();
    },

    close: () => state?.close(),
  };
}
