import { appendFileSync, closeSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { partBytesMax } from '../long-line.ts';
import { bornMsOf, type FileRecord } from './file-record.ts';
import { newFingerprint, recognize } from './fingerprint.ts';
import { openLogFile } from './open-log-file.ts';
import { readBuffer, type TakenLines, type Tracking, trackFile } from './tracked-file.ts';

function setup(text: string | Buffer = '') {
  const directory = temporaryDirectory();
  const path = join(directory, 'app.log');
  writeFileSync(path, text);
  const former: FileRecord[] = [];
  const holes: (readonly [number, number])[] = [];

  function open(over: Partial<Tracking> = {}) {
    const opened = openLogFile(path, [directory]);
    if ('refused' in opened) throw new Error(opened.refused);
    const file = trackFile(opened, {
      rank: 1,
      path,
      currentPath: path,
      offset: 0,
      state: newFingerprint(),
      encoding: 'auto',
      nowMs: 0,
      onRestart: (record) => former.push(record),
      onHole: (offset, bytes) => holes.push([offset, bytes]),
      ...over,
    });
    onTestFinished(() => file.close());
    const buffer = readBuffer();
    /** Until there is nothing more, which may be said once where the file starts over. */
    const all = (partial = false, nowMs = 0): TakenLines[] => {
      const taken: TakenLines[] = [];
      for (let nothing = 0; nothing < 2; ) {
        const next = file.take(buffer, nowMs, partial);
        if (next === undefined) nothing += 1;
        else taken.push({ ...next, bytes: Buffer.from(next.bytes) });
        if (taken.length > 1_000) throw new Error('it never ends');
      }
      return taken;
    };
    return {
      file,
      all,
      one: (partial = false, nowMs = 0) => file.take(buffer, nowMs, partial),
      text: (partial = false): string => Buffer.concat(all(partial).map(({ bytes }) => bytes)).toString(),
    };
  }

  /** As after a restart of the agent. */
  function reopen(record: FileRecord) {
    const opened = openLogFile(path, [directory]);
    if ('refused' in opened) throw new Error(opened.refused);
    onTestFinished(() => closeSync(opened.handle));
    const state = recognize(opened.handle, record.fingerprint, record.offset);
    if (state === undefined) throw new Error('another file');
    const { offset, longLine, restarts, writtenMs } = record;
    return open({ offset, state, longLine, restarts, writtenMs });
  }

  return {
    path,
    open,
    reopen,
    former,
    holes,
    append: (more: string | Buffer) => appendFileSync(path, more),
    /** As `copytruncate` and its writer leave it. */
    startOver: (next: string | Buffer) => writeFileSync(path, next),
    stamp: (seconds: number) => utimesSync(path, seconds, seconds),
  };
}

describe('a file that starts over', () => {
  test('is text in the encoding that it begins with then', () => {
    const { open, startOver } = setup('a longer line\n');
    const { text } = open();
    expect(text()).toBe('a longer line\n');

    startOver(Buffer.from('\ufeff漢\n', 'utf16le'));

    expect(text()).toBe('漢\n');
  });

  test('begins with a line, though it ended inside a long one', () => {
    const { open, startOver } = setup('x'.repeat(partBytesMax + 100));
    const { all } = open();
    expect(all().map(({ part }) => part?.number)).toEqual([1]);

    startOver('short\n');

    expect(all()).toMatchObject([{ bytes: Buffer.from('short\n') }]);
    expect(all().every(({ part }) => part === undefined)).toBe(true);
  });

  test('is read from its beginning, though there was room at its end', () => {
    const { path, open, startOver } = setup('one\n');
    const { text } = open();
    truncateSync(path, 2 ** 20);
    expect(text()).toBe('one\n');

    startOver(Buffer.concat([Buffer.alloc(600), Buffer.from('two\n')]));
    // Once to see that it is shorter, and once more where all is as it was then.
    expect(text()).toBe('two\n');
  });

  test('does so where the new text is as long as the old was', () => {
    const { open, startOver, stamp, former } = setup('one\n');
    stamp(1_000);
    const { text } = open();
    expect(text()).toBe('one\n');

    startOver('two\n');
    stamp(2_000);

    expect(text()).toBe('two\n');
    expect(former).toMatchObject([{ offset: 4, writtenMs: 1_000_000 }]);
  });

  test('does not where it was only touched', () => {
    const { open, stamp, former } = setup('one\n');
    stamp(1_000);
    const { text, file } = open();
    text();

    stamp(2_000);

    expect(text()).toBe('');
    expect(former).toEqual([]);
    expect(file.record()).toMatchObject({ offset: 4, writtenMs: 2_000_000 });
  });

  test('stands elsewhere each time, and says how often', () => {
    const { open, startOver, former } = setup('the first\n');
    const { all, file } = open();
    const generations = [all()[0]?.origin?.generation];

    for (const text of ['second\n', '3rd\n']) {
      startOver(text);
      generations.push(all()[0]?.origin?.generation);
    }

    expect(new Set(generations).size).toBe(3);
    expect(file.record().restarts).toBe(2);
    expect(former.map(({ offset, restarts }) => [offset, restarts])).toEqual([
      [10, undefined],
      [7, 1],
    ]);
  });

  test('was written when what was read of it was, until it is read anew', () => {
    const { open, startOver, stamp } = setup('a longer line\n');
    stamp(1_000);
    const { all, one, file } = open();
    all();

    startOver('short\n');
    stamp(2_000);
    one();
    const early = file.record();
    one();

    expect(early).toMatchObject({ offset: 0, writtenMs: 1_000_000 });
    expect(file.record()).toMatchObject({ offset: 6, writtenMs: 2_000_000 });
  });

  test('is at no end before it was read anew', () => {
    const { open, startOver } = setup('a longer line\n');
    const { all, one, file } = open();
    all();
    expect(file.isAtEnd).toBe(true);

    startOver('short\n');

    expect([one(), file.isAtEnd]).toEqual([undefined, false]);
    expect([one()?.bytes.toString(), file.isAtEnd]).toEqual(['short\n', false]);
    expect([one(), file.isAtEnd]).toEqual([undefined, true]);
  });
});

describe('a last line without its end', () => {
  test('is taken where that is asked for, and nothing where there is none', () => {
    const { open } = setup('one\ntwo');
    const { one, file } = open();

    expect(one(true)?.bytes.toString()).toBe('one\n');
    expect(one()).toBeUndefined();
    expect([file.isAtEnd, file.lagBytes]).toEqual([true, 3]);
    expect(one(true)?.bytes.toString()).toBe('two');
    expect(one(true)).toBeUndefined();
    expect(file.lagBytes).toBe(0);
  });
});

test.each([
  ['was written to', 1, 0],
  ['grew', 0, 1],
])('a file that %s has not been quiet', (_what, seconds, bytes) => {
  const { open, append, stamp } = setup('one\n');
  stamp(1_000);
  const { one, file } = open();
  one(false, 1);

  append('x'.repeat(bytes));
  stamp(1_000 + seconds);
  one(false, 5);
  const quietSinceMs = [file.quietSinceMs];
  one(false, 9);
  quietSinceMs.push(file.quietSinceMs);

  expect(quietSinceMs).toEqual([5, 5]);
});

function holeAt(before: string, nuls: number, after: string) {
  return setup(Buffer.concat([Buffer.from(before), Buffer.alloc(nuls), Buffer.from(after)]));
}

describe('NUL bytes', () => {
  test('are a hole from 512 on, and text below', () => {
    const hole = holeAt('a', 512, 'b\n');
    const text = holeAt('a', 511, 'b\n');

    expect(hole.open().text()).toBe('ab\n');
    expect(hole.holes).toEqual([[1, 512]]);
    expect(text.open().text()).toBe(`a${'\0'.repeat(511)}b\n`);
    expect(text.holes).toEqual([]);
  });

  test('that make a long hole are passed in turns, and it is said once', () => {
    const { path, open, append, holes } = setup('one\n');
    truncateSync(path, 4 + 40 * 2 ** 20);
    append('two\n');
    const { all } = open();

    const texts = all().map(({ bytes }) => bytes.toString());

    expect(texts).toEqual(['one\n', '', '', '', 'two\n']);
    expect(holes).toEqual([[4, 40 * 2 ** 20]]);
  });
});

test('a file is at no end before it was looked at, for others come after it', () => {
  const { open } = setup('one\n');
  const { one, file } = open();

  const states = [file.isAtEnd];
  one();
  states.push(file.isAtEnd);
  one();

  expect([...states, file.isAtEnd]).toEqual([false, false, true]);
});

test('a line in parts goes on after a restart as what it is, of a file that is known by its birth and restarts', () => {
  const { path, open, reopen, startOver, append } = setup('a line\n');
  const first = open();
  first.all();
  startOver('x'.repeat(partBytesMax + 100));
  const [begun] = first.all();
  const record = first.file.record();
  first.file.close();

  append('the end\n');
  const [rest] = reopen(record).all();

  expect(record).toMatchObject({
    restarts: 1,
    longLine: { start: 0, parts: 1 },
  });
  expect(record.bornMs).toBe(bornMsOf(statSync(path)));
  expect(begun?.part).toMatchObject({ number: 1, isLast: false });
  expect(rest?.part).toEqual({ line: begun?.part?.line, number: 2, isLast: true });
  expect(rest?.bytes.length).toBe(100 + 'the end\n'.length);
});

test('a file that is closed gives nothing, and goes on where it was when it is opened again', () => {
  const { path, open, append } = setup('one\n');
  const { one, file } = open();
  one();

  file.close();
  append('two\n');
  const closed = [one(), file.isOpen];
  const opened = openLogFile(path, ['/']);
  if ('refused' in opened) throw new Error(opened.refused);
  file.reopen(opened);

  expect(closed).toEqual([undefined, false]);
  expect(one()?.bytes.toString()).toBe('two\n');
});

test('the length of a file is what is there now, or was seen last where the system tells nothing of it', () => {
  const { path, open, append } = setup('one\n');
  const { file } = open();
  append('two\n');
  const tracking = { rank: 1, path, currentPath: path, offset: 0, state: newFingerprint(), nowMs: 0 };
  const nothing = { onRestart: () => undefined, onHole: () => undefined };

  const stale = trackFile(
    { handle: 1_000_000, stat: statSync(path) },
    { ...tracking, ...nothing, encoding: 'auto' },
  );

  expect([file.sizeNow(), stale.sizeNow()]).toEqual([8, 8]);
});

test('whatever is written, in whatever pieces, and wherever the agent starts anew, all of it arrives once', () => {
  const piece = fc.oneof(
    fc.constantFrom('a', 'b\n', '\n', '\r\n', 'ü\n', '\0\0', 'x'.repeat(300)),
    fc.constantFrom(130_000, 1_100_000).map((length) => 'long'.repeat(length / 4)),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(piece, fc.nat(2)), { maxLength: 12 }), (steps) => {
      const { open, reopen, append } = setup();
      let reader = open();
      let read = '';
      for (const [text, then] of steps) {
        append(text);
        if (then > 0) read += reader.text();
        if (then > 1) {
          const record = reader.file.record();
          reader.file.close();
          reader = reopen(record);
        }
      }
      append('end\n');
      read += reader.text();

      // At a line's start NUL bytes up to the end of what was there are room, which is passed over.
      const written = `${steps.map(([text]) => text).join('')}end\n`;
      expect(read.replaceAll('\0', '')).toBe(written.replaceAll('\0', ''));
    }),
    { numRuns: 40 },
  );
});
