import * as fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { type FakeClock, fakeClock } from '../../../test/support/fake-clock.ts';
import { patient } from '../../../test/support/patience.ts';
import type { LogEvent } from '../../base/log-events.ts';
import type { SingleEvent } from '../batch.ts';
import { eventSourceContract, eventsIn, reading } from '../event-source.contract.ts';
import { type Chunk, chunkBytesMax, type EventSource } from '../event-source.ts';
import { wake } from '../wake.ts';
import type { TransformConfig } from './config.ts';
import { fieldOf, parseObject } from './json-fields.ts';
import { transforming } from './transform.ts';

/** A source whose chunks the test gives; each moves its item to where its text ends. */
function scripted(clock: FakeClock) {
  const bell = wake();
  const queue: Chunk[] = [];
  const ends = new Map<string, number>();
  const source: EventSource = {
    async *chunks(_from, signal) {
      for (;;) {
        for (let next = queue.shift(); next !== undefined; next = queue.shift()) yield next;
        if (signal.aborted) return;
        await bell.rung(signal);
      }
    },
    counts: () => ({ lagBytes: 0, items: queue.length }),
  };
  const give = (text: string, more: Partial<Chunk> & { readonly item?: string } = {}): void => {
    const { item = 'item', ...rest } = more;
    const bytes = Buffer.from(text);
    const end = (ends.get(item) ?? 0) + bytes.length;
    ends.set(item, end);
    queue.push({
      bytes,
      timeMs: clock.now().getTime(),
      positions: [{ item, value: String(end) }],
      file: item,
      ...rest,
    });
    bell.ring();
  };
  return { source, give };
}

const multiline = { flushAfterMs: 1_000, linesMax: 1_000, bytesMax: 262_144 };

function setup(config: TransformConfig, fields: readonly string[] = []) {
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const { source: inner, give } = scripted(clock);
  const source = transforming({
    name: 'app',
    source: inner,
    config,
    fields,
    hostId: 'h1',
    clock,
    log: (event) => events.push(event),
  });
  return { clock, source, give, events };
}

test('that all was read by some time is not passed on while an event waits that began before it', async () => {
  const { clock, source, give } = setup({
    multiline: { ...multiline, flushAfterMs: 60_000, preset: 'java' },
  });
  const read = reading(source);
  const look = (value: string): void => {
    const looked = { item: 'looked', value, durableByMs: clock.monotonic() - 20_000 };
    give('done\n', { item: value, positions: [{ item: value, value: '5' }, looked] });
  };

  give('waits\n', { item: 'slow' });
  await clock.advance(30_000);
  look('early');
  await clock.advance(61_000);
  const early = read.positions.get('looked');
  look('late');
  await clock.advance(70_000);

  expect([early, read.positions.get('looked')]).toEqual([undefined, 'late']);
});

test('nor while one waits that began before it, though it had another line since', async () => {
  const { clock, source, give } = setup({
    multiline: { ...multiline, flushAfterMs: 60_000, preset: 'java' },
  });
  const read = reading(source);

  give('waits\n', { item: 'slow' });
  await clock.advance(30_000);
  give('\tat a\n', { item: 'slow' });
  await clock.advance(15_000);
  const looked = { item: 'looked', value: 'x', durableByMs: clock.monotonic() - 20_000 };
  give('done\n', { item: 'quick', positions: [{ item: 'quick', value: '5' }, looked] });
  await clock.advance(61_000);

  expect([...read.positions.keys()].toSorted()).toEqual(['quick', 'slow']);
});

test('nor while one waits whose first line had a part from before it', async () => {
  const { clock, source, give } = setup({
    container: 'cri',
    multiline: { ...multiline, flushAfterMs: 60_000, preset: 'java' },
  });
  const read = reading(source);

  give('2026-11-22T12:00:00Z stdout P be\n', { item: 'slow' });
  await clock.advance(500);
  give('2026-11-22T12:00:00Z stdout F gins\n', { item: 'slow' });
  await clock.advance(500);
  const looked = { item: 'looked', value: 'x', durableByMs: clock.monotonic() - 800 };
  give('', { item: 'quick', positions: [looked] });
  await clock.advance(100);

  expect(read.positions.size).toBe(0);
});

