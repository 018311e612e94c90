import { describe, expect, onTestFinished, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { isSameMemory } from '../../../test/support/same-memory.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { borrowBody, returnBody } from '../body-memory.ts';
import { eventsError } from '../errors.ts';
import { a, b, batchOf, never, spoolContract, textOf } from '../spool.contract.ts';
import type { SourcePosition, Spool, SpooledBatch } from '../spool.ts';
import { memorySpool } from './memory.ts';
import { type WhenNeededLimits, whenNeeded, whenNeededLimits } from './when-needed.ts';

const files = { source: 'files', isAtRisk: false };
const lateMs = whenNeededLimits.lateAfterMs * 2;

function at(item: string, value: number): SourcePosition {
  return { source: 'files', item, value: String(value) };
}

async function texts(of: Spool, stream = a): Promise<string[]> {
  return (await of.read({ stream, batchesMax: 100 }, never)).map(textOf);
}

function setup(limits: Partial<WhenNeededLimits> = {}, bytesMax = 2 ** 20) {
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const log = (event: LogEvent): void => void events.push(event);
  const memory = memorySpool({ bytesMax, clock, log });
  const disk = {
    isBroken: false,
    settlesFailing: 0,
    keeps: 0,
    /** What it held when it was closed. */
    closedWith: undefined as number | undefined,
    beforeAppend: async (): Promise<void> => undefined,
    /** After each append. */
    slow: async (): Promise<void> => undefined,
    beforeLetter: async (): Promise<void> => undefined,
    afterRead: async (): Promise<void> => undefined,
  };
  const kept: Spool = {
    ...memory,
    async append(...args) {
      if (disk.isBroken) throw eventsError('EVENTS_SPOOL_UNWRITABLE', { path: '' });
      await disk.beforeAppend();
      const id = await memory.append(...args);
      await disk.slow();
      return id;
    },
    async read(...args) {
      const found = await memory.read(...args);
      await disk.afterRead();
      return found;
    },
    async settle(...args) {
      disk.settlesFailing -= 1;
      if (disk.settlesFailing >= 0) throw eventsError('EVENTS_SPOOL_UNWRITABLE', { path: '' });
      return memory.settle(...args);
    },
    async refuse(...args) {
      if (disk.isBroken) throw eventsError('EVENTS_SPOOL_UNWRITABLE', { path: '' });
      await disk.beforeLetter();
      await memory.refuse(...args);
    },
    async keep(positions) {
      if (disk.isBroken) throw eventsError('EVENTS_SPOOL_UNWRITABLE', { path: '' });
      disk.keeps += 1;
      await memory.keep(positions);
    },
    async close() {
      disk.closedWith ??= memory.counts().batches;
    },
  };
  const spool = whenNeeded(kept, { limits, clock, log });
  onTestFinished(async () => {
    const closed = spool.close();
    await clock.advance(60_000);
    await closed;
  });
  const append = (text: string, value: number, stream = a, item = 'file') =>
    spool.append(batchOf(stream, text), [at(item, value)], never, files);
  const first = async (stream = a): Promise<SpooledBatch> => {
    const [batch] = await spool.read({ stream, batchesMax: 1 }, never);
    if (batch === undefined) throw new Error('nothing waits');
    return batch;
  };
  const position = (item = 'file') => memory.position('files').get(item);
  return {
    clock,
    spool,
    memory,
    disk,
    append,
    first,
    position,
    held: () => texts(spool),
    onDisk: (stream = a) => texts(memory, stream),
    said: (name: string) => events.filter((event) => event.name === name).length,
  };
}

spoolContract('whenNeeded, of what cannot be read again,', async (making) =>
  whenNeeded(memorySpool(making), making),
);

describe('a spool when needed', () => {
  test('holds what can be read again, and moves its position when it is acknowledged', async () => {
    const { spool, append, first, position, onDisk, held, clock } = setup();

    await append('one', 3);
    await append('two', 6);

    expect(await held()).toEqual(['one', 'two']);
    expect(await onDisk()).toEqual([]);
    expect(position()).toBeUndefined();
    expect(spool.counts().batches).toBe(2);
    expect(spool.streams()).toEqual([a]);

    expect(await spool.settle(await first(), [])).toBe(true);
    await clock.advance(0);

    expect(position()).toBe('3');
    expect(await held()).toEqual(['two']);
    expect(await onDisk()).toEqual([]);
  });

  test('spools what cannot be read again at once', async () => {
    const { spool, onDisk } = setup();

    await spool.append(batchOf(a, 'pushed'), [], never);

    expect(await onDisk()).toEqual(['pushed']);
  });

  test('what cannot be read again goes behind what is held of its source', async () => {
    const { spool, append, onDisk, position } = setup();
    await append('one', 3);

    await spool.append(batchOf(a, 'two'), [at('file', 6)], never);

    expect(await onDisk()).toEqual(['one', 'two']);
    expect(position()).toBe('6');
  });

  test('what is being settled is not read again, wherever it is by then', async () => {
    const { spool, append, first, clock, disk } = setup();
    const [letter, slow] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    disk.beforeLetter = () => letter.promise;
    const others = async (except: number): Promise<string[]> =>
      (await spool.read({ stream: a, batchesMax: 9, except: new Set([except]) }, never)).map(textOf);
    await append('one', 3);
    await append('two', 6);

    const one = await first();
    const settled = spool.settle(one, [{ reason: 'invalid', timestamp: 1, message: 'one' }]);
    await clock.advance(0);
    expect(await others(one.id)).toEqual(['two']);
    letter.resolve();
    await settled;

    const two = await first();
    await clock.advance(lateMs);
    await append('three', 9);
    disk.slow = () => slow.promise;
    expect(spool.counts().batches).toBe(2);
    expect(await others(two.id)).toEqual(['three']);
    slow.resolve();
  });

  test('has no stream of which nothing can be read: who sends would ask for ever', async () => {
    const { spool, disk, append, first, clock } = setup();
    const written = Promise.withResolvers<void>();
    disk.beforeAppend = () => written.promise;
    await append('one', 3);
    const one = await first();
    await clock.advance(lateMs);

    const settled = spool.settle(one, []);
    const [streams, read] = [spool.streams(), await spool.read({ stream: a, batchesMax: 1 }, never)];
    written.resolve();

    expect([streams, read]).toEqual([[], []]);
    expect(await settled).toBe(true);
  });

  test('takes one at a time, though the disk takes several: of each it is asked whether it is needed', () => {
    const { clock, memory } = setup();
    const several = { ...memory, appendFirst: async () => [] };

    expect(whenNeeded(several, { clock, log: () => undefined }).appendFirst).toBeUndefined();
  });

  test('what goes to the disk while that is being read is not overtaken by what is held', async () => {
    const { spool, append, clock, disk, onDisk } = setup();
    await append('one', 3);
    await clock.advance(whenNeededLimits.lateAfterMs - 100);
    await append('two', 6);
    const gate = Promise.withResolvers<void>();
    disk.afterRead = () => gate.promise;

    const reading = texts(spool);
    await clock.advance(500);
    expect(await onDisk()).toEqual(['one']);
    gate.resolve();

    expect(await reading).toEqual(['one', 'two']);
  });

  test('says that the disk works again when there is nothing left for it to do', async () => {
    const { spool, disk, first, clock, said } = setup();
    disk.isBroken = true;
    await spool.append(batchOf(a, 'one'), [], never, files);
    await clock.advance(lateMs);
    expect(spool.counts().isFailing).toBe(true);

    await spool.settle(await first(), []);
    await clock.advance(lateMs);

    expect(spool.counts().isFailing).toBe(false);
    expect([said('events.spool-failed'), said('events.spool-recovered')]).toEqual([1, 1]);
  });

  test('spools what is late, with all that was read before it', async () => {
    const { append, position, onDisk, held, clock } = setup();
    await append('one', 3);
    await append('two', 6);

    await clock.advance(lateMs);

    expect(await onDisk()).toEqual(['one', 'two']);
    expect(await held()).toEqual(['one', 'two']);
    expect(position()).toBe('6');
  });

  test('while a stream is behind, what comes for it goes to the disk, and is held again after that', async () => {
    const { append, spool, first, onDisk, clock } = setup();
    await append('one', 3);
    await clock.advance(lateMs);

    await append('two', 6);
    expect(await onDisk()).toEqual(['one', 'two']);

    await spool.settle(await first(), []);
    await spool.settle(await first(), []);
    await append('three', 11);
    expect(await onDisk()).toEqual([]);
  });

  test('a batch that went to the disk while it was sent ends there', async () => {
    const { append, spool, first, memory, position, clock } = setup();
    await append('one', 3);
    const sent = await first();
    await clock.advance(lateMs);

    expect(await spool.settle(sent, [])).toBe(true);

    expect(memory.counts().batches).toBe(0);
    expect(spool.counts().batches).toBe(0);
    expect(position()).toBe('3');
    expect(await spool.settle(sent, [])).toBe(false);
  });

  test('what is at risk goes to the disk, behind what is held of its source', async () => {
    const { append, spool, onDisk, position } = setup();
    await append('one', 3);

    await spool.append(batchOf(a, 'two'), [at('file', 6)], never, { source: 'files', isAtRisk: true });

    expect(await onDisk()).toEqual(['one', 'two']);
    expect(position()).toBe('6');
  });

  test('a position waits for all that was read before it, whatever stream that went to', async () => {
    const { append, spool, first, position, clock } = setup();
    await append('one', 3, a, 'first');
    await append('two', 6, b, 'second');

    await spool.settle(await first(b), []);
    await clock.advance(0);

    expect(position('second')).toBeUndefined();

    await spool.settle(await first(a), []);
    await clock.advance(0);

    expect([position('first'), position('second')]).toEqual(['3', '6']);
  });

  test('positions that move by themselves wait in the same way', async () => {
    const { append, spool, first, position, clock } = setup();
    await append('one', 3);

    await spool.keep([at('file', 9)]);
    await spool.keep([{ source: 'others', item: 'x', value: '1' }]);
    await clock.advance(0);

    expect(position()).toBeUndefined();
    expect(spool.position('others').get('x')).toBe('1');

    await spool.settle(await first(), []);
    await clock.advance(0);

    expect(position()).toBe('9');
  });

  test('a source waits while as much is held as may be, and goes on when some of it is acknowledged', async () => {
    const { append, spool, first, onDisk, held } = setup({ heldBytesMax: 150 });
    await append('one', 3);
    const waits = append('two', 6);

    await new Promise(setImmediate);
    expect(await held()).toEqual(['one']);

    await spool.settle(await first(), []);
    await waits;
    expect(await held()).toEqual(['two']);
    expect(await onDisk()).toEqual([]);
  });

  test('and where none is, it goes to the disk', async () => {
    const { append, onDisk, clock } = setup({ heldBytesMax: 150 });
    await append('one', 3);
    const waits = append('two', 6);

    await clock.advance(lateMs);
    await waits;

    expect(await onDisk()).toEqual(['one', 'two']);
  });

  test('who waits is let go by its signal', async () => {
    const { spool, append } = setup({ heldBytesMax: 150 });
    await append('one', 3);
    const stop = new AbortController();
    const waits = spool.append(batchOf(a, 'two'), [], stop.signal, files);

    stop.abort(new Error('enough'));

    await expect(waits).rejects.toThrow('enough');
  });

  test('what was refused is in the dead letter, and its batch is gone', async () => {
    const { append, spool, first, memory, position, clock } = setup();
    await append('one', 3);
    const refused = [{ reason: 'invalid', timestamp: 1, message: 'one' }] as const;

    await spool.settle(await first(), refused);
    await clock.advance(0);

    expect(spool.deadLetters(10)).toHaveLength(1);
    expect(memory.counts().batches).toBe(0);
    expect(spool.counts().batches).toBe(0);
    expect(position()).toBe('3');
  });

  test.each([
    ['that came back before it was late', 0],
    ['that waits for room', lateMs],
  ])('no room is needed for the refused events of a batch %s', async (_, waitedMs) => {
    const { append, spool, first, memory, position, onDisk, said, clock } = setup({}, 120);
    await append('one', 3);
    await append('two', 6, b);
    const sent = await first();
    // All the room, for the same stream: only who sends `sent` can send this.
    await spool.append(batchOf(a, 'fills it'), [], never);
    await clock.advance(waitedMs);

    const refused = [{ reason: 'invalid', timestamp: 1, message: 'one' }] as const;
    const answers = await Promise.all([spool.settle(sent, refused), spool.settle(sent, refused)]);
    await clock.advance(lateMs);

    expect(answers).toEqual([true, false]);
    expect(spool.deadLetters(10)).toHaveLength(1);
    expect(await onDisk()).toEqual(['fills it']);

    await spool.settle(await first(), []);
    await clock.advance(lateMs);

    expect(await onDisk(b)).toEqual(['two']);
    expect(position()).toBe('6');
    expect(memory.counts().batches).toBe(1);
    expect(said('events.spool-failed')).toBe(0);
  });

  test('a position waits for the dead letter, and a dead letter that fails is tried again', async () => {
    const { append, spool, first, disk, memory, position, clock } = setup();
    await append('one', 3);
    await append('two', 6, b);
    const sent = await first();
    await spool.settle(await first(b), []);
    disk.isBroken = true;
    const refused = [{ reason: 'invalid', timestamp: 1, message: 'one' }] as const;

    await expect(spool.settle(sent, refused)).rejects.toMatchObject({ code: 'EVENTS_SPOOL_UNWRITABLE' });
    disk.isBroken = false;
    await clock.advance(0);
    expect(position()).toBeUndefined();

    expect(await spool.settle(sent, refused)).toBe(true);
    await clock.advance(0);

    expect(position()).toBe('6');
    expect(spool.deadLetters(10)).toHaveLength(1);
    expect(memory.counts().batches).toBe(0);
  });

  test('while what was refused goes to the dead letter, nothing overtakes what was read after it', async () => {
    const { append, spool, first, disk, held, onDisk, position } = setup();
    await append('one', 3);
    await append('two', 6);
    const letterMay = Promise.withResolvers<void>();
    disk.beforeLetter = () => letterMay.promise;
    const refused = [{ reason: 'invalid', timestamp: 1, message: 'one' }] as const;

    const settled = spool.settle(await first(), refused);
    const atRisk = { source: 'files', isAtRisk: true };
    const behind = spool.append(batchOf(a, 'three'), [at('file', 11)], never, atRisk);
    await new Promise(setImmediate);

    expect(position()).toBeUndefined();
    expect(await onDisk()).toEqual([]);

    letterMay.resolve();
    await Promise.all([settled, behind]);

    expect(await onDisk()).toEqual(['two', 'three']);
    expect(await held()).toEqual(['two', 'three']);
    expect(position()).toBe('11');
    expect(spool.deadLetters(10)).toHaveLength(1);
  });

  test('a batch that went to the disk ends there once the disk can do it', async () => {
    const { append, spool, first, disk, memory, clock } = setup();
    await append('one', 3);
    const sent = await first();
    await clock.advance(lateMs);
    disk.settlesFailing = 1;

    await expect(spool.settle(sent, [])).rejects.toMatchObject({ code: 'EVENTS_SPOOL_UNWRITABLE' });
    expect(await spool.settle(sent, [])).toBe(true);

    expect(memory.counts().batches).toBe(0);
  });

  test('one that is acknowledged while it goes to the disk ends there once the disk can do it', async () => {
    const { append, spool, first, disk, memory, clock } = setup();
    await append('one', 3);
    const sent = await first();
    const mayGoOn = Promise.withResolvers<void>();
    disk.slow = () => mayGoOn.promise;
    await clock.advance(lateMs);
    disk.settlesFailing = 1;

    const settled = spool.settle(sent, []);
    mayGoOn.resolve();
    await settled.catch(() => spool.settle(sent, []));

    expect(memory.counts().batches).toBe(0);
  });

  test.each([
    ['in time', 0],
    ['late', lateMs],
  ])(
    'the memory of a body that is acknowledged %s is used again once nobody reads it',
    async (_, waitedMs) => {
      const { spool, first, clock } = setup();
      const batch = batchOf(a, 'one');
      const body = borrowBody().subarray(0, batch.body.length);
      batch.body.copy(body);
      const isFree = (): boolean => {
        const other = borrowBody();
        returnBody(other);
        return isSameMemory(other, body);
      };
      await spool.append({ ...batch, body }, [], never, files);
      returnBody(body);
      const whileHeld = isFree();
      const sent = await first();
      await clock.advance(waitedMs);
      const whileSent = isFree();

      await spool.settle(sent, []);
      const whileRead = isFree();
      returnBody(sent.body);

      expect([whileHeld, whileSent, whileRead, isFree()]).toEqual([false, false, false, true]);
    },
  );

  test('those who wait for the same room do not all get it', async () => {
    const { append, spool, first } = setup({ heldBytesMax: 150 });
    await append('one', 3);
    const waiting = [append('two', 6, a, 'second'), append('three', 5, b, 'third')];
    await new Promise(setImmediate);

    await spool.settle(await first(), []);
    await waiting[0];
    await new Promise(setImmediate);

    expect(spool.counts().batches).toBe(1);
    await spool.settle(await first(), []);
    await waiting[1];
  });

  test('a disk that fails keeps it in memory, is told of once, and tried again', async () => {
    const { append, spool, first, disk, position, onDisk, said, clock } = setup();
    disk.isBroken = true;
    await append('one', 3);
    await append('two', 6);
    await spool.settle(await first(), []);
    await clock.advance(4 * lateMs);

    expect(said('events.spool-failed')).toBe(1);
    expect(position()).toBeUndefined();

    disk.isBroken = false;
    await clock.advance(lateMs);

    expect(said('events.spool-recovered')).toBe(1);
    expect(await onDisk()).toEqual(['two']);
    expect(position()).toBe('6');
  });

  test('a disk that fails to the end is not said to work again', async () => {
    const { append, spool, disk, said, clock } = setup();
    disk.isBroken = true;
    await append('one', 3);
    await clock.advance(4 * lateMs);

    const closed = spool.close();
    await clock.advance(whenNeededLimits.closeMsMax);
    await closed;

    expect([said('events.spool-failed'), said('events.spool-recovered')]).toEqual([1, 0]);
  });

  test('a disk that fails is failing until it takes something', async () => {
    const { append, spool, disk, said, clock } = setup();
    disk.isBroken = true;
    await append('one', 3);
    await clock.advance(4 * lateMs);

    expect(spool.counts().isFailing).toBe(true);
    expect([said('events.spool-failed'), said('events.spool-recovered')]).toEqual([1, 0]);

    disk.isBroken = false;
    await clock.advance(lateMs);

    expect(spool.counts().isFailing).toBe(false);
    expect(said('events.spool-recovered')).toBe(1);
  });

  test('one that is acknowledged while it waits for room on the disk leaves no copy there', async () => {
    const { append, spool, first, memory, position, clock } = setup({}, 120);
    await spool.append(batchOf(b, 'fills it'), [], never);
    await append('one', 3);
    const sent = await first();
    await clock.advance(lateMs);

    await spool.settle(sent, []);
    await spool.settle(await first(b), []);
    await clock.advance(lateMs);

    expect(memory.counts().batches).toBe(0);
    expect(position()).toBe('3');
  });

  test('the end puts what is held on the disk, and then closes that', async () => {
    const { append, spool, disk, onDisk, position } = setup();
    await append('one', 3);

    await spool.close();

    expect(await onDisk()).toEqual(['one']);
    expect(position()).toBe('3');
    expect(disk.closedWith).toBe(1);
  });

  test('the end waits for a full disk as long as it may, and leaves the position where it was', async () => {
    const { append, spool, position, clock } = setup({}, 120);
    await spool.append(batchOf(b, 'fills it'), [], never);
    await append('one', 3);

    const closed = spool.close();
    await clock.advance(whenNeededLimits.closeMsMax + 1);
    await closed;

    expect(position()).toBeUndefined();
  });

  test('what is being settled is left out of what is read, and no more is read than was asked for', async () => {
    const { append, spool, first } = setup();
    for (const [index, text] of ['one', 'two', 'three'].entries()) await append(text, index);
    const { id } = await first();

    const next = await spool.read({ stream: a, batchesMax: 1, except: new Set([id]) }, never);

    expect(next.map(textOf)).toEqual(['two']);
  });

  test('positions of a source of which nothing is held are durable when that is said', async () => {
    const { append, spool, first, disk, position, clock } = setup();
    await append('one', 3);
    await spool.settle(await first(), []);
    await clock.advance(lateMs);

    await spool.keep([at('file', 6)]);
    const kept = position();
    disk.isBroken = true;

    expect(kept).toBe('6');
    await expect(spool.keep([at('file', 9)])).rejects.toMatchObject({ code: 'EVENTS_SPOOL_UNWRITABLE' });
  });

  test('counts what is held and what is on the disk', async () => {
    const { append, spool, memory } = setup();
    await spool.append(batchOf(b, 'pushed'), [], never);
    const onDisk = memory.counts().bytes;

    await append('one', 3);

    const held = batchOf(a, 'one').body.length;
    expect(spool.counts()).toMatchObject({ batches: 2, bytes: onDisk + held });
  });

  test('the end is over when the disk has it', async () => {
    const { append, spool, disk, clock } = setup();
    const gate = Promise.withResolvers<void>();
    disk.slow = () => gate.promise;
    await append('one', 3);
    let isClosed = false;

    const closed = spool.close().finally(() => {
      isClosed = true;
    });
    await clock.advance(whenNeededLimits.closeMsMax - 1);
    expect(isClosed).toBe(false);

    gate.resolve();
    await closed;
  });

  test('the end keeps the position of what was acknowledged while the disk failed', async () => {
    const { append, spool, first, disk, position, clock } = setup();
    await append('one', 3);
    disk.isBroken = true;
    await spool.settle(await first(), []);
    await clock.advance(0);
    disk.isBroken = false;

    await spool.close();

    expect(position()).toBe('3');
  });

  test('a position that the disk did not take is kept once it does, though nothing more is read', async () => {
    const { append, spool, first, disk, position, clock } = setup();
    await append('one', 3);
    disk.isBroken = true;
    await spool.settle(await first(), []);
    await clock.advance(lateMs);
    disk.isBroken = false;

    await clock.advance(lateMs);

    expect(position()).toBe('3');
  });

  test('what comes after a rest in which nothing was held is spooled when it is late', async () => {
    const { append, spool, first, onDisk, clock } = setup();
    await append('one', 3);
    await spool.settle(await first(), []);
    await clock.advance(2 * lateMs);

    await append('two', 6);
    await clock.advance(lateMs);

    expect(await onDisk()).toEqual(['two']);
  });

  test.each<[string, (spool: Spool) => Promise<unknown>]>([
    ['positions alone', (spool) => spool.keep([at('file', 6)])],
    [
      'a batch at risk',
      (spool) => spool.append(batchOf(b, 'two'), [at('file', 6)], never, { source: 'files', isAtRisk: true }),
    ],
    ['a batch that is not held', (spool) => spool.append(batchOf(b, 'two'), [at('file', 6)], never)],
  ])(
    'a position that the disk did not take at first comes before the one after it: %s',
    async (_what, next) => {
      const { append, spool, first, disk, position, clock } = setup();
      await append('one', 3);
      await append('uno', 4, a, 'other');
      disk.isBroken = true;
      for (let settled = 0; settled < 2; settled += 1) await spool.settle(await first(), []);
      await clock.advance(0);
      disk.isBroken = false;

      await next(spool);
      await clock.advance(lateMs);

      expect([position(), position('other')]).toEqual(['6', '4']);
    },
  );

  test('a position that the disk did not take is not forgotten where it does not take the next batch either', async () => {
    const { append, spool, first, disk, position, clock } = setup();
    await append('one', 3);
    disk.isBroken = true;
    await spool.settle(await first(), []);
    await clock.advance(0);
    const atRisk = { source: 'files', isAtRisk: true };

    await expect(spool.append(batchOf(b, 'two'), [at('file', 6)], never, atRisk)).rejects.toMatchObject({
      code: 'EVENTS_SPOOL_UNWRITABLE',
    });
    disk.isBroken = false;
    await clock.advance(lateMs);

    expect(position()).toBe('3');
  });

  test('what is refused of a batch while that goes to the disk is in the dead letter once, and the batch is gone', async () => {
    const { append, spool, first, disk, memory, position, clock } = setup();
    await append('one', 3);
    const sent = await first();
    const gate = Promise.withResolvers<void>();
    disk.slow = () => gate.promise;
    await clock.advance(lateMs);

    const settled = spool.settle(sent, [{ reason: 'invalid', timestamp: 1, message: 'one' }]);
    await clock.advance(0);
    gate.resolve();

    expect(await settled).toBe(true);
    expect(spool.deadLetters(10)).toHaveLength(1);
    expect(memory.counts().batches).toBe(0);
    expect(position()).toBe('3');
  });

  test('many acknowledgements at once are one note on the disk', async () => {
    const { append, spool, first, disk, position, clock } = setup();
    for (let value = 1; value <= 10; value += 1) await append(`line ${value}`, value);
    for (let value = 1; value <= 10; value += 1) void spool.settle(await first(), []);
    await clock.advance(0);

    expect(position()).toBe('10');
    expect(disk.keeps).toBeLessThan(10);
  });
});
