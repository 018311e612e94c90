import { describe, expect, test } from 'vitest';
import { failure } from '../../../test/support/memory-storage.ts';
import { killed, memoryFolders, segmentsOf, spoolFixture } from '../../../test/support/spool-fixture.ts';
import { append, longLine, settleOldest, texts } from '../../../test/support/spool-texts.ts';
import { a, b, batchOf, never, textOf } from '../spool.contract.ts';

describe('segments', () => {
  test('are removed when all of their batches are settled', async () => {
    const { open } = spoolFixture({ segmentBytes: 10_000 });
    const folders = memoryFolders();
    const spool = await open(folders);
    for (let number = 0; number < 40; number += 1) await append(spool, longLine(number), String(number));
    const before = segmentsOf(folders).length;

    await settleOldest(spool, 40);
    await append(spool, 'last', 'last');

    expect(before).toBeGreaterThan(3);
    expect(segmentsOf(folders).length).toBeLessThanOrEqual(2);
    await spool.close();
    const again = await open(folders);
    expect(await texts(again)).toEqual(['last']);
    expect(again.position('s').get('i')).toBe('last');
  });

  test('are removed after a start at which nothing new comes', async () => {
    const { open } = spoolFixture({ segmentBytes: 10_000 });
    const folders = memoryFolders();
    const first = await open(folders);
    for (let number = 0; number < 40; number += 1) await append(first, longLine(number), String(number));
    await first.close();

    const again = await open(folders);
    await settleOldest(again, 40);
    await again.close();

    expect(segmentsOf(folders).length).toBeLessThanOrEqual(2);
    expect((await open(folders)).position('s').get('i')).toBe('39');
  });

  test('that hold little that is needed give it to the newest, and go', async () => {
    const { open, events } = spoolFixture({ segmentBytes: 10_000 });
    const folders = memoryFolders();
    const spool = await open(folders);
    for (let number = 0; number < 100; number += 1) {
      await append(spool, longLine(number), String(number), number % 8 === 0 ? b : a);
    }

    await settleOldest(spool, 100);
    await append(spool, longLine(100), '100', b);
    await new Promise(setImmediate);
    await append(spool, longLine(101), '101', b);

    const needed = (await texts(spool, b)).join('').length;
    expect(await texts(spool, b)).toEqual(
      [0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 100, 101].map(longLine),
    );
    expect(spool.counts().fileBytes).toBeLessThan(2 * needed + 2 * 10_000);
    const again = await open(killed(folders));
    expect(await texts(again, b)).toEqual(
      [0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 100, 101].map(longLine),
    );
    expect(again.position('s').get('i')).toBe('101');
    expect(events).toEqual([]);
  });

  test('that were moved are read where they are now', async () => {
    const { open, events } = spoolFixture({ segmentBytes: 10_000 });
    const folders = memoryFolders();
    const first = await open(folders);
    for (let number = 0; number < 100; number += 1) {
      await append(first, longLine(number), String(number), number % 8 === 0 ? b : a);
    }
    await first.close();
    // Nothing of them is in memory now.
    const spool = await open(folders);

    await settleOldest(spool, 100);
    await expect.poll(() => segmentsOf(folders).length).toBeLessThan(6);

    expect(await texts(spool, b)).toEqual([0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96].map(longLine));
    expect(events).toEqual([]);
  });

  test('that are settled while they are moved do not come back after a stop, though the power goes then', async () => {
    const { open } = spoolFixture({ segmentBytes: 10_000 });
    const folders = memoryFolders();
    const spool = await open(folders);
    for (let number = 0; number < 100; number += 1) {
      await append(spool, longLine(number), String(number), number % 8 === 0 ? b : a);
    }
    const others = await spool.read({ stream: a, batchesMax: 100 }, never);
    const [moving, moved] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let isRead = false;
    folders.spool.onCall = async (call) => {
      isRead ||= call === 'read';
      if (call !== 'sync' || !isRead) return;
      moving.resolve();
      await moved.promise;
    };
    for (const batch of others) await spool.settle(batch, []);
    await moving.promise;
    folders.spool.onCall = () => undefined;
    await settleOldest(spool, 100, b);
    let marks = 1;
    folders.spool.onCall = async (call) => {
      if (call !== 'write' || marks === 0) return;
      marks -= 1;
      for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
    };

    moved.resolve();
    await spool.close();

    const again = { ...memoryFolders(), spool: folders.spool.unplugged(() => 0.99) };
    expect((await open(again)).counts().batches).toBe(0);
  });

  test('that are settled while somebody reads them are not given to him', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const first = await open(folders);
    for (const text of ['one', 'two']) await append(first, text);
    await first.close();
    const spool = await open(folders);
    const [asked, goesOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    folders.spool.onCall = async (call) => {
      if (call !== 'read') return;
      asked.resolve();
      await goesOn.promise;
    };

    const reading = texts(spool);
    await asked.promise;
    expect(await spool.settle({ ...batchOf(a, 'one'), id: 1, addedMs: 0 }, [])).toBe(true);
    goesOn.resolve();

    expect(await reading).toEqual(['two']);
  });

  test('that were moved while somebody read them cost nothing', async () => {
    const { open, events } = spoolFixture({ segmentBytes: 10_000 });
    const folders = memoryFolders();
    const first = await open(folders);
    for (let number = 0; number < 100; number += 1) {
      await append(first, longLine(number), String(number), number % 8 === 0 ? b : a);
    }
    await first.close();
    const spool = await open(folders);
    const gone = Promise.withResolvers<void>();
    let read: string | undefined;
    folders.spool.onCall = async (call, name) => {
      if (call === 'remove' && name === read) gone.resolve();
      if (call !== 'read' || read !== undefined) return;
      read = name;
      await gone.promise;
      throw failure('ENOENT');
    };

    const reading = spool.read({ stream: b, batchesMax: 1 }, never);
    await settleOldest(spool, 100);

    expect((await reading).map(textOf)).toEqual([longLine(0)]);
    expect(await texts(spool, b)).toEqual([0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96].map(longLine));
    expect(events).toEqual([]);
  });
});

