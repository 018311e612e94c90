import { describe, expect, test } from 'vitest';
import { memoryFolders, spoolFixture } from '../../../test/support/spool-fixture.ts';
import { append, settleOldest, texts } from '../../../test/support/spool-texts.ts';
import { eventsError } from '../errors.ts';

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