test.each<[string, TransformConfig, readonly string[]]>([
  ['an event', { multiline: { ...multiline, flushAfterMs: 60_000, preset: 'java' } }, ['waits\n']],
  [
    'an event after others of its file',
    { multiline: { ...multiline, flushAfterMs: 60_000, preset: 'java' } },
    ['first\n', 'second\n'],
  ],
  ['a part of a line', { container: 'cri' }, ['2026-11-22T12:00:00Z stdout P waits\n']],
  [
    'a part of a line after a whole one',
    { container: 'cri' },
    ['2026-11-22T12:00:00Z stdout F done\n', '2026-11-22T12:00:00Z stdout P waits\n'],
  ],
  [
    'an event after one whose line came in parts',
    { container: 'cri', multiline: { ...multiline, flushAfterMs: 60_000, preset: 'java' } },
    [
      '2026-11-22T12:00:00Z stdout P be\n',
      '2026-11-22T12:00:00Z stdout F gins\n2026-11-22T12:00:00Z stdout F waits\n',
    ],
  ],
])('but it is passed on while %s waits that began after it', async (_what, config, texts) => {
  const { clock, source, give } = setup(config);
  const read = reading(source);

  for (const text of texts) {
    await clock.advance(30_000);
    give(text, { item: 'slow' });
  }
  await clock.advance(500);
  const looked = { item: 'looked', value: 'x', durableByMs: clock.monotonic() - 600 };
  give('', { item: 'quick', positions: [looked] });
  await clock.advance(100);

  expect([...read.positions.keys()]).toContain('looked');
});

async function messagesOf(config: TransformConfig, text: string): Promise<string[]> {
  const { clock, source, give } = setup(config);
  const read = reading(source);
  give(text);
  await clock.advance(2_000);
  await vi.waitFor(() => expect(read.positions.size).toBe(1), patient);
  return read.messages;
}

eventSourceContract('transforming', () => {
  const { clock, source, give } = setup({ json: { message: 'text' } });
  return {
    source,
    clock,
    async write(lines) {
      give(lines.map((line) => `${line}\n`).join(''));
    },
  };
});