/** A spool whose first segment is being emptied of the batch `moved`, which is read once `mayRead` lets it. */
async function beingEmptied() {
  const { open } = spoolFixture({ segmentBytes: 10_000 });
  const folders = memoryFolders();
  const spool = await open(folders);
  await append(spool, 'moved', '1', b);
  await append(spool, longLine(2).repeat(30), '2');
  await append(spool, 'last', '3');
  const [moved] = await spool.read({ stream: b, batchesMax: 1 }, never);
  if (moved === undefined) throw new Error('nothing waits');
  const [emptied = '', newest = ''] = segmentsOf(folders);
  const isReading = Promise.withResolvers<void>();
  const mayRead = Promise.withResolvers<void>();
  folders.spool.onCall = (call) => {
    if (call !== 'read') return undefined;
    isReading.resolve();
    return mayRead.promise;
  };
  await settleOldest(spool);
  await isReading.promise;
  const bytesBefore = folders.spool.files.get(newest)?.length ?? 0;
  const isMoved = (): boolean =>
    !folders.spool.files.has(emptied) && (folders.spool.files.get(newest)?.length ?? 0) > bytesBefore + 200;
  const opened = () => open(killed(folders));
  const left = async () => {
    const again = await opened();
    return [await texts(again, b), await texts(again)];
  };
  return { spool, folders, moved, emptied, mayRead, isMoved, opened, left };
}

test('a batch that was moved to the newest segment moves no position back', async () => {
  const { mayRead, isMoved, opened } = await beingEmptied();

  mayRead.resolve();
  await expect.poll(isMoved).toBe(true);

  const again = await opened();
  expect(await texts(again, b)).toEqual(['moved']);
  expect(again.position('s').get('i')).toBe('3');
});

describe('a batch that is settled while it is moved to the newest segment', () => {
  test('before it is there: is not there again at the next start', async () => {
    const { spool, moved, mayRead, isMoved, left } = await beingEmptied();

    const isRemoved = await spool.settle(moved, []);
    mayRead.resolve();
    await expect.poll(isMoved).toBe(true);
    await new Promise(setImmediate);

    expect(isRemoved).toBe(true);
    expect(await left()).toEqual([[], ['last']]);
  });

  test('after it is there: is not there again at the next start', async () => {
    const { spool, folders, moved, emptied, mayRead, isMoved, left } = await beingEmptied();
    const mayMark = Promise.withResolvers<void>();
    const { onCall } = folders.spool;
    folders.spool.onCall = (call, name) =>
      call === 'write' && name === emptied ? mayMark.promise : onCall(call, name);

    const settled = spool.settle(moved, []);
    mayRead.resolve();
    await expect.poll(isMoved).toBe(true);
    mayMark.resolve();

    expect(await settled).toBe(true);
    expect(await left()).toEqual([[], ['last']]);
  });
});

/** As `beingEmptied`; the note that the segment is gone is never written, nor is the mark of the copy where `isMarkHung`. */
async function copied() {
  const emptying = await beingEmptied();
  const { folders, emptied } = emptying;
  const [newest = ''] = segmentsOf(folders).slice(-1);
  const { onCall } = folders.spool;
  const mayMark = Promise.withResolvers<void>();
  const hung = { writes: 0, isMarkHung: false };
  folders.spool.onCall = (call, name) => {
    if (call !== 'write') return onCall(call, name);
    if (name === emptied) return mayMark.promise;
    hung.writes += 1;
    const isNote = hung.writes === 2;
    return isNote || (hung.isMarkHung && hung.writes > 2) ? new Promise(() => {}) : undefined;
  };
  const isMarked = (): boolean => folders.spool.files.get(emptied)?.includes('settled') === true;
  const left = async () => {
    expect(segmentsOf(folders)).toEqual([emptied, newest]);
    return emptying.left();
  };
  return { ...emptying, hung, mayMark, isMarked, left };
}

describe('a batch that is there twice at the next start, where it was and in the newest segment,', () => {
  test('waits once', async () => {
    const { hung, mayRead, left } = await copied();

    mayRead.resolve();
    await expect.poll(() => hung.writes).toBe(2);

    expect(await left()).toEqual([['moved'], ['last']]);
  });

  test('does not wait where only its copy is marked as settled', async () => {
    const { spool, moved, hung, mayRead, left } = await copied();
    mayRead.resolve();
    await expect.poll(() => hung.writes).toBe(2);

    await spool.settle(moved, []);

    expect(await left()).toEqual([[], ['last']]);
  });

  test('does not wait where only what was copied is marked as settled', async () => {
    const { spool, moved, hung, mayMark, mayRead, isMarked, left } = await copied();
    hung.isMarkHung = true;
    void spool.settle(moved, []);
    mayRead.resolve();
    await expect.poll(() => hung.writes).toBe(2);

    mayMark.resolve();
    await expect.poll(isMarked).toBe(true);

    expect(await left()).toEqual([[], ['last']]);
  });
});
