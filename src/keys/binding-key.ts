import { GatehouseError, reportOf } from '../base/errors.ts';
import type { Log } from '../base/log-events.ts';
import type { Secret } from '../base/secret.ts';
import { keysError } from './errors.ts';
import { parseKeyArn, regionOfKeyId } from './key-arn.ts';
import {
  type DataKey,
  errorOfState,
  type KeyDescription,
  type KeyKind,
  type Kms,
  type KmsFor,
} from './kms.ts';
import { kmsAt } from './kms-keyring.ts';
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
  /** Wraps one that is there already, as `newDataKey` would have. */
  wrapDataKey(plaintext: Secret, context: SealContext, signal: AbortSignal): Promise<Buffer>;
  /**
   * Opens what a symmetric key wrapped, the binding key or a retired one; `wrappedBy`, where it is known, is asked first.
   * @throws KEY_NOT_TRUSTED wrapped under another key
   * @throws KEY_CIPHERTEXT_REFUSED damaged, or bound to another context
   */
  openDataKey(
    wrapped: Uint8Array,
    context: SealContext,
    signal: AbortSignal,
    wrappedBy?: string,
  ): Promise<{ readonly plaintext: Secret; readonly openedBy: string }>;
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

  return {
    keyArn,
    kind,
    ...(materialExpiresAt === undefined ? {} : { materialExpiresAt }),
    openWith,

    newDataKey: (context, sig) => kmsAt(keyArn, kmsFor).newDataKey(keyArn, context, sig),

    wrapDataKey: (plaintext, context, sig) =>
      kmsAt(keyArn, kmsFor).wrapDataKey(keyArn, plaintext, context, sig),

    async openDataKey(wrapped, context, sig, wrappedBy) {
      const candidates = openWith.filter((each) => kind === 'symmetric' || each !== keyArn);
      for (const candidate of candidates.toSorted(
        (one, other) => +(other === wrappedBy) - +(one === wrappedBy),
      )) {
        try {
          const plaintext = await kmsAt(candidate, kmsFor).openDataKey(candidate, wrapped, context, sig);
          if (candidate !== keyArn) log(keysEvent('key.retired-used', { keyArn: candidate }));
          return { plaintext, openedBy: candidate };
        } catch (error) {
          if (!(error instanceof GatehouseError) || !isOfAnotherKey.has(error.code)) throw error;
        }
      }
      throw keysError('KEY_NOT_TRUSTED', { accepted: openWith });
    },
  };
}

/** What KMS says of what another key wrapped; a retired RSA key may be among the trusted. */
const isOfAnotherKey = new Set(['KEY_WRONG', 'KEY_KIND_UNSUITABLE']);

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

async function described(lookup: KeyLookup, signal: AbortSignal): Promise<KeyDescription> {
  const { keyId, region, kmsFor, log } = lookup;
  const kms = kmsFor(regionOfKeyId(keyId) ?? region);
  try {
    return await kms.describeKey(keyId, signal);
  } catch (error) {
    const isArn = parseKeyArn(keyId) !== undefined;
    if (!isArn || !isDenied(error)) throw error;
    // An ARN needs no resolving, and KMS itself refuses a key in a wrong state: kms:DescribeKey is not worth a failed start.
    log(keysEvent('key.state-unknown', { keyArn: keyId, error: reportOf(error) }));
    return { arn: keyId, state: 'Enabled', kind: await kindByUse(kms, keyId, signal) };
  }
}

/** What the key is, told by what only an RSA key can do; symmetric where that is denied as well. */
async function kindByUse(kms: Kms, keyArn: string, signal: AbortSignal): Promise<KeyKind> {
  try {
    await kms.publicKey(keyArn, signal);
    return 'rsa';
  } catch (error) {
    const isOther = error instanceof GatehouseError && error.code === 'KEY_KIND_UNSUITABLE';
    if (!isOther && !isDenied(error)) throw error;
    return 'symmetric';
  }
}

function isDenied(error: unknown): boolean {
  return error instanceof GatehouseError && error.code === 'KEY_DENIED';
}
