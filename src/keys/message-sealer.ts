import { Secret } from '../base/secret.ts';
import { keysError } from './errors.ts';
import type { KeyName, Keyring, Unwrapper } from './keyring.ts';
import { type ByteStream, openMessage, sealMessage } from './message-cipher.ts';
import { damaged, parseSealedMessage } from './sealed-message.ts';
import { type Opener, type SealContext, type Sealer, sealedBytesMax } from './sealer.ts';

/** What is added to a message of the longest plaintext: its header, and number and tag of every frame. */
const overheadBytesMax = 256 * 1024;

/** Seals whole buffers as Encryption SDK messages, under whatever keeps the data keys. */
export function messageSealer(keyring: Keyring): Sealer {
  return {
    ...messageOpener(keyring),
    seal: (bytes, context, signal) => sealBytes(bytes, context, keyring, signal),
  };
}

/** Seals a whole buffer. @throws as `Sealer.seal` */
export async function sealBytes(
  bytes: Uint8Array,
  context: SealContext,
  keyring: Pick<Keyring, 'wrap'>,
  signal: AbortSignal,
): Promise<Buffer> {
  if (bytes.length > sealedBytesMax - overheadBytesMax) {
    throw keysError('SEALED_TOO_LARGE', { bytes: bytes.length, bytesMax: sealedBytesMax });
  }
  signal.throwIfAborted();
  const dataKey = await keyring.wrap(context, signal);
  return joined(sealMessage([bytes], context, dataKey));
}

export function messageOpener(unwrapper: Unwrapper): Opener {
  return {
    open: async (sealed, context, signal) => (await openBytes(sealed, context, unwrapper, signal)).bytes,
  };
}

/**
 * Opens a whole message, with the key that opened it.
 * @throws as `Opener.open`
 */
export async function openBytes(
  sealed: Uint8Array,
  context: SealContext,
  unwrapper: Unwrapper,
  signal: AbortSignal,
): Promise<{ bytes: Buffer; openedBy: KeyName }> {
  // Its whole structure, before anything is asked of KMS.
  parseSealedMessage(sealed);
  const opening = openStream([sealed], (claimed) => requireSameContext(claimed, context), unwrapper, signal);
  const pieces: Buffer[] = [];
  try {
    for await (const piece of opening.pieces) pieces.push(piece);
    const bytes = Buffer.concat(pieces);
    return { bytes, openedBy: opening.openedBy() };
  } finally {
    for (const piece of pieces) piece.fill(0);
  }
}

/** `buffer` of node:stream/consumers goes by way of a Blob, which costs more than sealing a small secret. */
async function joined(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

/** A message that is being opened. */
export interface Opening {
  /** As `openMessage` gives them: the message is not verified before the last one was. */
  readonly pieces: AsyncGenerator<Buffer>;
  /** The key that opened it; known from the first piece on. */
  openedBy(): KeyName;
}

/** Opens a message of any length. `accept` refuses, by throwing, what was sealed for another use. */
export function openStream(
  sealed: ByteStream,
  accept: (claimed: SealContext) => void,
  unwrapper: Unwrapper,
  signal: AbortSignal,
): Opening {
  signal.throwIfAborted();
  let openedBy: KeyName | undefined;
  const pieces = openMessage(sealed, async (header) => {
    accept(header.context);
    const unwrapped = await unwrapper.unwrap(header, signal);
    openedBy = unwrapped.openedBy;
    return unwrapped.dataKey;
  });
  return {
    pieces,
    openedBy() {
      if (openedBy === undefined) throw new TypeError('asked who opened a message before it was read');
      return openedBy;
    },
  };
}

/**
 * Opens a message that can be read twice, and gives out nothing before all of it was verified. Constant memory, and one
 * call to whoever keeps the key.
 */
export async function openVerified(
  sealed: () => ByteStream,
  accept: (claimed: SealContext) => void,
  unwrapper: Unwrapper,
  signal: AbortSignal,
): Promise<Opening> {
  let kept: Secret | undefined;
  let messageId: Buffer | undefined;
  const keeping: Unwrapper = {
    async unwrap(header, sig) {
      const unwrapped = await unwrapper.unwrap(header, sig);
      messageId = Buffer.from(header.messageId);
      kept = Secret.ofBytes(unwrapped.dataKey.revealBytes());
      return unwrapped;
    },
  };
  const first = openStream(sealed(), accept, keeping, signal);
  try {
    for await (const piece of first.pieces) {
      piece.fill(0);
      signal.throwIfAborted();
    }
  } catch (error) {
    kept?.dispose();
    throw error;
  }
  const again: Unwrapper = {
    async unwrap(header) {
      if (kept === undefined || messageId?.equals(header.messageId) !== true)
        throw damaged('another message');
      return { dataKey: kept, openedBy: first.openedBy() };
    },
  };
  const second = openStream(sealed(), accept, again, signal);
  return { pieces: second.pieces, openedBy: () => first.openedBy() };
}

function requireSameContext(actual: SealContext, expected: SealContext): void {
  const keys = new Set([...Object.keys(actual), ...Object.keys(expected)]);
  const differing = [...keys].filter((key) => actual[key] !== expected[key]);
  if (differing.length > 0) throw keysError('SEALED_CONTEXT_MISMATCH', { differing });
}
