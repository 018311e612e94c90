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
import { AwsError, type CallContext, type JsonObject, type Operation } from '../service.ts';
import { authorizeKey } from './access.ts';
import { contextBytes, decrypt, type EncryptionContext, encrypt, keyIdOf } from './ciphertext.ts';
import { grantTokens, keyIdentifier } from './members.ts';
import { algorithmsOf, decryptRsa, encryptRsa, publicKeyOf, toldAlgorithms, usageOf } from './rsa.ts';
import { arnOf, assertUsable, type KeyRecord, type KmsState, keyOrAlias } from './state.ts';

/** "Encryption context", KMS developer guide: 8192 bytes in all. */
const encryptionContextBytesMax = 8192;
const plaintextBytesMax = 4096;

const algorithmMember = text({
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
  EncryptionAlgorithm: algorithmMember,
  ...common,
};
const decryptShape = {
  CiphertextBlob: required(ciphertextBlob),
  EncryptionContext: textMap(),
  KeyId: keyIdentifier,
  EncryptionAlgorithm: algorithmMember,
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
  SourceEncryptionAlgorithm: algorithmMember,
  DestinationEncryptionAlgorithm: algorithmMember,
  ...common,
};

export const cryptographyOperations = {
  Encrypt(input, state, context) {
    const request = read(encryptShape, input);
    const encryptionContext = bounded(request.EncryptionContext);
    const key = keyOrAlias(request.KeyId, state, context);
    const algorithm = request.EncryptionAlgorithm ?? 'SYMMETRIC_DEFAULT';
    authorizeKey('Encrypt', key, state, context, {
      encryptionContext,
      algorithm,
      identifier: request.KeyId,
      grantTokens: request.GrantTokens,
    });
    assertUsable(key, state);
    assertUsage('Encrypt', key);
    assertAlgorithm(algorithm, key);
    assertContext(request.EncryptionContext, key);
    const CiphertextBlob = encryptUnder(key, algorithm, request.Plaintext, encryptionContext);
    assertNotDryRun(request.DryRun);
    return { CiphertextBlob, KeyId: key.arn, EncryptionAlgorithm: algorithm };
  },

  Decrypt(input, state, context) {
    const request = read(decryptShape, input);
    const encryptionContext = bounded(request.EncryptionContext);
    assertNoRecipient(request.Recipient);
    const algorithm = request.EncryptionAlgorithm ?? 'SYMMETRIC_DEFAULT';
    const key = keyOfBlob(request.CiphertextBlob, request.KeyId, algorithm, state, context);
    authorizeKey('Decrypt', key, state, context, {
      encryptionContext,
      algorithm,
      identifier: request.KeyId,
      grantTokens: request.GrantTokens,
    });
    assertUsable(key, state);
    assertUsage('Decrypt', key);
    assertAlgorithm(algorithm, key);
    assertContext(request.EncryptionContext, key);
    const plaintext = decryptUnder(key, algorithm, request.CiphertextBlob, encryptionContext);
    assertNotDryRun(request.DryRun);
    return {
      KeyId: key.arn,
      Plaintext: plaintext.toString('base64'),
      EncryptionAlgorithm: algorithm,
      ...materialIdOf(key, 'KeyMaterialId'),
    };
  },

  GenerateDataKey(input, state, context) {
    const request = read(dataKeyShape, input);
    assertNoRecipient(request.Recipient);
    const { key, plaintext, CiphertextBlob } = dataKey('GenerateDataKey', request, state, context);
    const Plaintext = plaintext.toString('base64');
    return { CiphertextBlob, Plaintext, KeyId: key.arn, ...materialIdOf(key, 'KeyMaterialId') };
  },

  GenerateDataKeyWithoutPlaintext(input, state, context) {
    const request = read(dataKeyShape, input);
    const { key, CiphertextBlob } = dataKey('GenerateDataKeyWithoutPlaintext', request, state, context);
    return { CiphertextBlob, KeyId: key.arn, ...materialIdOf(key, 'KeyMaterialId') };
  },

  ReEncrypt(input, state, context) {
    const request = read(reEncryptShape, input);
    const sourceContext = bounded(request.SourceEncryptionContext);
    const destinationContext = bounded(request.DestinationEncryptionContext);
    const { SourceEncryptionAlgorithm: from = 'SYMMETRIC_DEFAULT' } = request;
    const { DestinationEncryptionAlgorithm: to = 'SYMMETRIC_DEFAULT', GrantTokens: tokens } = request;
    const source = keyOfBlob(request.CiphertextBlob, request.SourceKeyId, from, state, context);
    const destination = keyOrAlias(request.DestinationKeyId, state, context);
    authorizeKey('ReEncryptFrom', source, state, context, {
      encryptionContext: sourceContext,
      algorithm: from,
      identifier: request.SourceKeyId,
      grantTokens: tokens,
      keys: { 'kms:ReEncryptOnSameKey': String(source === destination) },
    });
    authorizeKey('ReEncryptTo', destination, state, context, {
      encryptionContext: destinationContext,
      algorithm: to,
      identifier: request.DestinationKeyId,
      grantTokens: tokens,
      keys: { 'kms:ReEncryptOnSameKey': String(source === destination) },
    });
    for (const [key, algorithm, given] of [
      [source, from, request.SourceEncryptionContext],
      [destination, to, request.DestinationEncryptionContext],
    ] as const) {
      assertUsable(key, state);
      assertUsage('ReEncrypt', key);
      assertAlgorithm(algorithm, key);
      assertContext(given, key);
    }
    const plaintext = decryptUnder(source, from, request.CiphertextBlob, sourceContext);
    const CiphertextBlob = encryptUnder(destination, to, plaintext, destinationContext);
    assertNotDryRun(request.DryRun);
    return {
      CiphertextBlob,
      SourceKeyId: source.arn,
      KeyId: destination.arn,
      SourceEncryptionAlgorithm: from,
      DestinationEncryptionAlgorithm: to,
      ...materialIdOf(source, 'SourceKeyMaterialId'),
      ...materialIdOf(destination, 'DestinationKeyMaterialId'),
    };
  },

  GetPublicKey(input, state, context) {
    const { KeyId, GrantTokens } = read({ KeyId: required(keyIdentifier), GrantTokens: grantTokens }, input);
    const key = keyOrAlias(KeyId, state, context);
    authorizeKey('GetPublicKey', key, state, context, { identifier: KeyId, grantTokens: GrantTokens });
    if (key.spec === 'SYMMETRIC_DEFAULT') {
      throw new AwsError(
        'UnsupportedOperationException',
        `${key.arn} key spec is ${key.spec} which is not valid for GetPublicKey.`,
      );
    }
    assertUsable(key, state);
    return {
      KeyId: key.arn,
      PublicKey: publicKeyOf(key).toString('base64'),
      CustomerMasterKeySpec: key.spec,
      KeySpec: key.spec,
      KeyUsage: usageOf(key),
      ...toldAlgorithms(key),
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

function dataKey(operation: string, request: DataKeyRequest, state: KmsState, context: CallContext) {
  const encryptionContext = bounded(request.EncryptionContext);
  if ((request.NumberOfBytes === undefined) === (request.KeySpec === undefined)) {
    throw validationException('Please specify either number of bytes or key spec.');
  }
  const key = keyOrAlias(request.KeyId, state, context);
  const algorithm = 'SYMMETRIC_DEFAULT';
  authorizeKey(operation, key, state, context, {
    encryptionContext,
    algorithm,
    identifier: request.KeyId,
    grantTokens: request.GrantTokens,
  });
  assertUsable(key, state);
  assertUsage(operation, key);
  if (key.spec !== 'SYMMETRIC_DEFAULT') {
    throw new AwsError(
      'InvalidKeyUsageException',
      `${key.arn} key spec is ${key.spec} which is not valid for ${operation}.`,
    );
  }
  assertNotDryRun(request.DryRun);
  const plaintext = randomBytes(request.NumberOfBytes ?? (request.KeySpec === 'AES_256' ? 32 : 16));
  return { key, plaintext, CiphertextBlob: encryptUnder(key, algorithm, plaintext, encryptionContext) };
}

/**
 * The key to decrypt with: the one the blob names, which must be the one asked for if one was. What RSA encrypted
 * names none.
 */
function keyOfBlob(
  ciphertext: Buffer,
  keyId: string | undefined,
  algorithm: string,
  state: KmsState,
  context: CallContext,
): KeyRecord {
  const wanted = keyId === undefined ? undefined : keyOrAlias(keyId, state, context);
  if (wanted !== undefined && wanted.spec !== 'SYMMETRIC_DEFAULT') return wanted;
  const id = keyIdOf(ciphertext);
  if (id === undefined && wanted === undefined && algorithm !== 'SYMMETRIC_DEFAULT') {
    throw validationException('KeyId is required to decrypt with an asymmetric algorithm.');
  }
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
  return named;
}

function encryptUnder(
  key: KeyRecord,
  algorithm: string,
  plaintext: Buffer,
  encryptionContext: EncryptionContext,
): string {
  const encrypted =
    key.spec === 'SYMMETRIC_DEFAULT'
      ? encrypt(materialOf(key), key.id, plaintext, encryptionContext)
      : encryptRsa(key, algorithm, plaintext);
  return encrypted.toString('base64');
}

function decryptUnder(
  key: KeyRecord,
  algorithm: string,
  ciphertext: Buffer,
  encryptionContext: EncryptionContext,
): Buffer {
  if (key.spec !== 'SYMMETRIC_DEFAULT') return decryptRsa(key, algorithm, ciphertext);
  const plaintext = decrypt(materialOf(key), ciphertext, encryptionContext);
  if (plaintext === undefined) throw invalidCiphertext();
  return plaintext;
}

/** Symmetric keys of KMS's own and imported material say which material it was. */
function materialIdOf(key: KeyRecord, member: string): JsonObject {
  if (key.spec !== 'SYMMETRIC_DEFAULT' || key.origin === 'AWS_CLOUDHSM') return {};
  return key.materialId === undefined ? {} : { [member]: key.materialId };
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

function assertUsage(operation: string, key: KeyRecord): void {
  if (usageOf(key) === 'ENCRYPT_DECRYPT') return;
  throw new AwsError(
    'InvalidKeyUsageException',
    `${key.arn} key usage is ${usageOf(key)} which is not valid for ${operation}.`,
  );
}

function assertAlgorithm(name: string, { spec }: KeyRecord): void {
  if (algorithmsOf(spec).includes(name)) return;
  throw new AwsError('InvalidKeyUsageException', `Algorithm ${name} is incompatible with key spec ${spec}.`);
}

/** "An encryption context is valid only for cryptographic operations with a symmetric encryption KMS key." */
function assertContext(given: EncryptionContext | undefined, { spec }: KeyRecord): void {
  if (spec === 'SYMMETRIC_DEFAULT' || given === undefined || given.size === 0) return;
  throw validationException('EncryptionContext is not supported with asymmetric keys.');
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
