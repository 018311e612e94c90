import { statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { siblings } from './find-files.ts';
import { newFingerprint } from './fingerprint.ts';
import { generationsOf } from './generations.ts';

const writtenMs = 1_000_000;

function setup(files: Readonly<Record<string, number>>) {
  const directory = temporaryDirectory();
  const path = (name: string): string => join(directory, name);
  for (const [name, mtimeMs] of Object.entries(files)) {
    writeFileSync(path(name), 'line\n');
    utimesSync(path(name), mtimeMs / 1000, mtimeMs / 1000);
  }
  const record = { path: path('app.log'), offset: 5, writtenMs, fingerprint: newFingerprint().fingerprint() };
  return (isRestWanted: boolean, exclude: readonly string[] = []) =>
    generationsOf(record, isRestWanted, siblings(), exclude.map(path)).map(({ file, isLater }) => {
      expect(statSync(file.path).ino).toBe(file.stat.ino);
      return [file.path.slice(directory.length + 1), isLater];
    });
}

test('a copy that has the time of what it was made of may be the rest of a file, and nothing that came after', () => {
  const found = setup({ 'app.log.1': writtenMs, 'app.log.2': writtenMs - 1_000, 'other.log.1': writtenMs });

  expect(found(true)).toEqual([['app.log.1', false]]);
  expect(found(false)).toEqual([]);
});

test('what was written after it came later, oldest first, but for what is left out', () => {
  const found = setup({
    'app.log.1': writtenMs + 2_000,
    'app.log.2': writtenMs + 1_000,
    'b.log.1': writtenMs + 1,
  });

  expect(found(false)).toEqual([
    ['app.log.2', true],
    ['app.log.1', true],
  ]);
  expect(found(false, ['app.log.2'])).toEqual([['app.log.1', true]]);
});
