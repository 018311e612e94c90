import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chownSync,
  copyFileSync,
  lchownSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { patient } from '../../../test/support/patience.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { isInEncoder, readAreas } from '../encoding/encoder-memory.ts';
import { eventSourceContract, reading } from '../event-source.contract.ts';
import { chunkBytesMax, type Positions } from '../event-source.ts';
import { messageBytesMax } from '../limits.ts';
import { fileSource } from './file.ts';
import { type FileSourceLimits, fileSourceLimits } from './file-limits.ts';
import { lookItem } from './last-look.ts';

const filesIn = (positions: Positions): number =>
  [...positions.keys()].filter((item) => item !== lookItem).length;

interface Setup {
  readonly pattern?: string;
  readonly exclude?: string[];
  readonly limits?: Partial<FileSourceLimits>;
  readonly onLog?: (event: LogEvent) => void;
}

function setup(options: Setup = {}) {
  const directory = temporaryDirectory();
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const { pattern = 'app.log', exclude = [], limits = {}, onLog = () => undefined } = options;
  const path = (name: string): string => join(directory, name);
  const newSource = () =>
    fileSource({
      name: 'app',
      files: [path(pattern)],
      exclude: exclude.map(path),
      readFrom: [directory],
      limits,
      clock,
      log(event) {
        events.push(event);
        onLog(event);
      },
    });
  return {
    directory,
    clock,
    path,
    newSource,
    source: newSource(),
    append: (name: string, text: string) => appendFileSync(path(name), text),
    /** A new file that may have the inode of one that is gone, but was born in another tick of the kernel's clock. */
    appendAnew: (name: string, text: string, gone: Stats): void => {
      do {
        rmSync(path(name), { force: true });
        appendFileSync(path(name), text);
      } while (gone.birthtimeMs > 0 && statSync(path(name)).birthtimeMs === gone.birthtimeMs);
    },
    said: (name: string) => events.filter((event) => event.name === name).map(({ fields }) => fields),
    /** Lets the source notice what happened, without waiting long enough for a partial line. */
    look: () => clock.advance(fileSourceLimits.findEveryMs / 2 - 1),
    find: () => clock.advance(fileSourceLimits.findEveryMs),
  };
}

eventSourceContract('fileSource', () => {
  const { source, clock, append, find } = setup();
  append('app.log', '');
  return {
    source,
    clock,
    async write(lines) {
      append('app.log', lines.map((line) => `${line}\n`).join(''));
      await find();
    },
  };
});

