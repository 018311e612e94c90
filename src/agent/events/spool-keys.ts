import { randomBytes } from 'node:crypto';
import { readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { GatehouseError, reportOf } from '../../base/errors.ts';
import type { Log } from '../../base/log-events.ts';
import { eventsError } from '../../events/errors.ts';
import { eventsEvent } from '../../events/log-events.ts';
import type { DataKey, KeyKeeper } from '../../events/spool/data-keys.ts';
import type { DataKeys, WrappedDataKey } from '../../keys/data-keys.ts';
import type { SealContext } from '../../keys/sealer.ts';
import { openDirectory, readRegularFile, writeFileAtomically } from '../../system/files.ts';
import type { StateDirectory } from '../../system/state-directory.ts';

/** A KMS ciphertext of 32 bytes is about 200 long. */
const fileBytesMax = 8192;
const keyIdPattern = /^[0-9a-f]{16}$/u;
/** The only key of a state directory of version 1, which lay in a file of its own. */
const firstKeyId = '0000000000000001';

/** A data key as it is kept, in a file that its id names. */
interface KeptKey extends WrappedDataKey {
  readonly madeMs: number;
  /** The host's `name` when it was wrapped; undefined where it had none. Null: before keys were bound to name and id. */
  readonly agentName: string | undefined | null;
}

/**
 * The data keys that seal the spool: kept in the folder `spool-keys` of the state directory, wrapped by the binding key,
 * or by the master key where that is an RSA key. Where a retired key wraps one it is wrapped anew when it is opened, and
 * `rewrap` does so to all: then the retired key can be dropped.
 */
export interface SpoolKeys extends KeyKeeper {
  rewrap(): Promise<void>;
}

export interface SpoolKeysOptions {
  readonly state: Pick<StateDirectory, 'path' | 'hostId'>;
  readonly dataKeys: DataKeys;
  /** The host's `name`, where it has one of its own. */
  readonly agentName: string | undefined;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Log;
}

/** What says that a key is not one of ours, whoever is asked. */
const lostCodes = new Set(['KEY_CIPHERTEXT_REFUSED', 'MASTER_KEY_MISMATCH', 'MASTER_KEY_GENERATION_UNKNOWN']);

/** `current` throws KEY_… and FILE_… besides what `KeyKeeper` says. */
export function spoolKeys({ state, dataKeys, agentName, clock, log }: SpoolKeysOptions): SpoolKeys {
  const folder = join(state.path, 'spool-keys');
  const { signal } = new AbortController();
  /** Made by this process: the worker may not have said yet that it uses them. */
  const made = new Set<string>();

  const fileOf = (keyId: string): string => join(folder, keyId);

  function contextOf(keyId: string, name: KeptKey['agentName']): SealContext {
    const host = { 'gatehouse:purpose': 'spool', 'gatehouse:host': state.hostId };
    if (name === null) return host;
    return { ...host, 'gatehouse:key': keyId, ...(name === undefined ? {} : { 'gatehouse:agent': name }) };
  }

  async function keyIds(): Promise<string[]> {
    await (await openDirectory(folder, { within: [state.path], mode: 0o700 })).close();
    await takeOver();
    return (await readdir(folder)).filter((name) => keyIdPattern.test(name));
  }

  /** The key of version 1 among the others. */
  async function takeOver(): Promise<void> {
    const old = join(state.path, 'spool-key');
    const wrapped = await contentOf(old);
    if (wrapped === undefined) return;
    await write(firstKeyId, { wrapped, wrappedBy: undefined, madeMs: 0, agentName: null });
    await unlink(old);
  }

  async function write(keyId: string, kept: KeptKey): Promise<void> {
    await writeFileAtomically(fileOf(keyId), textOf(kept), { mode: 0o600 });
  }

  /** @throws EVENTS_SPOOL_KEY_LOST, FILE_… */
  async function read(keyId: string): Promise<KeptKey> {
    const content = await contentOf(fileOf(keyId));
    const kept = content === undefined ? undefined : parsed(content);
    if (kept === undefined) throw eventsError('EVENTS_SPOOL_KEY_LOST', { keyId });
    return kept;
  }

  /** @throws EVENTS_SPOOL_KEY_LOST, KEY_…, FILE_… */
  async function opened(keyId: string): Promise<DataKey> {
    const kept = await read(keyId);
    const { madeMs } = kept;
    try {
      const contexts = { opens: contextOf(keyId, kept.agentName), anew: contextOf(keyId, agentName) };
      const { plaintext, rewrapped } = await dataKeys.open(kept, contexts, signal);
      if (rewrapped !== undefined) await write(keyId, { ...rewrapped, madeMs, agentName });
      return { keyId, key: plaintext, madeMs };
    } catch (error) {
      if (await isLost(error, kept)) throw eventsError('EVENTS_SPOOL_KEY_LOST', { keyId }, error);
      throw error;
    }
  }

  /**
   * A host under another name is denied what it had under the one before. One that is denied everything is not denied for
   * that, and may be let again: what it sealed must not be given up.
   */
  async function isLost(error: unknown, kept: KeptKey): Promise<boolean> {
    if (!(error instanceof GatehouseError)) return false;
    if (lostCodes.has(error.code)) return true;
    const isOfAnotherName = kept.agentName !== null && kept.agentName !== agentName;
    return error.code === 'KEY_DENIED' && isOfAnotherName && (await mayMakeKeys());
  }

  async function mayMakeKeys(): Promise<boolean> {
    try {
      const { plaintext } = await dataKeys.create(contextOf('unused', agentName), signal);
      plaintext.dispose();
      return true;
    } catch {
      return false;
    }
  }

  function isOfOlderMasterKey({ wrappedBy }: KeptKey): boolean {
    return wrappedBy !== undefined && 'generation' in wrappedBy && !dataKeys.isCurrent(wrappedBy);
  }

  async function newest(): Promise<string | undefined> {
    let found: { readonly keyId: string; readonly madeMs: number } | undefined;
    for (const keyId of await keyIds()) {
      const { madeMs } = await read(keyId).catch(() => ({ madeMs: -1 }));
      if (madeMs >= (found?.madeMs ?? 0)) found = { keyId, madeMs };
    }
    return found?.keyId;
  }

  async function fresh(): Promise<DataKey> {
    await keyIds();
    const keyId = randomBytes(8).toString('hex');
    const { plaintext, ...wrapped } = await dataKeys.create(contextOf(keyId, agentName), signal);
    const madeMs = clock.now().getTime();
    made.add(keyId);
    await write(keyId, { ...wrapped, madeMs, agentName });
    return { keyId, key: plaintext, madeMs };
  }

  return {
    async current() {
      const keyId = await newest();
      if (keyId === undefined) return fresh();
      try {
        // Whoever has an older master key has what it wraps.
        if (isOfOlderMasterKey(await read(keyId))) return await fresh();
        return await opened(keyId);
      } catch (error) {
        if (!(error instanceof GatehouseError) || error.code !== 'EVENTS_SPOOL_KEY_LOST') throw error;
        // Its file stays: what was sealed under it can be opened again if the file is mended.
        log(eventsEvent('events.key-lost', { keyId, error: reportOf(error) }));
        return fresh();
      }
    },

    fresh: () => orUnavailable(fresh()),
    open: (keyId) => orUnavailable(opened(keyId)),

    keepOnly(kept) {
      void removeOthers(folder, new Set([...kept, ...made])).catch(() => undefined);
    },

    async rewrap() {
      for (const keyId of await keyIds()) {
        const kept = await read(keyId).catch(() => undefined);
        if (kept === undefined || dataKeys.isCurrent(kept.wrappedBy)) continue;
        // What fails is said by the binding key, and tried again at the next start.
        await opened(keyId).then(
          ({ key }) => key.dispose(),
          () => undefined,
        );
      }
    },
  };
}

/** @throws EVENTS_SPOOL_KEY_LOST, else EVENTS_SPOOL_KEY_UNAVAILABLE with the code of what failed */
async function orUnavailable(work: Promise<DataKey>): Promise<DataKey> {
  try {
    return await work;
  } catch (error) {
    const { code } = reportOf(error);
    if (code === 'EVENTS_SPOOL_KEY_LOST') throw error;
    throw eventsError('EVENTS_SPOOL_KEY_UNAVAILABLE', { code }, error);
  }
}

async function removeOthers(folder: string, kept: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(folder)) {
    if (keyIdPattern.test(name) && !kept.has(name)) await unlink(join(folder, name));
  }
}

