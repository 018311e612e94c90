import { describe, expect, test } from 'vitest';
import { failure } from '../../../test/support/memory-storage.ts';
import { killed, memoryFolders, segmentsOf, spoolFixture } from '../../../test/support/spool-fixture.ts';
import { append, longLine, numbers, settleOldest, texts, three } from '../../../test/support/spool-texts.ts';
import { a, batchOf } from '../spool.contract.ts';
import type { Spool } from '../spool.ts';

/** Of a batch that is in the dead letter alone: nothing in the spool tells that its id was used. */
async function refuseAlone(spool: Spool, message: string): Promise<void> {
  await spool.refuse(batchOf(a, message), [{ reason: 'invalid', timestamp: 1, message }]);
}

const noRead = (): Promise<never> => Promise.reject(failure('EIO'));

describe('damage', () => {
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
});
