import { hash } from 'node:crypto';

/** By the view that a body is: the memory below is used again for others, each with a view of its own. */
const hashes = new WeakMap<Buffer, string>();

/**
 * SHA-256 of a body, in hex, as its signature has it. Remembered as long as the body: it is asked for when there is time,
 * not only between an answer and the next call.
 */
export function bodyHash(body: Buffer): string {
  const known = hashes.get(body) ?? hash('sha256', body, 'hex');
  hashes.set(body, known);
  return known;
}
