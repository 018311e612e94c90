import { describe, expect, test } from 'vitest';
import { scriptedSource, setup } from '../../../test/support/pipeline-rig.ts';
import { eventsError } from '../errors.ts';
import type { RefusedEvent, Spool } from '../spool.ts';
import type { PipelineSource } from './source.ts';

const hourMs = 60 * 60 * 1000;
/** Tries so far apart that a day of them is no long story, however the dice fall. */
const seldom = { backoffBaseMs: hourMs, backoffCapMs: 10 * hourMs };

describe('a pipeline whose spool is full, or keeps nothing for so long,', () => {
  test('loses what finds no room where that is wanted, moves on past it, and spares who waits to be told', async () => {
    const { clock, spool, sink, give, start } = setup({ bytesMax: 3_000 });
    sink.onSend = () => Promise.reject(eventsError('EVENTS_UNREACHABLE', {}));
    const { line } = start({ whenFull: 'drop-newest' });
    const told: string[] = [];

    for (const [index, letter] of ['a', 'b', 'c', 'd'].entries()) {
      give(`${letter.repeat(1_500)}\n`, (index + 1) * 1_501);
      await clock.advance(1_000);
    }
    give('waits\n', 9_000, undefined, () => told.push('told'));
    await clock.advance(1_000);

    expect(line.status()).toMatchObject({ spool: { batches: 2 }, dropped: { events: 3 } });
    expect(spool.position('s0').get('item')).toBe('9000');
    expect(told).toEqual(['told']);
  });

  test.each(['drop-newest', 'drop-oldest'] as const)(
    'loses nothing of a source that is spared, where others lose what finds no room: %s',
    async (whenFull) => {
      const { clock, sink, scripted, start } = setup({ bytesMax: 3_000, sources: 2 });
      const [audit, app] = scripted;
      let isAway = true;
      sink.onSend = () => {
        if (isAway) throw eventsError('EVENTS_UNREACHABLE');
        return [];
      };
      const sources = ['audit', 'app'].map((name, index): PipelineSource => {
        const { source } = scripted[index] ?? scriptedSource(clock);
        const stream = { logGroup: 'g', logStream: name };
        return { name, source, isSpared: name === 'audit', streamOf: () => stream };
      });
      const { line } = start({ sources, whenFull });

      for (const letter of ['a', 'b', 'c']) {
        audit?.give(`${letter.repeat(1_200)}\n`);
        await clock.advance(1_000);
        app?.give(`${letter.repeat(1_200)}\n`);
        await clock.advance(1_000);
      }
      isAway = false;
      await clock.advance(120_000);

      expect(sink.messages('audit').map(([letter]) => letter)).toEqual(['a', 'b', 'c']);
      expect(line.status().dropped?.events).toBeGreaterThan(0);
    },
  );

  test('drops nothing that somebody waits to be told of: that waits for room', async () => {
    const { clock, sink, give, start } = setup({ bytesMax: 3_000 });
    let isAway = true;
    sink.onSend = () => {
      if (isAway) throw eventsError('EVENTS_UNREACHABLE');
      return [];
    };
    const { line } = start({ whenFull: 'drop-newest' });
    const told: string[] = [];
    give(`${'a'.repeat(2_000)}\n`);
    await clock.advance(1_000);

    give(`${'b'.repeat(2_000)}\n`, 4_002, undefined, () => told.push('durable'));
    await clock.advance(1_000);
    const early = [...told];
    isAway = false;
    await clock.advance(60_000);

    expect([early, told]).toEqual([[], ['durable']]);
    expect(sink.messages().map(([letter]) => letter)).toEqual(['a', 'b']);
    expect(line.status()).toMatchObject({ dropped: { events: 0 } });
  });

  test.each(['drop-newest', 'drop-oldest'] as const)(
    'asks for each batch by itself where one may be lost for another: %s',
    async (whenFull) => {
      const { clock, spool, sink, give, start } = setup({ bytesMax: 1_600_000 });
      const gate = Promise.withResolvers<void>();
      sink.onSend = () => Promise.reject(eventsError('EVENTS_UNREACHABLE'));
      const slow: Spool = {
        ...spool,
        async append(...args) {
          await gate.promise;
          return spool.append(...args);
        },
        appendFirst: () => Promise.reject(new Error('together')),
      };
      const { line } = start({ spool: slow, whenFull });

      for (const [index, letter] of ['a', 'b', 'c', 'd'].entries())
        give(`${letter.repeat(700_000)}\n`, index);
      await clock.advance(10);
      gate.resolve();
      await clock.advance(10_000);

      expect(line.status()).toMatchObject({ spool: { batches: 2 }, dropped: { events: 2 } });
      expect(spool.position('s0').get('item')).toBe('3');
    },
  );

  test.each([
    ['a call that is under way then', true, ['a', 'e', 'f']],
    ['a try that failed before', false, ['d', 'e', 'f']],
  ])('what drop-oldest counts as dropped is not delivered all the same: %s', async (_what, isSlow, kept) => {
    const { clock, sink, give, start } = setup({ bytesMax: 5_000 });
    const back = Promise.withResolvers<readonly RefusedEvent[]>();
    let isAway = true;
    sink.onSend = () => {
      if (isAway && !isSlow) throw eventsError('EVENTS_UNREACHABLE');
      return isAway ? back.promise : [];
    };
    const { line } = start({ whenFull: 'drop-oldest' });

    for (const letter of ['a', 'b', 'c', 'd', 'e', 'f']) {
      give(`${letter.repeat(1_500)}\n`);
      await clock.advance(1_000);
    }
    isAway = false;
    back.resolve([]);
    await clock.advance(60_000);

    expect(line.status()).toMatchObject({ dropped: { events: 3 }, sent: { events: 3 } });
    expect(sink.messages().map(([letter]) => letter)).toEqual(kept);
  });

  test('where all that could go for it is under way, what comes is lost with drop-oldest, and counted', async () => {
    const { clock, sink, give, start } = setup({ bytesMax: 3_000 });
    const gate = Promise.withResolvers<readonly RefusedEvent[]>();
    sink.onSend = () => gate.promise;
    const { line } = start({ whenFull: 'drop-oldest' });

    for (const letter of ['a', 'b', 'c']) {
      give(`${letter.repeat(2_000)}\n`);
      await clock.advance(1_000);
    }
    const { dropped } = line.status();
    gate.resolve([]);
    await clock.advance(1_000);

    expect(dropped?.events).toBe(2);
    expect(sink.messages().map(([letter]) => letter)).toEqual(['a']);
  });

  test('a stop whose deadline passes while something waits for room lasts a second longer, and no more', async () => {
    const { clock, sink, give, start } = setup({ bytesMax: 3_000 });
    sink.onSend = () => Promise.reject(eventsError('EVENTS_UNREACHABLE'));
    const { line, done } = start();
    for (const letter of ['a', 'b']) {
      give(`${letter.repeat(2_000)}\n`);
      await clock.advance(1_000);
    }
    let isDone = false;
    void done.then(() => (isDone = true));

    void line.drain(800);
    await clock.advance(1_799);
    const early = isDone;
    await clock.advance(1);

    expect([early, isDone]).toEqual([false, true]);
  });

  test('what waited too long and lies in the dead letter is not sent as well', async () => {
    const { clock, spool, sink, give, start } = setup({ limits: seldom });
    let isAway = true;
    sink.onSend = () => {
      if (isAway) throw eventsError('EVENTS_UNREACHABLE');
      return [];
    };
    start({ ageMaxDays: 1 });
    give('old\n');
    await clock.advance(25 * hourMs);
    give('young\n');
    await clock.advance(1_000);

    isAway = false;
    await clock.advance(10 * hourMs);

    expect(sink.messages()).toEqual(['young']);
    expect(spool.deadLetters(9)).toHaveLength(1);
  });

  test('what an outage made too old lies in the dead letter, though its sender holds it', async () => {
    const { clock, spool, sink, give, start } = setup({ limits: seldom });
    sink.onSend = () => Promise.reject(eventsError('EVENTS_UNREACHABLE', {}));
    const { line } = start({ ageMaxDays: 1 });
    give('old\n');
    await clock.advance(12 * hourMs);
    give('young\n');

    await clock.advance(12.5 * hourMs);

    expect(line.status()).toMatchObject({
      spool: { batches: 1 },
      deadLetter: { events: 1 },
      outdated: { events: 1, bytes: 29 },
    });
    expect(await spool.deadLetter(1)).toMatchObject({ message: 'old' });
  });

  test('holds its sources back while the spool is full', async () => {
    const { clock, sink, give, start, pulled, said } = setup({ bytesMax: 4_500_000 });
    start();
    let isDown = true;
    sink.onSend = () => {
      if (isDown) throw eventsError('EVENTS_UNREACHABLE');
      return [];
    };

    for (let index = 0; index < 20; index += 1) give(`${index} ${'x'.repeat(600_000)}\n`, index);
    await clock.advance(60_000);
    expect(pulled()).toBeLessThan(12);
    expect(said('events.spool-full')).toHaveLength(1);

    isDown = false;
    await clock.advance(600_000);
    expect(sink.messages()).toHaveLength(20);
    expect(said('events.spool-relieved')).toHaveLength(1);
  });
});
