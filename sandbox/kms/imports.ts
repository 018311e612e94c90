import {
  constants,
  createDecipheriv,
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  privateDecrypt,
  randomBytes,
} from 'node:crypto';
import { blob, epochSeconds, number, read, required, text, validationException } from '../constraints.ts';
import { AwsError, type CallContext, type Operation } from '../service.ts';
import { authorizeKey } from './access.ts';
import { keyIdentifier } from './members.ts';
import { modulusBits } from './rsa.ts';
import {
  assertNotPendingDeletion,
  dropMaterial,
  type ImportParameters,
  type KeyRecord,
  type KmsState,
  keyById,
  type WrappingAlgorithm,
  wrappingAlgorithms,
} from './state.ts';

const dayMs = 24 * 60 * 60 * 1000;
/** "Valid for 24 hours". */
const parametersMs = dayMs;
/** "The maximum value is 365 days from the request date." */
const validDaysMax = 365;
const materialBytes = 32;

const onlyKeyId = { KeyId: required(keyIdentifier) };
const wrappingAlgorithm = text({ oneOf: [...wrappingAlgorithms, 'RSAES_PKCS1_V1_5', 'SM2PKE'] });
const wrappingKeySpec = text({ oneOf: ['RSA_2048', 'RSA_3072', 'RSA_4096', 'SM2'] });
const materialId = text({ min: 64, max: 64, pattern: /^[a-f0-9]+$/u });

const importShape = {
  ...onlyKeyId,
  ImportToken: required(blob({ min: 1, max: 6144 })),
  EncryptedKeyMaterial: required(blob({ min: 1, max: 6144 })),
  ValidTo: number(),
  ExpirationModel: text({ oneOf: ['KEY_MATERIAL_EXPIRES', 'KEY_MATERIAL_DOES_NOT_EXPIRE'] }),
  ImportType: text({ oneOf: ['NEW_KEY_MATERIAL', 'EXISTING_KEY_MATERIAL'] }),
  KeyMaterialDescription: text({ max: 256 }),
  KeyMaterialId: materialId,
};

export const importOperations = {
  GetParametersForImport(input, state, context) {
    const request = read(
      {
        ...onlyKeyId,
        WrappingAlgorithm: required(wrappingAlgorithm),
        WrappingKeySpec: required(wrappingKeySpec),
      },
      input,
    );
    const record = keyById(request.KeyId, state, context);
    authorizeKey('GetParametersForImport', record, state, context, {
      keys: {
        'kms:WrappingAlgorithm': request.WrappingAlgorithm,
        'kms:WrappingKeySpec': request.WrappingKeySpec,
      },
    });
    assertExternal(record);
    assertNotPendingDeletion(record);
    const algorithm = algorithmFor(record, request.WrappingAlgorithm);
    // A pair for each answer, so that a token goes with no other answer's key.
    const pair = generateKeyPairSync('rsa', { modulusLength: modulusBits(request.WrappingKeySpec) });
    const token = randomBytes(256).toString('base64');
    const expiresAt = context.now.getTime() + parametersMs;
    state.imports.set(token, {
      keyArn: record.arn,
      algorithm,
      privateKey: pair.privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
      expiresAt,
    });
    return {
      KeyId: record.arn,
      ImportToken: token,
      PublicKey: pair.publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
      ParametersValidTo: epochSeconds(new Date(expiresAt)),
    };
  },

  ImportKeyMaterial(input, state, context) {
    const request = read(importShape, input);
    const record = keyById(request.KeyId, state, context);
    const expiresAt = expiryOf(request.ExpirationModel, request.ValidTo, context.now);
    authorizeKey('ImportKeyMaterial', record, state, context, {
      keys: {
        'kms:ExpirationModel': request.ExpirationModel ?? 'KEY_MATERIAL_EXPIRES',
        'kms:ValidTo': expiresAt === undefined ? undefined : new Date(expiresAt).toISOString(),
      },
    });
    assertExternal(record);
    assertNotPendingDeletion(record);
    const parameters = parametersOf(request.ImportToken, record, state, context);
    const material = unwrapped(request.EncryptedKeyMaterial, parameters);
    assertMaterial(material, record);
    const id = idOf(material, record);
    assertSameMaterial(id, record, request.ImportType, request.KeyMaterialId);

    record.material = material.toString('base64');
    record.materialId = id;
    if (expiresAt === undefined) delete record.materialExpiresAt;
    else record.materialExpiresAt = expiresAt;
    if (record.state === 'PendingImport') record.state = 'Enabled';
    return { KeyId: record.arn, ...(isSymmetric(record) && { KeyMaterialId: id }) };
  },

  DeleteImportedKeyMaterial(input, state, context) {
    const request = read({ ...onlyKeyId, KeyMaterialId: materialId }, input);
    const record = keyById(request.KeyId, state, context);
    authorizeKey('DeleteImportedKeyMaterial', record, state, context);
    assertExternal(record);
    if (request.KeyMaterialId !== undefined && request.KeyMaterialId !== record.materialId) {
      throw new AwsError('NotFoundException', `Key material ${request.KeyMaterialId} does not exist`);
    }
    dropMaterial(record);
    return {
      KeyId: record.arn,
      ...(isSymmetric(record) && record.materialId !== undefined && { KeyMaterialId: record.materialId }),
    };
  },
} as const satisfies Record<string, Operation<KmsState>>;

function isSymmetric({ spec }: KeyRecord): boolean {
  return spec === 'SYMMETRIC_DEFAULT';
}

