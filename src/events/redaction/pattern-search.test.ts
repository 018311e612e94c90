import { array, assert, constantFrom, property, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';
import { patternSearch } from './pattern-search.ts';

async function found(patterns: Record<string, string>, text: string): Promise<[string, string][]> {
  const bytes = Buffer.from(text);
  const search = await patternSearch(patterns);
  return search
    .matchesIn(bytes)
    .map(({ start, end, pattern }) => [pattern, bytes.subarray(start, end).toString('utf8')]);
}

const card = String.raw`\b\d{4}(?:[ -]?\d{4}){3}\b`;

test('finds each match of each pattern, wherever it is', async () => {
  const text = 'ü 4111 1111 1111 1111 and 4222-2222-2222-2222\nmail anna@example.org\n';

  expect(await found({ card, mail: String.raw`[a-z.]+@[a-z.]+\.[a-z]+` }, text)).toEqual([
    ['card', '4111 1111 1111 1111'],
    ['card', '4222-2222-2222-2222'],
    ['mail', 'anna@example.org'],
  ]);
});

test('the ends of a line are ^ and $, in the middle of a chunk too', async () => {
  expect(await found({ all: '^key: .*$' }, 'no key: a\nkey: b\nkey: c')).toEqual([
    ['all', 'key: b'],
    ['all', 'key: c'],
  ]);
});

test('a pattern that may go over the end of a line does so, and others do not', async () => {
  const pem = '-----BEGIN X-----\nMIGH\n-----END X-----';
  const spanning = { pem: '(?s)-----BEGIN.*?-----END X-----', word: String.raw`one\s+two` };

  expect(await found(spanning, `a ${pem} b one\ntwo\n`)).toEqual([
    ['pem', pem],
    ['word', 'one\ntwo'],
  ]);
  expect((await patternSearch(spanning)).spansLines).toBe(true);
  expect((await patternSearch({ card, rest: String.raw`token=\S+` })).spansLines).toBe(false);
});

test('nothing is not a match', async () => {
  expect(await found({ maybe: 'x?' }, 'axa')).toEqual([['maybe', 'x']]);
});

test('bytes that are no text are in nobody’s way', async () => {
  const search = await patternSearch({ word: 'é+' });

  expect(search.matchesIn(Buffer.from([0xff, 0xc3, 0xa9, 0xc3, 0xa9, 0xc3]))).toEqual([
    { start: 1, end: 5, pattern: 'word' },
  ]);
});

test('a pattern that RE2 does not have is refused', async () => {
  await expect(patternSearch({ bad: '(?=x)y' })).rejects.toMatchObject({ code: 'EVENTS_PATTERN_INVALID' });
});

test('finds in any text what RegExp finds, line by line or not', async () => {
  const pieces = constantFrom('4111', ' ', '-', '\n', '\r\n', 'x', 'token=', 'ab9', '5105105105105100');
  const patterns = { card, token: String.raw`token=[0-9a-z]+`, gap: String.raw`x\s+x` };
  const search = await patternSearch(patterns);

  assert(
    property(array(pieces, { maxLength: 40 }), (texts) => {
      const text = texts.join('');
      const expected = Object.entries(patterns).flatMap(([pattern, source]) =>
        [...text.matchAll(RegExp(source, 'gm'))].map(({ 0: all, index }) => ({
          start: index,
          end: index + all.length,
          pattern,
        })),
      );
      expect(search.matchesIn(Buffer.from(text))).toEqual(expected);
    }),
  );
});

test('no bytes make it fail, and every match is inside them', async () => {
  const search = await patternSearch({ any: '[^a]+', line: '.+', wide: String.raw`\pL+` });

  assert(
    property(uint8Array({ maxLength: 200 }), (bytes) => {
      for (const { start, end } of search.matchesIn(Buffer.from(bytes))) {
        expect(start).toBeLessThan(end);
        expect(end).toBeLessThanOrEqual(bytes.length);
      }
    }),
  );
});
