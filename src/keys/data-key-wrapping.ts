import { createCipheriv, createDecipheriv } from 'node:crypto';
import { Secret } from '../base/secret.ts';
import { tagLength } from './sealed-message.ts';

/** Bytes of a data key, and of what wraps it. */
export const dataKeyLength = 32;

const algorithm = 'aes-256-gcm';

/** What a data key is wrapped with; the nonce has 12 bytes, and one key takes each once. */
export interface Wrapping {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
  /** Authenticated with it; empty where absent. */
  readonly aad?: Uint8Array;
}

/** Wraps a data key by AES-256-GCM: its ciphertext and the tag. */
export function wrapDataKey(dataKey: Uint8Array, { key, iv, aad = Buffer.alloc(0) }: Wrapping): Buffer {
  const cipher = createCipheriv(algorithm, key, iv).setAAD(aad);
  return Buffer.concat([cipher.update(dataKey), cipher.final(), cipher.getAuthTag()]);
}

/** The data key; undefined where key, nonce, authenticated bytes or what is wrapped are others. */
export function unwrapDataKey(
  wrapped: Uint8Array,
  { key, iv, aad = Buffer.alloc(0) }: Wrapping,
): Secret | undefined {
  if (wrapped.length !== dataKeyLength + tagLength) return undefined;
  const decipher = createDecipheriv(algorithm, key, iv, { authTagLength: tagLength })
    .setAAD(aad)
    .setAuthTag(wrapped.subarray(-tagLength));
  const bytes = decipher.update(wrapped.subarray(0, -tagLength));
  try {
    decipher.final();
    return Secret.ofBytes(bytes);
  } catch {
    return undefined;
  } finally {
    bytes.fill(0);
  }
}
