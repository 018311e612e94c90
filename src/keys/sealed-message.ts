import { keysError } from './errors.ts';
import { type SealContext, sealedBytesMax } from './sealer.ts';

/**
 * What a sealed message says of itself: readable without any key, and therefore claims, until a sealer that was given
 * the same context has opened the message.
 */
export interface SealedMessage {
  readonly context: SealContext;
  /** Who wrapped the data key: KMS key ARNs, in the order of the message. */
  readonly keyArns: readonly string[];
}

/** More wrapped data keys than this make a reader call KMS as often as a stranger likes. */
export const wrappedKeysMax = 8;

/** AES-256-GCM, HKDF-SHA-512, key commitment, no signature. */
export const suiteId = 0x0478;

const messageVersion = 2;
const framedContent = 2;
const messageIdLength = 32;
const commitmentLength = 32;
const ivLength = 12;
const tagLength = 16;
const finalFrameMark = 0xffff_ffff;
const kmsProvider = 'aws-kms';

/**
 * Reads the structure of an Encryption SDK message, from its first byte to its last, and refuses whatever is not one
 * whole message of the one form that we write. The Encryption SDK refuses every flipped bit and every cut (measured),
 * but opens a message that something was appended to; here that is refused too, and nothing is asked of KMS.
 * Format: https://docs.aws.amazon.com/encryption-sdk/latest/developer-guide/message-format.html
 * @throws SEALED_FORMAT_UNKNOWN, SEALED_DAMAGED, SEALED_TOO_LARGE
 */
export function parseSealedMessage(sealed: Uint8Array): SealedMessage {
  if (sealed.length > sealedBytesMax) {
    throw keysError('SEALED_TOO_LARGE', { bytes: sealed.length, bytesMax: sealedBytesMax });
  }
  const reader = readerOf(sealed);
  if (reader.uint(1) !== messageVersion)
    throw keysError('SEALED_FORMAT_UNKNOWN', { what: 'message version' });
  if (reader.uint(2) !== suiteId) throw keysError('SEALED_FORMAT_UNKNOWN', { what: 'algorithm suite' });
  reader.bytes(messageIdLength);
  const context = contextOf(reader);
  const keyArns = keyArnsOf(reader);
  if (reader.uint(1) !== framedContent) throw keysError('SEALED_FORMAT_UNKNOWN', { what: 'content type' });
  const frameLength = reader.uint(4);
  reader.bytes(commitmentLength + tagLength);
  checkFrames(reader, frameLength);
  if (reader.left() > 0) throw damaged('bytes after the end');
  return { context, keyArns };
}

type Reader = ReturnType<typeof readerOf>;

function readerOf(bytes: Uint8Array) {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let at = 0;

  const reader = {
    left: () => buffer.length - at,
    bytes(length: number): Buffer {
      if (length > reader.left()) throw damaged('cut short');
      at += length;
      return buffer.subarray(at - length, at);
    },
    uint: (length: 1 | 2 | 4): number => reader.bytes(length).readUIntBE(0, length),
    field: (): Buffer => reader.bytes(reader.uint(2)),
    text(): string {
      try {
        return utf8.decode(reader.field());
      } catch (error) {
        throw error instanceof TypeError ? damaged('not UTF-8') : error;
      }
    },
  };
  return reader;
}

function contextOf(reader: Reader): SealContext {
  const section = readerOf(reader.field());
  const pairs = new Map<string, string>();
  if (section.left() > 0) {
    const count = section.uint(2);
    for (let n = 0; n < count; n += 1) {
      const key = section.text();
      if (pairs.has(key)) throw damaged('a context key twice');
      pairs.set(key, section.text());
    }
    if (section.left() > 0) throw damaged('bytes after the context');
  }
  return Object.fromEntries(pairs);
}

function keyArnsOf(reader: Reader): string[] {
  const count = reader.uint(2);
  if (count === 0 || count > wrappedKeysMax) throw damaged('number of wrapped keys');
  const keyArns: string[] = [];
  for (let n = 0; n < count; n += 1) {
    const provider = reader.text();
    const name = reader.text();
    reader.field();
    if (provider === kmsProvider) keyArns.push(name);
  }
  return keyArns;
}

function checkFrames(reader: Reader, frameLength: number): void {
  if (frameLength === 0) throw damaged('frame length');
  for (let expected = 1; ; expected += 1) {
    const first = reader.uint(4);
    if (first === finalFrameMark) {
      if (reader.uint(4) !== expected) throw damaged('frame number');
      reader.bytes(ivLength);
      const length = reader.uint(4);
      if (length > frameLength) throw damaged('length of the last frame');
      reader.bytes(length + tagLength);
      return;
    }
    if (first !== expected) throw damaged('frame number');
    reader.bytes(ivLength + frameLength + tagLength);
  }
}

function damaged(what: string) {
  return keysError('SEALED_DAMAGED', { what });
}
