import type { ErrorDetails, GatehouseError } from '../base/errors.ts';
import type { Secret } from '../base/secret.ts';
import { keysError } from './errors.ts';
import type { SealContext } from './sealer.ts';

/**
 * What a key can do for us. Symmetric: makes data keys, and takes a context. RSA: opens what its public half encrypted,
 * and neither of the two. Other: one that signs, or authenticates, or is of another curve or country.
 */
export type KeyKind = 'symmetric' | 'rsa' | 'other';

/** How an RSA key is used: https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html */
export const rsaAlgorithm = 'RSAES_OAEP_SHA_256';

/** The states of a key as KMS spells them. */
export interface KeyDescription {
  readonly arn: string;
  /** `Enabled`, `Disabled`, `PendingDeletion`, `PendingImport`, … */
  readonly state: string;
  readonly kind: KeyKind;
  /** When imported material expires; absent where it does not, or is KMS's own. */
  readonly materialExpiresAt?: Date;
}

export interface DataKey {
  /** 32 random bytes. */
  readonly plaintext: Secret;
  /** The same under the KMS key: what may be stored. */
  readonly wrapped: Buffer;
  /** The ARN of the key that wrapped it. */
  readonly keyArn: string;
}

/** What we need of KMS, in one region. Every method throws KEY_… errors only, or the signal's reason. */
export interface Kms {
  /** `keyId`: a key ARN, alias ARN, `alias/NAME` or bare id. */
  describeKey(keyId: string, signal: AbortSignal): Promise<KeyDescription>;
  newDataKey(keyArn: string, context: SealContext, signal: AbortSignal): Promise<DataKey>;
  /** Wraps a data key that is there already, as `newDataKey` would have. */
  wrapDataKey(keyArn: string, plaintext: Secret, context: SealContext, signal: AbortSignal): Promise<Buffer>;
  /** Opens what `newDataKey` or `wrapDataKey` wrapped: with that very key and the same context, or not at all. */
  openDataKey(
    keyArn: string,
    wrapped: Uint8Array,
    context: SealContext,
    signal: AbortSignal,
  ): Promise<Secret>;
  /** The public half of an RSA key that encrypts: SubjectPublicKeyInfo, DER. @throws KEY_KIND_UNSUITABLE of any other key */
  publicKey(keyArn: string, signal: AbortSignal): Promise<Buffer>;
  /** Opens what was encrypted under the public half of this RSA key, by `rsaAlgorithm`. */
  decryptRsa(keyArn: string, ciphertext: Uint8Array, signal: AbortSignal): Promise<Secret>;
}

/** KMS of a region; each key is asked where it lives. */
export type KmsFor = (region: string) => Kms;

/** Why a key in this state cannot be used; undefined when it can. */
export function errorOfState(
  state: string,
  details: ErrorDetails,
  cause?: unknown,
): GatehouseError | undefined {
  if (state === 'Enabled') return undefined;
  if (state === 'Disabled') return keysError('KEY_DISABLED', details, cause);
  if (state === 'PendingDeletion' || state === 'PendingReplicaDeletion') {
    return keysError('KEY_PENDING_DELETION', details, cause);
  }
  if (state === 'PendingImport') return keysError('KEY_MATERIAL_MISSING', details, cause);
  if (state === 'Unavailable') return keysError('KEY_STORE_UNAVAILABLE', details, cause);
  return keysError('KEY_UNUSABLE', { ...details, state }, cause);
}
