import {
  constants,
  createCipheriv,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { Secret } from '../base/secret.ts';
import { keysError } from './errors.ts';
import type { NewKey, WrappingAlgorithm } from './kms-admin.ts';

/** Length of the material of a symmetric KMS key: what `openssl rand 32` makes. */
export const materialLength = 32;

/** RFC 5649, as `CKM_AES_KEY_WRAP_KWP` of PKCS #11. */
const paddedKeyWrap = 'id-aes256-wrap-pad';
const paddedKeyWrapIv = Buffer.from('a65959a6', 'hex');

const rsaSizes = { RSA_2048: 2048, RSA_3072: 3072, RSA_4096: 4096 } as const;

export function isRsaSpec(spec: string): spec is keyof typeof rsaSizes {
  return Object.hasOwn(rsaSizes, spec);
}

/**
 * How the material of a key of this kind is wrapped. What is asked for by name must be for it: RSA wraps 32 bytes, and no
 * private key, which goes under an AES key that RSA wraps.
 * https://docs.aws.amazon.com/kms/latest/developerguide/importing-keys-get-public-key-and-token.html
 * @throws KEY_WRAPPING_UNSUITABLE
 */
export function wrappingFor(isRsa: boolean, wanted: WrappingAlgorithm | undefined): WrappingAlgorithm {
  const wrapping = wanted ?? (isRsa ? 'RSA_AES_KEY_WRAP_SHA_256' : 'RSAES_OAEP_SHA_256');
  if (isRsa === (wrapping === 'RSA_AES_KEY_WRAP_SHA_256')) return wrapping;
  throw keysError('KEY_WRAPPING_UNSUITABLE', { wrapping, material: isRsa ? 'RSA' : 'symmetric' });
}

/**
 * Material from a file: 32 bytes as they are, of a symmetric key; or an RSA private key, PEM or DER, which KMS takes in
 * PKCS #8. `bytes` stay the caller's.
 * @throws KEY_MATERIAL_INVALID
 */
export function materialFrom(bytes: Buffer): { readonly material: Secret; readonly isRsa: boolean } {
  if (bytes.length === materialLength) return { material: Secret.ofBytes(bytes), isRsa: false };
  const key = privateKeyOf(bytes);
  if (key?.asymmetricKeyType !== 'rsa') throw keysError('KEY_MATERIAL_INVALID', { bytes: bytes.length });
  return { material: pkcs8(key), isRsa: true };
}

/** New material for a key of this kind. */
export function newMaterial(spec: NewKey['spec']): Secret {
  if (isRsaSpec(spec)) {
    return pkcs8(generateKeyPairSync('rsa', { modulusLength: rsaSizes[spec] }).privateKey);
  }
  const bytes = randomBytes(materialLength);
  const material = Secret.ofBytes(bytes);
  bytes.fill(0);
  return material;
}

/** The public half of an RSA private key in PKCS #8, as SubjectPublicKeyInfo, DER. */
export function publicHalfOf(material: Secret): Buffer {
  const key = createPrivateKey({ key: material.revealBytes(), format: 'der', type: 'pkcs8' });
  return createPublicKey(key).export({ format: 'der', type: 'spki' });
}

/**
 * Wraps key material for its way to KMS: what `openssl pkeyutl`, and for an RSA key `openssl enc -id-aes256-wrap-pad`,
 * do in AWS's own description.
 * @throws KEY_IMPORT_PARAMETERS_INVALID
 */
export function wrapMaterial(material: Secret, wrappingKey: Buffer, algorithm: WrappingAlgorithm): Buffer {
  const key = publicKeyOf(wrappingKey);
  const oaepHash = algorithm === 'RSAES_OAEP_SHA_1' ? 'sha1' : 'sha256';
  const byRsa = (bytes: Buffer): Buffer =>
    publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, bytes);
  if (algorithm !== 'RSA_AES_KEY_WRAP_SHA_256') return byRsa(material.revealBytes());
  const between = randomBytes(32);
  try {
    const cipher = createCipheriv(paddedKeyWrap, between, paddedKeyWrapIv);
    return Buffer.concat([byRsa(between), cipher.update(material.revealBytes()), cipher.final()]);
  } finally {
    between.fill(0);
  }
}

function pkcs8(key: KeyObject): Secret {
  const bytes = key.export({ format: 'der', type: 'pkcs8' });
  const material = Secret.ofBytes(bytes);
  bytes.fill(0);
  return material;
}

function privateKeyOf(bytes: Buffer): KeyObject | undefined {
  try {
    const isPem = bytes.subarray(0, 10).toString('latin1') === '-----BEGIN';
    return createPrivateKey(isPem ? { key: bytes } : { key: bytes, format: 'der', type: 'pkcs8' });
  } catch {
    return undefined;
  }
}

function publicKeyOf(wrappingKey: Buffer): KeyObject {
  try {
    const key = createPublicKey({ key: wrappingKey, format: 'der', type: 'spki' });
    if (key.asymmetricKeyType === 'rsa') return key;
  } catch (error) {
    throw keysError('KEY_IMPORT_PARAMETERS_INVALID', { what: 'wrapping key' }, error);
  }
  throw keysError('KEY_IMPORT_PARAMETERS_INVALID', { what: 'wrapping key' });
}
