import { appendFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { expect, test, vi } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { patient } from '../../../test/support/patience.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { type Reading, reading } from '../event-source.contract.ts';
import type { Chunk, Positions } from '../event-source.ts';
import { partBytesMax } from '../long-line.ts';
import { fileSource } from './file.ts';
import { fileSourceLimits } from './file-limits.ts';

function setup(pattern = 'app.log*', exclude: readonly string[] = []) {
  const directory = temporaryDirectory();
  const path = (name: string): string => join(directory, name);
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const open = () =>
    fileSource({
      name: 'app',
      files: [path(pattern)],
      exclude: exclude.map(path),
      readFrom: [directory],
      clock,
      log: (event) => events.push(event),
    });
  return {
    path,
    clock,
    open,
    start: (from?: Positions): Reading => reading(open(), from),
    said: (name: string) => events.filter((event) => event.name === name).map(({ fields }) => fields),
    /** Inflating happens on other threads. */
    until: (check: () => void, stepMs: number = fileSourceLimits.findEveryMs) =>
      vi.waitFor(async () => {
        await clock.advance(stepMs);
        check();
      }, patient),
  };
}

const changesOf = ({ positions }: Chunk): [string, string][] =>
  positions.flatMap(({ item, value }) => (value === undefined ? [] : [[item, value]]));

test('what is compressed when it is first seen is read whole, once', async () => {
  const { path, start, until, said } = setup();
  writeFileSync(path('app.log.2.gz'), gzipSync('one\ntwo'));
  writeFileSync(path('app.log.1.zst'), zstdCompressSync('three\n'));

  const first = start();
  await until(() => expect(said('events.file-finished')).toHaveLength(2));
  await first.stop();
  const second = start(first.positions);
  writeFileSync(path('app.log'), 'four\n');
  await until(() => expect(second.messages).toHaveLength(1));

  expect(first.messages.toSorted()).toEqual(['one', 'three', 'two']);
  expect(second.messages).toEqual(['four']);
});

test('what a compressed file holds is text in whatever encoding its mark says', async () => {
  const { path, start, until } = setup();
  writeFileSync(path('app.log.1.gz'), gzipSync(Buffer.from('\ufeffzwölf\n漢字\n', 'utf16le')));
  writeFileSync(path('app.log.2.zst'), zstdCompressSync('\ufeffeins\n'));

  const read = start();
  await until(() => expect(read.messages).toHaveLength(3));

  expect(read.messages.toSorted()).toEqual(['eins', 'zwölf', '漢字']);
});

test('lines in UTF-16 are cut where they end, however many there are', async () => {
  const { path, start, until } = setup();
  const lines = Array.from({ length: 20_000 }, (_, number) => `\u010a ${number} \u0a0a`);
  writeFileSync(path('app.log.1.gz'), gzipSync(Buffer.from(`\ufeff${lines.join('\n')}\n`, 'utf16le')));

  const read = start();
  await until(() => expect(read.messages.length).toBeGreaterThanOrEqual(lines.length));

  expect(read.messages).toEqual(lines);
});

test('a copy of what is still being read is not read as well', async () => {
  const { path, clock, open, until } = setup('app.log');
  const lines = Array.from({ length: 40_000 }, (_, number) => `line ${number}`);
  const text = `${lines.join('\n')}\n`;
  writeFileSync(path('app.log'), text);
  const stop = new AbortController();
  const source = open();
  const texts: string[] = [];
  let isOver: Promise<void> | undefined;

  for await (const { bytes } of source.chunks(new Map(), stop.signal)) {
    if (bytes.length === 0) continue;
    texts.push(bytes.toString());
    if (isOver !== undefined) continue;
    writeFileSync(path('app.log.1.gz'), gzipSync(text));
    rmSync(path('app.log'));
    await clock.advance(fileSourceLimits.findEveryMs);
    isOver = until(() => expect(source.counts().items).toBe(0)).finally(() => stop.abort());
  }
  await isOver;

  expect(texts.length).toBeGreaterThan(2);
  expect(texts.join('')).toBe(text);
});

test('a copy of what was read is not read again, also after a restart', async () => {
  const { path, clock, start, until } = setup();
  writeFileSync(path('app.log'), 'one\n');
  const first = start();
  await until(() => expect(first.messages).toEqual(['one']));

  writeFileSync(path('app.log.1.gz'), gzipSync('one\n'));
  rmSync(path('app.log'));
  await clock.advance(10 * fileSourceLimits.retireAfterMs);
  appendFileSync(path('app.log'), 'two\n');
  await until(() => expect(first.messages).toEqual(['one', 'two']));
  await first.stop();
  const second = start(first.positions);
  appendFileSync(path('app.log'), 'three\n');
  await until(() => expect(second.messages).toEqual(['three']));

  expect([...first.messages, ...second.messages]).toEqual(['one', 'two', 'three']);
});

test('a compressed file that is still being written is read when it is whole, nothing twice', async () => {
  const { path, clock, start, until } = setup();
  const text = Array.from({ length: 50_000 }, (_, each) => `${each} ${(each * 7919) % 10_007}\n`).join('');
  const whole = gzipSync(text);
  const half = whole.subarray(0, whole.length / 2);
  const there = gunzipSync(half, { finishFlush: constants.Z_SYNC_FLUSH }).toString().split('\n').length - 1;
  writeFileSync(path('app.log.1.gz'), half);
  const read = start();
  // To where it breaks off, so that it is begun again. In small steps: it is not to be taken for damaged before that.
  await until(() => expect(read.messages).toHaveLength(there), 10);

  writeFileSync(path('app.log.1.gz'), whole);
  await until(() => expect(read.messages.length).toBeGreaterThanOrEqual(50_000));
  await clock.advance(10 * fileSourceLimits.retireAfterMs);

  expect(read.messages.join('\n')).toBe(text.trimEnd());
});

test('of a damaged file everything up to the damage is read, and the rest is said to be missing', async () => {
  const { path, start, until, said } = setup();
  const whole = gzipSync('line\n'.repeat(3));
  writeFileSync(path('app.log.1.gz'), whole.subarray(0, whole.length - 4));
  writeFileSync(path('app.log.2.gz'), Buffer.from('1f8b08000000', 'hex'));

  const read = start();
  await until(() => expect(said('events.archive-damaged')).toHaveLength(2));

  expect(read.messages).toEqual(['line', 'line', 'line']);
});

test('what cannot be inflated here is refused, not shipped as if it were text', async () => {
  const { path, start, until, said } = setup();
  writeFileSync(path('app.log.1.xz'), Buffer.from('fd377a585a000004', 'hex'));
  writeFileSync(path('app.log.1.bz2'), Buffer.from('425a6839314159265359', 'hex'));

  const read = start();
  await until(() => expect(said('events.file-refused')).toHaveLength(2));

  expect(read.messages).toEqual([]);
  expect(new Set(said('events.file-refused').map(({ reason }) => reason))).toEqual(
    new Set(['compressed-bzip2', 'compressed-xz']),
  );
});

test('reading a compressed file goes on after any chunk, and the parts of a long line are numbered on', async () => {
  const { path, open } = setup();
  const long = Array.from({ length: partBytesMax / 4 + 100 }, (_, at) =>
    `${at % 1000} `.padStart(8, 'x'),
  ).join('');
  const text = `first\n${long}\nlast\n`;
  writeFileSync(path('app.log.1.gz'), gzipSync(text));
  const taken: Pick<Chunk, 'bytes' | 'part'>[] = [];
  let positions: Positions = new Map();

  while (taken.at(-1)?.bytes.toString() !== 'last\n') {
    const stop = new AbortController();
    for await (const chunk of open().chunks(positions, stop.signal)) {
      positions = new Map([...positions, ...changesOf(chunk)]);
      if (chunk.bytes.length === 0) continue;
      taken.push({ bytes: chunk.bytes, ...(chunk.part === undefined ? {} : { part: chunk.part }) });
      break;
    }
    stop.abort();
  }

  expect(Buffer.concat(taken.map(({ bytes }) => bytes)).toString()).toBe(text);
  const parts = taken.flatMap(({ part }) => (part === undefined ? [] : [part]));
  expect(parts.map(({ number, isLast }) => [number, isLast])).toEqual([
    [1, false],
    [2, false],
    [3, true],
  ]);
  expect(new Set(parts.map(({ line }) => line)).size).toBe(1);
});

test('files beside a log that are not its generations, or left out, are not read though they are newer', async () => {
  const { path, clock, start, until, said } = setup('app.log', ['app.log.2']);
  writeFileSync(path('app.log'), 'one\n');
  const first = start();
  await until(() => expect(first.messages).toEqual(['one']));
  await first.stop();
  rmSync(path('app.log'));
  for (const name of ['app-error.log', 'app.log.bak', 'app.log.2', 'app-2.log', 'other.log']) {
    writeFileSync(path(name), `${name}\n`);
    utimesSync(path(name), 2_000_000_000, 2_000_000_000);
  }

  const second = start(first.positions);
  await clock.advance(10 * fileSourceLimits.findEveryMs);

  expect(second.messages).toEqual([]);
  expect(said('events.file-vanished')).toHaveLength(1);
});

test('a file that was truncated and grew to just where it was is read again', async () => {
  const { path, start, until } = setup('app.log');
  writeFileSync(path('app.log'), 'one\n');
  const read = start();
  await until(() => expect(read.messages).toEqual(['one']));

  truncateSync(path('app.log'));
  appendFileSync(path('app.log'), 'two\n');
  utimesSync(path('app.log'), 2_000_000_000, 2_000_000_000);
  await until(() => expect(read.messages).toEqual(['one', 'two']));

  expect(read.messages).toHaveLength(2);
});
