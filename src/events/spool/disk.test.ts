import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { failure } from '../../../test/support/memory-storage.ts';
import { type MemoryFolders, memoryFolders, spoolFixture } from '../../../test/support/spool-fixture.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { Secret } from '../../base/secret.ts';
import { eventsOf } from '../batch.ts';
import { eventsError } from '../errors.ts';
import { a, b, batchOf, never, spoolContract, textOf } from '../spool.contract.ts';
import type { BatchToAppend, Spool } from '../spool.ts';
import { type DataKey, keyRing } from './data-keys.ts';
import { type DiskSpoolOptions, diskSpool } from './disk.ts';
import { folderStorage } from './folder-storage.ts';
import { nextMagic } from './record.ts';

spoolContract('diskSpool, sealed', (making) => spoolFixture().open(memoryFolders(), making));
spoolContract('diskSpool, in clear', (making) =>
  spoolFixture({ keys: undefined, allowClearSpool: true }).open(memoryFolders(), making),
);
spoolContract('diskSpool, in a folder', async (making) =>
  spoolFixture().open(await foldersIn(temporaryDirectory()), making),
);

async function foldersIn(path: string) {
  return {
    spool: await folderStorage(join(path, 'spool')),
    deadLetter: await folderStorage(join(path, 'dead-letter')),
    quarantine: await folderStorage(join(path, 'quarantine')),
  };
}

async function texts(spool: Spool, stream = a): Promise<string[]> {
  return (await spool.read({ stream, batchesMax: 1_000_000 }, never)).map(textOf);
}

async function append(spool: Spool, text: string, position?: string, stream = a): Promise<void> {
  const moved = position === undefined ? [] : [{ source: 's', item: 'i', value: position }];
  await spool.append(batchOf(stream, text), moved, never);
}

async function settleOldest(spool: Spool, count = 1, stream = a): Promise<void> {
  for (const batch of await spool.read({ stream, batchesMax: count }, never)) await spool.settle(batch, []);
}

function flip(folders: MemoryFolders, text: string | number, folder: keyof MemoryFolders = 'spool'): void {
  for (const [name, bytes] of folders[folder].files) {
    const at = typeof text === 'number' ? text : bytes.indexOf(text);
    if (at < 0 || at >= bytes.length) continue;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    folders[folder].replaceFile(name, bytes);
    return;
  }
  throw new Error('nothing to flip');
}

const longLine = (number: number): string => `${number} ${'x'.repeat(1000)}`;

async function three(segmentBytes = 2 ** 20, options: Partial<DiskSpoolOptions> = {}) {
  const fixture = spoolFixture({ segmentBytes, ...options });
  const folders = memoryFolders();
  const first = await fixture.open(folders);
  for (const number of [1, 2, 3]) await append(first, `${number} ${'x'.repeat(500)}`, String(number));
  await first.close();
  return { ...fixture, folders };
}

const numbers = (found: readonly string[]): string[] => found.map((text) => text.slice(0, 1));

async function refuse(spool: Spool, messages: readonly string[]): Promise<void> {
  await append(spool, messages.join('\n'));
  const [batch] = await spool.read({ stream: a, batchesMax: 1 }, never);
  if (batch === undefined) throw new Error('nothing read');
  await spool.settle(
    batch,
    messages.map((message, timestamp) => ({ reason: 'expired' as const, timestamp, message })),
  );
}

/** Of a batch that is in the dead letter alone: nothing in the spool tells that its id was used. */
async function refuseAlone(spool: Spool, message: string): Promise<void> {
  await spool.refuse(batchOf(a, message), [{ reason: 'invalid', timestamp: 1, message }]);
}

const noRead = (): Promise<never> => Promise.reject(failure('EIO'));

const noKey = (): Promise<never> => Promise.reject(new Error('no other key'));

function several(...contents: readonly string[]): BatchToAppend[] {
  return contents.map((text, index) => ({
    batch: batchOf(a, text),
    positions: [{ source: 's', item: 'i', value: String(index + 1) }],
  }));
}

/** Where the records of a segment begin. */
function placesOf(bytes: Buffer): number[] {
  const places: number[] = [];
  for (let at = nextMagic(bytes, 0); at >= 0; at = nextMagic(bytes, at + 1)) places.push(at);
  return places;
}

function segmentsOf({ spool }: MemoryFolders): string[] {
  return [...spool.files.keys()].filter((name) => name.endsWith('.segment')).toSorted();
}

/** A spool of three whose first is settled, after the second was asked for, which `atSecond` may refuse. */
async function firstRead(atSecond: () => void) {
  const { open, folders } = await three();
  const spool = await open(folders);
  const isRead = Promise.withResolvers<void>();
  let reads = 0;
  folders.spool.onCall = (call) => {
    if (call !== 'read') return;
    reads += 1;
    if (reads < 2) return;
    isRead.resolve();
    atSecond();
  };
  const [first] = await spool.read({ stream: a, batchesMax: 1 }, never);
  await isRead.promise;
  if (first !== undefined) await spool.settle(first, []);
  return { spool, folders };
}

describe('the batch after one that is read', () => {
  test('is read ahead, so that it waits for no disk', async () => {
    const { spool, folders } = await firstRead(() => undefined);
    folders.spool.onCall = () => {
      throw failure('EIO');
    };

    const [second] = await spool.read({ stream: a, batchesMax: 1 }, never);

    expect(second && numbers([textOf(second)])).toEqual(['2']);
  });

  test('is read again where reading ahead failed', async () => {
    const { spool, folders } = await firstRead(() => {
      throw failure('EIO');
    });
    folders.spool.onCall = () => undefined;

    expect(numbers(await texts(spool))).toEqual(['2', '3']);
  });
});

