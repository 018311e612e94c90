import { expect, test } from 'vitest';
import { pieces, piecesMax } from './pieces.ts';

test('what comes byte by byte is whole in the end, and never lies in many pieces', () => {
  const text = 'one after the other, '.repeat(100);
  const held = pieces();
  let most = 0;

  for (const byte of Buffer.from(text)) {
    held.add(Buffer.from([byte]));
    most = Math.max(most, held.count);
  }

  expect(held.joined().toString()).toBe(text);
  expect(held.bytes).toBe(text.length);
  expect(most).toBe(piecesMax);
});

test('one piece is not copied', () => {
  const piece = Buffer.from('one');

  expect(pieces(piece).joined()).toBe(piece);
  expect(pieces().joined()).toHaveLength(0);
});
