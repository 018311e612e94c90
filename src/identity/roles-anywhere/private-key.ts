import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import type { Secret } from '../../base/secret.ts';
import { identityError } from '../errors.ts';
import { type Certificate, pemBlocks } from './certificate.ts';
import { sequenceOf, tags } from './der.ts';

/** A private key that signs, wherever it is. */
export interface SigningKey {
  isKeyOf(certificate: Certificate): boolean;
  /** Over a hash, SHA-256 if not said, with RSA (PKCS#1 v1.5) and EC (DER); over the bytes themselves with ML-DSA. */
  sign(bytes: Buffer, hash?: 'sha256' | 'sha384' | 'sha512'): Promise<Buffer>;
}

/**
 * The private key of a file: PKCS#8, also encrypted, PKCS#1 or SEC1, in PEM or DER.
 * @throws PRIVATE_KEY_INVALID, PRIVATE_KEY_PASSWORD_MISSING, PRIVATE_KEY_PASSWORD_WRONG; `path` is for their details.
 */
export function privateKeyIn(bytes: Buffer, path: string, password: Secret | undefined): SigningKey {
  const [block] = pemBlocks(bytes, /(?:RSA |EC |ENCRYPTED )?PRIVATE KEY/u);
  if (block === undefined) return signingKey(keyInDer(bytes, path, password), path);
  const isEncrypted = block.label.startsWith('ENCRYPTED') || block.text.includes('ENCRYPTED');
  if (isEncrypted) return signingKey(opened({ key: block.text, format: 'pem' }, path, password), path);
  try {
    return signingKey(createPrivateKey({ key: block.text, format: 'pem' }), path);
  } catch (error) {
    throw identityError('PRIVATE_KEY_INVALID', { path }, error);
  }
}

/** `path` is for the details of PRIVATE_KEY_INVALID: a key may be damaged, or of a kind that signs nothing. */
export function signingKey(key: KeyObject, path: string): SigningKey {
  const isHashed = key.asymmetricKeyType === 'rsa' || key.asymmetricKeyType === 'ec';
  return {
    isKeyOf: ({ x509 }) => x509.checkPrivateKey(key),
    async sign(bytes, hash = 'sha256') {
      try {
        return sign(isHashed ? hash : undefined, bytes, key);
      } catch (error) {
        const problem = 'it does not sign';
        throw identityError('PRIVATE_KEY_INVALID', { path, type: key.asymmetricKeyType, problem }, error);
      }
    },
  };
}

type Encoded = { key: string; format: 'pem' } | { key: Buffer; format: 'der'; type: 'pkcs8' };

function opened(encoded: Encoded, path: string, password: Secret | undefined): KeyObject {
  if (password === undefined) throw identityError('PRIVATE_KEY_PASSWORD_MISSING', { path });
  try {
    return createPrivateKey({ ...encoded, passphrase: password.revealBytes() });
  } catch (error) {
    throw identityError('PRIVATE_KEY_PASSWORD_WRONG', { path }, error);
  }
}

/** DER does not say what it is: each form is tried, the encrypted one last. */
function keyInDer(bytes: Buffer, path: string, password: Secret | undefined): KeyObject {
  for (const type of ['pkcs8', 'pkcs1', 'sec1'] as const) {
    try {
      return createPrivateKey({ key: bytes, format: 'der', type });
    } catch {
      // Not this one.
    }
  }
  if (!isEncryptedPkcs8(bytes)) throw identityError('PRIVATE_KEY_INVALID', { path });
  return opened({ key: bytes, format: 'der', type: 'pkcs8' }, path, password);
}

/** EncryptedPrivateKeyInfo: an algorithm and an octet string. RFC 5958, 3. */
function isEncryptedPkcs8(der: Buffer): boolean {
  const [algorithm, data, ...more] = sequenceOf(der) ?? [];
  return algorithm?.tag === tags.sequence && data?.tag === tags.octetString && more.length === 0;
}
