import { describe, expect, test } from 'vitest';
import { setup } from '../../../test/support/pipeline-rig.ts';
import { eventsOf } from '../batch.ts';
import { returnBody } from '../body-memory.ts';
import { eventsError } from '../errors.ts';
import type { Spool } from '../spool.ts';

describe('a batch that is settled', () => {
  test('what settling cannot mend ends it at once, though the next batch is not taken', async () => {
    const { clock, spool, sink, give, start } = setup();
    const gate = Promise.withResolvers<void>();
    const broken: Spool = {
      ...spool,
      async settle() {
        await gate.promise;
        throw eventsError('EVENTS_SPOOL_KEY_MISSING', { path: '/memory' });
      },
    };
    const { done } = start({ spool: broken });
    sink.onSend = ({ body }) => {
      if (body.includes('bbb')) throw eventsError('EVENTS_UNREACHABLE', {});
      return [];
    };

    for (const letter of ['a', 'b', 'c']) give(`${letter.repeat(700_000)}\n`);
    await clock.advance(1000);
    let ended: unknown;
    done.catch((error: unknown) => (ended = error));
    gate.resolve();
    await clock.advance(0);

    expect(ended).toMatchObject({ code: 'EVENTS_SPOOL_KEY_MISSING' });
  });

  test('ends after what was taken is settled, though the next does not read', async () => {
    const { clock, spool, give, start, stop } = setup();
    const gate = Promise.withResolvers<void>();
    const slow: Spool = {
      ...spool,
      async read(limits, signal) {
        if (limits.except?.size === 1) throw eventsError('EVENTS_SPOOL_UNREADABLE', { path: '/memory' });
        return spool.read(limits, signal);
      },
      async settle(batch, refused) {
        await gate.promise;
        return spool.settle(batch, refused);
      },
    };
    const { done } = start({ spool: slow });
    give('one\n');
    await clock.advance(1000);

    stop.abort();
    const left = done.then(() => spool.counts().batches);
    await clock.advance(0);
    gate.resolve();

    expect(await left).toBe(0);
  });

  test('sends the next batch while one is settled, and none of them again', async () => {
    const { clock, spool, sink, give, start, said } = setup();
    const gate = Promise.withResolvers<void>();
    let settles = 0;
    const slow: Spool = {
      ...spool,
      async settle(batch, refused) {
        settles += 1;
        if (settles === 1) {
          await gate.promise;
          throw eventsError('EVENTS_SPOOL_UNWRITABLE', { path: '/memory' });
        }
        return spool.settle(batch, refused);
      },
    };
    start({ spool: slow });

    for (const letter of ['a', 'b', 'c']) give(`${letter.repeat(700_000)}\n`);
    await clock.advance(1000);
    const first = sink.messages().map(([letter]) => letter);
    expect(first).toEqual(['a', 'b']);
    gate.resolve();
    await clock.advance(10_000);

    expect(said('events.spool-failed')).toHaveLength(1);
    expect(sink.messages().map(([letter]) => letter)).toEqual(['a', 'b', 'c']);
    expect(spool.counts().batches).toBe(0);
  });

  test('memory of a batch is used again only when it is sent no more, though others settled the batch', async () => {
    const { clock, spool, give, start } = setup();
    const gate = Promise.withResolvers<void>();
    const sent: string[] = [];
    start({
      sink: {
        async send(batch) {
          await gate.promise;
          sent.push(...eventsOf(batch).map(({ message }) => message.slice(0, 1)));
          return [];
        },
      },
    });

    give(`${'a'.repeat(700_000)}\n`, 1);
    give(`${'b'.repeat(700_000)}\n`, 2);
    await clock.advance(1_000);
    const [stream] = spool.streams();
    if (stream === undefined) throw new Error('nothing is spooled');
    const [victim] = await spool.read({ stream, batchesMax: 1 }, new AbortController().signal);
    if (victim === undefined) throw new Error('nothing is spooled');
    await spool.settle(victim, []);
    returnBody(victim.body);
    give(`${'c'.repeat(700_000)}\n`, 3);
    give(`${'d'.repeat(700_000)}\n`, 4);
    await clock.advance(1_000);
    gate.resolve();
    await clock.advance(1_000);

    expect(sent).toEqual(['a', 'b', 'c', 'd']);
  });
});
