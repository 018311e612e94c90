import { expect, test } from 'vitest';
import { bytesText, countText, durationText } from './quantity.ts';

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [1536, '1.5 KiB'],
  [102_348, '99.9 KiB'],
  [102_400, '100 KiB'],
  [1_048_575, '1.0 MiB'],
  [1_073_741_824, '1.0 GiB'],
  [2 ** 50, '1024 TiB'],
])('%d bytes are %s', (bytes, text) => {
  expect(bytesText(bytes)).toBe(text);
});

test.each([
  [0, '0'],
  [999, '999'],
  [1000, '1,000'],
  [1_234_567.6, '1,234,568'],
])('%d counts as %s', (count, text) => {
  expect(countText(count)).toBe(text);
});

test.each([
  [-5, '0 s'],
  [400, '0 s'],
  [59_400, '59 s'],
  [60_000, '1 min'],
  [62_000, '1 min 2 s'],
  [3_600_000, '1 h'],
  [3_720_000, '1 h 2 min'],
  [3_602_000, '1 h'],
  [90_000_000, '1 d 1 h'],
  [864_000_000, '10 d'],
])('%d ms are %s', (ms, text) => {
  expect(durationText(ms)).toBe(text);
});
