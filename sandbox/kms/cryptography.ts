import { randomBytes } from 'node:crypto';
import {
  blob,
  flag,
  integer,
  read,
  required,
  structure,
  text,
  textMap,
  validationException,
} from '../constraints.ts';
import { AwsError, type CallContext, type Operation } from '../service.ts';
import { contextBytes, decrypt, type EncryptionContext, encrypt, keyIdOf } from './ciphertext.ts';
import { grantTokens, keyIdentifier } from './members.ts';
import { arnOf, assertEnabled, type KeyRecord, type KmsState, keyOrAlias } from './state.ts';

/** "Encryption context", KMS developer guide: 8192 bytes in all. */
const encryptionContextBytesMax = 8192;
const plaintextBytesMax = 4096;

const algorithm = text({
  oneOf: ['SYMMETRIC_DEFAULT', 'RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256', 'SM2PKE'],
});
const ciphertextBlob = blob({ min: 1, max: 6144 });
const recipient = structure({
  KeyEncryptionAlgorithm: text({ oneOf: ['RSAES_OAEP_SHA_256'] }),
  AttestationDocument: blob({ min: 1, max: 262_144 }),
});
const common = { GrantTokens: grantTokens, DryRun: flag() };

const encryptShape = {
  KeyId: required(keyIdentifier),
  Plaintext: required(blob({ min: 1, max: plaintextBytesMax })),
  EncryptionContext: textMap(),
  EncryptionAlgorithm: algorithm,
  ...common,
};
const decryptShape = {
  CiphertextBlob: required(ciphertextBlob),
  EncryptionContext: textMap(),
  KeyId: keyIdentifier,
  EncryptionAlgorithm: algorithm,
  Recipient: recipient,
  ...common,
};
const dataKeyShape = {
  KeyId: required(keyIdentifier),
  EncryptionContext: textMap(),
  NumberOfBytes: integer({ min: 1, max: 1024 }),
  KeySpec: text({ oneOf: ['AES_256', 'AES_128'] }),
  Recipient: recipient,
  ...common,
};
const reEncryptShape = {
  CiphertextBlob: required(ciphertextBlob),
  SourceEncryptionContext: textMap(),
  SourceKeyId: keyIdentifier,
  DestinationKeyId: required(keyIdentifier),
  DestinationEncryptionContext: textMap(),
  SourceEncryptionAlgorithm: algorithm,
  DestinationEncryptionAlgorithm: algorithm,
  ...common,
};

export const cryptographyOperations = {
  Encrypt(input, state, context) {
    const request = read(encryptShape, input);
    const encryptionContext = bounded(request.EncryptionContext);
    assertAlgorithm(request.EncryptionAlgorithm);
    assertNoGrant(request.GrantTokens);
    const key = usable(keyOrAlias(request.KeyId, state, context));
    assertNotDryRun(request.DryRun);
    return {
      CiphertextBlob: encryptUnder(key, request.Plaintext, encryptionContext),
      KeyId: key.arn,
      EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
    };
  },

  Decrypt(input, state, context) {
    const request = read(decryptShape, input);
    const encryptionContext = bounded(request.EncryptionContext);
    assertAlgorithm(request.EncryptionAlgorithm);
    assertNoGrant(request.GrantTokens);
    assertNoRecipient(request.Recipient);
    const key = keyOfBlob(request.CiphertextBlob, request.KeyId, state, context);
    const plaintext = decryptUnder(key, request.CiphertextBlob, encryptionContext);
    assertNotDryRun(request.DryRun);
    return {
      KeyId: key.arn,
      Plaintext: plaintext.toString('base64'),
      EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      KeyMaterialId: key.materialId,
    };
  },

  GenerateDataKey(input, state, context) {
    const request = read(dataKeyShape, input);
    assertNoRecipient(request.Recipient);
    const { key, plaintext, CiphertextBlob } = dataKey(request, state, context);
    const Plaintext = plaintext.toString('base64');
    return { CiphertextBlob, Plaintext, KeyId: key.arn, KeyMaterialId: key.materialId };
  },

  GenerateDataKeyWithoutPlaintext(input, state, context) {
    const { key, CiphertextBlob } = dataKey(read(dataKeyShape, input), state, context);
    return { CiphertextBlob, KeyId: key.arn, KeyMaterialId: key.materialId };
  },

  ReEncrypt(input, state, context) {
    const request = read(reEncryptShape, input);
    const sourceContext = bounded(request.SourceEncryptionContext);
    const destinationContext = bounded(request.DestinationEncryptionContext);
    assertAlgorithm(request.SourceEncryptionAlgorithm);
    assertAlgorithm(request.DestinationEncryptionAlgorithm);
    assertNoGrant(request.GrantTokens);
    const source = keyOfBlob(request.CiphertextBlob, request.SourceKeyId, state, context);
    const destination = usable(keyOrAlias(request.DestinationKeyId, state, context));
    const plaintext = decryptUnder(source, request.CiphertextBlob, sourceContext);
    assertNotDryRun(request.DryRun);
    return {
      CiphertextBlob: encryptUnder(destination, plaintext, destinationContext),
      SourceKeyId: source.arn,
      KeyId: destination.arn,
      SourceEncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      DestinationEncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      SourceKeyMaterialId: source.materialId,
      DestinationKeyMaterialId: destination.materialId,
    };
  },
} as const satisfies Record<string, Operation<KmsState>>;

