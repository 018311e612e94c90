import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { bodyHash } from './body-hash.ts';

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

test('a body has the hash of what it holds, also where the memory below has held another', () => {
  const memory = Buffer.alloc(16);

  const first = memory.subarray(0, memory.write('the first'));
  expect(bodyHash(first)).toBe(hashOf('the first'));
  expect(bodyHash(first)).toBe(hashOf('the first'));
  const second = memory.subarray(0, memory.write('another'));

  expect(bodyHash(second)).toBe(hashOf('another'));
});
