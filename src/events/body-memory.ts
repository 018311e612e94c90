/**
 * Memory for the bodies of full batches, used again. Fresh memory costs as much as what is written into it: its pages,
 * and a collection of the whole heap for every ten of them.
 */
export const bodyBytesUsual = 1.5 * 2 ** 20;
/** Of batches that were due before they were full, where many streams have some: in a quarter of the memory. */
export const bodyBytesFew = 384 * 1024;
/** Kept of each length while nobody needs them. In use there are as many as batches are being filled, spooled and sent. */
const keptMax = 8;

const few: Buffer[] = [];
const usual: Buffer[] = [];
/** How many hold it, of what is in use. */
const holders = new WeakMap<ArrayBufferLike, number>();

/** At least so long, at most `bodyBytesUsual`; whoever asked holds it. */
export function borrowBody(bytes = bodyBytesUsual): Buffer {
  if (bytes > bodyBytesUsual) throw new RangeError('no body is so long');
  const isFew = bytes <= bodyBytesFew;
  const body = (isFew ? few : usual).pop() ?? Buffer.allocUnsafeSlow(isFew ? bodyBytesFew : bodyBytesUsual);
  holders.set(body.buffer, 1);
  return body;
}

/**
 * Says that somebody more holds what was borrowed, whole or a part of it, and will give it back. Other memory is left
 * alone.
 */
export function holdBody(body: Buffer): void {
  const count = holders.get(body.buffer);
  if (count !== undefined) holders.set(body.buffer, count + 1);
}

/**
 * Gives back what was borrowed: no longer read by this holder, and used again once there is none. Whoever forgets to
 * costs a collection, never a body.
 */
export function returnBody(body: Buffer): void {
  const { buffer } = body;
  const count = holders.get(buffer);
  if (count === undefined) return;
  if (count > 1) {
    holders.set(buffer, count - 1);
    return;
  }
  holders.delete(buffer);
  const kept = buffer.byteLength === bodyBytesFew ? few : usual;
  if (kept.length < keptMax) kept.push(Buffer.from(buffer));
  // At once: V8 collects the whole heap for a few of them.
  else if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}