describe('a spool that is opened again', () => {
  test('has what was appended, and its positions', async () => {
    const { open, clock } = spoolFixture();
    const folders = memoryFolders();
    const first = await open(folders);
    await append(first, 'one', '1');
    await append(first, 'two');
    await first.keep([{ source: '.notes', item: 'n', value: 'v' }]);
    await first.close();
    const addedMs = clock.now().getTime();
    await clock.advance(60_000);

    const again = await open(folders);

    expect(await texts(again)).toEqual(['one', 'two']);
    expect((await again.read({ stream: a, batchesMax: 9 }, never)).map((batch) => batch.addedMs)).toEqual([
      addedMs,
      addedMs,
    ]);
    expect(again.position('s').get('i')).toBe('1');
    expect(again.position('.notes').get('n')).toBe('v');
    expect(again.streams()).toEqual([a]);
    expect(again.counts()).toMatchObject({ batches: 2, isSealed: true });
  });

  test('after a kill has what was acknowledged, and says nothing of damage', async () => {
    const { open, events } = spoolFixture();
    const folders = memoryFolders();
    const first = await open(folders);
    await append(first, 'one', '1');
    await append(first, 'two', '2');
    await settleOldest(first);

    const again = await open(killed(folders));

    expect(await texts(again)).toEqual(['two']);
    expect(again.position('s').get('i')).toBe('2');
    expect(events).toEqual([]);
  });

  test('knows of batches and letters whether they may have metrics', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const first = await open(folders);
    for (const mayHaveMetrics of [true, false]) {
      const batch = { ...batchOf(a, 'text'), mayHaveMetrics };
      await first.append(batch, [], never);
      await first.refuse(batch, [{ reason: 'invalid', timestamp: 1, message: 'bad' }]);
    }
    await first.close();

    const again = await open(folders);

    const kept = [...(await again.read({ stream: a, batchesMax: 9 }, never)), ...again.deadLetters(9)];
    expect(kept.map(({ mayHaveMetrics = false }) => mayHaveMetrics)).toEqual([true, false, true, false]);
  });

  test('has on the disk what a killed process wrote without a sync, once somebody relies upon it', async () => {
    const { open } = spoolFixture();
    const before = memoryFolders();
    const first = await open(before);
    const isWritten = Promise.withResolvers<void>();
    before.spool.onCall = async (call) => {
      if (call !== 'sync') return;
      isWritten.resolve();
      await new Promise(() => {});
    };
    void append(first, 'one', '1');
    await isWritten.promise;

    const folders = killed(before);
    const relied = (await open(folders)).position('s').get('i');
    const again = await open({ ...folders, spool: folders.spool.unplugged(() => 0) });

    expect(relied).toBe('1');
    expect(await texts(again)).toEqual(['one']);
    expect(again.position('s').get('i')).toBe('1');
  });

  test('after an orderly end and a power loss has nothing again that was settled', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const first = await open(folders);
    await append(first, 'one');
    await append(first, 'two');
    await settleOldest(first);
    await first.close();

    const again = await open({ ...folders, spool: folders.spool.unplugged(() => 0) });

    expect(await texts(again)).toEqual(['two']);
  });

  test('takes nothing more after its end', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const first = await open(folders);
    await append(first, 'one');
    await first.close();

    await expect(append(first, 'two')).rejects.toMatchObject({ code: 'EVENTS_SPOOL_UNWRITABLE' });

    expect(await texts(await open(folders))).toEqual(['one']);
  });

  test('never uses the id of a batch again', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const first = await open(folders);
    await append(first, 'one');
    const [one] = await first.read({ stream: a, batchesMax: 1 }, never);
    await settleOldest(first);
    await first.close();

    const again = await open(folders);
    await append(again, 'two');

    const [two] = await again.read({ stream: a, batchesMax: 1 }, never);
    expect(two?.id).toBeGreaterThan(one?.id ?? Infinity);
  });

  test('forgets positions that were given up, also in a later segment', async () => {
    const { open } = spoolFixture({ segmentBytes: 1000 });
    const folders = memoryFolders();
    const first = await open(folders);
    await append(first, 'one', '1');
    await first.append(batchOf(a, 'x'.repeat(2000)), [{ source: 's', item: 'i', value: undefined }], never);
    await append(first, 'three');
    await first.close();

    const again = await open(folders);

    expect(again.position('s').size).toBe(0);
  });
});

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

describe('seals', () => {
  test('keep names, counts and positions readable, and nothing else', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const spool = await open(folders);

    await append(spool, 'canary-8d1f', 'place-77');

    const [bytes] = folders.spool.files.values();
    expect(bytes?.includes('place-77')).toBe(true);
    expect(bytes?.includes('canary-8d1f')).toBe(false);
  });

  test('are found missing by the same search in a spool in clear', async () => {
    const { open } = spoolFixture({ keys: undefined, allowClearSpool: true });
    const folders = memoryFolders();
    const spool = await open(folders);

    await append(spool, 'canary-8d1f');

    expect([...folders.spool.files.values()].some((bytes) => bytes.includes('canary-8d1f'))).toBe(true);
  });

  test('without a key there is no spool unless a clear one is allowed', async () => {
    const { open } = spoolFixture();

    await expect(open(memoryFolders(), { keys: undefined })).rejects.toMatchObject({
      code: 'EVENTS_SPOOL_KEY_MISSING',
    });
  });

  test('batches left in clear are read after a key came, and sealed ones wait when it went', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const clear = await open(folders, { keys: undefined, allowClearSpool: true });
    await append(clear, 'old');
    await clear.close();

    const sealed = await open(folders);
    await append(sealed, 'new');

    expect(await texts(sealed)).toEqual(['old', 'new']);
    await sealed.close();
    const none = await open(folders, { keys: undefined, allowClearSpool: true });
    await expect(texts(none)).rejects.toMatchObject({ code: 'EVENTS_SPOOL_KEY_UNAVAILABLE' });
  });

  test('bind a batch to its stream and id: moved to another place it does not open', async () => {
    const { open, named } = spoolFixture();
    const folders = memoryFolders();
    const first = await open(folders);
    await append(first, 'x');
    await first.close();
    const { crc32 } = await import('node:zlib');
    const [[name, bytes] = ['', Buffer.alloc(0)]] = folders.spool.files;
    // Another stream of the same length, with the checksum made good.
    const at = bytes.lastIndexOf('GHR\u0001', bytes.indexOf('"one"'), 'latin1');
    bytes.write('"two"', bytes.indexOf('"one"'));
    const head = crc32(bytes.subarray(at + 8, at + 80));
    bytes.writeUInt32LE(crc32(bytes.subarray(at + 88, at + 88 + bytes.readUInt32LE(at + 12)), head), at + 4);
    folders.spool.replaceFile(name, bytes);

    const again = await open(folders);

    expect(again.streams()).toEqual([b]);
    expect(await texts(again, b)).toEqual([]);
    expect(named('events.batches-lost')).toMatchObject([{ fields: { reason: 'damaged', batches: 1 } }]);
  });
});

