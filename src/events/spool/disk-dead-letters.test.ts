import { describe, expect, test } from 'vitest';
import { failure } from '../../../test/support/memory-storage.ts';
import { killed, memoryFolders, spoolFixture } from '../../../test/support/spool-fixture.ts';
import { append, appendedAndRead, longLine, settleOldest, texts } from '../../../test/support/spool-texts.ts';
import { a, batchOf, never } from '../spool.contract.ts';
import type { Spool } from '../spool.ts';

async function refuse(spool: Spool, messages: readonly string[]): Promise<void> {
  const batch = await appendedAndRead(spool, messages.join('\n'));
  await spool.settle(
    batch,
    messages.map((message, timestamp) => ({ reason: 'expired' as const, timestamp, message })),
  );
}

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
    const batch = await appendedAndRead(spool, 'one');
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
    const batch = await appendedAndRead(spool, 'one');
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
