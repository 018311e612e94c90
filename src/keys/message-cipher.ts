import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../base/secret.ts';
import {
  commitmentLength,
  damaged,
  finalFrameMark,
  headerBytes,
  headerBytesMax,
  ivLength,
  type MessageHeader,
  messageIdLength,
  parseHeader,
  suiteId,
  tagLength,
  uint,
  type WrappedKey,
} from './sealed-message.ts';
import type { SealContext } from './sealer.ts';

/** Bytes, in pieces of any length. */
export type ByteStream = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** A new data key with the ways to it that the message will name. */
export interface NewDataKey {
  /** 32 random bytes, used for one message; disposed of here. */
  readonly dataKey: Secret;
  readonly wrappedKeys: readonly WrappedKey[];
}

/** What a frame of ours holds; any reader takes any length. 4 KiB, the SDK's own, halves the speed of large files. */
const frameLength = 64 * 1024;

const algorithm = 'aes-256-gcm';
/** Labels of the suite's key derivation: https://docs.aws.amazon.com/encryption-sdk/latest/developer-guide/algorithms-reference.html */
const keyLabel = Buffer.concat([uint(2, suiteId), Buffer.from('DERIVEKEY')]);
const commitmentLabel = Buffer.from('COMMITKEY');
/** What says in a frame's authenticated data which kind it is: .../developer-guide/body-aad-reference.html */
const frameKind = Buffer.from('AWSKMSEncryptionClient Frame');
const finalFrameKind = Buffer.from('AWSKMSEncryptionClient Final Frame');
const headerIv = Buffer.alloc(ivLength);

/**
 * Writes a message of the suite 0x0478 in constant memory. The pieces of plaintext are the caller's; what was copied of
 * them is overwritten.
 */
export async function* sealMessage(
  plaintext: ByteStream,
  context: SealContext,
  { dataKey, wrappedKeys }: NewDataKey,
): AsyncGenerator<Buffer> {
  const messageId = randomBytes(messageIdLength);
  const { key, commitment } = derived(dataKey, messageId);
  try {
    const header = headerBytes({ messageId, context, wrappedKeys, frameLength, commitment });
    yield Buffer.concat([header, headerTag(key, header)]);

    // One frame is held back: the last one is marked, and an empty one is written only where there is nothing at all.
    // Most secrets come in one piece: room for a whole frame is made when it is needed.
    let held: Buffer = Buffer.alloc(0);
    let filled = 0;
    let number = 1;
    try {
      for await (const piece of plaintext) {
        for (let at = 0; at < piece.length; ) {
          if (filled === frameLength) {
            yield frameOf(key, messageId, number, held, false);
            number += 1;
            filled = 0;
          }
          const taken = Math.min(frameLength - filled, piece.length - at);
          if (filled + taken > held.length) held = grown(held, filled, taken);
          held.set(piece.subarray(at, at + taken), filled);
          filled += taken;
          at += taken;
        }
      }
      yield frameOf(key, messageId, number, held.subarray(0, filled), true);
    } finally {
      held.fill(0);
    }
  } finally {
    key.fill(0);
  }
}

/** A message whose header was read, and no more. */
export interface MessageIn {
  readonly header: MessageHeader;
  /**
   * Opens it frame by frame, in constant memory; once. **A piece is verified, the message is not until the last piece was
   * given**: whoever hands pieces on earlier has read the whole message before. The pieces are the caller's, to
   * overwrite. The data key is disposed of here.
   * @throws SEALED_DAMAGED
   */
  open(dataKey: Secret): AsyncGenerator<Buffer>;
  /** Ends reading where it was not opened. */
  close(): Promise<void>;
}

/** Reads the header of a message. @throws SEALED_FORMAT_UNKNOWN, SEALED_DAMAGED */
export async function messageIn(sealed: ByteStream): Promise<MessageIn> {
  const source = takingFrom(sealed);
  const header = parseHeader(await source.peek(headerBytesMax));
  return { header, open: (dataKey) => opened(source, header, dataKey), close: () => source.close() };
}

/**
 * Opens a message as `MessageIn.open`. `unwrap` is asked for the data key once the header was read, and may refuse it.
 * @throws SEALED_FORMAT_UNKNOWN, SEALED_DAMAGED, and what `unwrap` throws
 */
export async function* openMessage(
  sealed: ByteStream,
  unwrap: (header: MessageHeader) => Promise<Secret>,
): AsyncGenerator<Buffer> {
  const message = await messageIn(sealed);
  yield* message.open(await unwrap(message.header));
}

