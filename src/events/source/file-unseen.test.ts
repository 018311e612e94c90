import { appendFileSync, mkdirSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test, vi } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { patient } from '../../../test/support/patience.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { type Reading, reading } from '../event-source.contract.ts';
import type { EventSource, Positions } from '../event-source.ts';
import { fileSource } from './file.ts';
import { type FileSourceLimits, fileSourceLimits } from './file-limits.ts';
import { lookItem } from './last-look.ts';

const minuteMs = 60_000;

/** A log folder whose files have the time of the clock, and agents that look into it one after the other. */
function setup(pattern = '*.log', exclude: readonly string[] = [], limits: Partial<FileSourceLimits> = {}) {
  const directory = temporaryDirectory();
  const path = (name: string): string => join(directory, name);
  const clock = fakeClock();
  const stamp = (name: string): void => {
    const seconds = clock.now().getTime() / 1000;
    utimesSync(path(name), seconds, seconds);
  };
  const open = (files: readonly string[]): EventSource =>
    fileSource({
      name: 'app',
      files: files.map(path),
      exclude: exclude.map(path),
      readFrom: [directory],
      limits,
      clock,
      log: () => undefined,
    });
  return {
    path,
    clock,
    append: (name: string, text: string): void => {
      appendFileSync(path(name), text);
      stamp(name);
    },
    compressed: (name: string, text: string): void => {
      writeFileSync(path(name), gzipSync(text));
      stamp(name);
    },
    rename: (from: string, to: string): void => renameSync(path(from), path(to)),
    open,
    start: (from?: Positions, files = [pattern]): Reading => reading(open(files), from),
    until: (check: () => void) =>
      vi.waitFor(async () => {
        await clock.advance(fileSourceLimits.findEveryMs);
        check();
      }, patient),
    /** Long enough for anything that should not come. */
    rest: () => clock.advance(6 * fileSourceLimits.findEveryMs),
  };
}

test('the first files of a path, made and rotated out of the globs while the agent was down, are read, oldest first', async () => {
  const { clock, append, compressed, rename, start, until } = setup();
  const first = start();
  await until(() => expect(first.positions.size).toBe(1));
  await first.stop();
  await clock.advance(minuteMs);
  compressed('app.log.2.gz', 'one\n');
  await clock.advance(minuteMs);
  append('app.log', 'two\n');
  rename('app.log', 'app.log.1');
  await clock.advance(minuteMs);
  append('app.log', 'three\n');

  const second = start(first.positions);

  await until(() => expect(second.messages).toHaveLength(3));
  expect(second.messages).toEqual(['one', 'two', 'three']);
  await second.stop();
  const third = start(second.positions);
  append('app.log', 'four\n');
  await until(() => expect(third.messages).toEqual(['four']));
});

test('also where nothing has the path any more, and the file has a date for a name', async () => {
  const { clock, append, start, until } = setup();
  const first = start();
  await until(() => expect(first.positions.size).toBe(1));
  await first.stop();
  await clock.advance(minuteMs);
  append('job.log-20261122', 'one\n');

  const second = start(first.positions);

  await until(() => expect(second.messages).toEqual(['one']));
});

test('the same where the agent was killed before any of it was kept', async () => {
  const { clock, append, rename, start, until } = setup();
  append('other.log', 'a\n');
  const first = start();
  await until(() => expect(first.messages).toEqual(['a']));
  await clock.advance(10 * minuteMs);
  append('other.log', 'b\n');
  await until(() => expect(first.messages).toEqual(['a', 'b']));
  const kept = new Map(first.positions);
  await clock.advance(1_000);
  append('app.log', 'one\n');
  await until(() => expect(first.messages).toEqual(['a', 'b', 'one']));
  await first.stop();
  rename('app.log', 'app.log.1');

  const second = start(kept);

  await until(() => expect(second.messages).toEqual(['one']));
});

test('what lay there before anybody looked is left alone, and so is what is excluded, of another log, or empty', async () => {
  const { path, clock, append, start, until, rest } = setup('app.log', ['*.old']);
  append('app.log.1', 'before\n');
  await clock.advance(minuteMs);
  const first = start();
  await until(() => expect(first.positions.size).toBe(1));
  await first.stop();
  await clock.advance(minuteMs);
  append('app.log.old', 'excluded\n');
  append('app-error.log.1', 'of another log\n');
  append('app.log.2', '');
  mkdirSync(path('app.log.3'));
  append('app.log', 'one\n');

  const second = start(first.positions);

  await until(() => expect(second.messages).toEqual(['one']));
  await rest();
  expect(second.messages).toEqual(['one']);
});

