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

/**
 * Tokens that carry their own expiry under a key of this process, so that none is remembered: whoever asks for a
 * million of them takes nobody else's away.
 */
export function metadataTokens(clock: Pick<Clock, 'monotonic'>): MetadataTokens {
  const key = randomBytes(32);
  const seal = (content: Uint8Array): Buffer => createHmac('sha256', key).update(content).digest();

  return {
    issue(seconds) {
      const content = Buffer.alloc(expiryBytes + nonceBytes);
      content.writeDoubleBE(clock.monotonic() + seconds * 1000);
      randomBytes(nonceBytes).copy(content, expiryBytes);
      return Buffer.concat([content, seal(content)]).toString('base64url');
    },

    isValid(token) {
      const bytes = Buffer.from(token, 'base64url');
      if (bytes.length !== expiryBytes + nonceBytes + sealBytes) return false;
      const content = bytes.subarray(0, expiryBytes + nonceBytes);
      const isOurs = timingSafeEqual(bytes.subarray(expiryBytes + nonceBytes), seal(content));
      return isOurs && content.readDoubleBE() > clock.monotonic();
    },
  };
}