describe('data keys', () => {
  test('are changed with age, and the old one is kept as long as it seals something', async () => {
    const { open, clock, keeper, named } = spoolFixture({ segmentBytes: 1000 });
    const folders = memoryFolders();
    const spool = await open(folders);
    await append(spool, 'old');
    await clock.advance(25 * 60 * 60 * 1000);
    await append(spool, 'between');
    await clock.advance(1);
    await append(spool, 'new');

    expect(keeper.keys.size).toBe(2);
    expect(named('events.key-rotated')).toHaveLength(1);
    await spool.close();
    const again = await open(folders);
    expect(await texts(again)).toEqual(['old', 'between', 'new']);
    await settleOldest(again, 3);
    await again.close();
    await append(await open(folders), 'last');
    expect(keeper.keys.size).toBe(1);
  });

  test('are kept over starts as long as one of several batches is sealed under them, and then go', async () => {
    const { open, clock, keeper } = spoolFixture();
    const folders = memoryFolders();
    const first = await open(folders);
    for (const text of ['one', 'two', 'three']) await append(first, text);
    await first.close();
    await clock.advance(25 * 60 * 60 * 1000);
    const second = await open(folders);
    await append(second, 'four');
    await clock.advance(1);
    await settleOldest(second, 2);
    await append(second, 'five');
    await second.close();
    const third = await open(folders);
    await append(third, 'six');
    const whileOneWaits = keeper.keys.size;

    expect(await texts(third)).toEqual(['three', 'four', 'five', 'six']);
    await settleOldest(third, 2);
    await third.close();
    await append(await open(folders), 'seven');

    expect([whileOneWaits, keeper.keys.size]).toEqual([2, 1]);
  });

  test('are kept as long as one of several batches is sealed under them, and no longer, without a start too', async () => {
    const { open, clock, keeper } = spoolFixture();
    const spool = await open(memoryFolders());
    for (const text of ['one', 'two', 'three']) await append(spool, text);
    const [first = ''] = keeper.keys.keys();
    const nextDay = async (): Promise<boolean> => {
      await clock.advance(25 * 60 * 60 * 1000);
      await append(spool, 'the last under the key before');
      await clock.advance(1);
      return keeper.keys.has(first);
    };
    await settleOldest(spool, 2);

    const whileTwoWait = [await nextDay(), await nextDay(), await nextDay()];
    await settleOldest(spool, 1);
    const whileOneWaits = await nextDay();
    await settleOldest(spool, 1);
    const whileNoneWaits = await nextDay();

    expect([whileTwoWait, whileOneWaits, whileNoneWaits]).toEqual([[true, true, true], true, false]);
  });

  test('sealing goes on under the old one where no new one can be had, and it is asked for again', async () => {
    const { open, clock, keeper, named } = spoolFixture();
    const spool = await open(memoryFolders());
    await append(spool, 'one');
    keeper.failure = eventsError('EVENTS_SPOOL_KEY_UNAVAILABLE');
    await clock.advance(25 * 60 * 60 * 1000);

    await append(spool, 'two');
    await clock.advance(1000);
    await append(spool, 'three');
    await clock.advance(10 * 60 * 1000);
    await append(spool, 'four');
    await clock.advance(1);
    const failures = named('events.key-rotation-failed').length;
    const asked = keeper.asked.filter((what) => what === 'fresh').length;
    keeper.failure = undefined;
    await clock.advance(10 * 60 * 1000);
    await append(spool, 'five');
    await clock.advance(1);

    expect(failures).toBe(1);
    expect(asked).toBe(3);
    expect(named('events.key-rotated')).toHaveLength(1);
    expect(await texts(spool)).toEqual(['one', 'two', 'three', 'four', 'five']);
  });

  test('appends are refused, to be tried again, as long as there is none', async () => {
    const { open, keeper } = spoolFixture();
    const spool = await open(memoryFolders());
    keeper.failure = eventsError('EVENTS_SPOOL_KEY_UNAVAILABLE');

    await expect(append(spool, 'one', '1')).rejects.toMatchObject({ row: { retry: true } });
    expect(spool.position('s').size).toBe(0);
    expect(spool.counts()).toMatchObject({ batches: 0, bytes: 0 });
    keeper.failure = undefined;
    await append(spool, 'one', '1');

    expect(await texts(spool)).toEqual(['one']);
  });

  test('what is sealed under one that cannot be had now waits, and is read later', async () => {
    const { open, keeper, events } = spoolFixture();
    const folders = memoryFolders();
    const first = await open(folders);
    await append(first, 'one');
    await first.close();

    const again = await open(folders);
    keeper.failure = eventsError('EVENTS_SPOOL_KEY_UNAVAILABLE');
    await expect(texts(again)).rejects.toMatchObject({ code: 'EVENTS_SPOOL_KEY_UNAVAILABLE' });
    keeper.failure = undefined;

    expect(await texts(again)).toEqual(['one']);
    expect(events).toEqual([]);
  });

  test('what is sealed under one that is lost is told of once, and the rest is shipped', async () => {
    const { open, keeper, named } = spoolFixture();
    const folders = memoryFolders();
    const first = await open(folders);
    await append(first, 'one\nuno');
    await append(first, 'two');
    await first.close();
    keeper.keys.clear();

    const again = await open(folders);
    await append(again, 'three');

    expect(await texts(again)).toEqual(['three']);
    expect(named('events.batches-lost')).toMatchObject([
      { fields: { reason: 'key-lost', batches: 2, events: 3 }, audit: 'failure' },
    ]);
    expect(again.counts()).toMatchObject({ batches: 1, lostBatches: 2, lostEvents: 3 });
    expect(folders.quarantine.files.size).toBe(2);
  });
});