test('other globs than before begin anew', async () => {
  const { clock, append, start, until, rest } = setup();
  const first = start();
  await until(() => expect(first.positions.size).toBe(1));
  await first.stop();
  await clock.advance(minuteMs);
  append('app.txt.1', 'not asked for then\n');
  append('app.txt', 'one\n');

  const second = start(first.positions, ['*.log', '*.txt']);

  await until(() => expect(second.messages).toEqual(['one']));
  await rest();
  expect(second.messages).toEqual(['one']);
});

test('a compressed file that nobody saw is read once, however new it is', async () => {
  const { clock, compressed, start, until, rest } = setup();
  const first = start();
  await until(() => expect(first.positions.size).toBe(1));
  await first.stop();
  await clock.advance(minuteMs);
  compressed('app.log.1.gz', 'one\n');
  const second = start(first.positions);
  await until(() => expect(second.messages).toEqual(['one']));
  await second.stop();

  const third = start(second.positions);
  await until(() => expect([...third.positions.keys()]).toEqual([lookItem]));
  await third.stop();
  const fourth = start(third.positions);
  await rest();

  expect([...third.messages, ...fourth.messages]).toEqual([]);
});

test('those for which there is no place at first are read when there is', async () => {
  const { clock, append, rename, start, until, rest } = setup('*.log', [], { openFilesMax: 1 });
  const first = start();
  await until(() => expect(first.positions.size).toBe(1));
  await first.stop();
  await clock.advance(minuteMs);
  append('app.log.2', 'one\n');
  await clock.advance(minuteMs);
  append('app.log.1', 'two\n');

  const second = start(first.positions);
  await until(() => expect(second.messages).toEqual(['one']));
  rename('app.log.1', 'app.log.3');

  await until(() => expect(second.messages).toEqual(['one', 'two']));
  await rest();
  expect(second.messages).toEqual(['one', 'two']);
});

test('as long as one of them waits for its turn, nothing says that it was seen', async () => {
  const { clock, append, start, until } = setup('*.log', [], { openFilesMax: 1 });
  append('other.log', 'a\n');
  const first = start();
  await until(() => expect(first.messages).toEqual(['a']));
  await first.stop();
  await clock.advance(minuteMs);
  append('job.log.1', 'one\n');
  append('task.log.1', 'two\n');
  const looked = first.positions.get(lookItem);
  const second = start(first.positions);
  await until(() => expect(second.messages).toEqual(['one']));

  expect(second.positions.get(lookItem)).toBe(looked);
  await second.stop();
  const third = start(second.positions);
  await until(() => expect(third.messages).toContain('two'));
  await until(() => expect(third.positions.get(lookItem)).not.toBe(looked));
});

test('what was read whole and let go is not taken for something that nobody saw', async () => {
  const { clock, append, rename, start, until, rest } = setup();
  const first = start();
  await until(() => expect(first.positions.size).toBe(1));
  append('app.log', 'one\n');
  await until(() => expect(first.messages).toEqual(['one']));
  rename('app.log', 'app.log.1');
  await clock.advance(fileSourceLimits.retireAfterMs);
  await until(() => expect([...first.positions.keys()]).toEqual([lookItem]));
  await first.stop();
  append('app.log', 'two\n');

  const second = start(first.positions);

  await until(() => expect(second.messages).toEqual(['two']));
  await rest();
  expect(second.messages).toEqual(['two']);
});
test('what was read of them and let go is not read again as long as another waits for its turn', async () => {
  const { clock, append, start, until, rest } = setup('*.log', [], { openFilesMax: 1 });
  append('other.log', 'a\n');
  const first = start();
  await until(() => expect(first.messages).toEqual(['a']));
  await first.stop();
  await clock.advance(minuteMs);
  append('job.log.1', 'one\n');
  append('task.log.1', 'two\n');
  const second = start(first.positions);
  await until(() => expect(second.messages).toEqual(['one', 'two']));
  await second.stop();

  const third = start(second.positions);
  await rest();

  expect(third.messages).toEqual([]);
});

test('what has begun to be read of them is not known to be seen by what is kept of other files', async () => {
  const { path, clock, append, compressed, open, start, until } = setup();
  const globs = ['*.log', 'cron.gz'];
  append('other.log', 'a\n');
  const first = start(new Map(), globs);
  await until(() => expect(first.messages).toEqual(['a']));
  await first.stop();
  await clock.advance(minuteMs);
  append('job.log.1', 'one\n');
  compressed('cron.gz', 'two\n');
  await clock.advance(minuteMs);

  // Killed when the batches of all streams but one were durable.
  const kept = new Map(first.positions);
  const stop = new AbortController();
  for await (const { file, positions } of open(globs).chunks(first.positions, stop.signal)) {
    if (file === path('job.log')) continue;
    for (const { item, value } of positions) if (value !== undefined) kept.set(item, value);
    if (file === path('cron.gz') && positions.some(({ value }) => value?.includes('"isDone":true')))
      stop.abort();
  }
  const second = start(kept, globs);

  await until(() => expect(second.messages).toEqual(['one']));
});
