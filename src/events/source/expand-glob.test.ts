import { globSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { expandGlob } from './expand-glob.ts';

function setup(): string {
  const directory = temporaryDirectory();
  for (const folder of ['real/sub/deeper', '.hidden', 'other']) {
    mkdirSync(join(directory, folder), { recursive: true });
  }
  for (const file of [
    'real/a.log',
    'real/sub/b.log',
    'real/sub/deeper/c.log',
    '.hidden/d.log',
    '.e.log',
    'f(1).log',
  ]) {
    writeFileSync(join(directory, file), '');
  }
  symlinkSync('real', join(directory, 'link'));
  return directory;
}

test.each([
  '*.log',
  '*/*.log',
  '*/a.log',
  '**/*.log',
  'link/**/*.log',
  're*',
  '{real,link}/*.log',
  '{real/sub,other}/{b,c}.log',
  'real/[ab].log',
  'real/[!a]*',
  '**/sub/*.log',
  'real/**/**/c.log',
  'real/**/deeper/*',
  'real/?.log',
  '.*',
  '.hidden/*',
  'real/a.log',
  'real/@(a|b).log',
  'real/a.log/*',
  'nowhere/*',
  'f\\(1\\).log',
])('%s leads where globSync leads', (glob) => {
  const pattern = join(setup(), glob);

  expect(expandGlob(pattern, 100).matches.toSorted()).toEqual(globSync(pattern).toSorted());
});

test('a folder that is read for two parts of a glob counts once', () => {
  const directory = setup();

  expect(expandGlob(join(directory, 'real/**/*.log'), 5).isCut).toBe(false);
  expect(expandGlob(join(directory, 'real/**/*.log'), 4).isCut).toBe(true);
});
