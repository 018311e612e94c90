import { assert, dictionary, jsonValue, property, string } from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson } from './canonical-json.ts';

test('the form is that of RFC 8785: its own example', () => {
  const value: unknown = JSON.parse(
    String.raw`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`,
  );

  expect(canonicalJson(value)).toBe(
    String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
  );
});

test('members are sorted by their UTF-16 code units, at every depth', () => {
  expect(
    canonicalJson({ '\u20ac': 1, '\r': 2, '\ud83d\ude00': 3, '\u0080': 4, b: [{ d: 1, c: 2 }], 1: 5 }),
  ).toBe('{"\\r":2,"1":5,"b":[{"c":2,"d":1}],"\u0080":4,"\u20ac":1,"\ud83d\ude00":3}');
});

test('the same value has one form, whatever the order of its members, and parses back to itself', () => {
  assert(
    property(dictionary(string(), jsonValue()), (value) => {
      const text = canonicalJson(value);
      const reversed = Object.fromEntries(Object.entries(value).toReversed());

      expect(canonicalJson(reversed)).toBe(text);
      expect(canonicalJson(JSON.parse(text))).toBe(text);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('a member that is undefined is left out, as JSON does it', () => {
  expect(canonicalJson({ b: undefined, a: [undefined] })).toBe('{"a":[null]}');
});
