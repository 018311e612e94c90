import { expect, test } from 'vitest';
import type { MemoryStorage } from '../../../test/support/memory-storage.ts';
import { type MemoryFolders, memoryFolders, spoolFixture } from '../../../test/support/spool-fixture.ts';
import { a, batchOf, never, textOf } from '../spool.contract.ts';
import type { Spool } from '../spool.ts';

/** A batch that fills a segment. */
const full = (name: string): string => `${name} ${'x'.repeat(1000)}`;

/** A spool of segments that a batch each fills, and what it says when it is opened again. */
async function setup(...contents: readonly string[]) {
  const { open, events } = spoolFixture({ segmentBytes: 1000 });
  const folders = memoryFolders();
  const spool = await open(folders);
  for (const content of contents) await append(spool, content);
  const again = async (onCall: MemoryStorage['onCall'] = () => undefined) => {
    const disk = folders.spool.killed();
    disk.onCall = onCall;
    const opened = await open({ ...folders, spool: disk });
    const batches = await opened.read({ stream: a, batchesMax: 100 }, never);
    return {
      opened,
      texts: batches.map((batch) => textOf(batch).slice(0, 1)),
      said: events.map(({ name }) => name),
    };
  };
  return { spool, folders, again };
}

async function append(spool: Spool, text: string): Promise<void> {
  await spool.append(batchOf(a, text), [{ source: 's', item: 'i', value: text.slice(0, 1) }], never);
}

async function settleFirst(spool: Spool): Promise<void> {
  const [batch] = await spool.read({ stream: a, batchesMax: 1 }, never);
  if (batch !== undefined) await spool.settle(batch, []);
}

const segmentsIn = ({ spool }: MemoryFolders): string[] => [...spool.files.keys()].toSorted();

function nameAt(folders: MemoryFolders, index: number): string {
  const name = segmentsIn(folders).filter((each) => each.endsWith('.segment'))[index];
  if (name === undefined) throw new Error('no such segment');
  return name;
}

function bytesOf({ spool }: MemoryFolders, name: string): Buffer {
  return Buffer.from(spool.files.get(name) ?? '');
}

test('a segment that was removed, and is there again after a crash, is none: nothing of it is sent again', async () => {
  const { spool, folders, again } = await setup(full('1'), full('2'), full('3'));
  const first = nameAt(folders, 0);
  const bytes = bytesOf(folders, first);
  await settleFirst(spool);
  await expect.poll(() => segmentsIn(folders)).not.toContain(first);
  folders.spool.replaceFile(first, bytes);

  const { opened, texts, said } = await again();

  expect(texts).toEqual(['2', '3']);
  expect(opened.position('s').get('i')).toBe('3');
  expect(said).toEqual([]);
  await expect.poll(() => segmentsIn(folders)).not.toContain(first);
});

test('a segment under the name of a newer one is none: what waits in the others stays', async () => {
  const { folders, again } = await setup(full('1'), full('2'));
  folders.spool.replaceFile('0000000009.segment', bytesOf(folders, nameAt(folders, 0)));

  const { opened, texts } = await again();

  expect(texts).toEqual(['1', '2']);
  expect(opened.position('s').get('i')).toBe('2');
});

test('a segment that goes while the spool is opened is told of, and the rest is shipped', async () => {
  const { folders, again } = await setup(full('1'), full('2'), full('3'));
  const first = nameAt(folders, 0);

  const { texts, said } = await again((call, name) => {
    if (call === 'open' && name === first) folders.spool.removeFile(first);
  });

  expect(texts).toEqual(['2', '3']);
  expect(said).toEqual(['events.spool-damaged']);
});

test('positions of more files than one look at a segment shows are there when all before is gone', async () => {
  const { spool, folders, again } = await setup();
  const items = Array.from({ length: 3000 }, (_, index) => `/var/log/app/service-${index}.log`);
  await spool.keep(items.map((item) => ({ source: 'files', item, value: '1' })));
  const first = nameAt(folders, 0);
  await append(spool, full('1'));
  await append(spool, full('2'));
  await settleFirst(spool);
  await expect.poll(() => segmentsIn(folders)).not.toContain(first);

  const { opened, texts, said } = await again();

  expect(texts).toEqual(['2']);
  expect([...opened.position('files').keys()]).toEqual(items);
  expect(said).toEqual([]);
});

test('positions of so many files that a checkpoint is longer than a segment let what waits lie where it is', async () => {
  const { spool, folders } = await setup();
  let created = 0;
  folders.spool.onCall = async (call) => {
    if (call === 'create') created += 1;
    // In the turns of a disk: what goes on for ever is seen to go on.
    await new Promise(setImmediate);
  };
  const items = Array.from({ length: 100 }, (_, index) => `/var/log/app/service-${index}.log`);
  await spool.keep(items.map((item) => ({ source: 'files', item, value: '1' })));
  for (const name of ['1', '2', '3']) await append(spool, full(name));

  for (let turn = 0; turn < 1000; turn += 1) await new Promise(setImmediate);

  expect(created).toBeLessThan(10);
  expect(spool.counts().batches).toBe(3);
});

test('what many starts left, a little each with a long checkpoint, is moved together', async () => {
  const { open } = spoolFixture({ segmentBytes: 1000 });
  const folders = memoryFolders();
  const items = Array.from({ length: 100 }, (_, index) => `/var/log/app/service-${index}.log`);
  const starts = 40;
  for (let start = 0; start < starts; start += 1) {
    const spool = await open(folders);
    if (start === 0) await spool.keep(items.map((item) => ({ source: 'files', item, value: '1' })));
    await append(spool, String(start));
    await spool.close();
  }
  const before = segmentsIn(folders).length;

  const spool = await open(folders);
  await append(spool, String(starts));

  await expect.poll(() => segmentsIn(folders).length).toBeLessThan(starts / 2);
  expect(before).toBeGreaterThan(starts / 2);
  const waiting = await spool.read({ stream: a, batchesMax: 100 }, never);

  expect(waiting.map(textOf)).toEqual(Array.from({ length: starts + 1 }, (_, start) => String(start)));
});
