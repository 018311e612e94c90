import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { patient } from '../../../test/support/patience.ts';
import { spoolFixture } from '../../../test/support/spool-fixture.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { a, batchOf, never } from '../spool.contract.ts';
import { folderStorage } from './folder-storage.ts';
import { leftover } from './leftover.ts';

/** A spool on the disk in which `count` batches of two events were appended and the first `settled` sent. */
async function setup(count: number, settled: number, refused = 0) {
  const state = temporaryDirectory();
  const spool = await spoolFixture({ segmentBytes: 8_192 }).open({
    spool: await folderStorage(join(state, 'spool')),
    deadLetter: await folderStorage(join(state, 'dead-letter')),
    quarantine: await folderStorage(join(state, 'quarantine')),
  });
  onTestFinished(() => spool.close());
  for (let each = 0; each < count; each += 1) {
    await spool.append(batchOf(a, `${each} ${'x'.repeat(500)}\nsecond\n`), [], never);
  }
  for (const [index, batch] of (await spool.read({ stream: a, batchesMax: settled }, never)).entries()) {
    const letters = index < refused ? [{ timestamp: 1, message: 'm', reason: 'invalid' as const }] : [];
    await spool.settle(batch, letters);
  }
  return { state, spool };
}

test('of a host that never shipped there is nothing', async () => {
  expect(await leftover(temporaryDirectory())).toEqual({ batches: 0, events: 0, deadLetters: 0 });
});

test('what is not sent is counted, and what was refused', async () => {
  const { state } = await setup(10, 4, 3);

  expect(await leftover(state)).toEqual({ batches: 6, events: 12, deadLetters: 3 });
});

test('a batch that was copied out of a nearly empty segment counts once, before and after it is sent', async () => {
  const { state, spool } = await setup(60, 0);
  const [first, ...others] = await spool.read({ stream: a, batchesMax: 60 }, never);
  if (first === undefined) throw new Error('no batch');
  for (const batch of others) await spool.settle(batch, []);
  await expect.poll(() => readdirSync(join(state, 'spool')), patient).not.toContain('0000000001.segment');

  const before = await leftover(state);
  await spool.settle(first, []);

  expect(before).toEqual({ batches: 1, events: 2, deadLetters: 0 });
  expect(await leftover(state)).toEqual({ batches: 0, events: 0, deadLetters: 0 });
});

test('looking changes nothing', async () => {
  const { state, spool } = await setup(10, 4);
  await spool.close();
  const files = (): string[] =>
    readdirSync(state, { recursive: true, encoding: 'utf8' }).map((name) => {
      const { size, mtimeMs } = statSync(join(state, name));
      return `${name} ${size} ${mtimeMs}`;
    });
  const before = files();

  await leftover(state);

  expect(files()).toEqual(before);
});
