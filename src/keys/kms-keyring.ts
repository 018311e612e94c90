import { asGatehouseError, type GatehouseError } from '../base/errors.ts';
import type { Log } from '../base/log-events.ts';
import { keysError } from './errors.ts';
import { parseKeyArn, regionOfKeyId } from './key-arn.ts';
import type { Keyring, Unwrapper } from './keyring.ts';
import type { KmsFor } from './kms.ts';
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

/** Unwraps data keys that a trusted KMS key wrapped, with one call each. A key that is not trusted is never asked. */
export function kmsUnwrapper({ trust, kmsFor }: KmsUnwrapperOptions): Unwrapper {
  return {
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
export function tellingRetired(unwrapper: Unwrapper, keyArn: string | undefined, log: Log): Unwrapper {
  return {
    async unwrap(header, signal) {
      const unwrapped = await unwrapper.unwrap(header, signal);
      const { openedBy } = unwrapped;
      if ('keyArn' in openedBy && openedBy.keyArn !== keyArn) log(keysEvent('key.retired-used', openedBy));
      return unwrapped;
    },
  };
}

function isTrusted(keyArn: string, trust: Trust): boolean {
  const parsed = parseKeyArn(keyArn);
  if (parsed === undefined) return false;
  if ('keyArns' in trust) return trust.keyArns.includes(keyArn);
  return parsed.accountId === trust.accountId && parsed.partition === trust.partition;
}

function kmsAt(keyArn: string, kmsFor: KmsFor) {
  const region = regionOfKeyId(keyArn);
  if (region === undefined) throw keysError('KEY_REQUEST_REFUSED', { keyId: keyArn });
  return kmsFor(region);
}