describe('joining', () => {
  test('makes one event of several lines, across chunks, and waits for no more than it may', async () => {
    const { clock, source, give } = setup({ multiline: { ...multiline, preset: 'java' } });
    const read = reading(source);

    give('Exception: one\n\tat a\n');
    give('\tat b\nnext\n');
    await clock.advance(999);
    const early = [...read.messages];
    await clock.advance(1);

    expect(early).toEqual(['Exception: one\n\tat a\n\tat b']);
    expect(read.messages).toEqual(['Exception: one\n\tat a\n\tat b', 'next']);
  });

  test('keeps the lines of two files apart', async () => {
    const { clock, source, give } = setup({ multiline: { ...multiline, preset: 'java' } });
    const read = reading(source);

    give('one\n', { item: 'a' });
    give('two\n', { item: 'b' });
    give('\tat a\n', { item: 'a' });
    await clock.advance(2_000);

    expect(read.messages).toEqual(['two', 'one\n\tat a']);
  });

  test('keeps them apart where both had one path, or have no position yet', async () => {
    const { clock, source, give } = setup({ multiline: { ...multiline, preset: 'java' } });
    const read = reading(source);

    give('one\n', { item: 'a', file: '/log' });
    give('two\n', { item: 'b', file: '/log' });
    give('\tat a\n', { item: 'a', file: '/log' });
    give('three\n', { file: '/c', positions: [] });
    give('four\n', { file: '/d', positions: [] });
    give('\tat c\n', { file: '/c', positions: [] });
    await clock.advance(2_000);

    expect(read.messages.toSorted()).toEqual(['four', 'one\n\tat a', 'three\n\tat c', 'two']);
  });

  test('waits for the next line from the last one on, however late it is', async () => {
    const { clock, source, give } = setup({ multiline: { ...multiline, preset: 'java' } });
    const read = reading(source);
    await clock.advance(60 * 60 * 1000);

    for (const line of ['one\n', '\tat 1\n', '\tat 2\n']) {
      give(line);
      await clock.advance(900);
    }
    const early = [...read.messages];
    await clock.advance(100);

    expect([early, read.messages]).toEqual([[], ['one\n\tat 1\n\tat 2']]);
  });

  test('ends an event that has as many lines or bytes as it may', async () => {
    const config = { ...multiline, preset: 'java' as const };
    expect(
      await messagesOf({ multiline: { ...config, linesMax: 2 } }, 'a\n\tat 1\n\tat 2\n\tat 3\n'),
    ).toEqual(['a\n\tat 1', '\tat 2\n\tat 3']);
    expect(await messagesOf({ multiline: { ...config, bytesMax: 8 } }, 'a\n\tat 1\n\tat 2\n')).toEqual([
      'a\n\tat 1',
      '\tat 2',
    ]);
  });

  test('moves a position no further than what was handed on', async () => {
    const { clock, source, give } = setup({ multiline: { ...multiline, preset: 'java' } });
    const read = reading(source);

    give('one\n');
    give('two\n');
    await clock.advance(0);
    const between = [read.messages.slice(), read.positions.get('item')];
    await clock.advance(1_000);

    expect(between).toEqual([['one'], '4']);
    expect([read.messages, read.positions.get('item')]).toEqual([['one', 'two'], '8']);
  });

  test('moves no position while lines of an event come, and tells nobody', async () => {
    const { clock, source, give } = setup({ multiline: { ...multiline, preset: 'java' } });
    const read = reading(source);
    const told: string[] = [];

    for (const line of ['one\n', '\tat 1\n', '\tat 2\n']) {
      give(line, { onDurable: () => told.push(line) });
      await clock.advance(1);
    }
    const before = [read.messages.slice(), read.positions.size, told.slice()];
    await clock.advance(1_000);

    expect(before).toEqual([[], 0, []]);
    expect([read.messages, read.positions.get('item'), told.length]).toEqual([
      ['one\n\tat 1\n\tat 2'],
      '16',
      3,
    ]);
  });

  test('holds the events of a thousand files, and hands on the one that waited longest where there are more', async () => {
    const { clock, source, give } = setup({ multiline: { ...multiline, preset: 'java' } });
    const read = reading(source);
    const lines = Array.from({ length: 1_002 }, (_, at) => `line ${at}`);

    for (const line of lines.slice(0, 1_000)) give(`${line}\n`, { item: line });
    await clock.advance(1);
    const ofThousand = [...read.messages];
    for (const line of lines.slice(1_000)) give(`${line}\n`, { item: line });
    await clock.advance(1);
    const ofMore = [read.messages.slice(), [...read.positions.keys()]];
    await clock.advance(2_000);

    expect(ofThousand).toEqual([]);
    expect(ofMore).toEqual([lines.slice(0, 2), lines.slice(0, 2)]);
    expect(read.messages).toEqual(lines);
  });

  test('tells who waits when the last of it is handed on', async () => {
    const { clock, source, give } = setup({ multiline: { ...multiline, preset: 'java' } });
    const told: string[] = [];
    reading(source);

    give('one\n', { onDurable: () => told.push('one') });
    await clock.advance(999);
    expect(told).toEqual([]);
    await clock.advance(1);
    expect(told).toEqual(['one']);
  });

  test('hands on what it holds when it is stopped', async () => {
    const { clock, source, give } = setup({ multiline: { ...multiline, preset: 'java' } });
    const read = reading(source);
    give('one\n\tat a\n');
    await clock.advance(0);

    await read.stop();

    expect([read.messages, read.positions.get('item')]).toEqual([['one\n\tat a'], '10']);
  });

  test('waits no longer because a position moved alone', async () => {
    const { clock, source, give } = setup({ multiline: { ...multiline, preset: 'java' } });
    const read = reading(source);
    give('one\n');
    await clock.advance(600);
    give('');
    await clock.advance(400);

    expect([read.messages, read.positions.get('item')]).toEqual([['one'], '4']);
  });

  test('cuts no event because nobody asked for a while', async () => {
    const { clock, source, give } = setup({ multiline: { ...multiline, preset: 'java' } });
    const stop = new AbortController();
    const iterator = source.chunks(new Map(), stop.signal)[Symbol.asyncIterator]();
    give('one\ntwo\n');
    const first = await iterator.next();
    await clock.advance(5_000);
    give('\tat a\nthree\n');
    const second = await iterator.next();
    stop.abort();
    await iterator.return?.();

    expect([first, second].map(({ value }) => value?.bytes.toString())).toEqual(['one\n', 'two\n\tat a\n']);
  });

  test('makes one chunk of many events', async () => {
    const { source, give } = setup({ multiline: { ...multiline, preset: 'java' } });
    const stop = new AbortController();
    const iterator = source.chunks(new Map(), stop.signal)[Symbol.asyncIterator]();
    give(`${'one\n\tat a\ntwo\n'.repeat(1_000)}last\n`);
    const { value } = await iterator.next();
    stop.abort();
    await iterator.return?.();

    expect(value?.bytes.toString()).toBe('one\n\tat a\ntwo\n'.repeat(1_000));
    expect(value?.eventLines).toEqual(Array.from({ length: 1_000 }, () => [2, 1]).flat());
  });

  test('makes no chunk that is too large of what a chunk and the one before had', async () => {
    const { clock, source, give } = setup({ multiline: { ...multiline, continuation: '^ ' } });
    const stop = new AbortController();
    const sizes: number[] = [];
    const done = (async () => {
      for await (const { bytes } of source.chunks(new Map(), stop.signal)) sizes.push(bytes.length);
    })();
    for (let chunk = 0; chunk < 2; chunk += 1) give(`a\n ${'ü'.repeat(1_000)}\n`.repeat(500));
    await vi.waitFor(async () => {
      await clock.advance(1_000);
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(2 * 500 * 2_004);
    }, patient);
    stop.abort();
    await done;

    expect(Math.max(...sizes)).toBeLessThanOrEqual(chunkBytesMax);
  });

  test('is done for patterns of an operator too', async () => {
    const { clock, source, give } = setup({ multiline: { ...multiline, start: '^\\d' } });
    const read = reading(source);
    give('1 a\nb\n2 c\n');

    await vi.waitFor(async () => {
      await clock.advance(1_000);
      expect(read.messages).toEqual(['1 a\nb', '2 c']);
    }, patient);
  });
});

