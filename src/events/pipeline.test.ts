import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { isSameMemory } from '../../test/support/same-memory.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import type { LogEvent } from '../base/log-events.ts';
import { type Batch, eventsOf } from './batch.ts';
import { bodyBytesUsual, borrowDraft, returnBody } from './body-memory.ts';
import { eventsError } from './errors.ts';
import type { Chunk, EventSource } from './event-source.ts';
import type { PipelineLimits } from './pipeline/limits.ts';
import type { PipelineSource } from './pipeline/source.ts';
import { type PipelineOptions, pipeline } from './pipeline.ts';
import { memorySink } from './sink/memory.ts';
import { fileSource } from './source/file.ts';
import { fileSourceLimits } from './source/file-limits.ts';
import { memorySpool } from './spool/memory.ts';
import type { RefusedEvent, Spool } from './spool.ts';
import { wake } from './wake.ts';

const never = new AbortController().signal;
const hourMs = 60 * 60 * 1000;
/** Tries so far apart that a day of them is no long story, however the dice fall. */
const seldom = { backoffBaseMs: hourMs, backoffCapMs: 10 * hourMs };
const streamOf = (file: string | undefined) => ({ logGroup: 'g', logStream: file ?? 's' });

/** A source whose chunks the test gives. */
function scriptedSource(clock: ReturnType<typeof fakeClock>) {
  const bell = wake();
  const chunks: Chunk[] = [];
  let pulled = 0;
  const source: EventSource = {
    async *chunks(_from, signal) {
      for (;;) {
        for (let next = chunks.shift(); next !== undefined; next = chunks.shift()) {
          pulled += 1;
          yield next;
        }
        if (signal.aborted) return;
        await bell.rung(signal);
      }
    },
    counts: () => ({ lagBytes: 0, items: chunks.length }),
  };
  const give = (
    text: string,
    offset?: number,
    file?: string,
    onDurable?: () => void,
    fields?: readonly string[],
  ): void => {
    chunks.push({
      bytes: Buffer.from(text),
      timeMs: clock.now().getTime(),
      positions: offset === undefined ? [] : [{ item: 'item', value: String(offset) }],
      file,
      ...(onDurable === undefined ? {} : { onDurable }),
      ...(fields === undefined ? {} : { fields }),
    });
    bell.ring();
  };
  return { source, chunks, give, pulled: () => pulled };
}

const at = (positions: readonly { value: string | undefined }[]): string[] =>
  positions.map(({ value }) => `@${value}`);

/** Streams named by what events say, and a spool that tells in which order things became durable. */
function spreadSetup(limits: Partial<PipelineLimits> = {}) {
  const { clock, spool, sink, give, start, scripted } = setup({ limits });
  const kept: string[] = [];
  const gate = { opened: Promise.resolve() };
  const ordered: Spool = {
    ...spool,
    async append(batch, positions, signal) {
      await gate.opened;
      const id = await spool.append(batch, positions, signal);
      kept.push(...eventsOf(batch).map(({ message }) => message.slice(0, 8).trim()), ...at(positions));
      return id;
    },
    async keep(positions) {
      await spool.keep(positions);
      kept.push(...at(positions));
    },
  };
  const [first] = scripted;
  if (first === undefined) throw new Error('no source');
  const source: PipelineSource = {
    name: 's0',
    source: first.source,
    isSpread: true,
    streamOf: (_file, [field = '-'] = []) => ({ logGroup: 'g', logStream: field }),
  };
  return { clock, sink, spool, give, kept, gate, ...start({ spool: ordered, sources: [source] }) };
}

