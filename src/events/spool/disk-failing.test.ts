import { describe, expect, test } from 'vitest';
import { failure } from '../../../test/support/memory-storage.ts';
import { killed, memoryFolders, segmentsOf, spoolFixture } from '../../../test/support/spool-fixture.ts';
import { append, appendedAndRead, longLine, settleOldest, texts } from '../../../test/support/spool-texts.ts';
import { b } from '../spool.contract.ts';

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
    const batch = await appendedAndRead(spool, 'one');
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
    const batch = await appendedAndRead(spool, 'one\ntwo');
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