async function* opened(
  source: ReturnType<typeof takingFrom>,
  header: MessageHeader,
  dataKey: Secret,
): AsyncGenerator<Buffer> {
  const { key, commitment } = derived(dataKey, header.messageId);
  try {
    if (!timingSafeEqual(commitment, header.commitment)) throw damaged('key commitment');
    if (!timingSafeEqual(headerTag(key, header.authenticated), header.tag)) throw damaged('header');
    await source.take(header.length);

    for (let expected = 1; ; expected += 1) {
      const first = (await source.take(4)).readUInt32BE();
      const isFinal = first === finalFrameMark;
      const number = isFinal ? (await source.take(4)).readUInt32BE() : first;
      if (number !== expected) throw damaged('frame number');
      const iv = await source.take(ivLength);
      const length = isFinal ? (await source.take(4)).readUInt32BE() : header.frameLength;
      if (length > header.frameLength) throw damaged('length of the last frame');
      const body = await source.take(length + tagLength);
      const plaintext = openedFrame(key, iv, frameAad(header.messageId, number, length, isFinal), body);
      if (isFinal && (await source.peek(1)).length > 0) throw damaged('bytes after the end');
      if (plaintext.length > 0) yield plaintext;
      if (isFinal) return;
    }
  } finally {
    key.fill(0);
    await source.close();
  }
}

/** Room for the first piece, or for a whole frame, with what is held; the smaller one is overwritten. */
function grown(held: Buffer, filled: number, taken: number): Buffer {
  const larger = Buffer.allocUnsafe(filled === 0 ? taken : frameLength);
  held.copy(larger, 0, 0, filled);
  held.fill(0);
  return larger;
}

/** The key of the content and what commits to it. Overwrites the data key, which has no further use. */
function derived(dataKey: Secret, messageId: Buffer): { key: Buffer; commitment: Buffer } {
  const from = (info: Buffer, length: number) =>
    Buffer.from(hkdfSync('sha512', dataKey.revealBytes(), messageId, info, length));
  const both = { key: from(keyLabel, 32), commitment: from(commitmentLabel, commitmentLength) };
  dataKey.dispose();
  return both;
}

function headerTag(key: Buffer, header: Buffer): Buffer {
  const cipher = createCipheriv(algorithm, key, headerIv).setAAD(header);
  cipher.final();
  return cipher.getAuthTag();
}

function frameOf(key: Buffer, messageId: Buffer, number: number, content: Buffer, isFinal: boolean): Buffer {
  // Each message has a key of its own, so the number of the frame is a nonce.
  const iv = Buffer.alloc(ivLength);
  iv.writeUInt32BE(number, ivLength - 4);
  const cipher = createCipheriv(algorithm, key, iv).setAAD(
    frameAad(messageId, number, content.length, isFinal),
  );
  const sealed = cipher.update(content);
  cipher.final();
  const start = isFinal
    ? [uint(4, finalFrameMark), uint(4, number), iv, uint(4, content.length)]
    : [uint(4, number), iv];
  return Buffer.concat([...start, sealed, cipher.getAuthTag()]);
}

function openedFrame(key: Buffer, iv: Buffer, aad: Buffer, body: Buffer): Buffer {
  const decipher = createDecipheriv(algorithm, key, iv, { authTagLength: tagLength })
    .setAAD(aad)
    .setAuthTag(body.subarray(-tagLength));
  const plaintext = decipher.update(body.subarray(0, -tagLength));
  try {
    decipher.final();
    return plaintext;
  } catch {
    plaintext.fill(0);
    throw damaged('content');
  }
}

function frameAad(messageId: Buffer, number: number, length: number, isFinal: boolean): Buffer {
  return Buffer.concat([
    messageId,
    isFinal ? finalFrameKind : frameKind,
    uint(4, number),
    uint(4, 0),
    uint(4, length),
  ]);
}

/** Takes exact lengths from pieces of any length. */
function takingFrom(stream: ByteStream) {
  const pieces = Symbol.asyncIterator in stream ? stream[Symbol.asyncIterator]() : stream[Symbol.iterator]();
  let pending: Buffer = Buffer.alloc(0);
  let hasEnded = false;

  /** Has at least `length` bytes pending, or all there are. */
  async function fill(length: number): Promise<void> {
    if (pending.length >= length) return;
    const more = [pending];
    for (let filled = pending.length; filled < length && !hasEnded; ) {
      const next = await pieces.next();
      if (next.done === true) {
        hasEnded = true;
      } else {
        const { value } = next;
        more.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
        filled += value.length;
      }
    }
    pending = Buffer.concat(more);
  }

  return {
    /** Up to `length` bytes, which stay. */
    async peek(length: number): Promise<Buffer> {
      await fill(length);
      return pending.subarray(0, length);
    },
    async take(length: number): Promise<Buffer> {
      await fill(length);
      if (pending.length < length) throw damaged('cut short');
      const taken = pending.subarray(0, length);
      pending = pending.subarray(length);
      return taken;
    },
    async close(): Promise<void> {
      await pieces.return?.();
    },
  };
}
