import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { Secret } from '../base/secret.ts';

/** The token of one consumer of the container endpoint, through its rotations. */
export interface AccessToken {
  /** A new one, which is accepted from now on beside the one that is in use. */
  propose(): Secret;
  /** The proposed one is where the consumer reads it; the one before is accepted until `retire`. */
  adopt(): void;
  /** Only the one in use is accepted from now on. */
  retire(): void;
  /** Takes the same time whatever is shown. */
  accepts(shown: string): boolean;
}

const tokenBytes = 32;

/** Only digests are kept: comparing them tells nothing of a token, and memory holds none after it was delivered. */
export function accessToken(): AccessToken {
  let current: Buffer | undefined;
  let proposed: Buffer | undefined;
  let previous: Buffer | undefined;
  /** Compared where there is nothing to compare with. */
  const nothing = randomBytes(32);

  return {
    propose() {
      const text = randomBytes(tokenBytes).toString('base64url');
      proposed = digestOf(text);
      return Secret.ofText(text);
    },

    adopt() {
      previous = current;
      current = proposed ?? current;
      proposed = undefined;
    },

    retire() {
      previous = undefined;
    },

    accepts(shown) {
      const digest = digestOf(shown);
      let isAccepted = false;
      for (const known of [current, proposed, previous]) {
        const isSame = timingSafeEqual(digest, known ?? nothing);
        isAccepted = isAccepted || isSame;
      }
      return isAccepted;
    },
  };
}

function digestOf(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}
