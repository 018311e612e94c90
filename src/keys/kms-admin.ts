/** A key with all that an operator asks about it. */
export interface KeyDetails {
  readonly arn: string;
  /** As KMS spells it: `Enabled`, `PendingImport`, `Unavailable`, … */
  readonly state: string;
  /** `SYMMETRIC_DEFAULT`, `RSA_2048`, … */
  readonly spec: string;
  readonly description: string;
  readonly createdAt: Date;
  /** `AWS_KMS`, `EXTERNAL` (imported material), `AWS_CLOUDHSM`, `EXTERNAL_KEY_STORE`. */
  readonly origin: string;
  /** When imported material expires; absent where it does not, or is not imported. */
  readonly materialExpiresAt?: Date;
  /** When a key that is scheduled for deletion is deleted. */
  readonly deletedAt?: Date;
  readonly customKeyStoreId?: string;
}

export interface NewKey {
  readonly spec: 'SYMMETRIC_DEFAULT' | 'RSA_2048' | 'RSA_3072' | 'RSA_4096';
  /** Whether its material is imported. */
  readonly isExternal: boolean;
  readonly customKeyStoreId?: string | undefined;
  readonly description: string;
  readonly tags: Readonly<Record<string, string>>;
  /** A key policy, JSON. */
  readonly policy: string;
}

/**
 * How material is wrapped on its way to KMS: RSAES_OAEP that of symmetric keys, SHA-1 for those who insist;
 * RSA_AES_KEY_WRAP the private key of an RSA key.
 */
export const wrappingAlgorithms = [
  'RSAES_OAEP_SHA_256',
  'RSA_AES_KEY_WRAP_SHA_256',
  'RSAES_OAEP_SHA_1',
] as const;
export type WrappingAlgorithm = (typeof wrappingAlgorithms)[number];

/** What KMS gives for an import; valid for 24 hours, and for this key only. */
export interface ImportParameters {
  /** RSA-4096, DER (SubjectPublicKeyInfo). */
  readonly wrappingKey: Buffer;
  readonly token: Buffer;
  readonly validUntil: Date;
}

export interface WrappedMaterial {
  readonly encrypted: Buffer;
  readonly token: Buffer;
  /** Absent: the material does not expire. */
  readonly expiresAt?: Date | undefined;
}

export interface MadeKey {
  readonly keyArn: string;
  /** Whether KMS was asked more than once: then there may be more than one. */
  readonly isRetried: boolean;
}

/** What an administrator of keys needs of KMS, in one region. Every method throws KEY_… errors, or the signal's reason. */
export interface KmsAdmin {
  describe(keyId: string, signal: AbortSignal): Promise<KeyDetails>;
  /** Makes a key. KMS knows no way to ask for the same one again: a call whose answer is lost may have made one. */
  create(key: NewKey, signal: AbortSignal): Promise<MadeKey>;
  /** Lets `alias/NAME` stand for the key. @throws KEY_ALIAS_EXISTS without `isMoved` */
  nameKey(alias: string, keyArn: string, isMoved: boolean, signal: AbortSignal): Promise<void>;
  /** ARNs of the keys of this account and region, so many at most. */
  list(limit: number, signal: AbortSignal): Promise<readonly string[]>;
  tagsOf(keyArn: string, signal: AbortSignal): Promise<Readonly<Record<string, string>>>;
  /** The key policy, JSON. */
  policyOf(keyArn: string, signal: AbortSignal): Promise<string>;
  /** Whether anybody may do something with the key that its policy does not say. */
  hasGrants(keyArn: string, signal: AbortSignal): Promise<boolean>;
  enableRotation(keyArn: string, signal: AbortSignal): Promise<void>;
  /** When KMS makes the next backing key; undefined where it does not. */
  nextRotation(keyArn: string, signal: AbortSignal): Promise<Date | undefined>;
  importParameters(
    keyArn: string,
    wrapping: WrappingAlgorithm,
    signal: AbortSignal,
  ): Promise<ImportParameters>;
  /** @throws KEY_MATERIAL_OTHER, KEY_IMPORT_TOKEN_EXPIRED, KEY_IMPORT_REFUSED */
  importMaterial(keyArn: string, material: WrappedMaterial, signal: AbortSignal): Promise<void>;
  /** The connection of a custom key store as KMS spells it: `CONNECTED`, `DISCONNECTED`, `FAILED`, … */
  keyStoreState(id: string, signal: AbortSignal): Promise<string>;
}
