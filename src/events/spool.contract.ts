import { describe, expect, onTestFinished, test } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { LogEvent } from '../base/log-events.ts';
import { type Batch, encodeChunk, eventsOf, openBatch } from './batch.ts';
import type { Spool } from './spool.ts';

export const a = { logGroup: '/gatehouse/a', logStream: 'one' };
export const b = { logGroup: '/gatehouse/a', logStream: 'two' };
export const never = new AbortController().signal;

export function batchOf(stream: Batch['stream'], text: string): Batch {
  const open = openBatch(stream);
  for (const piece of encodeChunk(Buffer.from(text), 1_795_000_000_000).pieces) open.add(piece);
  return open.seal();
}

export function textOf(batch: Batch): string {
  return eventsOf(batch)
    .map(({ message }) => message)
    .join('\n');
}

export interface SpoolMaking {
  readonly bytesMax: number;
  readonly clock: ReturnType<typeof fakeClock>;
  readonly log: (event: LogEvent) => void;
}

/** What every spool must do. */
export function spoolContract(name: string, make: (making: SpoolMaking) => Promise<Spool>): void {
  async function setup(bytesMax = 2 ** 20) {
    const events: LogEvent[] = [];
    const clock = fakeClock();
    const spool = await make({ bytesMax, clock, log: (event) => events.push(event) });
    onTestFinished(() => spool.close());
    return { spool, events, clock };
  }

  describe(`${name} as a spool`, () => {
    test('keeps the batches of each stream in the order of their appends', async () => {
      const { spool } = await setup();
      await spool.append(batchOf(a, 'a1'), [], never);
      await spool.append(batchOf(b, 'b1'), [], never);
      await spool.append(batchOf(a, 'a2'), [], never);

      const batches = await spool.read({ stream: a, batchesMax: 9 }, never);

      expect(batches.map(textOf)).toEqual(['a1', 'a2']);
      expect(batches.map(({ stream }) => stream)).toEqual([a, a]);
      expect(await spool.read({ stream: a, batchesMax: 1 }, never)).toHaveLength(1);
      expect(spool.streams()).toEqual([a, b]);
    });

    test('knows of a batch whether it may have metrics', async () => {
      const { spool } = await setup();
      await spool.append({ ...batchOf(a, 'a1'), mayHaveMetrics: true }, [], never);
      await spool.append(batchOf(a, 'a2'), [], never);

      const batches = await spool.read({ stream: a, batchesMax: 9 }, never);

      expect(batches.map(({ mayHaveMetrics = false }) => mayHaveMetrics)).toEqual([true, false]);
    });

    test('knows of what was refused whether it may have metrics', async () => {
      const { spool } = await setup();
      const refused = [{ reason: 'too-old' as const, timestamp: 1, message: 'bad' }];
      await spool.append({ ...batchOf(a, 'a1'), mayHaveMetrics: true }, [], never);
      await spool.append(batchOf(a, 'a2'), [], never);

      for (const batch of await spool.read({ stream: a, batchesMax: 9 }, never))
        await spool.settle(batch, refused);
      await spool.refuse({ ...batchOf(b, 'b1'), mayHaveMetrics: true }, refused);

      expect(spool.deadLetters(9).map(({ mayHaveMetrics = false }) => mayHaveMetrics)).toEqual([
        true,
        false,
        true,
      ]);
    });

    test('is full while something waits for room', async () => {
      const { spool } = await setup(9000);
      await spool.append(batchOf(a, 'x'.repeat(5000)), [], never);
      expect(spool.counts().isFull).toBe(false);
      const waiting = spool.append(batchOf(a, 'y'.repeat(5000)), [], never);
      await Promise.resolve();
      expect(spool.counts().isFull).toBe(true);

      for (const batch of await spool.read({ stream: a, batchesMax: 1 }, never))
        await spool.settle(batch, []);
      await waiting;

      expect(spool.counts().isFull).toBe(false);
    });

    test('leaves out the batch that is being settled', async () => {
      const { spool } = await setup();
      const first = await spool.append(batchOf(a, 'a1'), [], never);
      await spool.append(batchOf(a, 'a2'), [], never);

      const others = await spool.read({ stream: a, batchesMax: 9, except: new Set([first]) }, never);

      expect(others.map(textOf)).toEqual(['a2']);
    });

    test('keeps several that are appended together in their order, or takes one at a time', async () => {
      const { spool } = await setup();
      const batches = ['a1', 'a2', 'a3'].map((text, index) => ({
        batch: batchOf(a, text),
        positions: [{ source: 's', item: 'i', value: String(index + 1) }],
      }));

      const ids = [...((await spool.appendFirst?.(batches, never)) ?? [])];
      for (const { batch, positions } of batches.slice(ids.length))
        ids.push(await spool.append(batch, positions, never));

      const kept = await spool.read({ stream: a, batchesMax: 9 }, never);
      expect(kept.map(textOf)).toEqual(['a1', 'a2', 'a3']);
      expect(kept.map(({ id }) => id)).toEqual(ids);
      expect(ids.toSorted((one, other) => one - other)).toEqual(ids);
      expect(spool.position('s').get('i')).toBe('3');
    });

    test('keeps streams of one name apart that go under different roles', async () => {
      const { spool } = await setup();
      const underRole = { ...a, roleOf: 'app' };
      await spool.append(batchOf(a, 'own'), [], never);
      await spool.append(batchOf(underRole, 'of the role'), [], never);

      const [batch] = await spool.read({ stream: underRole, batchesMax: 9 }, never);

      expect(spool.streams()).toEqual([a, underRole]);
      expect(batch && textOf(batch)).toBe('of the role');
      expect(batch && (await spool.settle(batch, [{ timestamp: 1, message: 'x', reason: 'invalid' }]))).toBe(
        true,
      );
      expect(spool.deadLetters(1)).toMatchObject([{ stream: underRole }]);
      expect(await spool.deadLetter(spool.deadLetters(1)[0]?.id ?? 0)).toEqual({
        timestamp: 1,
        message: 'x',
      });
      expect((await spool.read({ stream: a, batchesMax: 9 }, never)).map(textOf)).toEqual(['own']);
    });

    test('gives the same bytes back, and what was counted', async () => {
      const { spool } = await setup();
      const batch = batchOf(a, 'eins\nzwei ü\n');

      await spool.append(batch, [], never);

      const [read] = await spool.read({ stream: a, batchesMax: 1 }, never);
      expect(read).toMatchObject({ events: 2, bytes: batch.bytes, stream: a });
      expect(read?.body.equals(batch.body)).toBe(true);
    });

    test('reading does not remove, settling does', async () => {
      const { spool } = await setup();
      await spool.append(batchOf(a, 'a1'), [], never);
      await spool.append(batchOf(a, 'a2'), [], never);
      const [first] = await spool.read({ stream: a, batchesMax: 1 }, never);
      if (first === undefined) throw new Error('nothing read');

      expect(await spool.read({ stream: a, batchesMax: 9 }, never)).toHaveLength(2);
      const answers = await Promise.all([spool.settle(first, []), spool.settle(first, [])]);
      answers.push(await spool.settle(first, []));

      expect(answers.filter((isRemoved) => isRemoved)).toHaveLength(1);
      expect((await spool.read({ stream: a, batchesMax: 9 }, never)).map(textOf)).toEqual(['a2']);
      expect(spool.counts().batches).toBe(1);
    });

    test.each([2 ** 20, 2 ** 40])('says beforehand what a batch takes, of %i bytes', async (bytesMax) => {
      const { spool } = await setup(bytesMax);

      for (const text of ['a', 'b'.repeat(5000)]) {
        const before = spool.counts().bytes;
        await spool.append(batchOf(a, text), [], never);
        expect(spool.counts().bytes - before).toBe(spool.sizeOf(batchOf(a, text)));
      }
    });

    test('keeps positions with batches, by source and item, and forgets those without value', async () => {
      const { spool } = await setup();
      await spool.append(
        batchOf(a, 'x'),
        [
          { source: 's', item: '1', value: 'p1' },
          { source: 's', item: '2', value: 'p2' },
          { source: 't', item: '1', value: 'q1' },
        ],
        never,
      );
      await spool.append(
        batchOf(a, 'y'),
        [
          { source: 's', item: '1', value: 'p1b' },
          { source: 's', item: '2', value: undefined },
        ],
        never,
      );

      expect([...spool.position('s')]).toEqual([['1', 'p1b']]);
      expect([...spool.position('t')]).toEqual([['1', 'q1']]);
      expect([...spool.position('u')]).toEqual([]);
    });

    test('keeps positions that belong to no batch', async () => {
      const { spool } = await setup();

      await spool.keep([{ source: '.notes', item: 'i', value: 'v' }]);

      expect([...spool.position('.notes')]).toEqual([['i', 'v']]);
      expect(spool.counts().batches).toBe(0);
    });

    test('holds an append back while it is full, in order, and says so once', async () => {
      const size = batchOf(a, 'x'.repeat(4000)).body.length;
      const { spool, events } = await setup(2 * size + 2000);
      const done: string[] = [];
      await spool.append(batchOf(a, '1'.repeat(4000)), [], never);
      await spool.append(batchOf(a, '2'.repeat(4000)), [], never);

      const third = spool
        .append(batchOf(a, '3'.repeat(4000)), [{ source: 's', item: 'i', value: '3' }], never)
        .then(() => done.push('third'));
      const fourth = spool
        .append(batchOf(a, '4'), [{ source: 's', item: 'i', value: '4' }], never)
        .then(() => done.push('fourth'));
      await new Promise(setImmediate);
      expect(done).toEqual([]);
      expect(spool.position('s').size).toBe(0);

      for (const batch of await spool.read({ stream: a, batchesMax: 2 }, never))
        await spool.settle(batch, []);
      await Promise.all([third, fourth]);
      for (const batch of await spool.read({ stream: a, batchesMax: 2 }, never))
        await spool.settle(batch, []);

      expect(done).toEqual(['third', 'fourth']);
      expect(spool.position('s').get('i')).toBe('4');
      expect(events.map((event) => event.name)).toEqual(['events.spool-full', 'events.spool-relieved']);
    });

    test('an append that waits can be given up, and leaves nothing', async () => {
      const { spool } = await setup(5000);
      await spool.append(batchOf(a, '1'.repeat(4000)), [], never);
      const stop = new AbortController();

      const waiting = spool.append(
        batchOf(a, '2'.repeat(4000)),
        [{ source: 's', item: 'i', value: '2' }],
        stop.signal,
      );
      stop.abort(new Error('stopped'));

      await expect(waiting).rejects.toThrow('stopped');
      expect(spool.counts().batches).toBe(1);
      expect(spool.position('s').size).toBe(0);
    });

    test('takes a batch larger than its bound when it is empty', async () => {
      const { spool } = await setup(1000);

      await spool.append(batchOf(a, 'x'.repeat(5000)), [], never);

      expect(spool.counts().batches).toBe(1);
    });

    test('knows when a batch was appended', async () => {
      const { spool, clock } = await setup();
      const addedMs = clock.now().getTime();
      await spool.append(batchOf(a, 'one'), [], never);

      await clock.advance(5_000);

      const [batch] = await spool.read({ stream: a, batchesMax: 1 }, never);
      expect(batch?.addedMs).toBe(addedMs);
    });

    test('keeps refused events in the dead letter with their reason', async () => {
      const { spool, clock } = await setup();
      await spool.append(batchOf(a, 'bad\ngood'), [], never);
      const [batch] = await spool.read({ stream: a, batchesMax: 1 }, never);
      if (batch === undefined) throw new Error('nothing read');

      await spool.settle(batch, [{ reason: 'too-old', timestamp: 1, message: 'bad' }]);

      expect(spool.deadLetters(10)).toMatchObject([
        { id: 1, stream: a, reason: 'too-old', refusedMs: clock.now().getTime() },
      ]);
      expect(await spool.deadLetter(1)).toEqual({ timestamp: 1, message: 'bad' });
      expect(spool.counts()).toMatchObject({ batches: 0, deadLetters: 1 });
    });

    test('keeps what was refused of a batch that is not in it, full as it may be', async () => {
      const { spool } = await setup(1000);
      await spool.append(batchOf(a, 'x'.repeat(5000)), [], never);
      const { bytes } = spool.counts();

      await spool.refuse(batchOf(b, 'bad'), [{ reason: 'too-old', timestamp: 1, message: 'bad' }]);

      expect(spool.deadLetters(10)).toMatchObject([{ stream: b, reason: 'too-old' }]);
      expect(spool.counts()).toMatchObject({ batches: 1, bytes, deadLetters: 1 });
    });

    test('a dead letter is dropped once, and the others stay', async () => {
      const { spool } = await setup();
      await spool.append(batchOf(a, 'x'), [], never);
      const [batch] = await spool.read({ stream: a, batchesMax: 1 }, never);
      if (batch === undefined) throw new Error('nothing read');
      await spool.settle(
        batch,
        ['one', 'two', 'three'].map((message) => ({ reason: 'invalid', timestamp: 1, message })),
      );

      expect(await spool.dropDeadLetter(2)).toBe(true);

      expect(await spool.dropDeadLetter(2)).toBe(false);
      expect(await spool.deadLetter(2)).toBeUndefined();
      expect(spool.deadLetters(10).map(({ id }) => id)).toEqual([1, 3]);
      expect(spool.deadLetters(10, 1).map(({ id }) => id)).toEqual([3]);
      expect(spool.deadLetters(1)).toHaveLength(1);
    });
  });
}
