import { keysError } from './errors.ts';
import { type SealContext, sealedBytesMax } from './sealer.ts';

/** One way to the data key of a message: who can unwrap it, what that one needs to know, and the wrapped key. */
export interface WrappedKey {
  /** `aws-kms`, or the namespace of a raw key. */
  readonly provider: string;
  /** The KMS key's ARN, or what the raw key needs. */
  readonly info: Buffer;
  readonly wrapped: Buffer;
}

/**
 * What a sealed message says of itself: readable without any key, and therefore claims, until a sealer that was given
 * the same context has opened the message.
 */
export interface SealedMessage {
  readonly context: SealContext;
  /** In the order of the message. */
  readonly wrappedKeys: readonly WrappedKey[];
  /** Who wrapped the data key: KMS key ARNs, in the order of the message. */
  readonly keyArns: readonly string[];
}

/** The header of a message with what it takes to verify it. */
export interface MessageHeader extends SealedMessage {
  readonly messageId: Buffer;
  readonly frameLength: number;
  readonly commitment: Buffer;
  /** What the header's tag is made over. */
  readonly authenticated: Buffer;
  readonly tag: Buffer;
  /** Length in bytes; the first frame follows. */
  readonly length: number;
}

/** More wrapped data keys than this make a reader call KMS as often as a stranger likes. */
export const wrappedKeysMax = 8;

/** A header is read whole before anything of it was verified. Ours have about 400 bytes. */
export const headerBytesMax = 64 * 1024;

/** AES-256-GCM, HKDF-SHA-512, key commitment, no signature. */
export const suiteId = 0x0478;

export const kmsProvider = 'aws-kms';
export const ivLength = 12;
export const tagLength = 16;
export const messageIdLength = 32;
export const commitmentLength = 32;
export const finalFrameMark = 0xffff_ffff;
/** A frame is held in memory before it is verified; the Encryption SDK writes 4 KiB. */
const frameLengthMax = 16 * 1024 * 1024;

const messageVersion = 2;
const framedContent = 2;

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
  const header = parseHeader(sealed);
  const reader = readerOf(sealed.subarray(header.length));
  checkFrames(reader, header.frameLength);
  if (reader.left() > 0) throw damaged('bytes after the end');
  return header;
}

/**
 * Reads the header at the beginning of `bytes`, which may go on behind it.
 * @throws SEALED_FORMAT_UNKNOWN, SEALED_DAMAGED
 */
export function parseHeader(bytes: Uint8Array): MessageHeader {
  const reader = readerOf(bytes);
  if (reader.uint(1) !== messageVersion)
    throw keysError('SEALED_FORMAT_UNKNOWN', { what: 'message version' });
  if (reader.uint(2) !== suiteId) throw keysError('SEALED_FORMAT_UNKNOWN', { what: 'algorithm suite' });
  const messageId = reader.bytes(messageIdLength);
  const context = contextOf(reader);
  const wrappedKeys = wrappedKeysOf(reader);
  if (reader.uint(1) !== framedContent) throw keysError('SEALED_FORMAT_UNKNOWN', { what: 'content type' });
  const frameLength = reader.uint(4);
  if (frameLength === 0 || frameLength > frameLengthMax) throw damaged('frame length');
  const commitment = reader.bytes(commitmentLength);
  const authenticated = reader.before();
  const tag = reader.bytes(tagLength);
  const length = reader.before().length;
  if (length > headerBytesMax) throw damaged('length of the header');
  const keyArns = wrappedKeys
    .filter(({ provider }) => provider === kmsProvider)
    .map(({ info }) => info.toString('utf8'));
  return { context, wrappedKeys, keyArns, messageId, frameLength, commitment, authenticated, tag, length };
}

/** The header of a new message, up to its tag. */
export function headerBytes({
  messageId,
  context,
  wrappedKeys,
  frameLength,
  commitment,
}: Pick<MessageHeader, 'messageId' | 'context' | 'wrappedKeys' | 'frameLength' | 'commitment'>): Buffer {
  return Buffer.concat([
    Buffer.of(messageVersion),
    uint(2, suiteId),
    messageId,
    field(contextBytes(context)),
    uint(2, wrappedKeys.length),
    ...wrappedKeys.flatMap(({ provider, info, wrapped }) => [
      field(Buffer.from(provider)),
      field(info),
      field(wrapped),
    ]),
    Buffer.of(framedContent),
    uint(4, frameLength),
    commitment,
  ]);
}

/**
 * A context as it is authenticated: nothing where it is empty, else the number of pairs and the pairs, sorted by key.
 * https://docs.aws.amazon.com/encryption-sdk/latest/developer-guide/message-format.html#header-aad
 */
export function contextBytes(context: SealContext): Buffer {
  const pairs = Object.entries(context).map(
    ([key, value]) => [Buffer.from(key), Buffer.from(value)] as const,
  );
  if (pairs.length === 0) return Buffer.alloc(0);
  const sorted = pairs.toSorted(([one], [other]) => Buffer.compare(one, other));
  return Buffer.concat([uint(2, pairs.length), ...sorted.flat().map(field)]);
}

export function uint(length: 1 | 2 | 4, value: number): Buffer {
  const bytes = Buffer.alloc(length);
  bytes.writeUIntBE(value, 0, length);
  return bytes;
}

export function damaged(what: string) {
  return keysError('SEALED_DAMAGED', { what });
}

function field(bytes: Buffer): Buffer {
  return Buffer.concat([uint(2, bytes.length), bytes]);
}

type Reader = ReturnType<typeof readerOf>;

function readerOf(bytes: Uint8Array) {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let at = 0;

  const reader = {
    left: () => buffer.length - at,
    /** Everything that was read. */
    before: () => buffer.subarray(0, at),
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

function wrappedKeysOf(reader: Reader): WrappedKey[] {
  const count = reader.uint(2);
  if (count === 0 || count > wrappedKeysMax) throw damaged('number of wrapped keys');
  return Array.from({ length: count }, () => ({
    provider: reader.text(),
    info: reader.field(),
    wrapped: reader.field(),
  }));
}

function checkFrames(reader: Reader, frameLength: number): void {
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
