import { assert, constantFrom, property, string, uniqueArray } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { needleSearch } from './needle-search.ts';

// Few letters, so that needles overlap, repeat and begin alike.
const word = (minLength: number, maxLength: number) =>
  string({ unit: constantFrom('a', 'b', 'c'), minLength, maxLength });

describe('needleSearch', () => {
  test('finds the first place and the longest needle there', () => {
    const search = needleSearch(['abcdefgh', 'abcdefghij', 'cdefghijkl'].map((text) => Buffer.from(text)));
    const text = Buffer.from('..abcdefghijkl..');

    expect(search.next(text, 0)).toEqual({ start: 2, end: 12, needle: 1 });
    expect(search.next(text, 3)).toEqual({ start: 4, end: 14, needle: 2 });
    expect(search.next(text, 5)).toBeUndefined();
  });

  test('without needles there is nothing to find', () => {
    expect(needleSearch([]).next(Buffer.from('anything'), 0)).toBeUndefined();
    expect(needleSearch([]).isIn(Buffer.from('anything'))).toBe(false);
  });

  test('finds what a search for each needle would', () => {
    assert(
      property(uniqueArray(word(3, 40), { minLength: 1, maxLength: 12 }), word(0, 300), (words, text) => {
        const needles = words.map((each) => Buffer.from(each));
        const bytes = Buffer.from(text);
        const search = needleSearch(needles);
        expect(search.isIn(bytes)).toBe(needles.some((needle) => bytes.includes(needle)));
        for (let from = 0; from <= bytes.length; from += 1) {
          const starts = needles.map((needle) => bytes.indexOf(needle, from)).filter((at) => at >= 0);
          const start = Math.min(...starts);
          const longest = words
            .filter((each) => text.startsWith(each, start))
            .reduce((best, each) => Math.max(best, each.length), 0);
          const found = search.next(bytes, from);
          expect(found && { start: found.start, end: found.end }).toEqual(
            starts.length === 0 ? undefined : { start, end: start + longest },
          );
        }
      }),
      { numRuns: 300 },
    );
  });
});
