import { GatehouseError, reportOf } from '../base/errors.ts';
import type { Log } from '../base/log-events.ts';
import type { Secret } from '../base/secret.ts';
import { keysError } from './errors.ts';
import { parseKeyArn, regionOfKeyId } from './key-arn.ts';
import { type DataKey, errorOfState, type KeyDescription, type KeyKind, type KmsFor } from './kms.ts';
import { keysEvent } from './log-events.ts';
import type { SealContext } from './sealer.ts';

export interface BindingKeyOptions {
  /** Key ARN, alias ARN, `alias/NAME` or bare key id. */
  readonly keyId: string;
  /** ARNs of retired keys that still open. */
  readonly trustedKeys: readonly string[];
  /** Where an identifier without a region is looked up. */
  readonly region: string;
  readonly kmsFor: KmsFor;
  readonly log: Log;
}

export type BindingKind = Exclude<KeyKind, 'other'>;

/** The KMS key that wraps what this host keeps, by its ARN. */
export interface BindingKey {
  readonly keyArn: string;
  readonly kind: BindingKind;
  /** When its imported material expires, as it was known at the start; absent where it does not. */
  readonly materialExpiresAt?: Date;
  /** The binding key first, then the retired ones: all that may open. */
  readonly openWith: readonly string[];
  /** A new data key; the caller disposes of its plaintext. The context must be given again to open it. */
  newDataKey(context: SealContext, signal: AbortSignal): Promise<DataKey>;
  /**
   * Opens what `newDataKey` wrapped, under the binding key or a retired one.
   * @throws KEY_NOT_TRUSTED wrapped under another key
   * @throws KEY_CIPHERTEXT_REFUSED damaged, or bound to another context
   */
  openDataKey(wrapped: Uint8Array, context: SealContext, signal: AbortSignal): Promise<Secret>;
  /**
   * As `openDataKey`, with the same key wrapped anew where a retired key opened it: keep that in place of the old, or the
   * retired key can never be dropped. Where the binding key cannot wrap it, that is logged, and the old stays good.
   */
  openAndRewrap(wrapped: Uint8Array, context: SealContext, signal: AbortSignal): Promise<OpenedDataKey>;
}

export interface OpenedDataKey {
  /** The caller disposes of it. */
  readonly plaintext: Secret;
  /** The same under the binding key; absent where it is so already, or could not be. */
  readonly rewrapped?: Buffer;
}

/**
 * Resolves the key to its ARN, once, and checks that it can be used.
 * @throws KEY_NOT_FOUND, KEY_DISABLED, KEY_PENDING_DELETION, KEY_UNUSABLE, KEY_KIND_UNSUITABLE, KEY_DENIED,
 *   KEY_UNREACHABLE, KEY_THROTTLED
 */
export async function bindingKey(options: BindingKeyOptions, signal: AbortSignal): Promise<BindingKey> {
  const { keyId, trustedKeys, kmsFor, log } = options;
  const { arn: keyArn, kind, materialExpiresAt } = await usableKey(options, signal);
  log(keysEvent('key.resolved', { keyId, keyArn }));
  const openWith = [...new Set([keyArn, ...trustedKeys])];

  async function opened(wrapped: Uint8Array, context: SealContext, sig: AbortSignal) {
    for (const candidate of openWith) {
      try {
        const plaintext = await kmsFor(regionOf(candidate)).openDataKey(candidate, wrapped, context, sig);
        if (candidate !== keyArn) log(keysEvent('key.retired-used', { keyArn: candidate }));
        return { plaintext, openedBy: candidate };
      } catch (error) {
        if (!(error instanceof GatehouseError) || error.code !== 'KEY_WRONG') throw error;
      }
    }
    throw keysError('KEY_NOT_TRUSTED', { accepted: openWith });
  }

  return {
    keyArn,
    kind,
    ...(materialExpiresAt === undefined ? {} : { materialExpiresAt }),
    openWith,

    newDataKey: (context, sig) => kmsFor(regionOf(keyArn)).newDataKey(keyArn, context, sig),

    openDataKey: async (wrapped, context, sig) => (await opened(wrapped, context, sig)).plaintext,

    async openAndRewrap(wrapped, context, sig) {
      const { plaintext, openedBy } = await opened(wrapped, context, sig);
      if (openedBy === keyArn) return { plaintext };
      const fields = { keyArn, retiredKeyArn: openedBy };
      try {
        const rewrapped = await kmsFor(regionOf(keyArn)).wrapDataKey(keyArn, plaintext, context, sig);
        log(keysEvent('key.rewrapped', fields));
        return { plaintext, rewrapped };
      } catch (error) {
        if (sig.aborted) {
          plaintext.dispose();
          throw sig.reason;
        }
        log(keysEvent('key.rewrap-failed', { ...fields, error: reportOf(error) }));
        return { plaintext };
      }
    },
  };
}

type KeyLookup = Pick<BindingKeyOptions, 'keyId' | 'region' | 'kmsFor' | 'log'>;

/** The ARN of a key that can be used now to seal files under it. @throws KEY_RSA_SEALS_NO_FILES, KEY_… */
export async function sealingKeyArn(lookup: KeyLookup, signal: AbortSignal): Promise<string> {
  const { arn, kind } = await usableKey(lookup, signal);
  if (kind === 'rsa') throw keysError('KEY_RSA_SEALS_NO_FILES', { keyId: lookup.keyId, keyArn: arn });
  return arn;
}

/** A key that can be used now, and can bind a master key. */
export async function usableKey(
  lookup: KeyLookup,
  signal: AbortSignal,
): Promise<KeyDescription & { readonly kind: BindingKind }> {
  const key = await described(lookup, signal);
  const details = { keyId: lookup.keyId, keyArn: key.arn };
  const stateError = errorOfState(key.state, details);
  if (stateError !== undefined) throw stateError;
  const { kind } = key;
  if (kind === 'other') throw keysError('KEY_KIND_UNSUITABLE', details);
  return { ...key, kind };
}

async function described(
  { keyId, region, kmsFor, log }: KeyLookup,
  signal: AbortSignal,
): Promise<KeyDescription> {
  try {
    return await kmsFor(regionOfKeyId(keyId) ?? region).describeKey(keyId, signal);
  } catch (error) {
    const isArn = parseKeyArn(keyId) !== undefined;
    if (!isArn || !(error instanceof GatehouseError) || error.code !== 'KEY_DENIED') throw error;
    // An ARN needs no resolving, and KMS itself refuses a key in a wrong state: kms:DescribeKey is not worth a failed start.
    log(keysEvent('key.state-unknown', { keyArn: keyId, error: reportOf(error) }));
    // Nor does it matter that this may be an RSA key: whoever uses one as a symmetric one is told by KMS.
    return { arn: keyId, state: 'Enabled', kind: 'symmetric' };
  }
}

function regionOf(keyArn: string): string {
  const region = regionOfKeyId(keyArn);
  if (region === undefined) throw keysError('KEY_REQUEST_REFUSED', { keyId: keyArn });
  return region;
}
