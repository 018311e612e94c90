import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Secret } from '../../base/secret.ts';
import { eventsError } from '../errors.ts';
import { sealBytes } from './record.ts';

const algorithm = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = sealBytes - nonceBytes;
/**
 * What goes through the cipher at once. The cipher makes a buffer for each piece, and one of a megabyte is fresh memory
 * each time: 0.26 ms/MB this way, the copy included, and 0.78 in one piece.
 */
const pieceBytes = 64 * 1024;

/** Seals what the spool keeps. `context` binds sealed bytes to their place: elsewhere they do not open. */
export interface SpoolSeal {
  /** Writes the sealed bytes, as many as there are of `bytes`, to `into` at `at`; returns nonce and tag. */
  seal(bytes: Buffer, context: string, into: Buffer, at: number): Uint8Array;
  /** @throws EVENTS_SPOOL_DAMAGED */
  open(sealed: Uint8Array, seal: Uint8Array, context: string): Buffer;
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
        const opened = Buffer.allocUnsafeSlow(sealed.length);
        inPieces(decipher, sealed, opened, 0);
        decipher.final();
        return opened;
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
    cipher.update(bytes.subarray(from, from + pieceBytes)).copy(into, at + from);
  }
}
