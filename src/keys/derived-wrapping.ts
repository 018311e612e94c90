import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { Secret } from '../base/secret.ts';
import { contextBytes, ivLength, tagLength } from './sealed-message.ts';
import type { SealContext } from './sealer.ts';

export const dataKeyLength = 32;
const algorithm = 'aes-256-gcm';
const purpose = Buffer.from('gatehouse data key wrapping 1\0');

/** Wraps a data key under a key that is derived for this context: nonce, wrapped key and tag. */
export function wrapUnder(key: Secret, plaintext: Secret, context: SealContext): Buffer {
  const iv = randomBytes(ivLength);
  const wrapping = wrappingKeyOf(key, context);
  const cipher = createCipheriv(algorithm, wrapping, iv);
  wrapping.fill(0);
  return Buffer.concat([iv, cipher.update(plaintext.revealBytes()), cipher.final(), cipher.getAuthTag()]);
}

/** Undefined where key, context or bytes are others. */
export function unwrapUnder(key: Secret, wrapped: Buffer, context: SealContext): Secret | undefined {
  if (wrapped.length !== ivLength + dataKeyLength + tagLength) return undefined;
  const wrapping = wrappingKeyOf(key, context);
  const decipher = createDecipheriv(algorithm, wrapping, wrapped.subarray(0, ivLength), {
    authTagLength: tagLength,
  }).setAuthTag(wrapped.subarray(-tagLength));
  wrapping.fill(0);
  const bytes = decipher.update(wrapped.subarray(ivLength, -tagLength));
  try {
    decipher.final();
    return Secret.ofBytes(bytes);
  } catch {
    return undefined;
  } finally {
    bytes.fill(0);
  }
}

/**
 * HKDF-SHA-256 of a key, with the context for its info: another key for every purpose, host and id. Of the master key
 * none of them is the one that seals files.
 */
function wrappingKeyOf(key: Secret, context: SealContext): Buffer {
  const info = Buffer.concat([purpose, contextBytes(context)]);
  return Buffer.from(hkdfSync('sha256', key.revealBytes(), Buffer.alloc(0), info, dataKeyLength));
}
