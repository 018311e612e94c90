import { expect, onTestFinished, test } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { LogEvent } from '../base/log-events.ts';
import { eventsOf, partOf } from './batch.ts';
import { eventsError } from './errors.ts';
import { outdated } from './outdated.ts';
import { departures } from './pipeline/departures.ts';
import { memorySpool } from './spool/memory.ts';
import type { Spool } from './spool.ts';

const dayMs = 24 * 60 * 60 * 1000;

function setup(changed: Partial<Spool> = {}) {
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const log = (event: LogEvent): void => void events.push(event);
  const spool = { ...memorySpool({ bytesMax: 2 ** 20, clock, log }), ...changed };
  const stop = new AbortController();
  const leaving = departures();
  const aging = outdated({ spool, departures: leaving, ageMaxDays: 3, clock, log });
  const watching = aging.watch(stop.signal);
  watching.catch(() => undefined);
  onTestFinished(() => stop.abort());
  return {
    clock,
    aging,
    leaving,
    spool,
    watching,
    stop,
    append: (logStream: string, ...messages: string[]): Promise<number> => {
      const lines = messages.map((message) => ({ timestamp: clock.now().getTime(), message }));
      return spool.append(partOf({ stream: { logGroup: 'g', logStream } }, lines), [], stop.signal);
    },
    waiting: async (): Promise<string[]> => {
      const batches = await Promise.all(
        spool.streams().map((stream) => spool.read({ stream, batchesMax: 99 }, stop.signal)),
      );
      return batches.flat().flatMap((batch) => eventsOf(batch).map(({ message }) => message));
    },
    said: () => events.filter(({ name }) => name === 'events.outdated').map(({ fields }) => fields),
  };
}

test('what has waited too long lies in the dead letter, of every stream, and the rest goes on waiting', async () => {
  const { clock, spool, append, waiting, said, aging } = setup();
  await append('one', 'old 1', 'old 2');
  await append('two', 'old 3');
  await clock.advance(2 * dayMs);
  await append('one', 'young');

  await clock.advance(dayMs);
  const atTheBound = await waiting();
  await clock.advance(10 * 60 * 1000);

  expect(atTheBound).toHaveLength(4);
  expect(await waiting()).toEqual(['young']);
  expect(spool.deadLetters(9).map(({ reason, stream }) => [reason, stream.logStream])).toEqual([
    ['outdated', 'one'],
    ['outdated', 'one'],
    ['outdated', 'two'],
  ]);
  expect(await spool.deadLetter(1)).toMatchObject({ message: 'old 1' });
  const gone = { events: 3, bytes: 3 * (5 + 26) };
  expect(aging.moved).toEqual(gone);
  expect(said()).toEqual([{ ...gone, ageMaxDays: 3 }]);
});

test('a clock that jumps ahead, or back, makes nothing old', async () => {
  const { clock, append, waiting, said } = setup();
  await append('one', 'a line');

  clock.jump(30 * dayMs);
  await clock.advance(60 * 60 * 1000);
  clock.jump(-60 * dayMs);
  await append('one', 'another');
  await clock.advance(60 * 60 * 1000);

  expect(await waiting()).toEqual(['a line', 'another']);
  expect(said()).toEqual([]);
});

test('a spool that cannot be read just now is looked at again', async () => {
  let failure: Error | undefined = eventsError('EVENTS_SPOOL_UNREADABLE');
  const inner = setup().spool;
  const { clock, append, waiting, spool } = setup({
    ...inner,
    async read(limits, signal) {
      if (failure !== undefined) throw failure;
      return inner.read(limits, signal);
    },
  });
  await append('one', 'old');
  await clock.advance(3 * dayMs);

  await clock.advance(60 * 60 * 1000);
  expect(spool.counts().batches).toBe(1);
  failure = undefined;
  await clock.advance(60 * 60 * 1000);

  expect(await waiting()).toEqual([]);
});

test('each look says what it moved itself, be it one event', async () => {
  const { clock, append, said, aging } = setup();
  await append('one', 'old 1', 'old 2');
  await clock.advance(dayMs);
  await append('one', 'old 3');

  await clock.advance(3 * dayMs + 10 * 60 * 1000);

  expect(said()).toMatchObject([
    { events: 2, bytes: 2 * (5 + 26) },
    { events: 1, bytes: 5 + 26 },
  ]);
  expect(aging.moved).toEqual({ events: 3, bytes: 3 * (5 + 26) });
});

test.each([
  ['a defect', new TypeError('a defect')],
  ['a damage that no other try mends', eventsError('EVENTS_LETTER_MISSING', { id: 1 })],
])('%s ends the watch, and is not passed over', async (_what, failure) => {
  const { clock, append, watching } = setup({ read: () => Promise.reject(failure) });
  await append('one', 'old');

  await clock.advance(60 * 60 * 1000);

  await expect(watching).rejects.toBe(failure);
});

test('a batch that is sent while it is moved out is not counted', async () => {
  const inner = setup().spool;
  const { clock, append, aging, said, spool } = setup({
    ...inner,
    async settle(batch, refused) {
      await inner.settle(batch, []);
      return inner.settle(batch, refused);
    },
  });
  await append('one', 'old');

  await clock.advance(4 * dayMs);

  expect(spool.counts()).toMatchObject({ batches: 0, deadLetters: 0 });
  expect(aging.moved.events).toBe(0);
  expect(said()).toEqual([]);
});

test('what begins to be sent while it is looked at stays, and is not counted', async () => {
  const { spool: inner } = setup();
  const seen = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const { clock, append, leaving, aging, waiting } = setup({
    ...inner,
    async read(...wanted) {
      const found = await inner.read(...wanted);
      seen.resolve();
      await gate.promise;
      return found;
    },
  });
  await append('one', 'old');

  await clock.advance(4 * dayMs);
  await seen.promise;
  const wanted = { stream: { logGroup: 'g', logStream: 'one' }, batchesMax: 1 };
  await leaving.begin(async () => (await inner.read(wanted, new AbortController().signal))[0]);
  gate.resolve();
  await clock.advance(0);

  expect(await waiting()).toEqual(['old']);
  expect(aging.moved.events).toBe(0);
});