describe('a file source that reads', () => {
  test('takes a file from its beginning, and what is added', async () => {
    const { source, append, find } = setup();
    append('app.log', 'old\n');

    const read = reading(source);
    await find();
    append('app.log', 'new\n');
    await find();

    expect(read.lines()).toEqual(['old', 'new']);
  });

  test('reads where lines are encoded from, leaves nothing of them there, and gives that back', async () => {
    const { source, append } = setup();
    append('app.log', 'a password\n');
    let read: Buffer | undefined;
    let text = '';

    for await (const { bytes } of source.chunks(new Map(), new AbortController().signal)) {
      if (bytes.length === 0) continue;
      read = bytes;
      text = bytes.toString();
      break;
    }

    if (read === undefined) throw new Error('nothing was read');
    const free: Buffer[] = [];
    for (let area = readAreas.borrow(); area !== undefined; area = readAreas.borrow()) free.push(area);
    for (const area of free) readAreas.giveBack(area);
    const own = readAreas.areaOf(read);

    expect(text).toBe('a password\n');
    expect(isInEncoder(read)).toBe(true);
    expect(read.every((byte) => byte === 0)).toBe(true);
    expect(free.some((area) => area === own)).toBe(true);
  });

  test('counts what grew without a change being told, and nothing else', async () => {
    const { source, append, find, clock, path } = setup();
    append('target', 'one\n');
    mkdirSync(path('elsewhere'));
    renameSync(path('target'), path('elsewhere/target'));
    symlinkSync('elsewhere/target', path('app.log'));
    const read = reading(source);
    await find();
    expect([read.lines(), source.counts().unannounced]).toEqual([['one'], 0]);

    append('elsewhere/target', 'two\n');
    await find();
    expect([read.lines(), source.counts().unannounced]).toEqual([['one', 'two'], 1]);

    const beganMs = clock.monotonic();
    append('elsewhere/target', 'three\n');
    append('other', 'rings\n');
    await vi.waitFor(async () => {
      await clock.advance(1);
      expect(read.lines()).toHaveLength(3);
    }, patient);
    expect(clock.monotonic() - beganMs).toBeLessThan(fileSourceLimits.lookEveryMs);
    expect(source.counts().unannounced).toBe(1);
  });

  test('finds files that come later, by glob, but not those left out', async () => {
    const { source, append, find } = setup({ pattern: '*.log', exclude: ['b*'] });
    const read = reading(source);
    await find();

    append('a.log', 'a\n');
    append('b.log', 'b\n');
    append('c.txt', 'c\n');
    await find();

    expect(read.lines()).toEqual(['a']);
  });

  test('finds a file that comes while it looks, without waiting for the next look', async () => {
    const { path, append, clock, newSource } = setup({
      pattern: '*.log',
      // In the middle of a look.
      onLog({ name }) {
        if (name === 'events.file-refused') append('late.log', 'late\n');
      },
    });
    mkdirSync(path('folder.log'));

    const read = reading(newSource());
    const lines = await vi.waitFor(async () => {
      await clock.advance(fileSourceLimits.gatherMs);
      if (read.lines().length === 0) throw new Error('nothing yet');
      return read.lines();
    }, patient);

    expect(lines).toEqual(['late']);
  });

  test('gives files turns', async () => {
    const { source, append, find } = setup({ pattern: '*.log' });
    append('a.log', `${'a'.repeat(99)}\n`.repeat(5000));
    append('b.log', 'b\n');

    const read = reading(source);
    await find();

    expect(read.lines().indexOf('b')).toBeLessThan(2000);
    expect(read.lines()).toHaveLength(5001);
  });

  test('ships a last line without its end when it has waited long enough, and its rest after it', async () => {
    const { source, clock, append } = setup();
    append('app.log', 'whole\npart');
    const read = reading(source);
    await clock.advance(fileSourceLimits.partialLineMs - 1);
    expect(read.lines()).toEqual(['whole']);

    await clock.advance(fileSourceLimits.partialLineMs);
    expect(read.lines()).toEqual(['whole', 'part⏎']);

    append('app.log', 'ial\n');
    await clock.advance(fileSourceLimits.partialLineMs);
    expect(read.lines()).toEqual(['whole', 'part⏎', 'ial']);
  });

  test('a last line that its writer completes in time is one line', async () => {
    const { source, append, look } = setup();
    append('app.log', 'half');
    const read = reading(source);
    await look();

    append('app.log', ' and half\n');
    await look();
    await look();

    expect(read.lines()).toEqual(['half and half']);
  });

  test('cuts a line too long for an event where a character ends', async () => {
    const { source, append, find } = setup();
    const long = `x${'ü'.repeat(messageBytesMax)}`;
    append('app.log', `before\n${long}\nafter\n`);

    const read = reading(source);
    await find();

    const [before, ...rest] = read.lines();
    const after = rest.pop();
    expect([before, after]).toEqual(['before', 'after']);
    expect(rest.map((line) => line.replace('⏎', '')).join('')).toBe(long);
    for (const line of rest) {
      expect(Buffer.byteLength(line.replace('⏎', ''))).toBeLessThanOrEqual(chunkBytesMax);
    }
  });
});

