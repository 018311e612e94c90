import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { errnoOf } from './errno.ts';

const thrownBy = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};

test('a system error has its name, thrown or rejected with', async () => {
  const absent = join(temporaryDirectory(), 'absent');
  const rejected = await readFile(absent).catch((error: unknown) => error);

  expect(errnoOf(thrownBy(() => readFileSync(absent)))).toBe('ENOENT');
  expect(errnoOf(rejected)).toBe('ENOENT');
});

test('what Node or we refuse ourselves has none', () => {
  expect(errnoOf(thrownBy(() => readFileSync('a\0b')))).toBeUndefined();
  expect(errnoOf(new Error('x'))).toBeUndefined();
  expect(errnoOf({ errno: -2, code: 'ENOENT' })).toBeUndefined();
  expect(errnoOf(undefined)).toBeUndefined();
});
