import { keysError } from './errors.ts';
import type { KmsUnwrapper } from './kms-keyring.ts';
import { fingerprintOf, type MasterKey, openMasterKey } from './master-key.ts';
import type { MasterKeyOf } from './master-keyring.ts';

/** The master keys of this host that were opened, each generation once, held in memory until `close`. */
export interface MasterKeys {
  /**
   * The generation's key, opened with one call to KMS when it is first asked for.
   * @throws MASTER_KEY_GENERATION_UNKNOWN, KEY_…, SEALED_…, MASTER_KEY_DAMAGED, MASTER_KEY_REPLACED
   */
  open(generation: number, signal: AbortSignal): Promise<MasterKey>;
  readonly keyOf: MasterKeyOf;
  /** Takes a key that was made here. */
  add(masterKey: MasterKey): void;
  /** Overwrites every key. */
  close(): void;
}

export interface MasterKeysOptions {
  readonly agentName: string;
  /** The wrapped key of a generation; undefined where this host has none. */
  readonly readWrapped: (generation: number) => Promise<Buffer | undefined>;
  /** Who may have wrapped them. */
  readonly bindingKey: KmsUnwrapper;
  /**
   * The fingerprint that is on record of a generation; undefined where none is. Another key is refused: whoever has the
   * public half of an RSA key can wrap one of his own.
   */
  readonly fingerprintOnRecord?: (generation: number) => string | undefined;
  /** Told of each that was opened. */
  readonly opened?: (masterKey: MasterKey) => void;
}

export function masterKeys(options: MasterKeysOptions): MasterKeys {
  const { agentName, readWrapped, bindingKey } = options;
  const opened = new Map<number, Promise<MasterKey>>();

  async function openNow(generation: number, signal: AbortSignal): Promise<MasterKey> {
    const wrapped = await readWrapped(generation);
    if (wrapped === undefined) throw keysError('MASTER_KEY_GENERATION_UNKNOWN', { generation });
    const masterKey = await openMasterKey(wrapped, { agentName, generation }, bindingKey, signal);
    const onRecord = options.fingerprintOnRecord?.(generation);
    const fingerprint = fingerprintOf(masterKey);
    if (onRecord !== undefined && onRecord !== fingerprint) {
      masterKey.key.dispose();
      throw keysError('MASTER_KEY_REPLACED', { generation, fingerprint, onRecord });
    }
    options.opened?.(masterKey);
    return masterKey;
  }

  function open(generation: number, signal: AbortSignal): Promise<MasterKey> {
    const known = opened.get(generation);
    if (known !== undefined) return known;
    const opening = openNow(generation, signal);
    opened.set(generation, opening);
    // What failed is tried again by the next who asks.
    opening.catch(() => opened.delete(generation));
    return opening;
  }

  return {
    open,
    keyOf: async (generation, signal) => (await open(generation, signal)).key,
    add: (masterKey) => opened.set(masterKey.generation, Promise.resolve(masterKey)),
    close() {
      for (const opening of opened.values()) {
        opening.then(
          ({ key }) => key.dispose(),
          () => undefined,
        );
      }
      opened.clear();
    },
  };
}