describe('a file source that was stopped', () => {
  test('goes on where its positions say', async () => {
    const { source, newSource, append, find } = setup();
    append('app.log', 'one\n');
    const first = reading(source);
    await find();
    await first.stop();
    append('app.log', 'two\n');

    const second = reading(newSource(), first.positions);
    await find();

    expect(second.lines()).toEqual(['two']);
  });

  test('goes on in a file that has grown from nearly nothing', async () => {
    const { source, newSource, append, find, path } = setup();
    append('app.log', 'a\n');
    const first = reading(source);
    await find();
    await first.stop();
    append('app.log', `${'b'.repeat(5000)}\n`);
    const second = reading(newSource(), first.positions);
    await find();
    await second.stop();
    append('app.log', 'c\n');

    const third = reading(newSource(), second.positions);
    await find();

    expect([...first.lines(), ...second.lines(), ...third.lines()].join('\n')).toBe(
      readFileSync(path('app.log'), 'utf8').trimEnd(),
    );
  });

  test('finds its file under the name to which it was renamed, then takes the new one', async () => {
    const { source, newSource, append, find, path } = setup();
    append('app.log', 'one\n');
    const first = reading(source);
    await find();
    await first.stop();
    append('app.log', 'two\n');
    renameSync(path('app.log'), path('app.log.1'));
    append('app.log', 'three\n');

    const second = reading(newSource(), first.positions);
    await find();

    expect(second.lines()).toEqual(['two', 'three']);
  });

  test('does the same when the new name matches its globs too', async () => {
    const { source, newSource, append, find, path } = setup({ pattern: 'app.log*' });
    append('app.log', 'one\n');
    const first = reading(source);
    await find();
    await first.stop();
    append('app.log', 'two\n'.repeat(60_000));
    renameSync(path('app.log'), path('app.log.1'));
    append('app.log', 'three\n');

    const second = reading(newSource(), first.positions);
    await find();

    expect(second.lines()).toHaveLength(60_001);
    expect(second.lines().at(-1)).toBe('three');
  });

  test('reads nothing again when files are rotated between being found and being opened', async () => {
    let rotate: (() => void) | undefined;
    const { source, newSource, append, find, path, clock, said } = setup({
      pattern: 'app.log*',
      onLog({ name }) {
        if (name === 'events.file-opened') rotate?.();
      },
    });
    for (const name of ['app.log.3', 'app.log.2', 'app.log.1', 'app.log']) append(name, `${name}\n`);
    for (const [age, name] of ['app.log', 'app.log.1', 'app.log.2', 'app.log.3'].entries()) {
      utimesSync(path(name), 4000 - age * 1000, 4000 - age * 1000);
    }
    const first = reading(source);
    await find();
    expect(first.lines()).toHaveLength(4);
    await first.stop();
    rotate = () => {
      rotate = undefined;
      for (const age of [3, 2, 1]) renameSync(path(`app.log.${age}`), path(`app.log.${age + 1}`));
      renameSync(path('app.log'), path('app.log.1'));
      append('app.log', 'new\n');
    };

    const second = reading(newSource(), first.positions);
    await find();
    await clock.advance(2 * fileSourceLimits.findEveryMs);

    expect(second.lines()).toEqual(['new']);
    expect(said('events.file-vanished')).toEqual([]);
  });

  test('takes several rotated files in the order in which they were written', async () => {
    const { source, newSource, append, find, path } = setup();
    append('app.log', '1\n');
    const first = reading(source);
    await find();
    renameSync(path('app.log'), path('app.log.1'));
    append('app.log', '2\n');
    await find();
    await first.stop();
    utimesSync(path('app.log.1'), 1000, 1000);
    append('app.log', '2\n'.repeat(200_000));
    renameSync(path('app.log.1'), path('app.log.2'));
    renameSync(path('app.log'), path('app.log.1'));
    append('app.log', '3\n'.repeat(100));

    const second = reading(newSource(), new Map([...first.positions].toReversed()));
    await find();

    expect(second.lines()).toHaveLength(200_100);
    expect(second.lines().indexOf('3')).toBe(200_000);
  });

  test('starts over in another file that has the old inode, whatever its length', async () => {
    for (const text of ['x\n', 'something else, and longer than before\n'.repeat(100)]) {
      const { source, newSource, append, find, path, said } = setup();
      append('app.log', 'one, two, three\n');
      const first = reading(source);
      await find();
      await first.stop();
      writeFileSync(path('app.log'), text);

      const second = reading(newSource(), first.positions);
      await find();

      expect(`${second.lines().join('\n')}\n`).toBe(text);
      expect(said('events.file-restarted')).toHaveLength(1);
    }
  });

  test('starts over in a file that merely begins like the old one', async () => {
    const { source, newSource, append, find, path } = setup();
    const banner = `${'*'.repeat(2000)}\n`;
    append('app.log', `${banner}one\n`);
    const first = reading(source);
    await find();
    await first.stop();
    rmSync(path('app.log'));
    append('app.log', `${banner}two\nthree\n`);

    const second = reading(newSource(), first.positions);
    await find();

    expect(second.lines().slice(1)).toEqual(['two', 'three']);
  });

  test('knows a file when only its device number changed', async () => {
    const { source, newSource, append, find } = setup();
    append('app.log', 'one\n');
    const first = reading(source);
    await find();
    await first.stop();
    append('app.log', 'two\n');
    const elsewhere = new Map(
      [...first.positions].map(([item, value]) => [item.replace(/^\d+/u, '1'), value]),
    );

    const second = reading(newSource(), elsewhere);
    await find();

    expect(second.lines()).toEqual(['two']);
    expect(filesIn(second.positions)).toBe(1);
  });

  test('reads a new file that has the content of one that is gone', async () => {
    for (const text of ['backup finished: OK\n', 'backup of a file finished: OK\n'.repeat(100)]) {
      const { source, newSource, append, appendAnew, find, path } = setup({ pattern: '*.log' });
      append('job-1.log', text);
      const first = reading(source);
      await find();
      await first.stop();
      append('placeholder', '');
      const gone = statSync(path('job-1.log'));
      rmSync(path('job-1.log'));
      appendAnew('job-2.log', text, gone);

      const second = reading(newSource(), first.positions);
      await find();

      expect(`${second.lines().join('\n')}\n`).toBe(text);
    }
  });

  test('reads a new file that has content, name and inode of one that is gone', async () => {
    const { source, newSource, append, appendAnew, find, path } = setup();
    append('app.log', 'backup finished: OK\n');
    const first = reading(source);
    await find();
    await first.stop();
    const gone = statSync(path('app.log'));
    rmSync(path('app.log'));
    // Which inode a new file gets is the file system's: the record is made to have that.
    appendAnew('app.log', 'backup finished: OK\n', gone);
    const reused = statSync(path('app.log')).ino;
    const positions = new Map(
      [...first.positions].map(([item, value]) => [item.replace(`:${gone.ino}`, `:${reused}`), value]),
    );

    const second = reading(newSource(), positions);
    await find();

    expect(second.lines()).toEqual(['backup finished: OK']);
  });

  test('does not repeat the copy of a file that was truncated, where it is long enough to be known', async () => {
    const { source, newSource, append, find, path } = setup({ pattern: 'app.log*' });
    const text = 'a line of some length\n'.repeat(100);
    append('app.log', text);
    const first = reading(source);
    await find();
    await first.stop();
    copyFileSync(path('app.log'), path('app.log.1'));
    truncateSync(path('app.log'));
    append('app.log', 'new\n');

    const second = reading(newSource(), first.positions);
    await find();

    expect(second.lines()).toEqual(['new']);
  });

  test('forgets what has been gone for long, with the next lines', async () => {
    const { source, newSource, append, find, path, clock, said } = setup({ pattern: '*.log' });
    append('gone.log', 'one\n');
    const first = reading(source);
    await find();
    await first.stop();
    append('other.log', '');
    rmSync(path('gone.log'));
    const second = reading(newSource(), first.positions);
    await find();
    append('other.log', 'a\n');
    await find();
    expect([filesIn(second.positions), said('events.file-vanished').length]).toEqual([2, 1]);

    await clock.advance(fileSourceLimits.forgetAfterMs);
    append('other.log', 'b\n');
    await find();
    await second.stop();

    expect(filesIn(second.positions)).toBe(1);
    reading(newSource(), second.positions);
    await find();
    expect(said('events.file-vanished')).toHaveLength(1);
  });

  test('replaces a position that it does not understand', async () => {
    const { source, append, find, path } = setup();
    append('app.log', 'one\n');
    const { dev, ino } = statSync(path('app.log'));

    const read = reading(source, new Map([[`${dev}:${ino}`, '{']]));
    await find();

    expect(read.positions.get(`${dev}:${ino}`)).toContain('"offset":4');
  });

  test('keeps in mind every file that is there, however many', async () => {
    const { source, newSource, append, find } = setup({ pattern: '*.log', limits: { absentFilesMax: 2 } });
    for (const name of ['a', 'b', 'c', 'd', 'e']) append(`${name}.log`, `${name}\n`);
    const first = reading(source);
    await find();
    await first.stop();

    const second = reading(newSource(), first.positions);
    await find();

    expect(second.lines()).toEqual([]);
  });

  test('does not take one of two equal files for the other', async () => {
    const { source, newSource, append, find } = setup({ pattern: '*.log' });
    append('a.log', 'same\n');
    const first = reading(source);
    await find();
    await first.stop();
    append('b.log', 'same\n');

    const second = reading(newSource(), first.positions);
    await find();

    expect(second.lines()).toEqual(['same']);
  });

  test('says when a file that it had read is gone', async () => {
    const { source, newSource, append, find, path, said } = setup();
    append('app.log', 'one\n');
    const first = reading(source);
    await find();
    await first.stop();
    rmSync(path('app.log'));

    reading(newSource(), first.positions);
    await find();

    expect(said('events.file-vanished')).toEqual([{ source: 'app', path: path('app.log'), offset: 4 }]);
  });
});

