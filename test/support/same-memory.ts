/** Whether two buffers begin at the same byte of the same memory. */
export function isSameMemory(one: Buffer, other: Buffer): boolean {
  return one.buffer === other.buffer && one.byteOffset === other.byteOffset;
}
