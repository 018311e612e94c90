import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { lastLine } from './last-line.ts';

test.each([
  [['one\ntwo\n'], 'two'],
  [['one\nt', 'wo'], 'two'],
  [['one\n', '\n', ' \r\n'], 'one'],
  [['longer than ten\n'], 'longer tha'],
  [['longer', ' than ten'], 'longer tha'],
  [['longer than ten', '\nshort\n'], 'short'],
  [[], ''],
] as const)('of %j it is %j', (pieces, expected) => {
  const last = lastLine(10);

  for (const piece of pieces) last.push(Buffer.from(piece));

  expect(last.line().toString()).toBe(expected);
});

test('it is the same however the text is cut into pieces', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('a', ' ', '\n', 'bb\n')), fc.nat(5), (parts, at) => {
      const [whole, cut] = [lastLine(4), lastLine(4)];
      const text = Buffer.from(parts.join(''));

      whole.push(text);
      for (const piece of [text.subarray(0, at), text.subarray(at)]) cut.push(piece);

      expect(cut.line()).toEqual(whole.line());
    }),
  );
});
