import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { page } from './page.ts';

const invalid = () => new Error('invalid token');

describe('paging', () => {
  it('the pages together are the whole, each within its limit', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string()), fc.integer({ min: 1, max: 5 }), (items, limit) => {
        const seen: string[] = [];
        let token: string | undefined;
        do {
          const shown = page(items, String, limit, token, invalid);
          expect(shown.items.length).toBeLessThanOrEqual(limit);
          seen.push(...shown.items);
          token = shown.next;
        } while (token !== undefined);

        expect(seen).toEqual(items);
      }),
    );
  });

  it('a token that names no item is refused', () => {
    expect(() => page(['a'], String, 1, 'nonsense', invalid)).toThrow('invalid token');
  });
});