function setup(options: { limits?: Partial<PipelineLimits>; bytesMax?: number; sources?: number } = {}) {
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const log = (event: LogEvent): void => void events.push(event);
  const spool = memorySpool({ bytesMax: options.bytesMax ?? 2 ** 24, clock, log });
  const sink = memorySink();
  const scripted = Array.from({ length: options.sources ?? 1 }, () => scriptedSource(clock));
  const sources = scripted.map(
    ({ source }, index): PipelineSource => ({ name: `s${index}`, source, streamOf }),
  );
  const [first] = scripted;
  if (first === undefined) throw new Error('no source');
  const stop = new AbortController();
  const start = (over: Partial<PipelineOptions> = {}) => {
    const line = pipeline({ sources, spool, sink, clock, log, limits: options.limits ?? {}, ...over });
    const done = line.run(stop.signal);
    done.catch(() => undefined);
    onTestFinished(() => stop.abort());
    return { line, done };
  };
  const said = (name: string) => events.filter((event) => event.name === name);
  return { clock, spool, sink, give: first.give, pulled: first.pulled, scripted, start, stop, said, log };
}

describe('a pipeline', () => {
  test('brings every line to the sink, in order, and settles it', async () => {
    const { clock, sink, spool, give, start } = setup();
    const { line } = start();

    give('one\ntwo\n', 8);
    await clock.advance(1000);
    give('three\n', 14);
    await clock.advance(1000);

    expect(sink.messages()).toEqual(['one', 'two', 'three']);
    expect(spool.counts().batches).toBe(0);
    expect(spool.position('s0').get('item')).toBe('14');
    expect(line.status()).toMatchObject({
      sources: [{ name: 's0', bytes: 14, events: 3, waitingEvents: 0 }],
      sent: { events: 3, batches: 2, refused: 0, failures: 0 },
    });
  });

  test('says of the batches of a source with metrics, and of no other, that they may have some', async () => {
    const { clock, sink, scripted, start } = setup({ sources: 2 });
    const sources = scripted.map(({ source }, index): PipelineSource => {
      const own = { logGroup: 'g', logStream: `s${index}` };
      return { name: `s${index}`, source, streamOf: () => own, embeddedMetrics: index === 0 };
    });
    const flags = new Map<string, boolean>();
    sink.onSend = ({ stream, mayHaveMetrics = false }) => {
      flags.set(stream.logStream, mayHaveMetrics);
      return [];
    };
    start({ sources });

    for (const { give } of scripted) give('one\n');
    await clock.advance(1000);

    expect(Object.fromEntries(flags)).toEqual({ s0: true, s1: false });
  });

  test('waits no longer than it may for more lines', async () => {
    const { clock, sink, give, start } = setup({ limits: { flushAfterMs: 250 } });
    start();

    give('one\n');
    await clock.advance(249);
    expect(sink.messages()).toEqual([]);

    give('two\n');
    await clock.advance(1);
    expect(sink.messages()).toEqual(['one', 'two']);
  });

  test('tells who waits for it that a chunk is durable: at once when it is, and not before', async () => {
    const { clock, spool, give, start } = setup();
    const gate = Promise.withResolvers<void>();
    const told: string[] = [];
    const slow: Spool = {
      ...spool,
      async append(...args) {
        await gate.promise;
        return spool.append(...args);
      },
    };
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

  test('a stream that has nothing left to send fails no more', async () => {
    const { clock, sink, give, start } = setup({ limits: seldom });
    sink.onSend = () => Promise.reject(eventsError('EVENTS_UNREACHABLE'));
    const { line } = start({ ageMaxDays: 1 });
    give('old\n');
    await clock.advance(1_000);
    const { failingStreams } = line.status();

    await clock.advance(35 * hourMs);

    expect(failingStreams).toBe(1);
    expect(line.status()).toMatchObject({ failingStreams: 0, outdated: { events: 1 } });
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

  test('does not wait when a batch is full', async () => {
    const { clock, sink, give, start } = setup();
    start();
    for (let index = 0; index < 3; index += 1) give(`${'x'.repeat(500_000)}\n`);

    await clock.advance(0);

    expect(sink.messages()).toHaveLength(2);
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

  test('tries again until a batch is taken; says failure once and recovery once', async () => {
    const { clock, sink, give, start, said } = setup();
    const { line } = start();
    let left = 5;
    sink.onSend = () => {
      left -= 1;
      if (left >= 0) throw eventsError('EVENTS_UNREACHABLE');
      return [];
    };

    give('one\n');
    await clock.advance(120_000);

    expect(sink.batches).toHaveLength(6);
    expect(new Set(sink.batches.map(({ body }) => body.toString())).size).toBe(1);
    expect(sink.messages()).toEqual(['one']);
    expect(said('events.send-failed')).toHaveLength(1);
    expect(said('events.send-recovered')).toMatchObject([{ fields: { failures: 5 } }]);
    expect(line.status()).toMatchObject({ sent: { failures: 5 }, failingStreams: 0 });
  });

  test('keeps the order of a stream while others go on', async () => {
    const { clock, sink, give, start } = setup();
    start();
    let isDown = true;
    sink.onSend = ({ stream }) => {
      if (stream.logStream === 'bad' && isDown) throw eventsError('EVENTS_DENIED');
      return [];
    };

    give('1\n', undefined, 'bad');
    await clock.advance(1000);
    give('2\n', undefined, 'bad');
    give('a\n', undefined, 'good');
    await clock.advance(1000);
    expect(sink.messages()).toEqual(['a']);

    isDown = false;
    await clock.advance(60_000);
    expect(sink.messages('bad')).toEqual(['1', '2']);
  });

  test('sends to no more streams at a time than it may, and to each in its turn', async () => {
    const { clock, sink, give, start } = setup({ limits: { sendsMax: 2 } });
    start();
    let under = 0;
    let most = 0;
    sink.onSend = async (_batch, signal) => {
      under += 1;
      most = Math.max(most, under);
      await clock.sleep(100, signal);
      under -= 1;
      return [];
    };

    for (let index = 0; index < 10; index += 1) give(`${index}\n`, undefined, `file ${index}`);
    await clock.advance(10_000);

    expect(most).toBe(2);
    expect(sink.messages().toSorted()).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
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

  test('goes on when a spool that could not be written can be again', async () => {
    const { clock, sink, spool, give, start, said } = setup();
    let failures = 3;
    const failing: Spool = {
      ...spool,
      append(batch, positions, signal) {
        failures -= 1;
        if (failures >= 0) return Promise.reject(eventsError('EVENTS_SPOOL_UNWRITABLE'));
        return spool.append(batch, positions, signal);
      },
    };
    start({ spool: failing });

    give('1\n', 1);
    await clock.advance(260);
    give('2\n', 2);
    await clock.advance(60_000);

    expect(sink.messages()).toEqual(['1', '2']);
    expect(spool.position('s0').get('item')).toBe('2');
    expect(said('events.spool-failed')).toHaveLength(1);
    expect(said('events.spool-recovered')).toHaveLength(1);
  });

  test('puts refused events into the dead letter and says so', async () => {
    const { clock, sink, spool, give, start, said } = setup();
    const { line } = start();
    sink.onSend = () => [{ reason: 'too-old', timestamp: 1, message: 'two' }];

    give('one\ntwo\n');
    await clock.advance(1000);

    expect(spool.deadLetters(10)).toMatchObject([{ reason: 'too-old' }]);
    expect(await spool.deadLetter(1)).toMatchObject({ message: 'two' });
    expect(said('events.refused')).toMatchObject([{ fields: { events: 1, reasons: ['too-old'] } }]);
    expect(line.status()).toMatchObject({ sent: { events: 1, refused: 1 }, deadLetter: { events: 1 } });
  });

  test('is wedged where a write never ends, and not while CloudWatch Logs is away', async () => {
    const { clock, spool, sink, give, start, said } = setup();
    sink.onSend = () => Promise.reject(eventsError('EVENTS_UNREACHABLE'));
    const waits = Promise.withResolvers<void>();
    let isStuck = false;
    const stuck: Spool = {
      ...spool,
      append: async (...append) => {
        if (isStuck) await waits.promise;
        return spool.append(...append);
      },
    };
    const { line } = start({ spool: stuck });
    give('one\n');
    await clock.advance(60 * 60_000);
    const inOutage = line.status().wedgedMs;
    sink.onSend = () => [];
    await clock.advance(60_000);

    isStuck = true;
    give('two\n');
    await clock.advance(10 * 60_000);
    const whileStuck = line.status().wedgedMs;
    waits.resolve();
    await clock.advance(1000);

    expect(inOutage).toBeUndefined();
    expect(whileStuck).toBeGreaterThanOrEqual(5 * 60_000);
    expect(line.status().wedgedMs).toBeUndefined();
    expect(said('events.wedged')).toHaveLength(1);
    expect(sink.messages()).toEqual(['one', 'two']);
  });

  test('what trying again cannot mend ends it with that error', async () => {
    const { clock, spool, give, start } = setup();
    const defect: Spool = { ...spool, read: () => Promise.reject(eventsError('EVENTS_SPOOL_KEY_MISSING')) };
    const { done } = start({ spool: defect });

    give('one\n');
    await clock.advance(1000);

    await expect(done).rejects.toMatchObject({ code: 'EVENTS_SPOOL_KEY_MISSING' });
  });

  test('so it does where nobody waits for the batch any more', async () => {
    const { clock, spool, give, start } = setup();
    const broken: Spool = {
      ...spool,
      append: () => Promise.reject(eventsError('EVENTS_SPOOL_KEY_MISSING', {})),
    };
    const { done } = start({ spool: broken });

    // The first batch is full with the second chunk, and the source says no more.
    give(`${'x'.repeat(700_000)}\n`);
    give(`${'y'.repeat(700_000)}\n`);
    await clock.advance(10);

    await expect(done).rejects.toMatchObject({ code: 'EVENTS_SPOOL_KEY_MISSING' });
  });

  test('goes on reading while two full batches are made durable, up to the next that is full', async () => {
    const { clock, spool, sink, give, pulled, start } = setup();
    const gate = Promise.withResolvers<void>();
    const slow: Spool = {
      ...spool,
      async append(...args) {
        await gate.promise;
        return spool.append(...args);
      },
    };
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

  test.each([false, true])(
    'reads no more than it may hold, whatever streams it has (spread: %j)',
    async (isSpread) => {
      const { clock, spool, sink, scripted, start } = setup({ limits: { openBytesMax: 10_000 } });
      const [{ source, give, pulled } = scriptedSource(clock)] = scripted;
      const gate = Promise.withResolvers<void>();
      const slow: Spool = {
        ...spool,
        async append(...args) {
          await gate.promise;
          return spool.append(...args);
        },
      };
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

  test('says once that the spool fails, though small batches of another stream fit', async () => {
    const { clock, spool, scripted, start, said } = setup({ sources: 2 });
    let isFull = true;
    const nearlyFull: Spool = {
      ...spool,
      append: (batch, ...rest) =>
        isFull && batch.bytes > 1000
          ? Promise.reject(eventsError('EVENTS_SPOOL_UNWRITABLE'))
          : spool.append(batch, ...rest),
    };
    const { line } = start({ spool: nearlyFull });
    scripted[0]?.give(`${'x'.repeat(2000)}\n`, undefined, 'large');
    for (let small = 0; small < 20; small += 1) {
      scripted[1]?.give('small\n', undefined, 'small');
      await clock.advance(1000);
    }
    const [failed, recovered, { isFailing }] = [
      said('events.spool-failed').length,
      said('events.spool-recovered').length,
      line.status().spool,
    ];

    isFull = false;
    await clock.advance(60_000);

    expect([failed, recovered, isFailing]).toEqual([1, 0, true]);
    expect(said('events.spool-recovered')).toHaveLength(1);
    expect(line.status().spool.isFailing).toBe(false);
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

  test('waits where the spool cannot be read just now, and sends when it can', async () => {
    const { clock, spool, sink, give, start, said } = setup();
    let isAway = true;
    const away: Spool = {
      ...spool,
      read: (limits, signal) =>
        isAway ? Promise.reject(eventsError('EVENTS_SPOOL_KEY_UNAVAILABLE')) : spool.read(limits, signal),
    };
    start({ spool: away });
    give('one\n');
    await clock.advance(10_000);
    const sentBefore = sink.batches.length;

    isAway = false;
    await clock.advance(60_000);

    expect([sentBefore, sink.batches.length]).toEqual([0, 1]);
    expect(said('events.spool-failed')).toHaveLength(1);
    expect(said('events.spool-recovered')).toHaveLength(1);
  });

  test('sends what the spool still holds from before', async () => {
    const { clock, sink, spool, start } = setup();
    const before = setup();
    before.sink.onSend = () => new Promise(() => {});
    before.start({ spool });
    before.give('left over\n');
    await before.clock.advance(1000);
    before.stop.abort();

    start();
    await clock.advance(1000);

    expect(sink.messages()).toEqual(['left over']);
  });
});

describe('a pipeline that is drained', () => {
  test('takes nothing more in, sends what it has, and ends', async () => {
    const { clock, sink, give, start, pulled } = setup();
    const { line, done } = start();
    give('one\n', 4);
    await clock.advance(0);

    const drained = line.drain(5000);
    give('too late\n');
    await clock.advance(1000);
    await Promise.all([drained, done]);

    expect(sink.messages().slice(0, 1)).toEqual(['one']);
    expect(pulled()).toBeLessThanOrEqual(2);
  });

  test('keeps what it has read, though the deadline passes before that has begun', async () => {
    const { clock, spool, sink, give, start } = setup();
    sink.onSend = () => {
      throw eventsError('EVENTS_UNREACHABLE');
    };
    const slow: Spool = {
      ...spool,
      async append(...args) {
        await clock.sleep(500, never);
        return spool.append(...args);
      },
    };
    const { line, done } = start({ spool: slow });
    give('from a pipe\n');
    await clock.advance(0);

    const drained = line.drain(0);
    await clock.advance(1000);
    await Promise.all([drained, done]);

    expect(spool.counts().batches).toBe(1);
  });

  test('leaves in time when nothing can be sent, and the spool keeps it', async () => {
    const { clock, sink, spool, give, start, said } = setup();
    const { line, done } = start();
    sink.onSend = () => {
      throw eventsError('EVENTS_UNREACHABLE');
    };
    give('one\n', 4);
    await clock.advance(1000);

    const drained = line.drain(5000);
    await clock.advance(5000);
    await Promise.all([drained, done]);

    expect(spool.counts().batches).toBe(1);
    expect(spool.position('s0').get('item')).toBe('4');
    expect(said('events.stopped')).toMatchObject([{ fields: { spooledBatches: 1 } }]);
  });

  test('leaves in time when the spool is full, and forgets no position', async () => {
    const { clock, sink, spool, give, start } = setup({ bytesMax: 1_000_000 });
    const { line, done } = start();
    sink.onSend = () => {
      throw eventsError('EVENTS_UNREACHABLE');
    };
    for (let index = 1; index <= 5; index += 1) give(`${index} ${'x'.repeat(600_000)}\n`, index);
    await clock.advance(10_000);

    const drained = line.drain(1000);
    await clock.advance(2000);
    await Promise.all([drained, done]);

    const batches = await spool.read(
      { stream: streamOf(undefined), batchesMax: 9 },
      new AbortController().signal,
    );
    expect(spool.position('s0').get('item')).toBe(String(batches.length));
  });
});

/** Two sources, `own`, and `denied` under a role that takes nothing. */
function setupWithDenied(bytesMax?: number) {
  const made = setup({
    sources: 2,
    limits: { sendsMax: 8 },
    ...(bytesMax === undefined ? {} : { bytesMax }),
  });
  const [own, denied] = made.scripted;
  if (own === undefined || denied === undefined) throw new Error('no source');
  made.sink.onSend = ({ stream }) => {
    if (stream.roleOf !== undefined) throw eventsError('EVENTS_DENIED');
    return [];
  };
  const sources: PipelineSource[] = [
    { name: 'own', source: own.source, streamOf },
    {
      name: 'denied',
      source: denied.source,
      streamOf: (file) => ({ ...streamOf(file), roleOf: 'denied' }),
    },
  ];
  const start = (over: Partial<PipelineOptions> = {}) => made.start({ sources, ...over });
  return { ...made, start, own, denied };
}

function withDenied(bytesMax?: number) {
  const made = setupWithDenied(bytesMax);
  return { ...made, ...made.start() };
}

describe('sources of which one is sent under a role of its own', () => {
  test('go on beside it when that role is denied, however many streams it has', async () => {
    const { clock, sink, own, denied } = withDenied();
    for (let file = 0; file < 10; file += 1) denied.give(`denied ${file}\n`, undefined, `f${file}`);
    await clock.advance(1000);

    own.give('own\n');
    await clock.advance(1000);

    expect(sink.messages()).toEqual(['own']);
  });

  test('go on beside it when it has filled its part of the spool, and it goes on when it is let', async () => {
    const { clock, sink, spool, own, denied, line, said } = withDenied(2 ** 20);
    for (let each = 0; each < 12; each += 1) {
      denied.give(`${each} ${'x'.repeat(90_000)}\n`);
      await clock.advance(1000);
    }
    const { bytes, bytesMax } = spool.counts();
    const isFull = line.status().spool.isFull;

    for (let each = 0; each < 20; each += 1) {
      own.give(`${each} ${'y'.repeat(90_000)}\n`);
      await clock.advance(1000);
    }
    const during = sink.messages().length;
    sink.onSend = () => [];
    await clock.advance(120_000);

    expect(bytes).toBeLessThanOrEqual((bytesMax * 7) / 8);
    expect(isFull).toBe(true);
    expect(line.status().spool.isFull).toBe(false);
    expect(during).toBe(20);
    expect(sink.messages()).toHaveLength(32);
    expect(said('events.spool-full')).toHaveLength(1);
    expect(said('events.spool-relieved')).toHaveLength(1);
  });

  test('of several batches of one that fails those alone are kept together that leave room for the other', async () => {
    const { clock, sink, spool, own, denied, start } = setupWithDenied(8_100_000);
    const together: Spool = {
      ...spool,
      async appendFirst(batches, signal) {
        const ids: number[] = [];
        for (const { batch, positions } of batches) ids.push(await spool.append(batch, positions, signal));
        return ids;
      },
    };
    start({ spool: together });
    const gate = Promise.withResolvers<readonly RefusedEvent[]>();
    const { onSend } = sink;
    sink.onSend = (batch, signal) =>
      batch.stream.roleOf === undefined ? gate.promise : onSend(batch, signal);
    own.give(`${'y'.repeat(300_000)}\n`);
    await clock.advance(1000);
    for (let each = 0; each < 20; each += 1) denied.give(`${each} ${'x'.repeat(700_000)}\n`);
    await clock.advance(10_000);
    const { batches, bytesMax } = spool.counts();

    gate.resolve([]);
    await clock.advance(10_000);

    const after = spool.counts();
    expect(after.batches).toBe(batches);
    expect(after.bytes).toBeLessThanOrEqual((bytesMax * 7) / 8);
  });

  test('fail and recover by themselves', async () => {
    const { clock, sink, own, denied, said } = withDenied();
    denied.give('denied\n');
    await clock.advance(1000);
    const { onSend } = sink;
    sink.onSend = () => {
      throw eventsError('EVENTS_DENIED');
    };
    own.give('own\n');
    await clock.advance(1000);
    sink.onSend = onSend;
    await clock.advance(60_000);

    expect(said('events.send-failed').map(({ fields }) => fields['roleOf'])).toEqual(['denied', undefined]);
    expect(said('events.send-recovered').map(({ fields }) => fields['roleOf'])).toEqual([undefined]);
  });
});

test('a file is shipped across two lives of the pipeline, each line once', async () => {
  const directory = temporaryDirectory();
  const path = join(directory, 'app.log');
  const { clock, sink, start, log } = setup();
  const sourceOf = (): PipelineSource => ({
    name: 'app',
    source: fileSource({ name: 'app', files: [path], readFrom: [directory], clock, log }),
    streamOf: () => ({ logGroup: 'g', logStream: 's' }),
  });
  appendFileSync(path, 'one\ntwo\n');
  const first = start({ sources: [sourceOf()] });
  await clock.advance(1000);
  const drained = first.line.drain(1000);
  await clock.advance(1000);
  await Promise.all([drained, first.done]);
  appendFileSync(path, 'three\n');

  start({ sources: [sourceOf()] });
  await clock.advance(2 * fileSourceLimits.findEveryMs);

  expect(sink.messages()).toEqual(['one', 'two', 'three']);
});

describe('a source whose lines go to several streams', () => {
  test('brings each line to its stream, and moves on once all of them are durable', async () => {
    const { clock, sink, spool, give, kept } = spreadSetup();

    give('a1\n', undefined, 'f', undefined, ['a']);
    give('b1\n', 1, 'f', undefined, ['b']);
    give('a2\n', 2, 'f', undefined, ['a']);
    await clock.advance(1_000);

    expect([sink.messages('a'), sink.messages('b')]).toEqual([['a1', 'a2'], ['b1']]);
    expect(kept).toEqual(['a1', 'a2', 'b1', '@2']);
    expect(spool.position('s0').get('item')).toBe('2');
  });

  test('tells who waits once what came before is durable in every stream', async () => {
    const { clock, give, gate, kept } = spreadSetup();
    const opening = Promise.withResolvers<void>();
    gate.opened = opening.promise;
    const told: string[] = [];

    give('a1\n', undefined, undefined, undefined, ['a']);
    give('b1\n', undefined, undefined, () => told.push(kept.join()), ['b']);
    await clock.advance(1_000);
    const early = [...told];
    opening.resolve();
    await clock.advance(1_000);

    expect(early).toEqual([]);
    expect(told).toEqual(['a1,b1']);
  });

  test('moves on though nothing passes the filter', async () => {
    const { clock, spool, give } = spreadSetup({ keepAfterMs: 5_000 });

    give('', 1);
    await clock.advance(6_000);
    give('', 2);
    await clock.advance(0);

    expect(spool.position('s0').get('item')).toBe('2');
  });

  test('puts what is left into the spool at a stop, and then where it goes on', async () => {
    const { clock, give, kept, line } = spreadSetup({ flushAfterMs: 60_000 });
    give('a1\n', 1, 'f', undefined, ['a']);
    give('b1\n', 2, 'f', undefined, ['b']);
    await clock.advance(0);

    void line.drain(1_000);
    await clock.advance(0);

    expect(kept).toEqual(['a1', 'b1', '@2']);
  });

  test('whatever comes for whichever stream, no position is kept before all that is before it', async () => {
    const step = fc.record({
      stream: fc.constantFrom('a', 'b', 'c'),
      bytes: fc.constantFrom(10, 400_000),
      waitMs: fc.constantFrom(0, 0, 100, 300),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { clock, give, kept } = spreadSetup({ flushAfterMs: 250 });
        for (const [index, { stream, bytes, waitMs }] of steps.entries()) {
          give(`${String(index).padEnd(8)}${'x'.repeat(bytes)}\n`, index, 'f', undefined, [stream]);
          await clock.advance(waitMs);
        }
        await clock.advance(2_000);

        const positions = kept.filter((each) => each.startsWith('@'));
        const missing = positions.flatMap((position) => {
          const there = new Set(kept.slice(0, kept.indexOf(position)));
          const before = Number(position.slice(1)) + 1;
          return Array.from({ length: before }, (_line, index) => String(index)).filter(
            (each) => !there.has(each),
          );
        });
        expect(missing).toEqual([]);
        const numbers = positions.map((position) => Number(position.slice(1)));
        expect(numbers).toEqual(numbers.toSorted((one, other) => one - other));
        expect(numbers.at(-1)).toBe(steps.length === 0 ? undefined : steps.length - 1);
      }),
      { numRuns: 40 },
    );
  });
});