describe('filtering', () => {
  test('keeps what is included and not excluded, and counts the rest', async () => {
    const { clock, source, give } = setup({ filter: { include: ['ERROR', 'WARN'], exclude: ['health'] } });
    const read = reading(source);
    give('ERROR a\nINFO b\nWARN c\nERROR health\n');

    await vi.waitFor(async () => {
      await clock.advance(1);
      expect(read.messages).toEqual(['ERROR a', 'WARN c']);
    }, patient);

    expect(source.counts().filtered).toBe(2);
  });

  test('moves the position past what it leaves out', async () => {
    const { clock, source, give } = setup({ filter: { include: ['x'] } });
    const read = reading(source);
    give('a\nb\n');

    await vi.waitFor(async () => {
      await clock.advance(1);
      expect(read.positions.get('item')).toBe('4');
    }, patient);
    expect(read.messages).toEqual([]);
  });

  test('ships a share exactly', async () => {
    const messages = await messagesOf(
      { filter: { sample: 0.25 } },
      Array.from({ length: 100 }, (_, each) => `${each}\n`).join(''),
    );

    expect(messages).toHaveLength(25);
  });

  test('looks at an event whole', async () => {
    const config = { multiline: { ...multiline, preset: 'java' as const }, filter: { include: ['at com'] } };
    const { clock, source, give } = setup(config);
    const read = reading(source);
    give('Error\n\tat com.x\nfine\n');

    await vi.waitFor(async () => {
      await clock.advance(1_000);
      expect(read.messages).toEqual(['Error\n\tat com.x']);
    }, patient);
  });
});

async function timesOf(config: TransformConfig, text: string) {
  const { clock, source, give, events } = setup(config);
  const stopping = new AbortController();
  const times: number[] = [];
  give(text);
  for await (const chunk of source.chunks(new Map(), stopping.signal)) {
    times.push(...(chunk.eventTimes ?? [chunk.timeMs]));
    if (chunk.positions.length > 0) stopping.abort();
  }
  return {
    times,
    nowMs: clock.now().getTime(),
    names: events.map(({ name, fields }) => [name, fields['events']]),
  };
}

