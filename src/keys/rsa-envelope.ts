import { constants, createHash, createPublicKey, type KeyObject, publicEncrypt } from 'node:crypto';
import type { Secret } from '../base/secret.ts';
import { keysError } from './errors.ts';
import { damaged, uint } from './sealed-message.ts';

/** What an envelope says of itself: claims, until it was opened. */
export interface EnvelopeClaims {
  /** The RSA key in KMS that opens it. */
  readonly keyArn: string;
  /** The host's `name`. */
  readonly agentName: string;
  readonly generation: number;
}

export interface RsaEnvelope extends EnvelopeClaims {
  /** Everything before the ciphertext. */
  readonly header: Buffer;
  readonly ciphertext: Buffer;
}

const magic = Buffer.from('GHRE');
const version = 1;
/** RSAES_OAEP_SHA_256, MGF1 with SHA-256 too. */
const oaepSha256 = 1;
const digestLength = 32;
const generationMax = 999_999_999;
/** In bytes: of RSA-2048, 3072 and 4096. */
const ciphertextLengths = new Set([256, 384, 512]);

/**
 * How a master key lies wrapped under an RSA key, which takes no context: one OAEP ciphertext behind a header.
 *
 * `GHRE` · version 1 (1 byte) · algorithm 1, RSAES_OAEP_SHA_256 (1) · generation (4) · length and key ARN (2 + n) ·
 * length and name of the host (2 + n) · length of the ciphertext (2) · ciphertext, to the end.
 *
 * KMS vouches for nothing of the header. So the header's SHA-256 is encrypted ahead of the content: 32 of the 190 bytes
 * that RSA-2048 has room for, and no bit of the header can be changed by who does not know the content. Whoever has the
 * public key can make an envelope of a content of their own; docs/keys.md says what follows.
 *
 * @throws KEY_PUBLIC_KEY_UNUSABLE
 */
export function sealRsaEnvelope(
  { keyArn, agentName, generation }: EnvelopeClaims,
  content: Uint8Array,
  publicKey: Uint8Array,
): Buffer {
  const key = rsaKeyOf(publicKey, keyArn);
  const header = Buffer.concat([
    magic,
    Buffer.of(version, oaepSha256),
    uint(4, generation),
    field(keyArn),
    field(agentName),
    uint(2, modulusBytes(key)),
  ]);
  const plaintext = Buffer.concat([digestOf(header), content]);
  try {
    const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
    return Buffer.concat([header, publicEncrypt({ key, ...padding }, plaintext)]);
  } finally {
    plaintext.fill(0);
  }
}

export function isRsaEnvelope(bytes: Uint8Array): boolean {
  return magic.equals(bytes.subarray(0, magic.length));
}

/** Reads an envelope from its first byte to its last; asks nobody. @throws SEALED_FORMAT_UNKNOWN, SEALED_DAMAGED */
export function parseRsaEnvelope(bytes: Uint8Array): RsaEnvelope {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const take = (length: number): Buffer => {
    if (length > whole.length - at) throw damaged('cut short');
    at += length;
    return whole.subarray(at - length, at);
  };
  const number = (length: 1 | 2 | 4): number => take(length).readUIntBE(0, length);
  const text = (): string => {
    const encoded = take(number(2));
    const decoded = encoded.toString('utf8');
    if (!Buffer.from(decoded).equals(encoded)) throw damaged('not UTF-8');
    return decoded;
  };

  if (!take(magic.length).equals(magic)) throw keysError('SEALED_FORMAT_UNKNOWN', { what: 'RSA envelope' });
  if (number(1) !== version) throw keysError('SEALED_FORMAT_UNKNOWN', { what: 'version of the envelope' });
  if (number(1) !== oaepSha256) throw keysError('SEALED_FORMAT_UNKNOWN', { what: 'algorithm' });
  const generation = number(4);
  if (generation === 0 || generation > generationMax) throw damaged('generation');
  const keyArn = text();
  const agentName = text();
  const length = number(2);
  const header = whole.subarray(0, at);
  if (!ciphertextLengths.has(length)) throw damaged('length of the ciphertext');
  const ciphertext = take(length);
  if (at < whole.length) throw damaged('bytes after the end');
  return { keyArn, agentName, generation, header, ciphertext };
}

/** The content of what was decrypted, which must have been encrypted for this header. @throws SEALED_DAMAGED */
export function contentOf({ header }: RsaEnvelope, decrypted: Secret): Buffer {
  const bytes = decrypted.revealBytes();
  if (!digestOf(header).equals(bytes.subarray(0, digestLength))) throw damaged('header of the envelope');
  return Buffer.from(bytes.subarray(digestLength));
}

function digestOf(header: Uint8Array): Buffer {
  return createHash('sha256').update(header).digest();
}

function field(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([uint(2, bytes.length), bytes]);
}

function rsaKeyOf(publicKey: Uint8Array, keyArn: string): KeyObject {
  let cause: unknown;
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
    if (key.asymmetricKeyType === 'rsa' && ciphertextLengths.has(modulusBytes(key))) return key;
  } catch (error) {
    cause = error;
  }
  throw keysError('KEY_PUBLIC_KEY_UNUSABLE', { keyArn }, cause);
}

function modulusBytes(key: KeyObject): number {
  return (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
}
