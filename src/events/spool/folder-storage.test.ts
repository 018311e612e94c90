import { constants, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { folderStorage } from './folder-storage.ts';

/** Flags of the open files at a path, as the kernel has them. */
function flagsOf(path: string): number[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) !== path) return [];
      const [, flags = ''] = /^flags:\t(\d+)$/mu.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')) ?? [];
      return [Number.parseInt(flags, 8)];
    } catch {
      return [];
    }
  });
}

test('what is written durably goes through a file that the kernel syncs, and marks do not', async () => {
  const path = temporaryDirectory();
  const storage = await folderStorage(path);
  const file = await storage.create('one');
  onTestFinished(() => file.close());

  const isSynced = flagsOf(join(path, 'one')).map((flags) => (flags & constants.O_DSYNC) !== 0);
  await file.writeDurably(Buffer.from('a record'), 0);
  await file.write(Buffer.from('A'), 0);

  expect(isSynced).toHaveLength(2);
  expect(isSynced).toContain(true);
  expect(isSynced).toContain(false);
  expect(readFileSync(join(path, 'one'), 'utf8')).toBe('A record');
});

test('a file that is opened again is written durably too, and closing it leaves nothing open', async () => {
  const path = temporaryDirectory();
  const storage = await folderStorage(path);
  await (await storage.create('one')).close();

  const file = await storage.open('one');
  await file.writeDurably(Buffer.from('a record'), 0);
  await file.close();

  expect(readFileSync(join(path, 'one'), 'utf8')).toBe('a record');
  expect(flagsOf(join(path, 'one'))).toEqual([]);
});

test.each(['created', 'opened again'])(
  'bytes of a file that was %s and then deleted are not durable',
  async (how) => {
    const path = temporaryDirectory();
    const storage = await folderStorage(path);
    const created = await storage.create('one');
    onTestFinished(() => created.close());
    const file = how === 'created' ? created : await storage.open('one');
    if (file !== created) onTestFinished(() => file.close());
    await file.writeDurably(Buffer.from('a record'), 0);

    await storage.remove('one');

    await expect(file.writeDurably(Buffer.from('another'), 8)).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(file.sync()).rejects.toMatchObject({ code: 'ENOENT' });
  },
);
