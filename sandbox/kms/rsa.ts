import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
} from 'node:crypto';
import { validationException } from '../constraints.ts';
import { AwsError, type JsonObject } from '../service.ts';
import type { KeyRecord, KeySpec } from './state.ts';

export const rsaAlgorithms = ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'] as const;

const signingAlgorithms = ['PKCS1_V1_5', 'PSS'].flatMap((padding) =>
  ['256', '384', '512'].map((bits) => `RSASSA_${padding}_SHA_${bits}`),
);

export function usageOf({ usage }: Pick<KeyRecord, 'usage'>): string {
  return usage ?? 'ENCRYPT_DECRYPT';
}

/** What DescribeKey and GetPublicKey say of the algorithms that a key is for. */
export function toldAlgorithms({ spec, usage }: Pick<KeyRecord, 'spec' | 'usage'>): JsonObject {
  return usage === 'SIGN_VERIFY'
    ? { SigningAlgorithms: signingAlgorithms }
    : { EncryptionAlgorithms: algorithmsOf(spec) };
}

/** What keys of a spec encrypt with. */
export function algorithmsOf(spec: KeySpec): readonly string[] {
  return spec === 'SYMMETRIC_DEFAULT' ? ['SYMMETRIC_DEFAULT'] : rsaAlgorithms;
}

/** The bits that the name of a key spec says. */
export function modulusBits(spec: string): number {
  return Number(spec.slice('RSA_'.length));
}

/** A new private key as PKCS #8, base64. */
export function newRsaMaterial(spec: KeySpec): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: modulusBits(spec) });
  return privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64');
}

/** SubjectPublicKeyInfo. */
export function publicKeyOf(key: KeyRecord): Buffer {
  return createPublicKey(privateKeyOf(key)).export({ type: 'spki', format: 'der' });
}

/** @throws AwsError ValidationException for more than the padding leaves room for */
export function encryptRsa(key: KeyRecord, algorithm: string, plaintext: Buffer): Buffer {
  const oaepHash = hashOf(algorithm);
  const bytesMax = modulusBits(key.spec) / 8 - 2 * (oaepHash === 'sha1' ? 20 : 32) - 2;
  if (plaintext.length > bytesMax) {
    throw validationException(
      `Algorithm ${algorithm} and key spec ${key.spec} cannot encrypt data larger than ${bytesMax} bytes.`,
    );
  }
  return publicEncrypt(
    { key: createPublicKey(privateKeyOf(key)), oaepHash, padding: constants.RSA_PKCS1_OAEP_PADDING },
    plaintext,
  );
}

/** @throws AwsError InvalidCiphertextException */
export function decryptRsa(key: KeyRecord, algorithm: string, ciphertext: Buffer): Buffer {
  try {
    return privateDecrypt(
      { key: privateKeyOf(key), oaepHash: hashOf(algorithm), padding: constants.RSA_PKCS1_OAEP_PADDING },
      ciphertext,
    );
  } catch {
    throw new AwsError('InvalidCiphertextException', '');
  }
}

function privateKeyOf({ material }: KeyRecord): KeyObject {
  return createPrivateKey({ key: Buffer.from(material, 'base64'), type: 'pkcs8', format: 'der' });
}

function hashOf(algorithm: string): 'sha1' | 'sha256' {
  return algorithm.endsWith('SHA_1') ? 'sha1' : 'sha256';
}
