import { array, assert, constantFrom, json, oneof, property } from 'fast-check';
import { expect, test } from 'vitest';
import { parseExactly, textOf } from './exact-json.ts';

const numbers = [
  '12345678901234567890',
  '-9007199254740993',
  '123456789.123456789',
  '0.1234567890123456789',
  '1.0',
  '1.50',
  '1e3',
  '1E-7',
  '1e400',
  '-0',
  '-0.0',
  '10',
  '0.5',
  '0.0000001',
  '0.00000000123',
];

test.each(numbers)('%s alone is written again as it was', (number) => {
  expect(JSON.stringify(parseExactly(`{"a":${number}}`))).toBe(`{"a":${number}}`);
});

test('numbers are written again as they were, wherever they stand', () => {
  const value = oneof(constantFrom(...numbers), json({ maxDepth: 2 }).map(compact));
  assert(
    property(array(value), (values) => {
      const text = `{"a":[${values.join(',')}]}`;

      expect(JSON.stringify(parseExactly(text))).toBe(text);
    }),
  );
});

/** As it is once it has been parsed: twice the same name, say, is once there. */
function compact(text: string): string {
  return JSON.stringify(JSON.parse(text));
}

test('what is no JSON is none', () => {
  expect(() => parseExactly('{"a":1.0')).toThrow(SyntaxError);
  expect(() => parseExactly('{"a":')).toThrow(SyntaxError);
});

test('text, number and truth have a text', () => {
  const parsed = parseExactly('["a",1,1.0,12345678901234567890,true,null,{}]');

  expect(Array.isArray(parsed) ? parsed.map(textOf) : parsed).toEqual([
    'a',
    '1',
    '1.0',
    '12345678901234567890',
    'true',
    undefined,
    undefined,
  ]);
});
