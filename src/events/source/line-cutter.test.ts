import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { partBytesMax } from '../long-line.ts';
import { lineCutter } from './line-cutter.ts';
import { textFormat } from './text-format.ts';

const { format } = textFormat('utf-8', Buffer.alloc(0));

test('whatever the pieces are, their lines are those of the whole', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: fc.constantFrom('a', '\n', 'ü'), maxLength: 8 })), (pieces) => {
      const cutter = lineCutter(format, () => 'name');

      const taken = [...pieces.flatMap((each) => cutter.push(Buffer.from(each))), ...cutter.end()];

      const whole = pieces.join('');
      expect(taken.map(({ bytes }) => bytes.toString()).join('')).toBe(whole);
      expect(taken.slice(0, -1).every(({ bytes }) => bytes.at(-1) === 0x0a)).toBe(true);
      expect(cutter.heldBytes).toBe(0);
    }),
  );
});

test('a long line comes in marked parts as it grows, and holds no more than one event', () => {
  const cutter = lineCutter(format, () => 'name');
  const piece = Buffer.alloc(100_000, 'x');
  const parts: unknown[] = [];
  let heldMax = 0;
  for (let each = 0; each < 25; each += 1) {
    parts.push(...cutter.push(piece).map(({ part }) => part));
    heldMax = Math.max(heldMax, cutter.heldBytes);
  }
  parts.push(...cutter.push(Buffer.from('x\nshort\n')).map(({ part }) => part));

  expect(heldMax).toBeLessThanOrEqual(partBytesMax + 64);
  expect(parts).toEqual([
    { line: 'name', number: 1, isLast: false },
    { line: 'name', number: 2, isLast: false },
    { line: 'name', number: 3, isLast: true },
    undefined,
  ]);
});
