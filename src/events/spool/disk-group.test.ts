import { describe, expect, test } from 'vitest';
import { failure } from '../../../test/support/memory-storage.ts';
import { killed, memoryFolders, spoolFixture } from '../../../test/support/spool-fixture.ts';
import { append, texts } from '../../../test/support/spool-texts.ts';
import { a, batchOf, never } from '../spool.contract.ts';
import type { BatchToAppend } from '../spool.ts';

function several(...contents: readonly string[]): BatchToAppend[] {
  return contents.map((text, index) => ({
    batch: batchOf(a, text),
    positions: [{ source: 's', item: 'i', value: String(index + 1) }],
  }));
}

describe('batches that are appended together', () => {
  test('are one write, and after a kill there with their positions', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const spool = await open(folders);
    await append(spool, 'zero', '0');
    let writes = 0;
    folders.spool.onCall = (call) => {
      if (call === 'write') writes += 1;
    };

    const ids = await spool.appendFirst?.(several('one', 'two', 'three'), never);

    expect(writes).toBe(1);
    expect(ids).toEqual([2, 3, 4]);
    const again = await open(killed(folders));
    expect(await texts(again)).toEqual(['zero', 'one', 'two', 'three']);
    expect(again.position('s').get('i')).toBe('3');
  });

  test('are none of them there where the write fails', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const spool = await open(folders);
    folders.spool.onCall = (call) => {
      if (call === 'sync') throw failure('EIO');
    };

    const appended = spool.appendFirst?.(several('one', 'two'), never);

    await expect(appended).rejects.toMatchObject({ code: 'EVENTS_SPOOL_UNWRITABLE' });
    expect(spool.counts()).toMatchObject({ batches: 0, bytes: 0 });
    expect(spool.position('s').size).toBe(0);
  });

  test('wait for room for the first of them, and no more', async () => {
    const { open } = spoolFixture({ bytesMax: 2 ** 23 });
    const spool = await open(memoryFolders());
    const lines = several('x'.repeat(300_000), 'y'.repeat(300_000));
    while (spool.counts().bytes < 2 ** 23 - 600_000) await append(spool, 'x'.repeat(300_000));

    const before = spool.counts().bytes;

    const appended = spool.appendFirst?.(lines, never);

    expect(spool.counts().bytes).toBeGreaterThan(before);
    expect(await appended).toHaveLength(1);
  });

  test.each([
    ['four mebibytes', 2 ** 30, 900_000, 4],
    ['an eighth of the bound', 2 ** 24, 900_000, 2],
    ['one, however large', 2 ** 22, 900_000, 1],
  ])('take no more than %s', async (_what, bytesMax, length, taken) => {
    const { open } = spoolFixture({ bytesMax });
    const spool = await open(memoryFolders());

    const contents = Array.from({ length: 5 }, () => 'x'.repeat(length));

    const ids = await spool.appendFirst?.(several(...contents), never);

    expect(ids).toHaveLength(taken);
    expect(spool.counts().batches).toBe(taken);
  });
});