describe('a file source under rotation', () => {
  test('reads a renamed file to its end, with what its writer adds late, and lets it go', async () => {
    const { source, append, find, path, clock, said } = setup();
    append('app.log', 'one\n');
    const read = reading(source);
    await find();

    append('app.log', 'two\n');
    renameSync(path('app.log'), path('app.log.1'));
    append('app.log', 'three\n');
    await find();
    append('app.log.1', 'late\nunfinished');
    await find();
    expect(read.lines().slice(0, 4)).toEqual(['one', 'two', 'three', 'late']);
    expect(filesIn(read.positions)).toBe(2);

    await clock.advance(3 * fileSourceLimits.retireAfterMs);
    expect(read.lines().slice(4)).toEqual(['unfinished⏎']);
    expect(filesIn(read.positions)).toBe(1);
    expect(said('events.file-finished')).toHaveLength(1);
  });

  test('reads a deleted file to its end', async () => {
    const { source, append, find, path, clock, said } = setup();
    append('app.log', 'one\n');
    const read = reading(source);
    await find();
    append('app.log', 'two\n');
    rmSync(path('app.log'));

    await clock.advance(3 * fileSourceLimits.retireAfterMs);

    expect(read.lines()).toEqual(['one', 'two']);
    expect(said('events.file-finished')).toHaveLength(1);
    expect(source.counts().items).toBe(0);
  });

  test('follows a file through renames inside its globs without repeating it', async () => {
    const { source, append, find, path } = setup({ pattern: 'app.log*' });
    append('app.log', '1\n');
    const read = reading(source);
    await find();
    for (const generation of [2, 3, 4]) {
      for (const old of [3, 2, 1]) {
        try {
          renameSync(path(`app.log.${old}`), path(`app.log.${old + 1}`));
        } catch {
          // Not that many generations yet.
        }
      }
      renameSync(path('app.log'), path('app.log.1'));
      append('app.log', `${generation}\n`);
      await find();
    }

    expect(read.lines()).toEqual(['1', '2', '3', '4']);
  });

  test('starts over in a file that was truncated, and says so', async () => {
    const { source, append, find, path, said } = setup();
    append('app.log', 'one\ntwo\n');
    const read = reading(source);
    await find();

    truncateSync(path('app.log'));
    append('app.log', 'new\n');
    await find();

    expect(read.lines()).toEqual(['one', 'two', 'new']);
    expect(said('events.file-restarted')).toEqual([{ source: 'app', path: path('app.log'), offset: 8 }]);
  });

  test('notices a truncated file that has already grown beyond where it was', async () => {
    const { source, append, find, path } = setup();
    append('app.log', 'one\n');
    const read = reading(source);
    await find();

    truncateSync(path('app.log'));
    append('app.log', 'longer than before\n');
    await find();

    expect(read.lines()).toEqual(['one', 'longer than before']);
  });
});

