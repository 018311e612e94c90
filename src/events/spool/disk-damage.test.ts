import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { failure } from '../../../test/support/memory-storage.ts';
import {
  killed,
  type MemoryFolders,
  memoryFolders,
  segmentsOf,
  spoolFixture,
} from '../../../test/support/spool-fixture.ts';
import { append, longLine, numbers, texts, three } from '../../../test/support/spool-texts.ts';
import { nextMagic } from './record.ts';

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

/** Where the records of a segment begin. */
function placesOf(bytes: Buffer): number[] {
  const places: number[] = [];
  for (let at = nextMagic(bytes, 0); at >= 0; at = nextMagic(bytes, at + 1)) places.push(at);
  return places;
}

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