describe('damage', () => {
  test.each([
    ['sealed', {}],
    ['in clear', { keys: undefined, allowClearSpool: true }],
  ])('a flipped bit in a body costs that batch alone: %s', async (_what, options) => {
    const { open, folders, named } = await three(undefined, options);
    const [bytes] = folders.spool.files.values();
    flip(folders, (bytes?.indexOf('"id":2') ?? 0) + 400);

    const spool = await open(folders);

    expect(numbers(await texts(spool))).toEqual(['1', '3']);
    expect(spool.position('s').get('i')).toBe('3');
    expect(named('events.batches-lost')).toMatchObject([
      { fields: { reason: 'damaged', batches: 1, events: 1 } },
    ]);
    expect(folders.quarantine.files.size).toBe(1);
    await spool.close();
    expect(numbers(await texts(await open(folders)))).toEqual(['1', '3']);
    expect(named('events.batches-lost')).toHaveLength(1);
  });

  test('a flipped bit in what describes a batch costs that batch alone, and is told', async () => {
    const { open, folders, named } = await three();
    flip(folders, '"id":2');

    const spool = await open(folders);

    expect(numbers(await texts(spool))).toEqual(['1', '3']);
    expect(spool.position('s').get('i')).toBe('3');
    expect(named('events.spool-damaged')).toMatchObject([{ fields: { kind: 'gap' }, audit: 'failure' }]);
    expect(folders.quarantine.files.size).toBe(1);
  });

  test('before what was acknowledged last costs nothing of that, though the process was killed', async () => {
    const { open, named } = spoolFixture();
    const before = memoryFolders();
    const first = await open(before);
    for (const number of [1, 2, 3]) await append(first, longLine(number), String(number));
    const folders = killed(before);
    flip(folders, '"id":1');

    const spool = await open(folders);

    expect(numbers(await texts(spool))).toEqual(['2', '3']);
    expect(spool.position('s').get('i')).toBe('3');
    expect(named('events.spool-cut')).toEqual([]);
    expect(named('events.spool-damaged')).toMatchObject([{ fields: { kind: 'gap' } }]);
  });

  test('of a group that a crash interrupted nothing behind its first fault counts, however whole it looks', async () => {
    const { open, named } = spoolFixture();
    const before = memoryFolders();
    const first = await open(before);
    await Promise.all([1, 2, 3, 4].map((number) => append(first, longLine(number), String(number))));
    const folders = killed(before);
    const [name = ''] = segmentsOf(folders);
    const bytes = Buffer.from(folders.spool.files.get(name) ?? '');
    const [, , second = 0] = placesOf(bytes);
    for (const at of [second, bytes.length - 1]) bytes[at] = (bytes[at] ?? 0) ^ 1;
    folders.spool.replaceFile(name, bytes);

    const spool = await open(folders);

    expect(numbers(await texts(spool))).toEqual(['1']);
    expect(spool.position('s').get('i')).toBe('1');
    expect(named('events.spool-cut')).toMatchObject([{ fields: { bytes: bytes.length - second } }]);
    expect(named('events.spool-damaged')).toEqual([]);
  });

  test('records of another segment are damage, and no batches', async () => {
    const { open, named } = spoolFixture({ segmentBytes: 500 });
    const before = memoryFolders();
    const first = await open(before);
    for (const number of [1, 2, 3]) await append(first, longLine(number));
    const folders = killed(before);
    const [one = '', two = ''] = segmentsOf(folders);
    const misplaced = Buffer.from(folders.spool.files.get(one) ?? '');
    folders.spool.replaceFile(two, misplaced);

    const spool = await open(folders);

    expect(numbers(await texts(spool))).toEqual(['1', '3']);
    expect(named('events.batches-lost')).toEqual([]);
    expect(named('events.spool-damaged')).toMatchObject([{ fields: { kind: 'gap', segment: 2 } }]);
  });

  test('a record that is there once more, in the place of another, is damage, and the other is missed', async () => {
    const { open, named } = spoolFixture();
    const before = memoryFolders();
    const first = await open(before);
    for (const number of [1, 2, 3]) await append(first, longLine(number), String(number));
    const folders = killed(before);
    const [name = ''] = segmentsOf(folders);
    const bytes = Buffer.from(folders.spool.files.get(name) ?? '');
    const [, from = 0, to = 0, end = 0] = placesOf(bytes);
    expect(to - from).toBe(end - to);
    bytes.copy(bytes, to, from, to);
    folders.spool.replaceFile(name, bytes);

    const spool = await open(folders);

    expect(numbers(await texts(spool))).toEqual(['1', '3']);
    expect(named('events.spool-damaged')).toMatchObject([{ fields: { kind: 'gap', from: to, to: end } }]);
  });

  test.each([1, 2, 3, 4, 5, 6])(
    'page %i that does not read at one start costs no more than what is in it, and that no longer than to the next',
    async (page) => {
      const { open, named } = spoolFixture();
      const before = memoryFolders();
      const first = await open(before);
      const lines = Array.from({ length: 30 }, (_, index) => `${index} ${'x'.repeat(700 + index * 13)}`);
      for (const [index, text] of lines.entries()) await append(first, text, String(index));
      const folders = killed(before);
      let isBad = true;
      const opened = folders.spool.open.bind(folders.spool);
      folders.spool.open = async (name) => {
        const file = await opened(name);
        const read: typeof file.read = (at, length) =>
          isBad && at < (page + 1) * 4096 && at + length > page * 4096 ? noRead() : file.read(at, length);
        return { ...file, read };
      };

      const spool = await open(folders);
      const waiting = spool.counts().batches;
      await spool.close();
      isBad = false;
      const again = await open(folders);

      expect(waiting).toBeGreaterThanOrEqual(lines.length - 6);
      expect(waiting).toBeLessThan(lines.length);
      expect(named('events.spool-damaged').length).toBeGreaterThan(0);
      expect(await texts(again)).toEqual(lines);
      expect(again.position('s').get('i')).toBe('29');
    },
  );

  test('a cut file costs what was cut, and the positions are those of what is left', async () => {
    const { open, folders, events } = await three();
    const [[name, bytes] = ['', Buffer.alloc(0)]] = folders.spool.files;
    folders.spool.replaceFile(name, Buffer.from(bytes.subarray(0, bytes.indexOf('"id":3') + 200)));

    const spool = await open(folders);

    expect(numbers(await texts(spool))).toEqual(['1', '2']);
    expect(spool.position('s').get('i')).toBe('2');
    expect(events.length).toBeGreaterThan(0);
  });

  test('a damaged checkpoint costs the positions, is told, and the batches stay', async () => {
    const { open, folders, named } = await three();
    flip(folders, 30);

    const spool = await open(folders);

    expect(numbers(await texts(spool))).toEqual(['1', '2', '3']);
    expect(named('events.positions-lost')).toHaveLength(1);
  });

  test('a segment that is gone is told with what it held, and the rest is shipped', async () => {
    const { open, folders, named } = await three(500);
    const [first = ''] = segmentsOf(folders);
    folders.spool.removeFile(first);

    const spool = await open(folders);

    expect(numbers(await texts(spool))).toEqual(['2', '3']);
    expect(spool.position('s').get('i')).toBe('3');
    expect(named('events.spool-damaged')).toMatchObject([{ fields: { kind: 'missing', records: 1 } }]);
  });

  test('a segment that goes at run time is told, and the rest is shipped', async () => {
    const { open, folders, named } = await three(500);
    const spool = await open(folders);
    const [, second = ''] = segmentsOf(folders);
    folders.spool.onCall = (call, name) => {
      if (name === second && (call === 'read' || call === 'open')) throw failure('ENOENT');
    };

    expect(numbers(await texts(spool))).toEqual(['1', '3']);
    expect(named('events.batches-lost')).toMatchObject([
      { fields: { reason: 'segment-missing', batches: 1 } },
    ]);
  });

  test('a disk that does not read is asked again a few times before a batch is given up', async () => {
    const { open, folders, named } = await three(500);
    const spool = await open(folders);
    const [, second = ''] = segmentsOf(folders);
    folders.spool.onCall = (call, name) => {
      if (name === second && call === 'read') throw failure('EIO');
    };
    let failures = 0;
    let found: string[] | undefined;
    while (found === undefined && failures < 100) {
      found = await texts(spool).catch(() => undefined);
      if (found === undefined) failures += 1;
    }

    expect(numbers(found ?? [])).toEqual(['1', '3']);
    expect(failures).toBe(8);
    expect(named('events.batches-lost')).toMatchObject([{ fields: { reason: 'unreadable' } }]);
  });

  test.each(['EMFILE', 'EIO', 'ENOMEM', 'EACCES'])(
    'a segment that does not open at the start, %s, refuses the start and costs nothing',
    async (errno) => {
      for (const place of [0, 1, 2]) {
        const { open, folders, keeper, named } = await three(500);
        const refused = segmentsOf(folders)[place];
        const keysBefore = keeper.keys.size;
        folders.spool.onCall = (call, name) => {
          if (name === refused && call === 'open') throw failure(errno);
        };

        await expect(open(folders)).rejects.toMatchObject({
          code: 'EVENTS_SPOOL_UNREADABLE',
          details: { errno },
          row: { retry: true },
        });
        folders.spool.onCall = () => undefined;

        expect(numbers(await texts(await open(folders)))).toEqual(['1', '2', '3']);
        expect(keeper.keys.size).toBe(keysBefore);
        expect(named('events.spool-damaged')).toEqual([]);
      }
    },
  );

  test.each([0, 1, 2].flatMap((place) => [0, 1].map((settled) => [place, settled] as const)))(
    'segment %i, which does not read at one start, is kept with its key and shipped when it does; %i new ones go',
    async (place, settled) => {
      const { open, named, clock } = spoolFixture({ segmentBytes: 500 });
      const before = memoryFolders();
      const first = await open(before);
      for (const number of [1, 2, 3]) await append(first, longLine(number));
      const folders = killed(before);
      const unread = segmentsOf(folders)[place] ?? '';
      let isBad = true;
      const opened = folders.spool.open.bind(folders.spool);
      folders.spool.open = async (name) => {
        const file = await opened(name);
        return isBad && name === unread ? { ...file, read: noRead } : file;
      };
      const spool = await open(folders);
      const others = numbers(await texts(spool));
      await settleOldest(spool, 3);
      // Two changes of the key: the one before is kept for what is under way.
      for (const number of [5, 6, 7, 8]) {
        await clock.advance(25 * 60 * 60 * 1000);
        await append(spool, longLine(number));
        await clock.advance(1);
        if (number === 5) await settleOldest(spool, settled);
      }
      await spool.close();
      isBad = false;
      const unreadNumber = String(place + 1);

      expect(others).toEqual(['1', '2', '3'].filter((number) => number !== unreadNumber));
      expect(named('events.spool-damaged').length).toBeGreaterThan(0);
      const again = await open(folders);
      expect(numbers(await texts(again))).toEqual([unreadNumber, '5', '6', '7', '8'].toSpliced(1, settled));
      expect(named('events.batches-lost')).toEqual([]);
      await settleOldest(again, 5);
      await append(again, 'last');
      await again.close();
      expect(segmentsOf(folders)).not.toContain(unread);
    },
  );

  test('dead letters that do not read at one start are there at the next, under their ids and keys, beside new ones', async () => {
    const { open, clock, named } = spoolFixture();
    const before = memoryFolders();
    const first = await open(before);
    for (const message of ['one', 'two', 'three']) await refuseAlone(first, message);
    const folders = killed(before);
    let isBad = true;
    const opened = folders.deadLetter.open.bind(folders.deadLetter);
    folders.deadLetter.open = async (name) => {
      const file = await opened(name);
      return isBad ? { ...file, read: noRead } : file;
    };

    const second = await open(folders);
    expect(second.deadLetters(9)).toEqual([]);
    expect(named('events.spool-damaged')).toMatchObject([{ fields: { folder: 'dead-letter' } }]);
    // The first after a day is under the key of before, which none but the unread ones need then.
    await clock.advance(25 * 60 * 60 * 1000);
    await append(second, 'sent');
    await settleOldest(second);
    for (let day = 0; day < 2; day += 1) {
      await clock.advance(25 * 60 * 60 * 1000);
      // It waits under an id of its own: letters of batches that wait are forgotten, for those are refused again.
      await append(second, 'waits');
    }
    await refuseAlone(second, 'four');
    await second.close();
    isBad = false;

    const third = await open(folders);
    const letters = third.deadLetters(9);
    expect(new Set(letters.map(({ id }) => id)).size).toBe(4);
    const found = await Promise.all(letters.map(({ id }) => third.deadLetter(id)));
    expect(found.map((letter) => letter?.message)).toEqual(['one', 'two', 'three', 'four']);
  });

  test('a body that does not read at the start is no end of what was acknowledged', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const first = await open(folders);
    await append(first, longLine(1).repeat(200));
    const after = killed(folders);
    let reads = 0;
    after.spool.onCall = (call) => {
      if (call === 'read') reads += 1;
      if (reads === 4) throw failure('EIO');
    };

    expect(numbers(await texts(await open(after)))).toEqual(['1']);
  });

  test('a folder full of noise is told, and the spool works', async () => {
    const { open, named } = spoolFixture();
    const folders = memoryFolders();
    folders.spool.replaceFile('0000000001.segment', randomBytes(5000));
    folders.spool.replaceFile('0000000002.segment', Buffer.alloc(70_000, 'GHR\u0001', 'latin1'));
    folders.spool.replaceFile('other', Buffer.from('text'));

    const spool = await open(folders);
    await append(spool, 'one', '1');

    expect(await texts(spool)).toEqual(['one']);
    expect(named('events.spool-cut').length).toBeGreaterThan(0);
    expect(folders.spool.files.has('other')).toBe(true);
  });

  test('every single flipped bit leaves what it does not touch, and never a wrong text', async () => {
    const { open, folders } = await three();
    const [[name, whole] = ['', Buffer.alloc(0)]] = folders.spool.files;
    for (let at = 0; at < whole.length; at += 7) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
      const copy = memoryFolders();
      copy.spool.replaceFile(name, damaged);

      const spool = await open(copy);
      const found = numbers(await texts(spool));

      expect(found.length).toBeGreaterThanOrEqual(2);
      expect(['1', '2', '3'].filter((number) => found.includes(number))).toEqual(found);
    }
  });
});

