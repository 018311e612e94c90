import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseJson } from './json.ts';

const notJson = Symbol('not JSON');

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return notJson;
  }
}

describe('parsing JSON', () => {
  it.each([
    ['{"a": 1', { line: 1, column: 8, fault: 'ends-early' }],
    ['', { line: 1, column: 1, fault: 'ends-early' }],
    ['{\n  "a": canary\n}', { line: 2, column: 8, fault: 'syntax' }],
    ['{"a": "x', { line: 1, column: 9, fault: 'ends-early' }],
    ['{"a": "x\n"}', { line: 1, column: 9, fault: 'syntax' }],
    ['{"a": "\\x"}', { line: 1, column: 8, fault: 'syntax' }],
    ['[1,]', { line: 1, column: 4, fault: 'syntax' }],
    ['{"a":1,}', { line: 1, column: 8, fault: 'syntax' }],
    ['{}{}', { line: 1, column: 3, fault: 'syntax' }],
    ['[1}', { line: 1, column: 3, fault: 'syntax' }],
    ['{"a":1,"b":{"a":1},\n"a":2}', { line: 2, column: 1, fault: 'duplicate-key' }],
    ['{"a":1,"\\u0061":2}', { line: 1, column: 8, fault: 'duplicate-key' }],
    ['{"a":{"__proto__":1}}', { line: 1, column: 7, fault: 'forbidden-key' }],
    ['01', { line: 1, column: 1, fault: 'syntax' }],
  ])('%j has a fault', (text, fault) => {
    expect(parseJson(text)).toEqual(fault);
  });

  it('depth costs no stack', () => {
    expect(parseJson('['.repeat(200_000))).toMatchObject({ fault: 'ends-early' });
  });

  it('agrees with JSON.parse on what is JSON', () => {
    const written = fc.json();
    const broken = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom('', '"', '}', ',', '\\', '1', 'e', ':', '-', '.', '\u0000'))
      .map(([text, at, insert]) => {
        const place = at % (text.length + 1);
        return text.slice(0, place) + insert + text.slice(place + 1);
      });

    fc.assert(
      fc.property(fc.oneof(written, broken, fc.string()), (text) => {
        const parsed = parseJson(text);

        fc.pre('value' in parsed || !parsed.fault.endsWith('-key'));
        expect('value' in parsed ? parsed.value : notJson).toEqual(jsonOf(text));
      }),
      { numRuns: 2000 },
    );
  });
});
