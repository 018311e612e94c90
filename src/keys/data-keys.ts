import { randomBytes } from 'node:crypto';
import { GatehouseError, reportOf } from '../base/errors.ts';
import type { Log } from '../base/log-events.ts';
import { Secret } from '../base/secret.ts';
import type { BindingKey } from './binding-key.ts';
import { dataKeyLength } from './data-key-wrapping.ts';
import { unwrapUnder, wrapUnder } from './derived-wrapping.ts';
import { keysError } from './errors.ts';
import type { KeyName } from './keyring.ts';
import { keysEvent } from './log-events.ts';
import type { MasterKeyOf } from './master-keyring.ts';
import type { SealContext } from './sealer.ts';

/** A data key as it may lie on a disk. */
export interface WrappedDataKey {
  readonly wrapped: Buffer;
  /** Undefined: a KMS key, and which one is not known. */
  readonly wrappedBy: KeyName | undefined;
}

export interface OpenedDataKey {
  /** 32 bytes; the caller disposes of them. */
  readonly plaintext: Secret;
  /** The same wrapped as a new one would be; absent where it is so already, or could not be. */
  readonly rewrapped?: WrappedDataKey;
}

/**
 * The data keys of what a host keeps for itself, as its spool. Under a symmetric binding key KMS makes and opens them;
 * under an RSA key, which does neither, the master key wraps them.
 */
export interface DataKeys {
  /** Of 32 random bytes. @throws MASTER_KEY_ABSENT, LEDGER_…, KEY_… */
  create(context: SealContext, signal: AbortSignal): Promise<WrappedDataKey & { readonly plaintext: Secret }>;
  /**
   * Opens one, whatever wrapped it, and wraps it anew, under the context `anew`, where a new one is wrapped by something
   * else by now: keep that in place of the old, or what wrapped it before can never be dropped. Where it cannot be, that
   * is logged, and the old stays good.
   * @throws KEY_NOT_TRUSTED wrapped under a KMS key that is not accepted
   * @throws KEY_CIPHERTEXT_REFUSED, MASTER_KEY_MISMATCH damaged, or bound to another context
   * @throws MASTER_KEY_GENERATION_UNKNOWN, KEY_…
   */
  open(
    kept: WrappedDataKey,
    contexts: { readonly opens: SealContext; readonly anew: SealContext },
    signal: AbortSignal,
  ): Promise<OpenedDataKey>;
  /** Whether a new one would be wrapped by the same. */
  isCurrent(wrappedBy: KeyName | undefined): boolean;
}

export interface DataKeysOptions {
  readonly bindingKey: BindingKey;
  readonly masterKeyOf: MasterKeyOf;
  /** The generation of the master key that seals now. @throws MASTER_KEY_ABSENT, LEDGER_… */
  readonly sealingGeneration: () => number;
  readonly log: Log;
}

export function dataKeys({ bindingKey, masterKeyOf, sealingGeneration, log }: DataKeysOptions): DataKeys {
  const { keyArn } = bindingKey;
  const isUnderMaster = bindingKey.kind === 'rsa';

  async function wrap(plaintext: Secret, context: SealContext, signal: AbortSignal): Promise<WrappedDataKey> {
    if (!isUnderMaster) {
      const wrapped = await bindingKey.wrapDataKey(plaintext, context, signal);
      return { wrapped, wrappedBy: { keyArn } };
    }
    const generation = sealingGeneration();
    const masterKey = await masterKeyOf(generation, signal);
    return { wrapped: wrapUnder(masterKey, plaintext, context), wrappedBy: { generation } };
  }

  async function opened({ wrapped, wrappedBy }: WrappedDataKey, context: SealContext, signal: AbortSignal) {
    if (wrappedBy === undefined || 'keyArn' in wrappedBy) {
      const { plaintext, openedBy } = await bindingKey.openDataKey(
        wrapped,
        context,
        signal,
        wrappedBy?.keyArn,
      );
      return { plaintext, openedBy: { keyArn: openedBy } };
    }
    const { generation } = wrappedBy;
    const plaintext = unwrapUnder(await masterKeyOf(generation, signal), wrapped, context);
    if (plaintext === undefined) throw keysError('MASTER_KEY_MISMATCH', { generation });
    return { plaintext, openedBy: wrappedBy };
  }

  function isCurrent(wrappedBy: KeyName | undefined): boolean {
    if (wrappedBy === undefined) return false;
    if ('keyArn' in wrappedBy) return !isUnderMaster && wrappedBy.keyArn === keyArn;
    try {
      return isUnderMaster && wrappedBy.generation === sealingGeneration();
    } catch (error) {
      // Which one seals is not known now; this one does well enough.
      if (error instanceof GatehouseError) return true;
      throw error;
    }
  }

  return {
    isCurrent,

    async create(context, signal) {
      if (!isUnderMaster) {
        const { plaintext, wrapped, keyArn: by } = await bindingKey.newDataKey(context, signal);
        return { plaintext, wrapped, wrappedBy: { keyArn: by } };
      }
      const bytes = randomBytes(dataKeyLength);
      const plaintext = Secret.ofBytes(bytes);
      bytes.fill(0);
      try {
        return { plaintext, ...(await wrap(plaintext, context, signal)) };
      } catch (error) {
        plaintext.dispose();
        throw error;
      }
    },

    async open(kept, { opens, anew }, signal) {
      const { plaintext, openedBy } = await opened(kept, opens, signal);
      if (isCurrent(openedBy)) return { plaintext };
      const before =
        'keyArn' in openedBy
          ? { retiredKeyArn: openedBy.keyArn }
          : { retiredGeneration: openedBy.generation };
      try {
        const rewrapped = await wrap(plaintext, anew, signal);
        log(keysEvent('key.rewrapped', { ...before, ...rewrapped.wrappedBy }));
        return { plaintext, rewrapped };
      } catch (error) {
        if (signal.aborted) {
          plaintext.dispose();
          throw signal.reason;
        }
        log(keysEvent('key.rewrap-failed', { ...before, keyArn, error: reportOf(error) }));
        return { plaintext };
      }
    },
  };
}
