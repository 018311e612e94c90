import { expect, test } from 'vitest';
import { rowsText, tableText } from './rows.ts';

test('labels are as wide as the widest', () => {
  expect(
    rowsText([
      ['arn', 'a'],
      ['account', '1'],
    ]),
  ).toBe('arn      a\naccount  1\n');
  expect(rowsText([])).toBe('');
});

test('a table aligns its columns under their headings and ends no line in blanks', () => {
  expect(
    tableText(
      ['NAME', 'STATE'],
      [
        ['database-password', 'ok'],
        ['a', ''],
      ],
    ),
  ).toBe('NAME               STATE\ndatabase-password  ok\na\n');
  expect(tableText(['NAME'], [])).toBe('NAME\n');
  expect(tableText(['NAME', 'BYTES'], [['a', '1']], 1)).toBe('NAME  BYTES\na         1\n');
});
