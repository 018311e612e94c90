import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/**
 * A ciphertext blob: 4 bytes of version, 16 bytes of key id, 12 bytes of nonce, AES-256-GCM ciphertext, 16 bytes of
 * tag. The additional data is everything before the ciphertext, then the encryption context, so every bit counts.
 */
const version = Buffer.from([0x01, 0x02, 0x03, 0x00]);
const keyIdEnd = version.length + 16;
const headerBytes = keyIdEnd + 12;
const tagBytes = 16;

export type EncryptionContext = ReadonlyMap<string, string>;

export function encrypt(
  material: Buffer,
  keyId: string,
  plaintext: Uint8Array,
  context: EncryptionContext,
): Buffer {
  const header = Buffer.concat([version, Buffer.from(keyId.replaceAll('-', ''), 'hex'), randomBytes(12)]);
  const cipher = createCipheriv('aes-256-gcm', material, header.subarray(keyIdEnd));
  cipher.setAAD(Buffer.concat([header, canonical(context)]));
  return Buffer.concat([header, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** The plaintext; `undefined` when blob, key or context is not what was encrypted. */
export function decrypt(material: Buffer, blob: Buffer, context: EncryptionContext): Buffer | undefined {
  const header = blob.subarray(0, headerBytes);
  const nonce = header.subarray(keyIdEnd);
  const decipher = createDecipheriv('aes-256-gcm', material, nonce, { authTagLength: tagBytes });
  decipher.setAAD(Buffer.concat([header, canonical(context)]));
  decipher.setAuthTag(blob.subarray(blob.length - tagBytes));
  try {
    return Buffer.concat([
      decipher.update(blob.subarray(headerBytes, blob.length - tagBytes)),
      decipher.final(),
    ]);
  } catch {
    return undefined;
  }
}

/** The id of the key that the blob says it was encrypted under; `undefined` when this is no blob of ours. */
export function keyIdOf(blob: Buffer): string | undefined {
  const isOurs = blob.length > headerBytes + tagBytes && blob.subarray(0, version.length).equals(version);
  if (!isOurs) return undefined;
  return blob
    .subarray(version.length, keyIdEnd)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/u, '$1-$2-$3-$4-');
}

/** Size of a context as KMS's limit counts it: the bytes of its keys and values. */
export function contextBytes(context: EncryptionContext): number {
  let bytes = 0;
  for (const [name, value] of context) bytes += Buffer.byteLength(name) + Buffer.byteLength(value);
  return bytes;
}

/** One byte string for one context, whatever the order of its pairs: each string with its length, sorted by key. */
function canonical(context: EncryptionContext): Buffer {
  const pairs = [...context].map(([name, value]) => [Buffer.from(name), Buffer.from(value)] as const);
  const sorted = pairs.toSorted(([a], [b]) => Buffer.compare(a, b));
  return Buffer.concat(sorted.flatMap(([name, value]) => [lengthOf(name), name, lengthOf(value), value]));
}

function lengthOf(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return length;
}
