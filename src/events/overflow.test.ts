import { expect, test } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { LogEvent } from '../base/log-events.ts';
import { type Batch, encodeChunk, eventsOf, openBatch } from './batch.ts';
import { returnBody } from './body-memory.ts';
import { bodyAreas, isInEncoder } from './encoding/encoder-memory.ts';
import { type OverflowOptions, overflow } from './overflow.ts';
import { departures } from './pipeline/departures.ts';
import { memorySpool } from './spool/memory.ts';
import { type Spool, streamKey } from './spool.ts';

const { signal } = new AbortController();

function batchOf(text: string, logStream = 's'): Batch {
  const open = openBatch({ logGroup: 'g', logStream });
  for (const piece of encodeChunk(Buffer.from(text), 0).pieces) open.add(piece);
  return open.seal();
}

function setup(
  policy: OverflowOptions['policy'],
  spared: readonly string[] = [],
  changed: Partial<Spool> = {},
) {
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const log = (event: LogEvent): void => void events.push(event);
  const spool = { ...memorySpool({ bytesMax: 1_000_000, clock, log }), ...changed };
  const keys = new Set(spared.map((logStream) => streamKey({ logGroup: 'g', logStream })));
  const leaving = departures();
  const over = overflow({
    spool,
    departures: leaving,
    policy,
    spared: keys,
    bytesMax: 6_000,
    clock,
    log,
  });
  return {
    clock,
    spool,
    leaving,
    over,
    said: () => events.filter(({ name }) => name === 'events.dropped').map(({ fields }) => fields),
    append: async (batch: Batch): Promise<void> => {
      if (await over.admit(batch, signal)) await spool.append(batch, [], signal);
    },
    kept: async (): Promise<string[]> => {
      const batches = await Promise.all(
        spool.streams().map((stream) => spool.read({ stream, batchesMax: 99 }, signal)),
      );
      return batches.flat().flatMap((batch) => eventsOf(batch).map(({ message }) => message.slice(0, 1)));
    },
  };
}

const large = (letter: string): string => letter.repeat(2_000);

test('drop-newest leaves out what finds no room, counts it and says so once a minute', async () => {
  const { append, kept, over, said, clock } = setup('drop-newest');

  for (const letter of ['a', 'b', 'c', 'd']) await append(batchOf(large(letter)));
  await clock.advance(59_999);
  await append(batchOf(large('e')));
  const first = said();
  await clock.advance(1);
  const second = said();
  await append(batchOf(large('f')));
  over.end();

  expect(await kept()).toEqual(['a', 'b']);
  expect(over.dropped).toEqual({ events: 4, bytes: 4 * 2_026 });
  expect(first).toEqual([{ policy: 'drop-newest', events: 1, bytes: 2_026 }]);
  // Though nothing more is dropped by then.
  expect(second[1]).toEqual({ policy: 'drop-newest', events: 2, bytes: 2 * 2_026 });
  expect(said()[2]).toEqual({ policy: 'drop-newest', events: 1, bytes: 2_026 });
});

test('drop-oldest makes room with what came first, whichever stream it is of', async () => {
  const { append, kept, over } = setup('drop-oldest');

  await append(batchOf(large('a'), 'one'));
  await append(batchOf(large('b'), 'two'));
  for (const letter of ['c', 'd']) await append(batchOf(large(letter), 'one'));

  expect(new Set(await kept())).toEqual(new Set(['c', 'd']));
  expect(over.dropped.events).toBe(2);
});

test('drop-oldest takes what is oldest now, in whatever order the streams are told', async () => {
  const { spool: inner } = setup('drop-oldest');
  const { append, kept } = setup('drop-oldest', [], {
    ...inner,
    streams: () => inner.streams().toReversed(),
  });
  const small = (letter: string, logStream: string) => append(batchOf(letter.repeat(1_000), logStream));
  await small('a', 'one');
  await small('b', 'two');
  for (const letter of ['c', 'd', 'e']) await small(letter, 'one');

  await small('f', 'one');
  const first = (await kept()).toSorted();
  await small('g', 'one');

  expect(first).toEqual(['b', 'c', 'd', 'e', 'f']);
  expect((await kept()).toSorted()).toEqual(['c', 'd', 'e', 'f', 'g']);
});