test.each([
  ['may be sent again when the power goes at once', 0, ['one']],
  ['are not sent again when sixteen others were appended since', 16, []],
])('settled batches %s', async (_what, others, again) => {
  const { open } = spoolFixture();
  const folders = memoryFolders();
  const spool = await open(folders);
  await append(spool, 'one');
  await settleOldest(spool);
  for (let number = 0; number < others; number += 1) await append(spool, 'other', undefined, b);

  const after = await open({ ...folders, spool: folders.spool.unplugged(() => 0) });

  expect(await texts(after)).toEqual(again);
  expect(await texts(after, b)).toHaveLength(others);
});

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

describe('a disk that fails', () => {
  const calls = ['create', 'write', 'sync', 'sync-folder', 'truncate'] as const;

  test.each(calls.flatMap((call) => ['ENOSPC', 'EIO', 'EROFS'].map((code) => [call, code] as const)))(
    'at %s with %s: appends are refused, nothing is lost, and it goes on when the disk is back',
    async (call, code) => {
      const { open, named } = spoolFixture({ segmentBytes: 3000 });
      const folders = memoryFolders();
      const spool = await open(folders);
      const acknowledged: string[] = [];
      let isFailing = false;
      folders.spool.onCall = (made) => {
        if (!isFailing) return;
        if (made === call || (call === 'truncate' && made === 'write')) throw failure(code);
      };
      for (let number = 0; number < 60; number += 1) {
        isFailing = number % 10 >= 4 && number % 10 < 8;
        const text = `${number} ${'x'.repeat(500)}`;
        await append(spool, text, String(number)).then(
          () => acknowledged.push(text),
          (error: unknown) => expect(error).toMatchObject({ code: 'EVENTS_SPOOL_UNWRITABLE' }),
        );
      }

      expect(acknowledged.length).toBeLessThan(60);
      expect(acknowledged.length).toBeGreaterThanOrEqual(36);
      expect(await texts(spool)).toEqual(acknowledged);
      const after = await texts(await open(killed(folders)));
      expect(after.filter((text) => acknowledged.includes(text))).toEqual(acknowledged);
      expect(named('events.batches-lost')).toEqual([]);
      expect(named('events.spool-damaged')).toEqual([]);
    },
  );

  test('at a write for several refuses each of them, and then takes them with one', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const spool = await open(folders);
    await append(spool, 'zero');
    let writes = 0;
    folders.spool.onCall = (call) => {
      if (call !== 'write') return;
      writes += 1;
      if (writes === 1) throw failure('ENOSPC');
    };
    const both = () => Promise.allSettled([append(spool, 'one'), append(spool, 'two', undefined, b)]);

    expect((await both()).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await texts(spool)).toEqual(['zero']);
    expect((await both()).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);

    expect(writes).toBe(2);
    expect([await texts(spool), await texts(spool, b)]).toEqual([['zero', 'one'], ['two']]);
  });

  test.each([
    ['ENOSPC', 'is written to as before once it has room', ['0000000001.segment']],
    ['EDQUOT', 'is written to as before within its quota again', ['0000000001.segment']],
    [
      'EIO',
      'is not relied upon: what follows goes to a new segment',
      ['0000000001.segment', '0000000002.segment'],
    ],
  ])('at a write with %s %s', async (code, _what, segments) => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const spool = await open(folders);
    await append(spool, 'one', '1');
    folders.spool.onCall = (call) => {
      if (call === 'write') throw failure(code);
    };
    await expect(append(spool, 'two', '2')).rejects.toMatchObject({ code: 'EVENTS_SPOOL_UNWRITABLE' });
    folders.spool.onCall = () => undefined;

    await append(spool, 'two', '2');

    expect(segmentsOf(folders)).toEqual(segments);
    expect(await texts(spool)).toEqual(['one', 'two']);
  });

  test('what it refused and could not be taken back is not there again at the next start', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const spool = await open(folders);
    await append(spool, 'one', '1');
    folders.spool.onCall = (call) => {
      if (call === 'sync' || call === 'truncate') throw failure('EIO');
    };
    await expect(append(spool, 'two', '2')).rejects.toMatchObject({ code: 'EVENTS_SPOOL_UNWRITABLE' });
    folders.spool.onCall = () => undefined;
    await append(spool, 'two', '2');
    await append(spool, 'three', '3');

    const again = await open(killed(folders));

    expect(await texts(again)).toEqual(['one', 'two', 'three']);
  });

  test.each([false, true])(
    'that is full of settled batches alone has room again, and goes on (after a start: %j)',
    async (isStarted) => {
      const { open } = spoolFixture({ segmentBytes: 2 ** 24 });
      let folders = memoryFolders();
      let spool = await open(folders);
      folders.spool.bytesMax = 2_000_000;
      let appended = 0;
      await expect(
        (async () => {
          for (;;) {
            await append(spool, 'x'.repeat(100_000), String(appended + 1));
            appended += 1;
          }
        })(),
      ).rejects.toMatchObject({ code: 'EVENTS_SPOOL_UNWRITABLE' });

      if (isStarted) {
        folders = killed(folders);
        const { files } = folders.spool;
        folders.spool.bytesMax = [...files.values()].reduce((sum, { length }) => sum + length, 0);
        spool = await open(folders);
      }
      await settleOldest(spool, appended);
      // The first one tells that there is no room.
      if (isStarted) await append(spool, 'no room yet').catch(() => undefined);
      await expect.poll(() => segmentsOf(folders)).not.toContain('0000000001.segment');
      await append(spool, 'after');

      expect(appended).toBeGreaterThan(10);
      expect(await texts(spool)).toEqual(['after']);
      expect(spool.position('s').get('i')).toBe(String(appended));
      expect((await open(killed(folders))).position('s').get('i')).toBe(String(appended));
    },
  );

  test('that is full to the last byte has room again when older segments are needed no more', async () => {
    const { open } = spoolFixture({ segmentBytes: 10_000 });
    const folders = memoryFolders();
    const spool = await open(folders);
    for (let number = 0; number < 30; number += 1) await append(spool, longLine(number), String(number));
    const { files } = folders.spool;
    folders.spool.bytesMax = [...files.values()].reduce((sum, { length }) => sum + length, 0);

    await settleOldest(spool, 29);
    await expect.poll(() => segmentsOf(folders)).toHaveLength(1);
    await append(spool, 'after', 'after');

    expect(await texts(spool)).toEqual([longLine(29), 'after']);
    const again = await open(killed(folders));
    expect(await texts(again)).toEqual([longLine(29), 'after']);
    expect(again.position('s').get('i')).toBe('after');
  });

  test.each(['write', 'sync', 'sync-folder'] as const)(
    'at %s of a new segment leaves none behind: what was refused is not there at the next start',
    async (call) => {
      const { open } = spoolFixture();
      const folders = memoryFolders();
      const spool = await open(folders);
      folders.spool.onCall = (made) => {
        if (made === call) throw failure('EIO');
      };

      await expect(append(spool, 'one')).rejects.toMatchObject({ code: 'EVENTS_SPOOL_UNWRITABLE' });

      expect(segmentsOf(folders)).toEqual([]);
      expect(await texts(await open(killed(folders)))).toEqual([]);
    },
  );

  test('a batch that cannot be marked as settled stays, and is settled when the disk is back', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const spool = await open(folders);
    await append(spool, 'one');
    const [batch] = await spool.read({ stream: a, batchesMax: 1 }, never);
    if (batch === undefined) throw new Error('nothing read');
    folders.spool.onCall = () => {
      throw failure('EIO');
    };

    await expect(spool.settle(batch, [])).rejects.toMatchObject({ code: 'EVENTS_SPOOL_UNWRITABLE' });
    expect(spool.counts().batches).toBe(1);
    folders.spool.onCall = () => undefined;
    await spool.settle(batch, []);

    expect(spool.counts().batches).toBe(0);
  });

  test('refused events that cannot be kept are kept once when the disk is back', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const spool = await open(folders);
    await append(spool, 'one\ntwo');
    const [batch] = await spool.read({ stream: a, batchesMax: 1 }, never);
    if (batch === undefined) throw new Error('nothing read');
    const refused = [1, 2].map((timestamp) => ({ reason: 'invalid' as const, timestamp, message: 'x' }));
    folders.spool.onCall = (call) => {
      if (call === 'write') throw failure('EIO');
    };
    await expect(spool.settle(batch, refused)).rejects.toMatchObject({ code: 'EVENTS_SPOOL_UNWRITABLE' });

    folders.spool.onCall = () => undefined;
    await spool.settle(batch, refused);

    expect(spool.deadLetters(10).map(({ id }) => id)).toEqual([1, 2]);
  });
});

