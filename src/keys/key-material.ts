import { constants, createPublicKey, type KeyObject, publicEncrypt } from 'node:crypto';
import type { Secret } from '../base/secret.ts';
import { keysError } from './errors.ts';
import type { WrappingAlgorithm } from './kms-admin.ts';

/** Length of the material of a symmetric KMS key: what `openssl rand 32` makes. */
export const materialLength = 32;

/** Wraps key material for its way to KMS: what `openssl pkeyutl` does in AWS's own description. @throws KEY_MATERIAL_… */
export function wrapMaterial(material: Secret, wrappingKey: Buffer, algorithm: WrappingAlgorithm): Buffer {
  if (material.length !== materialLength) {
    throw keysError('KEY_MATERIAL_INVALID', { bytes: material.length, expected: materialLength });
  }
  const oaepHash = algorithm === 'RSAES_OAEP_SHA_1' ? 'sha1' : 'sha256';
  const key = publicKeyOf(wrappingKey);
  return publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, material.revealBytes());
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