test('what just fits is kept, and one byte more is not', async () => {
  const there = batchOf('x');
  const bytes = 6_000 - setup('drop-newest').spool.sizeOf(there);

  for (const [wanted, expected] of [
    [bytes, ['x', 'a']],
    [bytes + 1, ['x']],
  ] as const) {
    const { spool, append, kept } = setup('drop-newest', [], { sizeOf: () => wanted });
    await spool.append(there, [], signal);
    await append(batchOf(large('a')));

    expect(await kept()).toEqual(expected);
  }
});

test('what is larger than all the room is kept where nothing else is there', async () => {
  const { append, kept } = setup('drop-newest', [], { sizeOf: () => 6_001 });

  for (const letter of ['a', 'b']) await append(batchOf(large(letter)));

  expect(await kept()).toEqual(['a']);
});

test('nothing of audit is dropped to make room', async () => {
  const { append, kept, over } = setup('drop-oldest', ['audit']);

  await append(batchOf(large('a'), 'audit'));
  await append(batchOf(large('b'), 'audit'));
  await append(batchOf(large('c')));

  expect(new Set(await kept())).toEqual(new Set(['a', 'b', 'c']));
  expect(over.dropped.events).toBe(0);
});

test('a batch has the size that the spool says it has', async () => {
  const { append, kept } = setup('drop-newest', [], { sizeOf: () => 5_000 });

  for (const letter of ['a', 'b']) await append(batchOf(large(letter)));

  expect(await kept()).toEqual(['a']);
});

test('a batch that two make room with at the same time is counted once', async () => {
  const { append, kept, over } = setup('drop-oldest');
  for (const letter of ['a', 'b']) await append(batchOf(large(letter)));

  await Promise.all(['c', 'd'].map((letter) => append(batchOf(large(letter)))));

  const lost = 4 - (await kept()).length;
  expect(lost).toBeGreaterThan(0);
  expect(over.dropped).toEqual({ events: lost, bytes: lost * 2_026 });
});

test('drop-oldest takes what comes behind what is being sent, and where all is being sent, what comes', async () => {
  const { append, kept, leaving, over, spool } = setup('drop-oldest');
  const send = () =>
    leaving.begin(async () => {
      const wanted = { stream: { logGroup: 'g', logStream: 's' }, batchesMax: 1, except: leaving.sending };
      const [head] = await spool.read(wanted, signal);
      return head;
    });
  await append(batchOf(large('a')));
  await append(batchOf(large('b')));

  await send();
  await append(batchOf(large('c')));
  const behind = await kept();
  await send();
  await append(batchOf(large('d')));

  expect(behind).toEqual(['a', 'c']);
  expect(await kept()).toEqual(['a', 'c']);
  expect(over.dropped.events).toBe(2);
});

test('drop-oldest drops nothing where room comes while it looks for what to drop', async () => {
  const { spool: inner } = setup('drop-oldest');
  const gate = Promise.withResolvers<void>();
  const { append, kept, over } = setup('drop-oldest', [], {
    ...inner,
    async read(...wanted) {
      await gate.promise;
      return inner.read(...wanted);
    },
  });
  await append(batchOf(large('a')));
  await append(batchOf(large('b')));
  const [first] = await inner.read({ stream: { logGroup: 'g', logStream: 's' }, batchesMax: 1 }, signal);
  if (first === undefined) throw new Error('nothing waits');

  const appended = append(batchOf(large('c')));
  await inner.settle(first, []);
  gate.resolve();
  await appended;

  expect(await kept()).toEqual(['b', 'c']);
  expect(over.dropped.events).toBe(0);
});

test('what was looked at is given back though another stream does not read', async () => {
  const { spool: inner } = setup('drop-oldest');
  const { append } = setup('drop-oldest', [], {
    ...inner,
    async read(wanted, stop) {
      if (wanted.stream.logStream === 'two') throw new Error('no disk');
      return inner.read(wanted, stop);
    },
  });
  const full = batchOf('a'.repeat(600_000), 'one');
  await append(full);
  returnBody(full.body);
  await inner.append(batchOf('b', 'two'), [], signal);
  const stream = { logGroup: 'g', logStream: 'one' };

  await expect(append(batchOf(large('c')))).rejects.toThrow('no disk');
  const [first] = await inner.read({ stream, batchesMax: 1 }, signal);
  if (first === undefined) throw new Error('nothing waits');
  returnBody(first.body);
  await inner.settle(first, []);

  expect(isInEncoder(full.body)).toBe(true);
  expect(bodyAreas.free).toBe(bodyAreas.count);
});
