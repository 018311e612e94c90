import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Secret } from '../../base/secret.ts';
import { eventsError } from '../errors.ts';
import { sealBytes } from './record.ts';

const algorithm = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = sealBytes - nonceBytes;
/**
 * What goes through the cipher at once. The cipher makes a buffer for each piece, which is given back at once: so the
 * next has the same memory, still in the processor's cache, and the garbage collector hears nothing of it. 0.18 ms/MB,
 * the copy included; 0.34 when buffers are left to be collected, and 0.49 in one piece.
 */
const pieceBytes = 64 * 1024;

/** Seals what the spool keeps. `context` binds sealed bytes to their place: elsewhere they do not open. */
export interface SpoolSeal {
  /** Writes the sealed bytes, as many as there are of `bytes`, to `into` at `at`; returns nonce and tag. */
  seal(bytes: Buffer, context: string, into: Buffer, at: number): Uint8Array;
  /** Opens in place: what was sealed is there no more, whether or not it opens. @throws EVENTS_SPOOL_DAMAGED */
  open(sealed: Buffer, seal: Uint8Array, context: string): Buffer;
}

/** AES-256-GCM under a key of 32 bytes, with a random nonce. */
export function spoolSeal(dataKey: Secret): SpoolSeal {
  if (dataKey.length !== 32) throw new RangeError('the data key of the spool must have 32 bytes');

  return {
    seal(bytes, context, into, at) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv(algorithm, dataKey.revealBytes(), nonce);
      cipher.setAAD(Buffer.from(context));
      inPieces(cipher, bytes, into, at);
      cipher.final();
      return Buffer.concat([nonce, cipher.getAuthTag()]);
    },

    open(sealed, seal, context) {
      if (seal.length !== sealBytes) throw eventsError('EVENTS_SPOOL_DAMAGED', { context });
      try {
        const decipher = createDecipheriv(algorithm, dataKey.revealBytes(), seal.subarray(0, nonceBytes), {
          authTagLength: tagBytes,
        });
        decipher.setAAD(Buffer.from(context));
        decipher.setAuthTag(seal.subarray(nonceBytes));
        inPieces(decipher, sealed, sealed, 0);
        decipher.final();
        return sealed;
      } catch (error) {
        throw eventsError('EVENTS_SPOOL_DAMAGED', { context }, error);
      }
    },
  };
}

function inPieces(
  cipher: { update(piece: Uint8Array): Buffer },
  bytes: Uint8Array,
  into: Buffer,
  at: number,
): void {
  for (let from = 0; from < bytes.length; from += pieceBytes) {
    const made = cipher.update(bytes.subarray(from, from + pieceBytes));
    made.copy(into, at + from);
    giveBack(made);
  }
}

/** Frees the memory of a buffer at once, where it has that for itself alone. */
function giveBack({ buffer, length }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0);
}