describe('timing', () => {
  const timestamp = { format: 'iso', zone: 'UTC' };

  test('gives an event the time that it has in it, else that of reading', async () => {
    const { times, nowMs } = await timesOf(
      { timestamp },
      '2026-11-22T11:00:00Z a\n2026-11-22T11:00:00Z b\nc\n',
    );

    expect(times).toEqual([Date.UTC(2026, 10, 22, 11), Date.UTC(2026, 10, 22, 11), nowMs]);
  });

  test('finds it in a field of JSON', async () => {
    const { times, nowMs } = await timesOf(
      { timestamp: { format: 'epoch-ms', zone: 'UTC', field: 't' } },
      `{"t":${Date.UTC(2026, 10, 22, 11)}}\n{"u":1}\nno JSON 1\n`,
    );

    expect(times).toEqual([Date.UTC(2026, 10, 22, 11), nowMs, nowMs]);
  });

  test('hands on events of many times as one chunk, as far as one call may span them', async () => {
    const { clock, source, give } = setup({ timestamp });
    const stop = new AbortController();
    give('2026-11-20T11:00:00Z a\n2026-11-20T10:00:00Z b\n2026-11-21T09:59:59Z c\n2026-11-21T11:00:00Z d\n');
    const seen: SingleEvent[][] = [];
    for await (const chunk of source.chunks(new Map(), stop.signal)) {
      seen.push([...eventsIn(chunk)]);
      if (chunk.positions.length > 0) stop.abort();
    }
    await clock.advance(0);

    const days = seen.map((events) => events.map(({ message }) => message.slice(-1)));
    expect(days).toEqual([['a', 'b', 'c'], ['d']]);
    expect(seen[0]?.map(({ timestamp: ms }) => new Date(ms).toISOString().slice(8, 13))).toEqual([
      '20T11',
      '20T10',
      '21T09',
    ]);
  });

  test('uses no time that CloudWatch Logs would refuse, and says so', async () => {
    const { times, nowMs, names } = await timesOf(
      { timestamp },
      '2026-11-01T00:00:00Z old\n2026-11-23T00:00:00Z new\n',
    );

    expect(times).toEqual([nowMs]);
    expect(names).toEqual([['events.time-unusable', 1]]);
  });
});

test('of JSON only the fields that are wanted are shipped, in their order; other lines as they are', async () => {
  const text = '{"a":1,"b":"x","c":null}\nplain\n{"b":2}\n[1]\n';

  expect(await messagesOf({ json: { fields: ['b', 'a'] } }, text)).toEqual([
    '{"b":"x","a":1}',
    'plain',
    '{"b":2}',
    '[1]',
  ]);
  expect(await messagesOf({ json: { message: 'b' } }, text)).toEqual(['x', 'plain', '2', '[1]']);
});

test('numbers of JSON are shipped as they were written, and name streams so', async () => {
  const text = '{"id":12345678901234567890,"n":1.0,"x":1}\n';

  expect(await messagesOf({ json: { fields: ['id', 'n'] } }, text)).toEqual([
    '{"id":12345678901234567890,"n":1.0}',
  ]);
  expect(await messagesOf({ json: { message: 'id' } }, text)).toEqual(['12345678901234567890']);
  expect(fieldOf(parseObject(text), 'id')).toBe('12345678901234567890');
});

test('lines of a container runtime are joined and have its time', async () => {
  const text =
    '2026-11-22T11:00:00Z stdout P one\n2026-11-22T11:00:01Z stdout F  two\n2026-11-22T11:00:02Z stderr P wait';

  expect(await messagesOf({ container: 'cri' }, text)).toEqual(['one two', 'wait']);
});

test('a part of a long line goes through as it is, after what came before it', async () => {
  const { clock, source, give } = setup({
    multiline: { ...multiline, preset: 'java' },
    filter: { include: ['before'] },
  });
  const read = reading(source);
  give('before\n');
  give('xxx', { part: { line: 'abcdef01', number: 1, isLast: false } });

  await vi.waitFor(async () => {
    await clock.advance(1);
    expect(read.messages).toHaveLength(2);
  }, patient);

  expect(read.messages).toEqual(['before', '[gatehouse part 1 of line abcdef01] xxx']);
});

test('a part of a long line goes through once', async () => {
  const { clock, source, give } = setup({ multiline: { ...multiline, preset: 'java' } });
  const read = reading(source);
  give('xxx', { part: { line: 'abcdef01', number: 1, isLast: false } });
  give('xx\n', { part: { line: 'abcdef01', number: 2, isLast: true } });
  give('after\n');
  await clock.advance(2_000);

  expect(read.messages).toEqual([
    '[gatehouse part 1 of line abcdef01] xxx',
    '[gatehouse last part 2 of line abcdef01] xx',
    'after',
  ]);
});

test('what came as one event stays one, with all of its lines', async () => {
  const { clock, source, give } = setup({ filter: { include: ['a'] } });
  const read = reading(source);
  give('a\nb', { isOneEvent: true });
  await clock.advance(2_000);

  expect(read.messages).toEqual(['a\nb']);
});

test('bytes that are not UTF-8 are escaped once', async () => {
  const { clock, source, give } = setup({ filter: { exclude: ['never'] } });
  const read = reading(source);
  give('', { bytes: Buffer.from('a\xff\n\xc3\xbc\n', 'latin1') });

  await vi.waitFor(async () => {
    await clock.advance(1);
    expect(read.messages).toEqual(['a\uefff', 'ü']);
  }, patient);
});

