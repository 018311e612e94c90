import { asGatehouseError, type GatehouseError } from '../base/errors.ts';
import type { Log } from '../base/log-events.ts';
import type { Secret } from '../base/secret.ts';
import { keysError } from './errors.ts';
import { parseKeyArn, regionOfKeyId } from './key-arn.ts';
import type { Keyring, Unwrapper } from './keyring.ts';
import type { Kms, KmsFor } from './kms.ts';
import { keysEvent } from './log-events.ts';
import { kmsProvider } from './sealed-message.ts';

/** Which KMS keys may open: these, or any of one account. An alias never opens; resolve it first. */
export type Trust =
  | { readonly keyArns: readonly string[] }
  | { readonly accountId: string; readonly partition: string };

export interface KmsUnwrapperOptions {
  readonly trust: Trust;
  readonly kmsFor: KmsFor;
}

/** Opens what KMS keys wrapped, of either kind, with one call each. A key that is not trusted is never asked. */
export interface KmsUnwrapper extends Unwrapper {
  /** Opens what was encrypted under the public half of an RSA key. @throws KEY_NOT_TRUSTED, KEY_… */
  decryptRsa(keyArn: string, ciphertext: Uint8Array, signal: AbortSignal): Promise<Secret>;
}

export function kmsUnwrapper({ trust, kmsFor }: KmsUnwrapperOptions): KmsUnwrapper {
  return {
    decryptRsa: async (keyArn, ciphertext, signal) => {
      if (!isTrusted(keyArn, trust)) throw keysError('KEY_NOT_TRUSTED', { sealedUnder: [keyArn] });
      return kmsAt(keyArn, kmsFor).decryptRsa(keyArn, ciphertext, signal);
    },

    async unwrap({ wrappedKeys, keyArns, context }, signal) {
      let failure: GatehouseError | undefined;
      for (const { provider, info, wrapped } of wrappedKeys) {
        const keyArn = info.toString('utf8');
        if (provider !== kmsProvider || !isTrusted(keyArn, trust)) continue;
        try {
          const dataKey = await kmsAt(keyArn, kmsFor).openDataKey(keyArn, wrapped, context, signal);
          return { dataKey, openedBy: { keyArn } };
        } catch (error) {
          signal.throwIfAborted();
          failure ??= asGatehouseError(error);
        }
      }
      throw failure ?? keysError('KEY_NOT_TRUSTED', { sealedUnder: keyArns });
    },
  };
}

/** A keyring whose every data key is wrapped by KMS: one call to seal, one to open. */
export function kmsKeyring({ keyArn, kmsFor }: { keyArn: string; kmsFor: KmsFor }): Keyring {
  return {
    ...kmsUnwrapper({ trust: { keyArns: [keyArn] }, kmsFor }),

    async wrap(context, signal) {
      const made = await kmsAt(keyArn, kmsFor).newDataKey(keyArn, context, signal);
      const wrappedKey = { provider: kmsProvider, info: Buffer.from(made.keyArn), wrapped: made.wrapped };
      return { dataKey: made.plaintext, wrappedKeys: [wrappedKey] };
    },
  };
}

/** Says in the log when another key than `keyArn` opens: it is a retired one. */
export function tellingRetired(unwrapper: KmsUnwrapper, keyArn: string | undefined, log: Log): KmsUnwrapper {
  const tell = (openedBy: string): void => {
    if (openedBy !== keyArn) log(keysEvent('key.retired-used', { keyArn: openedBy }));
  };
  return {
    async unwrap(header, signal) {
      const unwrapped = await unwrapper.unwrap(header, signal);
      if ('keyArn' in unwrapped.openedBy) tell(unwrapped.openedBy.keyArn);
      return unwrapped;
    },

    async decryptRsa(usedArn, ciphertext, signal) {
      const decrypted = await unwrapper.decryptRsa(usedArn, ciphertext, signal);
      tell(usedArn);
      return decrypted;
    },
  };
}

/** Whether a key may open, going by its ARN. */
export function isTrusted(keyArn: string, trust: Trust): boolean {
  const parsed = parseKeyArn(keyArn);
  if (parsed === undefined) return false;
  if ('keyArns' in trust) return trust.keyArns.includes(keyArn);
  return parsed.accountId === trust.accountId && parsed.partition === trust.partition;
}

/** KMS where this key lives. @throws KEY_REQUEST_REFUSED */
export function kmsAt(keyArn: string, kmsFor: KmsFor): Kms {
  const region = regionOfKeyId(keyArn);
  if (region === undefined) throw keysError('KEY_REQUEST_REFUSED', { keyId: keyArn });
  return kmsFor(region);
}
