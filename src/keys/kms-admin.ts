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
 * How symmetric material is wrapped on its way to KMS, which takes RSA_AES_KEY_WRAP for other material only. SHA-1 is for
 * those who insist.
 */
export type WrappingAlgorithm = 'RSAES_OAEP_SHA_256' | 'RSAES_OAEP_SHA_1';

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

/** What an administrator of keys needs of KMS, in one region. Every method throws KEY_… errors, or the signal's reason. */
export interface KmsAdmin {
  describe(keyId: string, signal: AbortSignal): Promise<KeyDetails>;
  /** The ARN of a new key. */
  create(key: NewKey, signal: AbortSignal): Promise<string>;
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
