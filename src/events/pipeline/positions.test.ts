import { describe, expect, test } from 'vitest';
import { heldUp, scriptedSource, setup, streamOf } from '../../../test/support/pipeline-rig.ts';
import type { Batch } from '../batch.ts';
import { eventsError } from '../errors.ts';
import type { Chunk } from '../event-source.ts';
import type { Spool } from '../spool.ts';
import type { PipelineSource } from './source.ts';

describe('positions of a pipeline', () => {
  test('tells who waits for it that a chunk is durable: at once when it is, and not before', async () => {
    const { clock, spool, give, start } = setup();
    const { slow, gate } = heldUp(spool);
    const told: string[] = [];
    start({ spool: slow });

    give('one\n', undefined, undefined, () => told.push(`one of ${spool.counts().batches}`));
    await clock.advance(0);
    const before = [...told];
    gate.resolve();
    await clock.advance(0);

    expect(before).toEqual([]);
    expect(told).toEqual(['one of 1']);
  });

  test('keeps positions alone at once where somebody waits to be told', async () => {
    const { clock, spool, give, start } = setup();
    start();
    const told: string[] = [];

    give('', 5, undefined, () => told.push(spool.position('s0').get('item') ?? 'not kept'));
    await clock.advance(0);

    expect(told).toEqual(['5']);
  });

  test.each<[string, Partial<PipelineSource>, Partial<Chunk>, unknown]>([
    ['of one that can be read again', { canBeReadAgain: true }, {}, { source: 's0', isAtRisk: false }],
    [
      'of one whose file goes',
      { canBeReadAgain: true },
      { isAtRisk: true },
      { source: 's0', isAtRisk: true },
    ],
    ['of one that cannot be read again', {}, {}, undefined],
    ['whose positions wait for several streams', { canBeReadAgain: true, isSpread: true }, {}, undefined],
    [
      'that somebody waits to be told of',
      { canBeReadAgain: true },
      { onDurable: () => undefined },
      undefined,
    ],
  ])(
    'says of a batch whether the spool may leave it where it was read: %s',
    async (_what, of, second, from) => {
      const { clock, spool, scripted, start } = setup();
      const [{ source, chunks, give } = scriptedSource(clock)] = scripted;
      const said: unknown[] = [];
      const watching: Spool = {
        ...spool,
        append(batch, positions, signal, rereadable) {
          said.push([batch.events, rereadable]);
          return spool.append(batch, positions, signal, rereadable);
        },
      };
      start({ spool: watching, sources: [{ name: 's0', source, streamOf, ...of }] });
      const timeMs = clock.now().getTime();

      chunks.push({ bytes: Buffer.from('two\n'), timeMs, positions: [], file: undefined, ...second });
      give('three\n');
      await clock.advance(1_000);

      expect(said[0]).toEqual(second.onDurable === undefined ? [2, from] : [1, from]);
    },
  );

  test('keeps a position by itself when no line comes to go with it', async () => {
    const { clock, spool, give, start } = setup({ limits: { keepAfterMs: 10_000 } });
    start();

    give('', 1);
    await clock.advance(9_999);
    give('', 2);
    await clock.advance(0);
    const early = spool.position('s0').get('item');
    await clock.advance(1);
    give('', 3);
    await clock.advance(0);

    expect(early).toBeUndefined();
    expect(spool.position('s0').get('item')).toBe('3');
  });

  test('keeps a position until the batch with its last bytes is durable', async () => {
    const { clock, spool, give, start } = setup();
    const held: { batch: Batch; positions: readonly unknown[] }[] = [];
    const holding: Spool = {
      ...spool,
      append: (batch, positions) => {
        held.push({ batch, positions });
        return new Promise(() => {});
      },
    };
    start({ spool: holding });

    give('one\n', 4);
    await clock.advance(1000);

    expect(held).toMatchObject([{ batch: { events: 1 }, positions: [{ item: 'item', value: '4' }] }]);
    expect(spool.position('s0').size).toBe(0);
  });

  test('sends the first part of a chunk that spans batches without its position', async () => {
    const { clock, spool, give, start } = setup();
    const appended: (readonly unknown[])[] = [];
    const watching: Spool = {
      ...spool,
      append(batch, positions, signal) {
        appended.push(positions);
        return spool.append(batch, positions, signal);
      },
    };
    start({ spool: watching });

    give('x\n'.repeat(15_000), 30_000);
    await clock.advance(1000);

    expect(appended.length).toBeGreaterThan(1);
    expect(appended.slice(0, -1).every((positions) => positions.length === 0)).toBe(true);
    expect(appended.at(-1)).toMatchObject([{ value: '30000' }]);
  });

  test('a position that moved without bytes goes with the next batch of its stream', async () => {
    const { clock, spool, give, start } = setup();
    start();

    give('', 7);
    await clock.advance(1000);
    expect(spool.position('s0').size).toBe(0);

    give('one\n');
    await clock.advance(1000);
    expect(spool.position('s0').get('item')).toBe('7');
  });

  test('a batch goes to the disk with the positions of its chunk, however long the batch before it takes', async () => {
    const { clock, spool, give, start } = setup();
    const appended: number[] = [];
    const slow: Spool = {
      ...spool,
      async append(batch, positions, signal) {
        await clock.sleep(700, signal);
        appended.push(positions.length);
        return spool.append(batch, positions, signal);
      },
    };
    const { line, done } = start({ spool: slow });

    for (const [index, letter] of ['a', 'b', 'c'].entries()) give(`${letter.repeat(700_000)}\n`, index + 1);
    await clock.advance(5_000);
    const drained = line.drain(1_000);
    await clock.advance(1_000);
    await drained;
    await done;

    expect(appended).toEqual([1, 1, 1]);
    expect(spool.position('s0').get('item')).toBe('3');
  });

  test('that all was read by some time is kept only where all which was open then is durable', async () => {
    const { clock, spool, scripted, give, start } = setup();
    let isFull = true;
    const nearlyFull: Spool = {
      ...spool,
      append: (batch, ...rest) =>
        isFull && batch.stream.logStream === 'stuck'
          ? Promise.reject(eventsError('EVENTS_SPOOL_UNWRITABLE'))
          : spool.append(batch, ...rest),
    };
    const note = async (value: string): Promise<string | undefined> => {
      const looked = { item: 'looked', value, durableByMs: clock.monotonic() - 20_000 };
      scripted[0]?.chunks.push({ ...nothing, bytes: Buffer.from('a\n'), positions: [looked], file: 'free' });
      give('b\n', undefined, 'free');
      await clock.advance(1_000);
      return spool.position('s0').get('looked');
    };
    const nothing = { bytes: Buffer.alloc(0), timeMs: clock.now().getTime() };
    start({ spool: nearlyFull });

    give('x\n', undefined, 'stuck');
    await clock.advance(10_000);
    const young = await note('before the stuck one');
    await clock.advance(20_000);
    const old = await note('after it');
    isFull = false;
    await clock.advance(60_000);
    const done = await note('it is durable');

    expect([young, old, done]).toEqual(['before the stuck one', 'before the stuck one', 'it is durable']);
  });

  test('positions that moved without bytes are kept at the stop', async () => {
    const { clock, spool, give, start } = setup();
    const { line, done } = start();

    give('', 7);
    await clock.advance(10);
    const drained = line.drain(1_000);
    await clock.advance(1_000);
    await drained;
    await done;

    expect(spool.position('s0').get('item')).toBe('7');
  });
});
