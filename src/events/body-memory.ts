import { bodyAreas } from './encoding/encoder-memory.ts';

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
/** How many hold it, of what is in use: an area of the encoder's memory, or memory of its own. */
const holders = new WeakMap<Buffer | ArrayBufferLike, number>();

/** At least so long, at most `bodyBytesUsual`; whoever asked holds it. */
export function borrowBody(bytes = bodyBytesUsual): Buffer {
  if (bytes > bodyBytesUsual) throw new RangeError('no body is so long');
  const isFew = bytes <= bodyBytesFew;
  const kept = isFew ? few : usual;
  return lent(kept.pop() ?? Buffer.allocUnsafeSlow(isFew ? bodyBytesFew : bodyBytesUsual));
}

/**
 * The same for a body that lines are encoded into: in the encoder's memory as long as there is some, so that they are not
 * copied there. That is no memory which is collected: who forgets to give it back takes it from all who encode.
 */
export function borrowDraft(bytes: number): Buffer {
  const area = bytes <= bodyBytesFew || bytes > bodyBytesUsual ? undefined : bodyAreas.borrow();
  return area === undefined ? borrowBody(bytes) : lent(area);
}

function lent(body: Buffer): Buffer {
  holders.set(memoryOf(body), 1);
  return body;
}

function memoryOf(body: Buffer): Buffer | ArrayBufferLike {
  return bodyAreas.areaOf(body) ?? body.buffer;
}

/**
 * Says that somebody more holds what was borrowed, whole or a part of it, and will give it back. Other memory is left
 * alone.
 */
export function holdBody(body: Buffer): void {
  const memory = memoryOf(body);
  const count = holders.get(memory);
  if (count !== undefined) holders.set(memory, count + 1);
}

/**
 * Gives back what was borrowed: no longer read by this holder, and used again once there is none. Whoever forgets to
 * costs a collection, never a body (but see `borrowDraft`).
 */
export function returnBody(body: Buffer): void {
  const memory = memoryOf(body);
  const count = holders.get(memory);
  if (count === undefined) return;
  if (count > 1) {
    holders.set(memory, count - 1);
    return;
  }
  holders.delete(memory);
  if (Buffer.isBuffer(memory)) bodyAreas.giveBack(memory);
  else (memory.byteLength === bodyBytesFew ? few : usual).push(Buffer.from(memory));
  keepOnly(keptMax, few);
  keepOnly(keptMax - bodyAreas.free, usual);
}

function keepOnly(most: number, kept: Buffer[]): void {
  for (const { buffer } of kept.splice(most)) {
    // At once: V8 collects the whole heap for a few of them.
    if (buffer instanceof ArrayBuffer) buffer.transfer(0);
  }
}
