import { hkdfSync, randomBytes } from 'node:crypto';
import type { Secret } from '../base/secret.ts';
import { dataKeyLength, unwrapDataKey, wrapDataKey } from './data-key-wrapping.ts';
import { contextBytes, ivLength } from './sealed-message.ts';
import type { SealContext } from './sealer.ts';

const purpose = Buffer.from('gatehouse data key wrapping 1\0');

/** Wraps a data key under a key that is derived for this context: nonce, wrapped key and tag. */
export function wrapUnder(key: Secret, plaintext: Secret, context: SealContext): Buffer {
  const iv = randomBytes(ivLength);
  const wrapping = wrappingKeyOf(key, context);
  const wrapped = wrapDataKey(plaintext.revealBytes(), { key: wrapping, iv });
  wrapping.fill(0);
  return Buffer.concat([iv, wrapped]);
}

/** Undefined where key, context or bytes are others. */
export function unwrapUnder(key: Secret, wrapped: Buffer, context: SealContext): Secret | undefined {
  if (wrapped.length < ivLength) return undefined;
  const wrapping = wrappingKeyOf(key, context);
  const iv = wrapped.subarray(0, ivLength);
  const dataKey = unwrapDataKey(wrapped.subarray(ivLength), { key: wrapping, iv });
  wrapping.fill(0);
  return dataKey;
}

/**
 * HKDF-SHA-256 of a key, with the context for its info: another key for every purpose, host and id. Of the master key
 * none of them is the one that seals files.
 */
function wrappingKeyOf(key: Secret, context: SealContext): Buffer {
  const info = Buffer.concat([purpose, contextBytes(context)]);
  return Buffer.from(hkdfSync('sha256', key.revealBytes(), Buffer.alloc(0), info, dataKeyLength));
}
