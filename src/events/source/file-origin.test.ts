import { appendFileSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test, vi } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { patient } from '../../../test/support/patience.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { reading } from '../event-source.contract.ts';
import type { EventSource, Positions } from '../event-source.ts';
import { locating } from '../transform/coordinates.ts';
import type { Encoding } from './encodings.ts';
import { fileSource } from './file.ts';
import { fileSourceLimits } from './file-limits.ts';

/** A line, and where it says that it stands. */
type Seen = readonly [line: string, generation: string | undefined, offset: number | undefined];

const log = (): void => undefined;

function setup(encoding: Encoding = 'auto') {
  const directory = temporaryDirectory();
  const path = (name: string): string => join(directory, name);
  const clock = fakeClock();
  const seen: Seen[] = [];
  const start = (from?: Positions) => {
    const files = [path('app.log*')];
    const source = locating(fileSource({ name: 'app', files, readFrom: [directory], encoding, clock, log }));
    const tapped: EventSource = {
      async *chunks(...asked) {
        for await (const chunk of source.chunks(...asked)) {
          for (const [index, line] of chunk.bytes.toString().split('\n').slice(0, -1).entries()) {
            seen.push([line, chunk.origin?.generation, chunk.lineOffsets?.[index]]);
          }
          yield chunk;
        }
      },
      counts: () => source.counts(),
    };
    return reading(tapped, from);
  };
  const until = (lines: number): Promise<void> =>
    vi.waitFor(async () => {
      await clock.advance(fileSourceLimits.findEveryMs);
      expect(seen).toHaveLength(lines);
    }, patient);
  return { path, seen, start, until };
}

test('a line says the same of its place when it is read again, whatever name the file has by then', async () => {
  const { path, seen, start, until } = setup();
  writeFileSync(path('app.log'), 'one\ntwo\n');
  const first = start();
  await until(2);
  const early = new Map(first.positions);
  appendFileSync(path('app.log'), 'three\n');
  await until(3);
  await first.stop();
  renameSync(path('app.log'), path('app.log.1'));

  // As after a kill that came before the last position was durable.
  const second = start(early);
  await until(4);
  await second.stop();
  const third = start();
  await until(7);

  const [one, two, three, again, ...all] = seen;
  expect([one, two, three].map((line) => line?.[2])).toEqual([0, 4, 8]);
  expect(again).toEqual(three);
  expect(all).toEqual([one, two, three]);
  await third.stop();
});

test('what a file has after it started over stands elsewhere, also after a restart', async () => {
  const { path, seen, start, until } = setup();
  writeFileSync(path('app.log'), 'one\n');
  const first = start();
  await until(1);
  truncateSync(path('app.log'));
  appendFileSync(path('app.log'), 'two\n');
  // It is as long as before, and by the clock of a file system all of this may have been at once.
  const later = Date.now() / 1000 + 10;
  utimesSync(path('app.log'), later, later);
  await until(2);
  await first.stop();
  const second = start(first.positions);
  appendFileSync(path('app.log'), 'three\n');
  await until(3);
  await second.stop();
  writeFileSync(path('app.log'), 'four, which is longer than all there was\n');
  const third = start(second.positions);
  await until(4);
  await third.stop();

  const [one, two, three, four] = seen;
  expect([one, two, three, four].map((line) => line?.[2])).toEqual([0, 0, 4, 0]);
  expect(three?.[1]).toBe(two?.[1]);
  expect(new Set([one?.[1], two?.[1], four?.[1]]).size).toBe(3);
});

test('another file under an old name stands elsewhere', async () => {
  const { path, seen, start, until } = setup();
  writeFileSync(path('app.log'), 'one\n');
  const read = start();
  await until(1);
  rmSync(path('app.log'));
  writeFileSync(path('app.log'), 'one\n');
  await until(2);
  await read.stop();

  expect(seen[1]?.[2]).toBe(0);
  expect(seen[1]?.[1]).not.toBe(seen[0]?.[1]);
});

test('a byte order mark and a compressed file count as they are, and what is converted says nothing', async () => {
  const plain = setup();
  writeFileSync(plain.path('app.log'), '\ufeffone\ntwo\n');
  writeFileSync(plain.path('app.log.1.gz'), gzipSync('zero\nnext\n'));
  const latin = setup('latin1');
  writeFileSync(latin.path('app.log'), 'one\n');

  const [first, second] = [plain.start(), latin.start()];
  await plain.until(4);
  await latin.until(1);
  await Promise.all([first.stop(), second.stop()]);

  const offsets = Object.fromEntries(plain.seen.map(([line, , offset]) => [line, offset]));
  expect(offsets).toEqual({ one: 3, two: 7, zero: 0, next: 5 });
  expect(new Set(plain.seen.map(([, generation]) => generation)).size).toBe(2);
  expect(latin.seen).toEqual([['one', undefined, undefined]]);
});
