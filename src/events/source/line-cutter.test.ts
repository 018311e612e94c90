import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { messageBytesMax } from '../limits.ts';
import { partBytesMax } from '../long-line.ts';
import { lineCutter } from './line-cutter.ts';
import { textFormat } from './text-format.ts';
import type { TakenLines } from './tracked-file.ts';

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

test.each([
  ['with an end and others behind it', '\n', 'short\n'.repeat(20_000)],
  ['without an end', '', ''],
])(
  'a line %s: as long as an event may be it is whole; of a longer one no byte is lost or there twice',
  (_what, end, behind) => {
    const rests = [2, partBytesMax - 1, partBytesMax, partBytesMax + 1, messageBytesMax, messageBytesMax + 1];
    const text = Buffer.from(Array.from({ length: 2 * messageBytesMax + 1 }, (_, at) => 0x20 + (at % 95)));

    for (const length of [...rests, ...rests.map((rest) => partBytesMax + rest)]) {
      const line = text.subarray(0, length - end.length);
      const all = Buffer.concat([line, Buffer.from(end + behind)]);
      const cutter = lineCutter(format, () => 'name');
      const taken: TakenLines[] = [];
      for (let at = 0; at < all.length; at += 65_536)
        taken.push(...cutter.push(all.subarray(at, at + 65_536)));
      taken.push(...cutter.end());

      expect(Buffer.concat(taken.map(({ bytes }) => bytes)).equals(all)).toBe(true);
      expect(taken.filter(({ bytes }) => bytes.length > messageBytesMax)).toEqual([]);
      const parts = taken.flatMap(({ bytes, part }) => (part === undefined ? [] : [{ bytes, part }]));
      expect(parts.length > 0).toBe(length > messageBytesMax);
      expect(parts.map(({ part }) => part)).toEqual(
        parts.map((_, at) => ({ line: 'name', number: at + 1, isLast: at === parts.length - 1 })),
      );
      expect(parts.filter(({ bytes }) => bytes.length > partBytesMax)).toEqual([]);
      const partsBytes = parts.reduce((sum, { bytes }) => sum + bytes.length, 0);
      expect(partsBytes).toBe(length > messageBytesMax ? length : 0);
    }
  },
);

test('nothing that waits is nothing at the end', () => {
  const cutter = lineCutter(format, () => 'name');

  expect(cutter.push(Buffer.from('a line\n'))).toEqual([{ bytes: Buffer.from('a line\n') }]);
  expect(cutter.end()).toEqual([]);
});