describe('the dead letter', () => {
  test('that is full loses its oldest events and says so', async () => {
    const { open, named } = spoolFixture({ deadLetterBytesMax: 1500 });
    const spool = await open(memoryFolders());

    await refuse(spool, ['a'.repeat(400), 'b'.repeat(400), 'c'.repeat(400)]);

    expect(spool.deadLetters(10).map(({ id }) => id)).toEqual([2, 3]);
    expect(named('events.dead-letter-full')).toMatchObject([{ fields: { events: 1 }, audit: 'failure' }]);
  });

  test('counts no bytes when it is empty, though letters were moved', async () => {
    const { open } = spoolFixture({ deadLetterBytesMax: 2 ** 24 });
    const folders = memoryFolders();
    const spool = await open(folders);
    const lines = Array.from({ length: 50 }, (_, number) => longLine(number).repeat(10));
    for (let round = 0; round < 8; round += 1) await refuse(spool, lines);
    const before = [...folders.deadLetter.files.keys()];
    for (let id = 1; id <= 400; id += 1) if (id % 8 !== 0) await spool.dropDeadLetter(id);
    await expect.poll(() => before.some((name) => !folders.deadLetter.files.has(name))).toBe(true);

    for (let id = 8; id <= 400; id += 8) await spool.dropDeadLetter(id);

    expect(spool.counts()).toMatchObject({ deadLetters: 0, deadLetterBytes: 0 });
  });

  test('says once an hour how many were lost, and no more: it is audited, and audit may be what is refused', async () => {
    const { open, clock, named } = spoolFixture({ deadLetterBytesMax: 1500 });
    const spool = await open(memoryFolders());
    for (let round = 0; round < 5; round += 1) await refuse(spool, ['a'.repeat(600), 'b'.repeat(600)]);
    await clock.advance(60 * 60 * 1000);

    await refuse(spool, ['a'.repeat(600), 'b'.repeat(600)]);

    expect(named('events.dead-letter-full').map(({ fields }) => fields['events'])).toEqual([1, 10]);
  });

  test('counts the same bytes after a start, and keeps to its bound then too', async () => {
    const { open, named } = spoolFixture({ deadLetterBytesMax: 3000 });
    const folders = memoryFolders();
    const first = await open(folders);
    await refuse(first, ['a'.repeat(1000), 'b'.repeat(1000)]);
    const { deadLetterBytes } = first.counts();
    const saidWhileAllWereKept = named('events.dead-letter-full');
    await first.close();

    const again = await open(folders);
    expect(again.counts()).toMatchObject({ deadLetters: 2, deadLetterBytes });
    await refuse(again, ['c'.repeat(1000)]);

    expect(saidWhileAllWereKept).toEqual([]);
    expect(named('events.dead-letter-full')).toMatchObject([{ fields: { events: 1 } }]);
    expect(again.deadLetters(9).map(({ id }) => id)).toEqual([2, 3]);
    for (const { id } of again.deadLetters(9)) await again.dropDeadLetter(id);
    expect(again.counts()).toMatchObject({ deadLetters: 0, deadLetterBytes: 0 });
  });

  test('has nothing of a batch that is still to be sent when the agent starts again', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const spool = await open(folders);
    await append(spool, 'one');
    const [batch] = await spool.read({ stream: a, batchesMax: 1 }, never);
    if (batch === undefined) throw new Error('nothing read');
    folders.spool.onCall = (call) => {
      if (call === 'write') throw failure('EIO');
    };
    await expect(
      spool.settle(batch, [{ reason: 'invalid', timestamp: 1, message: 'one' }]),
    ).rejects.toMatchObject({ code: 'EVENTS_SPOOL_UNWRITABLE' });
    folders.spool.onCall = () => undefined;
    const kept = spool.deadLetters(9).length;

    const again = await open(killed(folders));

    expect(kept).toBe(1);
    expect(again.deadLetters(9)).toEqual([]);
    await settleOldest(again);
    expect((await open(killed(folders))).deadLetters(9)).toEqual([]);
  });

  test('is sealed, and is there after a kill', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const spool = await open(folders);
    await refuse(spool, ['canary-8d1f', 'other']);

    const again = await open(killed(folders));

    expect([...folders.deadLetter.files.values()].some((bytes) => bytes.includes('canary-8d1f'))).toBe(false);
    expect(await again.deadLetter(1)).toEqual({ timestamp: 0, message: 'canary-8d1f' });
    expect(await again.dropDeadLetter(1)).toBe(true);
    expect((await open(killed(folders))).deadLetters(10).map(({ id }) => id)).toEqual([2]);
  });

  test('keeps once what was refused of a batch that was never spooled, though a part was kept when it failed', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const spool = await open(folders);
    const batch = batchOf(a, 'one');
    // Each of them fills a write.
    const message = 'x'.repeat(5 * 2 ** 20);
    const refused = [1, 2].map((timestamp) => ({ reason: 'invalid' as const, timestamp, message }));
    let writes = 0;
    folders.deadLetter.onCall = (call) => {
      if (call === 'write') writes += 1;
      if (call === 'write' && writes > 1) throw failure('EIO');
    };
    await expect(spool.refuse(batch, refused)).rejects.toMatchObject({ code: 'EVENTS_SPOOL_UNWRITABLE' });
    expect(spool.deadLetters(10)).toHaveLength(1);

    folders.deadLetter.onCall = () => undefined;
    await spool.refuse(batch, refused);
    await append(spool, 'later');

    expect(spool.deadLetters(10)).toHaveLength(2);
    // No batch has its id, or its letters would go at the next start.
    const again = await open(killed(folders));
    expect(again.deadLetters(10)).toHaveLength(2);
    expect(await texts(again)).toEqual(['later']);
  });

  test('has an event once when the agent ended between keeping it and settling its batch', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const spool = await open(folders);
    await append(spool, 'one');
    const [batch] = await spool.read({ stream: a, batchesMax: 1 }, never);
    if (batch === undefined) throw new Error('nothing read');
    folders.spool.onCall = (call) => {
      if (call === 'write') throw failure('EIO');
    };
    const refused = [{ reason: 'invalid' as const, timestamp: 1, message: 'one' }];
    await expect(spool.settle(batch, refused)).rejects.toMatchObject({ code: 'EVENTS_SPOOL_UNWRITABLE' });
    folders.spool.onCall = () => undefined;

    const again = await open(killed(folders));
    const [sameBatch] = await again.read({ stream: a, batchesMax: 1 }, never);
    if (sameBatch === undefined) throw new Error('nothing read');
    await again.settle(sameBatch, refused);

    expect(again.deadLetters(10)).toHaveLength(1);
  });
});