test('whatever the lines and chunks are, no line is lost or doubled, and positions come in order', async () => {
  const line = fc.constantFrom('a', '\tat b', 'Caused by: c', '', '{"x":1}', '2026-11-22T11:00:00Z d');
  const configs: readonly TransformConfig[] = [
    { multiline: { ...multiline, preset: 'java' } },
    { timestamp: { format: 'iso', zone: 'UTC' } },
    { multiline: { ...multiline, preset: 'python', linesMax: 2 }, timestamp: { format: 'iso', zone: 'UTC' } },
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(line, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 6 }),
      fc.constantFrom(...configs),
      async (chunks, config) => {
        const { clock, source, give } = setup(config);
        const read = reading(source);
        for (const lines of chunks) give(lines.map((each) => `${each}\n`).join(''));
        await clock.advance(2_000);
        await read.stop();

        const all = chunks.flat();
        expect(read.messages.flatMap((each) => each.split('\n'))).toEqual(
          all.map((each, index) => (each === '' && isAlone(read.messages, index) ? ' ' : each)),
        );
        expect(read.positions.get('item')).toBe(String(all.reduce((sum, each) => sum + each.length + 1, 0)));
      },
    ),
    { numRuns: 100 },
  );
});

/** Gives the lines chunk by chunk; each chunk has its own time, in milliseconds after the first. */
async function cutIn(
  config: TransformConfig,
  cut: readonly (readonly string[])[],
  times: readonly number[] = cut.map((_, chunk) => chunk),
) {
  const { clock, source, give } = setup(config);
  const stop = new AbortController();
  const events: SingleEvent[] = [];
  let chunks = 0;
  let position = 0;
  const done = (async () => {
    for await (const chunk of source.chunks(new Map(), stop.signal)) {
      if (chunk.bytes.length > 0) chunks += 1;
      events.push(...eventsIn(chunk));
      for (const { value } of chunk.positions) position = Number(value);
    }
  })();
  const steps: { readonly lines: number; readonly end: number; readonly position: number }[] = [];
  const firstMs = clock.now().getTime();
  let [lines, end] = [0, 0];
  for (const [chunk, each] of cut.entries()) {
    const text = each.map((one) => `${one}\n`).join('');
    give(text, { timeMs: firstMs + (times[chunk] ?? 0) });
    await clock.advance(0);
    lines += each.length;
    end += Buffer.byteLength(text);
    steps.push({ lines, end, position });
  }
  stop.abort();
  await clock.advance(0);
  await done;
  return { events, chunks, steps, end, last: position };
}

describe('however the lines are cut into chunks', () => {
  const line = fc.constantFrom(
    'a',
    'ü never',
    '\tat b',
    'Caused by: c',
    '',
    '{"text":"x\\r\\ny\\n"}',
    '2026-11-22T11:00:00Z d',
    'e\r',
  );
  const timestamp = { format: 'iso', zone: 'UTC' };
  const configs: Readonly<Record<string, TransformConfig>> = {
    joining: { multiline: { ...multiline, preset: 'java' } },
    'joining, timed': { multiline: { ...multiline, preset: 'python', linesMax: 3 }, timestamp },
    'joining up to a length': { multiline: { ...multiline, continuation: '^\\s', bytesMax: 12 } },
    'joining and filtering': {
      multiline: { ...multiline, start: '^[a2]' },
      filter: { exclude: ['never'], sample: 0.5 },
    },
    'fields of JSON that have several lines': { json: { message: 'text' } },
    'joining fields of JSON': { multiline: { ...multiline, end: 'a$' }, json: { message: 'text' } },
  };

  test.each(Object.entries(configs))(
    '%s: events and their times are those of line by line, and no position passes one that is held',
    async (_what, config) => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(line, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 8 }),
          async (cut) => {
            const inChunks = await cutIn(config, cut);
            const lineByLine = await cutIn(
              config,
              cut.flat().map((each) => [each]),
              cut.flatMap((lines, chunk) => lines.map(() => chunk)),
            );

            expect(inChunks.events).toEqual(lineByLine.events);
            expect(lineByLine.events).toHaveLength(lineByLine.chunks);
            for (const [step, { lines, position }] of inChunks.steps.entries()) {
              // Line by line an event is on its way as soon as it is whole, and its position with it.
              const reached = lineByLine.steps[lines - 1]?.position ?? Number.NaN;
              const ends = inChunks.steps.slice(0, step + 1).map(({ end }) => end);
              expect(position).toBe(Math.max(0, ...ends.filter((end) => end <= reached)));
            }
            expect([inChunks.last, lineByLine.last]).toEqual([inChunks.end, inChunks.end]);
          },
        ),
        { numRuns: 60 },
      );
    },
  );
});