describe('a file source that is careful', () => {
  test('refuses what is no regular file, says so once, and goes on', async () => {
    const { source, append, find, path, said } = setup({ pattern: '*.log' });
    mkdirSync(path('folder.log'));
    execFileSync('mkfifo', [path('pipe.log')]);
    append('good.log', 'good\n');

    const read = reading(source);
    await find();
    await find();

    expect(read.lines()).toEqual(['good']);
    expect(said('events.file-refused').map(({ path: refused, reason }) => [refused, reason])).toEqual(
      expect.arrayContaining([
        [path('folder.log'), 'directory'],
        [path('pipe.log'), 'not-a-regular-file'],
      ]),
    );
    expect(said('events.file-refused')).toHaveLength(2);
  });

  test('follows a link of its own to a place that is allowed, but none that leads out', async () => {
    const outside = temporaryDirectory();
    writeFileSync(join(outside, 'secret'), 'secret\n');
    const { source, append, find, path, said } = setup({ pattern: '*.log' });
    append('target', 'linked\n');
    symlinkSync('target', path('in.log'));
    symlinkSync(join(outside, 'secret'), path('out.log'));

    const read = reading(source);
    await find();

    expect(read.lines()).toEqual(['linked']);
    expect(said('events.file-refused')).toMatchObject([
      { path: path('out.log'), reason: 'outside-allow-read-from' },
    ]);
  });

  test.runIf(process.getuid?.() === 0)(
    'refuses a link that neither root nor the owner of its target made',
    async () => {
      const { source, append, find, path, said } = setup({ pattern: '*.log' });
      mkdirSync(path('folder'));
      append('folder/target', 'not theirs\n');
      symlinkSync('folder/target', path('planted.log'));
      lchownSync(path('planted.log'), 1234, 1234);
      symlinkSync('folder', path('planted'));
      lchownSync(path('planted'), 1234, 1234);
      symlinkSync('planted/target', path('indirect.log'));
      append('theirs.txt', 'theirs\n');
      chownSync(path('theirs.txt'), 1234, 1234);
      symlinkSync('theirs.txt', path('own.log'));
      lchownSync(path('own.log'), 1234, 1234);

      const read = reading(source);
      await find();

      expect(read.lines()).toEqual(['theirs']);
      expect(said('events.file-refused').map(({ path: refused, reason }) => [refused, reason])).toEqual(
        expect.arrayContaining([
          [path('planted.log'), 'foreign-link'],
          [path('indirect.log'), 'foreign-link'],
        ]),
      );
    },
  );

  test('goes on whatever is planted beside its files, and says once what it does not read', async () => {
    const { source, append, find, path, said } = setup({ pattern: '**/*.log' });
    const read = reading(source);
    symlinkSync('loop.log', path('loop.log'));
    symlinkSync('x'.repeat(300), path('long.log'));
    symlinkSync('.', path('here'));
    symlinkSync('/dev/zero', path('device.log'));
    execFileSync('mkfifo', [path('pipe.log')]);
    const server = createServer().listen(path('socket.log'));
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    append('two\nlines.log', 'odd\n');
    append('good.log', 'good\n');

    await find();
    await find();

    expect(read.lines().toSorted()).toEqual(['good', 'odd']);
    expect(said('events.file-refused').map(({ path: refused, reason }) => [refused, reason])).toEqual(
      expect.arrayContaining([
        [path('loop.log'), 'ELOOP'],
        [path('long.log'), 'ENAMETOOLONG'],
        [path('device.log'), 'not-a-regular-file'],
        [path('pipe.log'), 'not-a-regular-file'],
        [path('socket.log'), 'not-a-regular-file'],
      ]),
    );
    expect(said('events.file-refused')).toHaveLength(5);
  });

  test('looks at no more entries than it may, and says so once', async () => {
    const { source, append, find, said } = setup({ pattern: '*.log', limits: { filesMax: 20 } });
    for (let each = 0; each < 50; each += 1) append(`${each}.log`, `${each}\n`);

    const read = reading(source);
    await find();
    await find();

    expect(read.lines()).toHaveLength(20);
    expect(said('events.entries-too-many')).toHaveLength(1);
  });

  test('says of no more than so many paths that they are refused', async () => {
    const { source, path, find, said } = setup({ pattern: '*.log' });
    for (let each = 0; each < 1_100; each += 1) symlinkSync('loop.log', path(`${each}.log`));
    symlinkSync('loop.log', path('loop.log'));

    reading(source);
    await find();
    await find();

    expect(said('events.file-refused')).toHaveLength(1_000);
    expect(said('events.refusals-unsaid')).toHaveLength(1);
  });

  test('does not say that it read a file to its end which was closed, written to and deleted', async () => {
    const { source, append, find, path, said, clock } = setup({
      pattern: '*.log',
      limits: { openFilesMax: 1 },
    });
    append('a.log', 'a\n');
    const read = reading(source);
    await find();
    append('b.log', 'b\n');
    await find();
    append('a.log', 'lost\n');
    rmSync(path('a.log'));
    await clock.advance(3 * fileSourceLimits.retireAfterMs);

    expect(read.lines()).toEqual(['a', 'b']);
    expect(said('events.file-finished')).toEqual([]);
    expect(said('events.file-vanished')).toEqual([{ source: 'app', path: path('a.log'), offset: 2 }]);
    expect(source.counts().items).toBe(1);
  });

  test('reads to its end a file that was closed, written to and renamed', async () => {
    const { source, append, find, path, said, clock } = setup({
      pattern: '*.log',
      limits: { openFilesMax: 1 },
    });
    append('a.log', 'a\n');
    const read = reading(source);
    await find();
    append('b.log', 'b\n');
    await find();
    append('a.log', 'late\n');
    renameSync(path('a.log'), path('a.log.1'));
    await clock.advance(3 * fileSourceLimits.retireAfterMs);

    expect(read.lines()).toEqual(['a', 'b', 'late']);
    expect(said('events.file-vanished')).toEqual([]);
    expect(said('events.file-finished')).toHaveLength(1);
  });

  test('keeps in mind a renamed file that was closed until one may be opened again', async () => {
    const { source, append, find, path, clock, said } = setup({
      pattern: '*.log',
      limits: { openFilesMax: 1 },
    });
    append('a.log', 'a\n');
    const read = reading(source);
    await find();
    append('b.log', 'b\n');
    await clock.advance(2 * fileSourceLimits.retireAfterMs);
    append('b.log', 'more\n');
    await find();
    append('a.log', 'late\n');
    renameSync(path('a.log'), path('a.log.1'));
    renameSync(path('b.log'), path('b.log.1'));
    await clock.advance(5 * fileSourceLimits.retireAfterMs);

    expect(read.lines()).toEqual(['a', 'b', 'more', 'late']);
    expect(said('events.file-vanished')).toEqual([]);
  });

  test('reads a file that took the place, the content and maybe the inode of one that was closed', async () => {
    const { source, append, appendAnew, find, path } = setup({
      pattern: '*.log',
      limits: { openFilesMax: 1 },
    });
    append('a.log', 'same\n');
    const read = reading(source);
    await find();
    append('b.log', 'b\n');
    await find();
    const gone = statSync(path('a.log'));
    rmSync(path('a.log'));
    appendAnew('a.log', 'same\n', gone);
    await find();

    expect(read.lines()).toEqual(['same', 'b', 'same']);
  });

  test('files for which there is no place are behind, and have it as soon as others are read to their end', async () => {
    const { source, append, clock } = setup({ pattern: '*.log', limits: { openFilesMax: 2 } });
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) append(`${name}.log`, `${name}\n`);

    const read = reading(source);
    await vi.waitFor(() => expect(source.counts().items).toBe(2), patient);
    const { lagBytes } = source.counts();
    await clock.advance(fileSourceLimits.findEveryMs - 1);

    expect(lagBytes).toBeGreaterThanOrEqual(5 * 'a\n'.length);
    expect(read.lines().toSorted()).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g']);
    expect(source.counts().lagBytes).toBe(0);
  });

  test('keeps no more files open than it may, and still reads all', async () => {
    const { source, append, find, clock } = setup({ pattern: '*.log', limits: { openFilesMax: 2 } });
    for (const name of ['a', 'b', 'c', 'd', 'e']) append(`${name}.log`, `${name}\n`);

    const read = reading(source);
    await clock.advance(10 * fileSourceLimits.findEveryMs);
    expect(read.lines().toSorted()).toEqual(['a', 'b', 'c', 'd', 'e']);

    append('a.log', 'more\n');
    await find();
    await find();
    expect(read.lines()).toContain('more');
  });
});
