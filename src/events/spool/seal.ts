import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Secret } from '../../base/secret.ts';
import { eventsError } from '../errors.ts';

const algorithm = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;

export interface Sealed {
  /** As long as what was sealed. */
  readonly ciphertext: Uint8Array;
  /** Nonce (12 bytes) and tag (16). */
  readonly seal: Uint8Array;
}

/** Seals what the spool keeps. `context` binds sealed bytes to their place: elsewhere they do not open. */
export interface SpoolSeal {
  seal(bytes: Buffer, context: string): Sealed;
  /** @throws EVENTS_SPOOL_DAMAGED */
  open(sealed: Sealed, context: string): Buffer;
}

/** AES-256-GCM under a key of 32 bytes, with a random nonce. */
export function spoolSeal(dataKey: Secret): SpoolSeal {
  if (dataKey.length !== 32) throw new RangeError('the data key of the spool must have 32 bytes');

  return {
    seal(bytes, context) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv(algorithm, dataKey.revealBytes(), nonce);
      cipher.setAAD(Buffer.from(context));
      // The ciphertext is stored as it comes: joining nonce and tag to it would copy a megabyte for each batch.
      const ciphertext = cipher.update(bytes);
      cipher.final();
      return { ciphertext, seal: Buffer.concat([nonce, cipher.getAuthTag()]) };
    },

    open({ ciphertext, seal }, context) {
      if (seal.length !== nonceBytes + tagBytes) throw eventsError('EVENTS_SPOOL_DAMAGED', { context });
      try {
        const nonce = seal.subarray(0, nonceBytes);
        const decipher = createDecipheriv(algorithm, dataKey.revealBytes(), nonce, {
          authTagLength: tagBytes,
        });
        decipher.setAAD(Buffer.from(context));
        decipher.setAuthTag(seal.subarray(nonceBytes));
        const opened = decipher.update(ciphertext);
        decipher.final();
        return opened;
      } catch (error) {
        throw eventsError('EVENTS_SPOOL_DAMAGED', { context }, error);
      }
    },
  };
}