/** Whether the line at this place is an event of its own: a blank one is shipped as a space. */
function isAlone(messages: readonly string[], index: number): boolean {
  let at = 0;
  for (const message of messages) {
    const lines = message.split('\n').length;
    if (index < at + lines) return lines === 1;
    at += lines;
  }
  return false;
}

/** The chunks of all that was given, as what is in them. */
async function chunksOf(
  { clock, source }: ReturnType<typeof setup>,
  count: number,
): Promise<{ text: string; fields: readonly string[] | undefined; positions: number }[]> {
  const stop = new AbortController();
  const chunks: { text: string; fields: readonly string[] | undefined; positions: number }[] = [];
  const done = (async () => {
    for await (const { bytes, fields, positions } of source.chunks(new Map(), stop.signal)) {
      chunks.push({ text: bytes.toString(), fields, positions: positions.length });
    }
  })();
  await vi.waitFor(async () => {
    await clock.advance(1_000);
    expect(chunks.length).toBeGreaterThanOrEqual(count);
  }, patient);
  stop.abort();
  await done;
  return chunks;
}

const json = (service: unknown, n: number): string => JSON.stringify({ service, n });

describe('fields for the stream', () => {
  test('events come stream by stream, in their order, and the last of them moves the position', async () => {
    const made = setup({}, ['service', 'k8s.pod']);
    made.give(
      `${json('a', 1)}\n${json('b', 2)}\n${json('a', 3)}\nno JSON\n{"service":"b","k8s":{"pod":"p"}}\n`,
    );

    expect(await chunksOf(made, 4)).toEqual([
      { text: `${json('a', 1)}\n${json('a', 3)}\n`, fields: ['a', ''], positions: 0 },
      { text: `${json('b', 2)}\n`, fields: ['b', ''], positions: 0 },
      { text: 'no JSON\n', fields: ['', ''], positions: 0 },
      { text: '{"service":"b","k8s":{"pod":"p"}}\n', fields: ['b', 'p'], positions: 1 },
    ]);
  });

  test('are those of the whole line, though less of it is shipped', async () => {
    const made = setup({ json: { message: 'n' } }, ['service']);
    made.give(`${json('a', 1)}\n`);

    expect(await chunksOf(made, 1)).toEqual([{ text: '1\n', fields: ['a'], positions: 1 }]);
  });

  test('are text, numbers and truth, and nothing else', async () => {
    const made = setup({}, ['service']);
    made.give([7, true, null, ['x'], { x: 1 }].map((value) => `${json(value, 1)}\n`).join(''));

    expect((await chunksOf(made, 3)).map(({ fields }) => fields)).toEqual([['7'], ['true'], ['']]);
  });
});

const stamp = (offset: number): string =>
  `"gatehouse":{"hostId":"h1","source":"app","generation":"g1","offset":${offset}}`;
function located(...[inner, fields]: Parameters<typeof setup>) {
  const made = setup(inner, fields);
  const at = (text: string, lineOffsets: readonly number[]): void =>
    made.give(text, { origin: { generation: 'g1', offset: 0 }, lineOffsets });
  return { ...made, at };
}

async function shipped(made: ReturnType<typeof located>, count: number): Promise<string[]> {
  return (await chunksOf(made, count)).flatMap(({ text }) => text.split('\n').slice(0, -1));
}

