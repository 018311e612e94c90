import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { spoolFixture } from '../../../test/support/spool-fixture.ts';
import { append, texts } from '../../../test/support/spool-texts.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import type { SpoolFolders } from './disk.ts';
import { folderStorage } from './folder-storage.ts';

async function setup() {
  const path = temporaryDirectory();
  const folders = async (): Promise<SpoolFolders> => ({
    spool: await folderStorage(join(path, 'spool')),
    deadLetter: await folderStorage(join(path, 'dead-letter')),
    quarantine: await folderStorage(join(path, 'quarantine')),
  });
  const fixture = spoolFixture();
  const spool = await fixture.open(await folders());
  onTestFinished(() => spool.close());
  return { ...fixture, path, folders, spool };
}

test('a spool whose folder is deleted says so with the next append, and has what waits and all that comes', async () => {
  const { path, spool } = await setup();
  await append(spool, 'one', '1');

  rmSync(join(path, 'spool'), { recursive: true });
  const next = append(spool, 'two', '2');

  await expect(next).rejects.toMatchObject({
    code: 'EVENTS_SPOOL_UNWRITABLE',
    row: { retry: true },
    cause: { code: 'ENOENT' },
  });
  expect(spool.position('s').get('i')).toBe('1');
  await append(spool, 'two', '2');
  expect(existsSync(join(path, 'spool'))).toBe(true);
  expect(await texts(spool)).toEqual(['one', 'two']);
});

test('what was only in the deleted folder is told of at the next start, and the rest is there', async () => {
  const { path, spool, open, folders, named } = await setup();
  await append(spool, 'one', '1');
  rmSync(join(path, 'spool'), { recursive: true });
  await append(spool, 'two', '2').catch(() => undefined);
  await append(spool, 'two', '2');
  await spool.close();

  const again = await open(await folders());
  onTestFinished(() => again.close());

  expect(await texts(again)).toEqual(['two']);
  expect(again.position('s').get('i')).toBe('2');
  expect(named('events.spool-damaged').map(({ fields }) => fields)).toMatchObject([
    { folder: 'spool', kind: 'missing', records: 1 },
  ]);
});

test.each(['nothing', 'another folder'])(
  'a spool whose folder is moved away, with %s in its place, goes on where the next start looks',
  async (place) => {
    const { path, spool, open, folders } = await setup();
    await append(spool, 'one', '1');
    renameSync(join(path, 'spool'), join(path, 'elsewhere'));
    if (place === 'another folder') mkdirSync(join(path, 'spool'));

    const next = append(spool, 'two', '2');

    await expect(next).rejects.toMatchObject({
      code: 'EVENTS_SPOOL_UNWRITABLE',
      row: { retry: true },
      cause: { code: 'ENOENT' },
    });
    await append(spool, 'two', '2');
    expect(await texts(spool)).toEqual(['one', 'two']);
    await spool.close();
    const again = await open(await folders());
    onTestFinished(() => again.close());
    expect(await texts(again)).toEqual(['two']);
    expect(again.position('s').get('i')).toBe('2');
  },
);

test('a spool whose folder is moved away and back has all of it at the next start', async () => {
  const { path, spool, open, folders } = await setup();
  await append(spool, 'one', '1');
  renameSync(join(path, 'spool'), join(path, 'elsewhere'));
  renameSync(join(path, 'elsewhere'), join(path, 'spool'));

  await append(spool, 'two', '2');
  await spool.close();

  const again = await open(await folders());
  onTestFinished(() => again.close());
  expect(await texts(again)).toEqual(['one', 'two']);
});
