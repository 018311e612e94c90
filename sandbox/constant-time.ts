import { timingSafeEqual } from 'node:crypto';

/** Whether two texts are the same, taking as long whatever they differ in. Their lengths are not hidden. */
export function equalInConstantTime(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
