import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../base/clock.ts';

/** Session tokens of instance metadata, version 2. */
export interface MetadataTokens {
  issue(seconds: number): string;
  isValid(token: string): boolean;
}

/** EC2's limits for `X-aws-ec2-metadata-token-ttl-seconds`. */
export const tokenSecondsMin = 1;
export const tokenSecondsMax = 21_600;

const expiryBytes = 8;
const nonceBytes = 16;
const sealBytes = 32;
const tokenBytes = expiryBytes + nonceBytes + sealBytes;

/** Programs show one token for hours: these need no seal to be made again, which takes longer than all else here. */
const acceptedMax = 8;

/**
 * Tokens that carry their own expiry under a key of this process, so that none is remembered: whoever asks for a
 * million of them takes nobody else's away.
 */
export function metadataTokens(clock: Pick<Clock, 'monotonic'>): MetadataTokens {
  const key = randomBytes(32);
  const seal = (content: Uint8Array): Buffer => createHmac('sha256', key).update(content).digest();
  /** Those accepted of late, whole, in the order of a ring. */
  const accepted: Buffer[] = [];
  let next = 0;

  /** Takes the same time wherever it stands, and where it is none of them. */
  function isAccepted(token: Buffer): boolean {
    let isKnown = false;
    for (const known of accepted) {
      const isSame = timingSafeEqual(known, token);
      isKnown = isKnown || isSame;
    }
    return isKnown;
  }

  function isSealed(token: Buffer): boolean {
    const content = token.subarray(0, expiryBytes + nonceBytes);
    return timingSafeEqual(token.subarray(expiryBytes + nonceBytes), seal(content));
  }

  return {
    issue(seconds) {
      const content = Buffer.alloc(expiryBytes + nonceBytes);
      content.writeDoubleBE(clock.monotonic() + seconds * 1000);
      randomBytes(nonceBytes).copy(content, expiryBytes);
      return Buffer.concat([content, seal(content)]).toString('base64url');
    },

    isValid(token) {
      const bytes = Buffer.from(token, 'base64url');
      if (bytes.length !== tokenBytes) return false;
      if (!isAccepted(bytes)) {
        if (!isSealed(bytes)) return false;
        accepted[next] = bytes;
        next = (next + 1) % acceptedMax;
      }
      return bytes.readDoubleBE() > clock.monotonic();
    },
  };
}
