/**
 * Memory for the bodies of full batches, used again. Fresh memory costs as much as what is written into it: its pages,
 * and a collection of the whole heap for every ten of them.
 */
export const bodyBytesUsual = 1.5 * 2 ** 20;
/** Kept while nobody needs them. In use there are as many as batches are being filled, spooled and sent. */
const keptMax = 4;

const kept: Buffer[] = [];
/** What may come back. */
const lent = new WeakSet<ArrayBufferLike>();

/** `bodyBytesUsual` long. */
export function borrowBody(): Buffer {
  const body = kept.pop() ?? Buffer.allocUnsafeSlow(bodyBytesUsual);
  lent.add(body.buffer);
  return body;
}

/** Gives back what was borrowed, whole or a part of it, once nobody reads it any more. Other memory is left alone. */
export function returnBody(body: Buffer): void {
  if (!lent.delete(body.buffer) || kept.length === keptMax) return;
  kept.push(Buffer.from(body.buffer));
}