async function contentOf(file: string): Promise<Buffer | undefined> {
  try {
    return await readRegularFile(file, { bytesMax: fileBytesMax });
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'FILE_NOT_FOUND') return undefined;
    throw error;
  }
}

function textOf({ wrapped, wrappedBy, madeMs, agentName }: KeptKey): Buffer {
  const bound = agentName === null ? {} : { version: 2, agent: agentName };
  const text = JSON.stringify({ ...bound, ...wrappedBy, madeMs, wrapped: wrapped.toString('base64') });
  return Buffer.from(`${text}\n`);
}

function parsed(content: Buffer): KeptKey | undefined {
  try {
    const { version, agent, keyArn, generation, madeMs, wrapped }: Record<string, unknown> = JSON.parse(
      content.toString(),
    );
    if (typeof madeMs !== 'number' || typeof wrapped !== 'string') return undefined;
    const name = typeof agent === 'string' ? agent : undefined;
    return {
      wrapped: Buffer.from(wrapped, 'base64'),
      wrappedBy: wrapperOf(keyArn, generation),
      madeMs,
      agentName: version === 2 ? name : null,
    };
  } catch {
    return undefined;
  }
}

function wrapperOf(keyArn: unknown, generation: unknown): WrappedDataKey['wrappedBy'] {
  if (typeof generation === 'number') return { generation };
  return typeof keyArn === 'string' ? { keyArn } : undefined;
}