describe('coordinates', () => {
  const config = { coordinates: true } as const;

  test('are in every event that is a JSON object, which stays as it was', async () => {
    const made = located(config);
    made.at('{"n":1.10}\nno JSON\n{ }\n{"a":"}" } \n[1]\n{"gatehouse":1}\n', [5, 16, 24, 28, 40, 44]);

    expect(await shipped(made, 1)).toEqual([
      `{"n":1.10,${stamp(5)}}`,
      'no JSON',
      `{${stamp(24)}}`,
      `{"a":"}",${stamp(28)}}`,
      '[1]',
      '{"gatehouse":1}',
    ]);
  });

  test('are there too where less of a line is shipped, or it was unwrapped', async () => {
    const fields = located({ ...config, json: { fields: ['n'] } });
    fields.at('{"n":1,"x":2}\n', [7]);
    const docker = located({ ...config, container: 'docker' });
    docker.at('{"log":"{\\"n\\":1}\\n","stream":"stdout","time":"2026-11-22T12:00:00Z"}\n', [9]);

    expect(await shipped(fields, 1)).toEqual([`{"n":1,${stamp(7)}}`]);
    expect(await shipped(docker, 1)).toEqual([`{"n":1,${stamp(9)}}`]);
  });

  test('of an event of several lines are those of its first', async () => {
    const made = located({ ...config, multiline: { ...multiline, start: '^\\{' } });
    made.at('{"n":\n1}\n{"n":2}\n', [0, 6, 9]);

    expect(await shipped(made, 2)).toEqual(['{"n":', `1,${stamp(0)}}`, `{"n":2,${stamp(9)}}`]);
  });

  test('make no event too long', async () => {
    const long = JSON.stringify({ n: 'x'.repeat(1_048_500) });
    const made = located(config);
    made.at(`${long}\n`, [0]);

    expect(await shipped(made, 1)).toEqual([long]);
  });

  test('any JSON object is the same object with them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.string(), fc.jsonValue()), async (object) => {
        fc.pre(!Object.hasOwn(object, 'gatehouse'));
        const made = located(config);
        made.at(`${JSON.stringify(object)}\n`, [3]);

        const [text = ''] = await shipped(made, 1);
        const { gatehouse, ...rest } = JSON.parse(text);

        expect(gatehouse).toEqual({ hostId: 'h1', source: 'app', generation: 'g1', offset: 3 });
        expect(rest).toEqual(JSON.parse(JSON.stringify(object)));
      }),
      { numRuns: 50 },
    );
  });
});

test('what was made of lines whose file may soon be gone says so, what waits for its rest as well', async () => {
  const { clock, source, give } = setup({ multiline: { ...multiline, continuation: '^ ' } });
  const stop = new AbortController();
  const chunks: Chunk[] = [];
  const done = (async () => {
    for await (const chunk of source.chunks(new Map(), stop.signal)) chunks.push(chunk);
  })();

  give('one\ntwo\n');
  await vi.waitFor(() => expect(chunks).toHaveLength(1), patient);
  give('three\n', { isAtRisk: true });
  await clock.advance(2_000);
  await vi.waitFor(() => expect(chunks).toHaveLength(3), patient);
  stop.abort();
  await clock.advance(2_000);
  await done;

  expect(chunks.map(({ isAtRisk }) => isAtRisk)).toEqual([false, true, true]);
});

test('a position is not passed on while a part of another stream of the container waits from before it', async () => {
  const { clock, source, give } = setup({
    container: 'cri',
    multiline: { ...multiline, flushAfterMs: 10_000, preset: 'java' },
  });
  const time = '2026-11-22T12:00:00Z';
  const read = reading(source);

  give(`${time} stdout F a\n${time} stderr P part, \n`);
  await clock.advance(0);
  give(`${time} stdout F b\n`);
  await clock.advance(0);
  const early = [[...read.messages], read.positions.size];
  give(`${time} stderr F and its rest\n`);
  await clock.advance(11_000);

  expect(early).toEqual([['a'], 0]);
  expect(read.messages).toEqual(['a', 'b', 'part, and its rest']);
  expect(read.positions.size).toBe(1);
});

test('files of one path are not joined', async () => {
  const { clock, source, give } = setup({ multiline: { ...multiline, preset: 'java' } });
  const read = reading(source);

  give('old\n', { item: 'former', file: 'app.log' });
  give('\tat what follows\n', { item: 'current', file: 'app.log' });
  await clock.advance(2_000);

  expect(read.messages.toSorted()).toEqual(['\tat what follows', 'old']);
});

test('how many lines were escaped is told once of each chunk, where some were', async () => {
  const { source, give } = setup({ filter: { exclude: ['never'] } }, ['service']);
  const stop = new AbortController();
  const escaped: unknown[] = [];
  give(`${json('a', 1)}\n${json('b', 1)}\n`);
  give('', { bytes: Buffer.from(`${json('a', 1)}\xff\n${json('b', 1)}\n`, 'latin1') });

  for await (const chunk of source.chunks(new Map(), stop.signal)) {
    escaped.push(chunk.escapedLines);
    if (escaped.length === 4) stop.abort();
  }

  expect(escaped).toEqual([0, 0, 1, 0]);
});