function killed({ spool, deadLetter, quarantine }: MemoryFolders): MemoryFolders {
  return { spool: spool.killed(), deadLetter: deadLetter.killed(), quarantine: quarantine.killed() };
}

test('its folders and files are private', async () => {
  const path = temporaryDirectory();
  const { open } = spoolFixture();
  const spool = await open(await foldersIn(path));
  onTestFinished(() => spool.close());
  await append(spool, 'one');

  const modes = readdirSync(path, { recursive: true, encoding: 'utf8' }).map(
    (name) => statSync(join(path, name)).mode & 0o777,
  );
  expect(new Set(modes)).toEqual(new Set([0o700, 0o600]));
});

test('positions and batches agree after a process was killed between or inside appends', async () => {
  const path = temporaryDirectory();
  const key = randomBytes(32);
  let acknowledged = 0;
  for (const afterLines of [1, 7, 40]) acknowledged = await appendUntilKilled(path, key, afterLines);

  const { clock, log } = spoolFixture();
  const first: DataKey = { keyId: '00000000000000ab', key: Secret.ofBytes(key), madeMs: Date.now() };
  const keeper = { current: noKey, fresh: noKey, open: noKey, keepOnly: () => undefined };
  const spool = await diskSpool({
    folders: await foldersIn(path),
    bytesMax: 2 ** 30,
    keys: keyRing(keeper, { first, clock, log }),
    allowClearSpool: false,
    deadLetterBytesMax: 2 ** 24,
    clock,
    log,
  });
  onTestFinished(() => spool.close());

  const batches = await spool.read(
    { stream: { logGroup: 'g', logStream: 's' }, batchesMax: 1_000_000 },
    never,
  );
  const found = batches.flatMap((batch) =>
    eventsOf(batch).map(({ message }) => Number.parseInt(message, 10)),
  );
  expect(found).toEqual(found.map((_, index) => index));
  expect(spool.position('numbers').get('next')).toBe(String(found.length));
  expect(found.length).toBeGreaterThanOrEqual(acknowledged);
});

