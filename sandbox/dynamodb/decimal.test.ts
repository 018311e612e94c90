import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AwsError } from '../service.ts';
import { addDecimals, compareDecimals, decimalBytes, decimalText, negated, parseDecimal } from './decimal.ts';

const text = (number: string): string => decimalText(parseDecimal(number));

const decimals = fc
  .tuple(fc.bigInt({ min: -(10n ** 18n), max: 10n ** 18n }), fc.integer({ min: -9, max: 9 }))
  .map(([coefficient, power]) => parseDecimal(`${coefficient}e${power}`));

describe('decimals', () => {
  it.each([
    ['1', '1'],
    ['-0', '0'],
    ['0e100', '0'],
    ['+1.500', '1.5'],
    ['.5', '0.5'],
    ['1.', '1'],
    ['-12e-3', '-0.012'],
    ['1e3', '1000'],
    ['00012.340', '12.34'],
    ['1e125', `1${'0'.repeat(125)}`],
  ])('%s is written %s', (given, written) => {
    expect(text(given)).toBe(written);
  });

  it.each([
    ['', 'The parameter cannot be converted to a numeric value'],
    ['x', 'The parameter cannot be converted to a numeric value: x'],
    ['1 ', 'The parameter cannot be converted to a numeric value: 1 '],
    ['0x10', 'The parameter cannot be converted to a numeric value: 0x10'],
    ['1'.repeat(39), 'Attempting to store more than 38 significant digits in a Number'],
    ['1e126', 'Number overflow. Attempting to store a number with magnitude larger than supported range'],
    ['1e-131', 'Number underflow. Attempting to store a number with magnitude smaller than supported range'],
    [
      '1e999999999',
      'Number overflow. Attempting to store a number with magnitude larger than supported range',
    ],
  ])('%s is refused', (given, message) => {
    expect(() => parseDecimal(given)).toThrow(new AwsError('ValidationException', message));
  });

  it('38 digits are kept, wherever the point is', () => {
    const digits = '9'.repeat(38);

    expect(text(digits)).toBe(digits);
    expect(text(`${digits}00`)).toBe(`${digits}00`);
    expect(text(`0.${digits}`)).toBe(`0.${digits}`);
    expect(() => addDecimals(parseDecimal('1e38'), parseDecimal('0.1'))).toThrow(/38 significant digits/u);
  });

  it('what is written is read as the same number', () => {
    fc.assert(
      fc.property(decimals, (value) => {
        expect(parseDecimal(decimalText(value))).toEqual(value);
      }),
    );
  });

  it('sums are exact and undone by their negation, and the order is that of differences', () => {
    fc.assert(
      fc.property(decimals, decimals, (a, b) => {
        const sum = addDecimals(a, b);

        expect(addDecimals(sum, negated(b))).toEqual(a);
        expect(Math.sign(compareDecimals(a, b))).toBe(
          Math.sign(Number(addDecimals(a, negated(b)).coefficient)),
        );
      }),
    );
  });

  it('a number takes a byte for two digits, one more, and one for its sign', () => {
    expect(['0', '7', '12', '123', '-123', '1e100'].map((one) => decimalBytes(parseDecimal(one)))).toEqual([
      2, 2, 2, 3, 4, 2,
    ]);
  });
});