interface DataKeyRequest {
  readonly KeyId: string;
  readonly EncryptionContext: EncryptionContext | undefined;
  readonly NumberOfBytes: number | undefined;
  readonly KeySpec: string | undefined;
  readonly GrantTokens: readonly string[] | undefined;
  readonly DryRun: boolean | undefined;
}

function dataKey(request: DataKeyRequest, state: KmsState, context: CallContext) {
  const encryptionContext = bounded(request.EncryptionContext);
  if ((request.NumberOfBytes === undefined) === (request.KeySpec === undefined)) {
    throw validationException('Please specify either number of bytes or key spec.');
  }
  assertNoGrant(request.GrantTokens);
  const key = usable(keyOrAlias(request.KeyId, state, context));
  assertNotDryRun(request.DryRun);
  const plaintext = randomBytes(request.NumberOfBytes ?? (request.KeySpec === 'AES_256' ? 32 : 16));
  return { key, plaintext, CiphertextBlob: encryptUnder(key, plaintext, encryptionContext) };
}

/** The key to decrypt with: the one the blob names, which must be the one asked for if one was. */
function keyOfBlob(
  ciphertext: Buffer,
  keyId: string | undefined,
  state: KmsState,
  context: CallContext,
): KeyRecord {
  const wanted = keyId === undefined ? undefined : keyOrAlias(keyId, state, context);
  const id = keyIdOf(ciphertext);
  const named = [...state.keys.values()].find((key) => key.id === id);
  if (named === undefined) throw invalidCiphertext();
  if (wanted !== undefined && wanted !== named) {
    throw new AwsError(
      'IncorrectKeyException',
      'The key ID in the request does not identify a CMK that can perform this operation.',
    );
  }
  if (named.state === 'Deleted' || named.arn !== arnOf(`key/${named.id}`, context)) {
    throw new AwsError(
      'AccessDeniedException',
      'The ciphertext refers to a customer master key that does not exist, does not exist in this region, ' +
        'or you are not allowed to access.',
    );
  }
  return usable(named);
}

function usable(key: KeyRecord): KeyRecord {
  assertEnabled(key);
  return key;
}

function encryptUnder(key: KeyRecord, plaintext: Uint8Array, encryptionContext: EncryptionContext): string {
  return encrypt(materialOf(key), key.id, plaintext, encryptionContext).toString('base64');
}

function decryptUnder(key: KeyRecord, ciphertext: Buffer, encryptionContext: EncryptionContext): Buffer {
  const plaintext = decrypt(materialOf(key), ciphertext, encryptionContext);
  if (plaintext === undefined) throw invalidCiphertext();
  return plaintext;
}

function materialOf(key: KeyRecord): Buffer {
  return Buffer.from(key.material, 'base64');
}

/** KMS gives no reason with this one. */
function invalidCiphertext(): AwsError {
  return new AwsError('InvalidCiphertextException', '');
}

function bounded(encryptionContext: EncryptionContext = new Map()): EncryptionContext {
  if (contextBytes(encryptionContext) > encryptionContextBytesMax) {
    throw validationException(
      "1 validation error detected: Value at 'encryptionContext' failed to satisfy constraint: " +
        `Member must have length less than or equal to ${encryptionContextBytesMax}`,
    );
  }
  return encryptionContext;
}

function assertAlgorithm(name: string | undefined): void {
  if (name === undefined || name === 'SYMMETRIC_DEFAULT') return;
  throw new AwsError(
    'InvalidKeyUsageException',
    `Algorithm ${name} is incompatible with key spec SYMMETRIC_DEFAULT.`,
  );
}

/** There are no grants here, so no grant token can be valid. */
function assertNoGrant(tokens: readonly string[] | undefined): void {
  if (tokens !== undefined && tokens.length > 0) {
    throw new AwsError('InvalidGrantTokenException', 'The grant token is not valid.');
  }
}

function assertNoRecipient(value: unknown): void {
  if (value !== undefined) {
    throw new AwsError('UnsupportedOperationException', 'The sandbox has no attested recipients.');
  }
}

function assertNotDryRun(dryRun: boolean | undefined): void {
  if (dryRun !== true) return;
  throw new AwsError(
    'DryRunOperationException',
    'The request would have succeeded, but the DryRun option is set.',
  );
}