/** Resolves with the number up to which the process had said that it is done. */
function appendUntilKilled(path: string, key: Buffer, afterLines: number): Promise<number> {
  const program = fileURLToPath(new URL('append-until-killed.ts', import.meta.url));
  const child = spawn(process.execPath, [program, path, key.toString('hex')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (said.split('\n').length > afterLines) child.kill('SIGKILL');
  });
  return new Promise((resolve) => {
    child.on('close', () => {
      const complete = said.slice(0, said.lastIndexOf('\n')).split('\n');
      resolve(Number(complete.at(-1)));
    });
  });
}

test('where the dead letter does not open no file of the spool stays open: forgotten ones end the process', async () => {
  const directory = temporaryDirectory();
  const { open } = spoolFixture();
  const { deadLetter, quarantine } = memoryFolders();
  const folders = { spool: await folderStorage(directory), deadLetter, quarantine };
  const spool = await open(folders);
  await spool.append(batchOf(a, 'one'), [], never);
  const openBefore = filesOpenIn(directory);
  await spool.close();

  deadLetter.onCall = () => {
    throw failure('EIO');
  };
  await expect(open(folders)).rejects.toMatchObject({ code: 'EIO' });

  expect(openBefore).not.toEqual([]);
  expect(filesOpenIn(directory)).toEqual([]);
});

function filesOpenIn(directory: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((name) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${name}`);
      return path.startsWith(directory) ? [path] : [];
    } catch {
      return [];
    }
  });
}
