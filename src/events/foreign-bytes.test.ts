import { isUtf8 } from 'node:buffer';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { escapeForeign, foreignGrowth, isPlainText, originalBytes } from './foreign-bytes.ts';

const bytes = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 6 }),
      fc.string({ unit: 'binary', maxLength: 3 }).map((text) => new Uint8Array(Buffer.from(text))),
      fc
        .constantFrom('\uef80', '\uefff\n', '\uee80', 'aü😀')
        .map((text) => new Uint8Array(Buffer.from(text))),
    ),
    { maxLength: 20 },
  )
  .map((parts) => Buffer.concat(parts));

test('whatever bytes come in, text goes out, and the same bytes can be had back', () => {
  fc.assert(
    fc.property(bytes, (original) => {
      const { bytes: text } = escapeForeign(original);

      expect(isUtf8(text)).toBe(true);
      expect(originalBytes(text.toString()).equals(original)).toBe(true);
      expect(text.length).toBeLessThanOrEqual(foreignGrowth * original.length);
    }),
    { numRuns: 3000 },
  );
});

test('text stays as it is, but for the characters that stand for bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const plain = Buffer.from(text);

      expect(isPlainText(plain)).toBe(!/[\uef80-\uefff]/u.test(text));
      expect(escapeForeign(plain).bytes.equals(plain)).toBe(isPlainText(plain));
    }),
  );
  expect(isPlainText(Buffer.from('\uef7f\uf000'))).toBe(true);
  expect(isPlainText(Buffer.from('a\uef80'))).toBe(false);
});

test('says of how many lines something had to be escaped', () => {
  const line = Buffer.from([0x61, 0xff, 0x0a]);

  expect(escapeForeign(Buffer.from('a\nb\n')).lines).toBe(0);
  expect(escapeForeign(Buffer.concat([line, Buffer.from('a\n'), line, Buffer.from('b\n\uef80')])).lines).toBe(
    3,
  );
});
