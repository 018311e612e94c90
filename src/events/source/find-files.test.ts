import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { findFiles } from './find-files.ts';

function setup() {
  const directory = temporaryDirectory();
  const path = (name: string): string => join(directory, name);
  writeFileSync(path('good.log'), 'good\n');
  return {
    path,
    find: (pattern = '*.log', entriesMax = 100) =>
      findFiles([path(pattern)], [path('left-out*')], entriesMax),
  };
}

function asUser<Result>(uid: number, work: () => Result): Result {
  process.seteuid?.(uid);
  try {
    return work();
  } finally {
    process.seteuid?.(0);
  }
}

test('what cannot be looked at is told, and hides nothing else', () => {
  const { path, find } = setup();
  symlinkSync('loop.log', path('loop.log'));
  symlinkSync('x'.repeat(300), path('long.log'));
  execFileSync('sh', ['-c', `printf '%s' > "$1$(printf '\\377').log"`, 'sh', path('wrong')]);
  symlinkSync('nowhere', path('dangling.log'));

  const { found, refused } = find();

  expect(found.map(({ path: each }) => each)).toContain(path('good.log'));
  expect(refused).toEqual(
    expect.arrayContaining([
      { path: path('loop.log'), reason: 'ELOOP' },
      { path: path('long.log'), reason: 'ENAMETOOLONG' },
      { path: path('wrong\u{fffd}.log'), reason: 'name-not-utf-8' },
    ]),
  );
  expect(refused.map(({ path: each }) => each)).not.toContain(path('dangling.log'));
});

test.runIf(process.getuid?.() === 0)('a closed folder is told, and what a link into it leads to', () => {
  const { path, find } = setup();
  chmodSync(path('.'), 0o755);
  mkdirSync(path('closed'));
  writeFileSync(path('closed/secret.log'), '');
  chmodSync(path('closed'), 0o700);
  symlinkSync('closed/secret.log', path('link.log'));

  const { found, refused } = asUser(1234, () => find('**/*.log'));

  expect(found.map(({ path: each }) => each)).toEqual([path('good.log')]);
  expect(refused).toEqual([
    { path: path('closed'), reason: 'EACCES' },
    { path: path('link.log'), reason: 'EACCES' },
  ]);
});

test('a name with a newline is a name', () => {
  const { path, find } = setup();
  writeFileSync(path('two\nlines.log'), '');

  const { found } = find();

  expect(found.map(({ path: each }) => each)).toContain(path('two\nlines.log'));
});

test('a tree that leads back into itself ends', () => {
  const { path, find } = setup();
  mkdirSync(path('folder'));
  symlinkSync('..', path('folder/up'));
  writeFileSync(path('folder/deep.log'), '');

  const { found } = find('**/*.log');

  expect(found.map(({ path: each }) => each).toSorted()).toEqual([path('folder/deep.log'), path('good.log')]);
});

test('more entries than may be looked at are cut, and that is told', () => {
  const { path, find } = setup();
  for (let each = 0; each < 300; each += 1) writeFileSync(path(`${each}.log`), '');

  const few = find('*.log', 301);
  const many = find('*.log', 100);

  expect([few.found.length, few.cut]).toEqual([301, []]);
  expect(many.found).toHaveLength(100);
  expect(many.cut).toEqual([path('*.log')]);
});

test('what is left out is not looked at', () => {
  const { path, find } = setup();
  symlinkSync('left-out.log', path('left-out.log'));

  expect(find()).toMatchObject({ found: [{ path: path('good.log') }], refused: [] });
});
