import { describe, expect, test } from 'vitest';
import { heldUp, scriptedSource, setup, streamOf } from '../../../test/support/pipeline-rig.ts';
import { isSameMemory } from '../../../test/support/same-memory.ts';
import { bodyBytesUsual, borrowDraft } from '../body-memory.ts';
import { eventsError } from '../errors.ts';
import type { Spool } from '../spool.ts';

describe('a pipeline that reads ahead', () => {
  test('goes on reading while two full batches are made durable, up to the next that is full', async () => {
    const { clock, spool, sink, give, pulled, start } = setup();
    const { slow, gate } = heldUp(spool);
    start({ spool: slow });

    for (const letter of ['a', 'b', 'c', 'd', 'e']) give(`${letter.repeat(700_000)}\n`);
    await clock.advance(10);
    expect(pulled()).toBe(4);
    gate.resolve();
    await clock.advance(1000);

    expect(sink.messages().map(([letter]) => letter)).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  test('reads on slowly while the calls are far behind', async () => {
    const { clock, sink, give, pulled, start } = setup();
    sink.onSend = () => new Promise(() => {});
    start();

    for (let each = 0; each < 20; each += 1) give(`${'x'.repeat(700_000)}\n`);
    await clock.advance(9);
    const ahead = pulled();
    await clock.advance(10);
    const later = pulled();
    await clock.advance(1_000);

    expect(ahead).toBeLessThan(10);
    expect(later).toBe(ahead + 1);
    expect(pulled()).toBe(20);
  });

  test('what is durable no longer counts as open: small chunks go together after many large ones', async () => {
    const { clock, sink, give, start } = setup({ limits: { openBytesMax: 10_000 } });
    start();
    for (let each = 0; each < 3; each += 1) {
      give(`${'x'.repeat(5_000)}\n`);
      await clock.advance(1_000);
    }

    give('one\n');
    give('two\n');
    await clock.advance(1_000);

    expect(sink.batches.map(({ events }) => events)).toEqual([1, 1, 1, 2]);
  });

  test('makes large batches again once what was too much to hold is durable', async () => {
    const { clock, sink, give, start } = setup({ limits: { openBytesMax: 10_000 } });
    start();
    for (let index = 0; index < 15; index += 1) give(`${'x'.repeat(900)}\n`);
    await clock.advance(10_000);
    const before = sink.batches.length;

    for (let index = 0; index < 5; index += 1) give('short\n');
    await clock.advance(10_000);

    expect(sink.batches.length - before).toBe(1);
  });

  test('batches that are full while one is written are written together, and all of them again where that fails', async () => {
    const { clock, spool, sink, give, start, said } = setup();
    const gate = Promise.withResolvers<void>();
    const together: number[] = [];
    const slow: Spool = {
      ...spool,
      async append(...args) {
        await gate.promise;
        return spool.append(...args);
      },
      async appendFirst(batches, signal) {
        together.push(batches.length);
        if (together.length === 1) throw eventsError('EVENTS_SPOOL_UNWRITABLE', { path: '/memory' });
        const ids: number[] = [];
        for (const { batch, positions } of batches) ids.push(await spool.append(batch, positions, signal));
        return ids;
      },
    };
    start({ spool: slow });

    for (const [index, letter] of ['a', 'b', 'c', 'd'].entries()) give(`${letter.repeat(700_000)}\n`, index);
    await clock.advance(10);
    gate.resolve();
    // Not a millisecond: the next try is at a random moment of the next two hundred.
    await clock.advance(0);
    expect(together[0]).toBe(2);
    expect(spool.position('s0').get('item')).toBe('0');
    await clock.advance(10_000);

    expect(said('events.spool-failed')).toHaveLength(1);
    expect(sink.messages().map(([letter]) => letter)).toEqual(['a', 'b', 'c', 'd']);
    expect(spool.position('s0').get('item')).toBe('3');
  });

  test.each([false, true])(
    'reads no more than it may hold, whatever streams it has (spread: %j)',
    async (isSpread) => {
      const { clock, spool, sink, scripted, start } = setup({ limits: { openBytesMax: 10_000 } });
      const [{ source, give, pulled } = scriptedSource(clock)] = scripted;
      const { slow, gate } = heldUp(spool);
      start({ spool: slow, sources: [{ name: 's0', source, isSpread, streamOf }] });
      const line = `${'x'.repeat(900)}\n`;

      for (let index = 0; index < 100; index += 1) give(line, index, `stream-${index % 50}`);
      await clock.advance(10_000);

      expect(pulled()).toBeLessThan(13);

      gate.resolve();
      await clock.advance(10_000);

      expect(sink.messages()).toHaveLength(100);
      expect(spool.position('s0').get('item')).toBe('99');
    },
  );

  test('memory of a full batch is used again once it was sent', async () => {
    const { clock, give, start } = setup();
    const bodies: Buffer[] = [];
    start({
      sink: {
        async send({ body }) {
          bodies.push(body);
          return [];
        },
      },
    });

    for (const letter of ['a', 'b']) give(`${letter.repeat(700_000)}\n`);
    await clock.advance(1_000);

    const next = borrowDraft(bodyBytesUsual);
    expect(bodies.map((body) => isSameMemory(body, next))).toEqual(expect.arrayContaining([true]));
    expect(bodies).toHaveLength(2);
  });

  test('lines that do not fit behind those of a batch go with the next, though they were written there', async () => {
    const { clock, sink, give, start } = setup();
    start();

    give(`${'a'.repeat(900_000)}\n`);
    give(`${'b'.repeat(19)}\n`.repeat(5_000));
    await clock.advance(1_000);

    expect(sink.batches.map(({ events }) => events)).toEqual([1, 5_000]);
    expect(new Set(sink.messages())).toEqual(new Set(['a'.repeat(900_000), 'b'.repeat(19)]));
  });
});
