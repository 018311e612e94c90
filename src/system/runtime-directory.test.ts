import { chmodSync, chownSync, lchownSync, mkdirSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { ensureRuntimeDirectory } from './runtime-directory.ts';

const isRoot = process.getuid?.() === 0;
const bitsOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

function setup() {
  const parent = temporaryDirectory();
  return { parent, path: join(parent, 'gatehouse') };
}

test('it is made where it is not there, for others to pass through', async () => {
  const { path } = setup();

  await ensureRuntimeDirectory(path);

  expect(bitsOf(path)).toBe('755');
});

test('one that is there stays as it is', async () => {
  const { path } = setup();
  mkdirSync(path, { mode: 0o700 });

  await ensureRuntimeDirectory(path);

  expect(bitsOf(path)).toBe('700');
});

test.each([0o775, 0o757, 0o777])('one that others may write to is refused: %o', async (mode) => {
  const { path } = setup();
  mkdirSync(path);
  chmodSync(path, mode);

  await expect(ensureRuntimeDirectory(path)).rejects.toMatchObject({
    code: 'RUNTIME_DIRECTORY_UNSAFE',
    details: { path, mode: expect.stringContaining(mode.toString(8)) },
    row: { exitCode: 78 },
  });
});

test.runIf(isRoot)('one of somebody else is refused', async () => {
  const { path } = setup();
  mkdirSync(path, { mode: 0o755 });
  chownSync(path, 65_534, 65_534);

  await expect(ensureRuntimeDirectory(path)).rejects.toMatchObject({
    code: 'RUNTIME_DIRECTORY_UNSAFE',
    details: { ownerUid: 65_534 },
  });
});

test.runIf(isRoot)('a link that somebody else put in its place is not followed', async () => {
  const { parent, path } = setup();
  mkdirSync(join(parent, 'elsewhere'));
  symlinkSync('elsewhere', path);
  lchownSync(path, 65_534, 65_534);

  await expect(ensureRuntimeDirectory(path)).rejects.toMatchObject({ name: 'GatehouseError' });
});
