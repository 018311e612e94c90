import { randomBytes } from 'node:crypto';
import { readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { GatehouseError, reportOf } from '../../base/errors.ts';
import type { Log } from '../../base/log-events.ts';
import { eventsError } from '../../events/errors.ts';
import { eventsEvent } from '../../events/log-events.ts';
import type { DataKey, KeyKeeper } from '../../events/spool/data-keys.ts';
import type { BindingKey } from '../../keys/binding-key.ts';
import { openDirectory, readRegularFile, writeFileAtomically } from '../../system/files.ts';
import type { StateDirectory } from '../../system/state-directory.ts';

/** A KMS ciphertext of 32 bytes is about 200 long. */
const fileBytesMax = 8192;
const keyIdPattern = /^[0-9a-f]{16}$/u;
/** The only key of a state directory of version 1, which lay in a file of its own. */
const firstKeyId = '0000000000000001';

/** A data key as it is kept, in a file that its id names. */
interface WrappedKey {
  /** The KMS key that wrapped it; undefined where that is not known. */
  readonly keyArn: string | undefined;
  readonly wrapped: Buffer;
  readonly madeMs: number;
}

/**
 * The data keys that seal the spool: kept in the folder `spool-keys` of the state directory, wrapped by the binding key.
 * Where a retired key wraps one it is wrapped anew when it is opened, and `rewrap` does so to all: then the retired key
 * can be dropped.
 */
export interface SpoolKeys extends KeyKeeper {
  rewrap(): Promise<void>;
}

/** `current` throws KEY_… and FILE_… besides what `KeyKeeper` says. */
export function spoolKeys(
  state: Pick<StateDirectory, 'path' | 'hostId'>,
  bindingKey: BindingKey,
  clock: Pick<Clock, 'now'>,
  log: Log,
): SpoolKeys {
  const folder = join(state.path, 'spool-keys');
  const context = { 'gatehouse:purpose': 'spool', 'gatehouse:host': state.hostId };
  const { signal } = new AbortController();
  /** Made by this process: the worker may not have said yet that it uses them. */
  const made = new Set<string>();

  const fileOf = (keyId: string): string => join(folder, keyId);

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
    await write(firstKeyId, { keyArn: undefined, wrapped, madeMs: 0 });
    await unlink(old);
  }

  async function write(keyId: string, { keyArn, wrapped, madeMs }: WrappedKey): Promise<void> {
    const text = JSON.stringify({ keyArn, madeMs, wrapped: wrapped.toString('base64') });
    await writeFileAtomically(fileOf(keyId), Buffer.from(`${text}\n`), { mode: 0o600 });
  }

  /** @throws EVENTS_SPOOL_KEY_LOST, FILE_… */
  async function read(keyId: string): Promise<WrappedKey> {
    const content = await contentOf(fileOf(keyId));
    const kept = content === undefined ? undefined : parsed(content);
    if (kept === undefined) throw eventsError('EVENTS_SPOOL_KEY_LOST', { keyId });
    return kept;
  }

  /** @throws EVENTS_SPOOL_KEY_LOST, KEY_…, FILE_… */
  async function opened(keyId: string): Promise<DataKey> {
    const { wrapped, madeMs } = await read(keyId);
    try {
      const { plaintext, rewrapped } = await bindingKey.openAndRewrap(wrapped, context, signal);
      if (rewrapped !== undefined)
        await write(keyId, { keyArn: bindingKey.keyArn, wrapped: rewrapped, madeMs });
      return { keyId, key: plaintext, madeMs };
    } catch (error) {
      if (error instanceof GatehouseError && error.code === 'KEY_CIPHERTEXT_REFUSED')
        throw eventsError('EVENTS_SPOOL_KEY_LOST', { keyId }, error);
      throw error;
    }
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
    const { plaintext, wrapped, keyArn } = await bindingKey.newDataKey(context, signal);
    const keyId = randomBytes(8).toString('hex');
    const madeMs = clock.now().getTime();
    made.add(keyId);
    await write(keyId, { keyArn, wrapped, madeMs });
    return { keyId, key: plaintext, madeMs };
  }

  return {
    async current() {
      const keyId = await newest();
      if (keyId === undefined) return fresh();
      try {
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
        const { keyArn } = await read(keyId).catch(() => ({ keyArn: bindingKey.keyArn }));
        if (keyArn === bindingKey.keyArn) continue;
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

function parsed(content: Buffer): WrappedKey | undefined {
  try {
    const { keyArn, madeMs, wrapped }: Record<string, unknown> = JSON.parse(content.toString());
    if (typeof madeMs !== 'number' || typeof wrapped !== 'string') return undefined;
    return {
      keyArn: typeof keyArn === 'string' ? keyArn : undefined,
      madeMs,
      wrapped: Buffer.from(wrapped, 'base64'),
    };
  } catch {
    return undefined;
  }
}