function assertExternal({ arn, origin }: KeyRecord): void {
  if (origin === 'EXTERNAL') return;
  throw new AwsError(
    'UnsupportedOperationException',
    `${arn} origin is ${origin} which is not valid for this operation.`,
  );
}

/** Which algorithms wrap which material: "Select a wrapping algorithm". RSA keys are too large to be wrapped by RSA. */
function algorithmFor({ spec }: KeyRecord, wanted: string): WrappingAlgorithm {
  const isDirect = wanted.startsWith('RSAES_OAEP_');
  const algorithm = wrappingAlgorithms.find((one) => one === wanted);
  if (algorithm !== undefined && isDirect === (spec === 'SYMMETRIC_DEFAULT')) return algorithm;
  if (algorithm === undefined) {
    throw new AwsError('UnsupportedOperationException', `The wrapping algorithm ${wanted} is not supported.`);
  }
  throw validationException(`WrappingAlgorithm ${wanted} is not compatible with KeySpec ${spec}`);
}

function parametersOf(
  token: Buffer,
  record: KeyRecord,
  state: KmsState,
  { now }: CallContext,
): ImportParameters {
  const parameters = state.imports.get(token.toString('base64'));
  if (parameters === undefined || parameters.keyArn !== record.arn) {
    throw new AwsError('InvalidImportTokenException', 'The import token is not valid for this key.');
  }
  if (parameters.expiresAt <= now.getTime()) {
    throw new AwsError('ExpiredImportTokenException', 'The import token is expired.');
  }
  return parameters;
}

/** @throws AwsError InvalidCiphertextException */
function unwrapped(wrapped: Buffer, { algorithm, privateKey }: ImportParameters): Buffer {
  const key = createPrivateKey({ key: Buffer.from(privateKey, 'base64'), type: 'pkcs8', format: 'der' });
  const oaepHash = algorithm.endsWith('SHA_1') ? 'sha1' : 'sha256';
  const blockBytes = (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
  const opened = (bytes: Buffer): Buffer =>
    privateDecrypt({ key, oaepHash, padding: constants.RSA_PKCS1_OAEP_PADDING }, bytes);
  try {
    if (algorithm.startsWith('RSAES_OAEP_')) return opened(wrapped);
    // PKCS #11 CKM_RSA_AES_KEY_WRAP: an AES key under RSA, then the material under that key by RFC 5649.
    const wrappingKey = opened(wrapped.subarray(0, blockBytes));
    const cipher = createDecipheriv('id-aes256-wrap-pad', wrappingKey, Buffer.from('a65959a6', 'hex'));
    return Buffer.concat([cipher.update(wrapped.subarray(blockBytes)), cipher.final()]);
  } catch {
    throw new AwsError('InvalidCiphertextException', '');
  }
}

function assertMaterial(material: Buffer, { spec }: KeyRecord): void {
  if (spec === 'SYMMETRIC_DEFAULT') {
    if (material.length === materialBytes) return;
    throw incorrect(`The key material must be ${materialBytes} bytes long.`);
  }
  try {
    const { asymmetricKeyType, asymmetricKeyDetails } = createPrivateKey({
      key: material,
      type: 'pkcs8',
      format: 'der',
    });
    if (asymmetricKeyType === 'rsa' && asymmetricKeyDetails?.modulusLength === modulusBits(spec)) return;
  } catch {
    // Falls through to the one refusal.
  }
  throw incorrect(`The key material is no private key of ${spec} in PKCS #8.`);
}

/** "KMS assigns a unique identifier to the key material based on the KMS key ID and the imported key material." */
function idOf(material: Buffer, { id }: KeyRecord): string {
  return createHash('sha256').update(id).update(material).digest('hex');
}

function assertSameMaterial(
  id: string,
  { materialId: before, spec }: KeyRecord,
  type: string | undefined,
  wanted: string | undefined,
): void {
  if (spec !== 'SYMMETRIC_DEFAULT' && (type !== undefined || wanted !== undefined)) {
    throw validationException('ImportType and KeyMaterialId are for symmetric encryption keys only.');
  }
  const isNew = type === undefined ? before === undefined : type === 'NEW_KEY_MATERIAL';
  if (isNew && wanted !== undefined) {
    throw validationException('KeyMaterialId cannot be specified with the import type NEW_KEY_MATERIAL.');
  }
  if (wanted !== undefined && wanted !== id)
    throw incorrect('The key material is not that of the KeyMaterialId.');
  if (isNew && before === id) throw incorrect('The key material is already associated with this key.');
  if (isNew && before !== undefined) {
    throw new AwsError('UnsupportedOperationException', 'Imported keys of the sandbox are not rotated.');
  }
  if (!isNew && before !== id) {
    throw incorrect('The key material is not the same as was imported into this key before.');
  }
}

function expiryOf(model: string | undefined, validTo: number | undefined, now: Date): number | undefined {
  if (model === 'KEY_MATERIAL_DOES_NOT_EXPIRE') {
    if (validTo === undefined) return undefined;
    throw validationException('ValidTo must not be set if the key material does not expire');
  }
  if (validTo === undefined)
    throw validationException('A validTo date must be set if the key material expires');
  const at = validTo * 1000;
  if (at <= now.getTime()) throw validationException('The validTo date must be in the future');
  if (at > now.getTime() + validDaysMax * dayMs) {
    throw validationException(`The validTo date must be within ${validDaysMax} days of the request`);
  }
  return at;
}

function incorrect(message: string): AwsError {
  return new AwsError('IncorrectKeyMaterialException', message);
}
