import { appendFileSync, ftruncateSync, futimesSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { reading } from '../event-source.contract.ts';
import { originalBytes } from '../foreign-bytes.ts';
import { partBytesMax } from '../long-line.ts';
import type { Encoding } from './encodings.ts';
import { fileSource } from './file.ts';
import { fileSourceLimits } from './file-limits.ts';

function setup(encoding: Encoding = 'auto') {
  const directory = temporaryDirectory();
  const path = join(directory, 'app.log');
  const clock = fakeClock();
  const events: LogEvent[] = [];
  return {
    path,
    clock,
    newSource: () =>
      fileSource({
        name: 'app',
        files: [path],
        readFrom: [directory],
        encoding,
        clock,
        log: (event) => events.push(event),
      }),
    append: (bytes: string | Buffer) => appendFileSync(path, bytes),
    said: (name: string) => events.filter((event) => event.name === name).map(({ fields }) => fields),
    /** Without waiting long enough for a partial line. */
    look: () => clock.advance(fileSourceLimits.partialLineMs - 1),
    find: () => clock.advance(fileSourceLimits.findEveryMs),
  };
}

test('a byte order mark is no text', async () => {
  const { newSource, append, find } = setup();
  append('\ufeffone\n\ufefftwo\n');

  const read = reading(newSource());
  await find();

  expect(read.messages).toEqual(['one', '\ufefftwo']);
});

test.each(['utf-16le', 'utf-16be'] as const)(
  '%s with its mark becomes UTF-8, across a restart as well',
  async (encoding) => {
    const { newSource, append, find } = setup();
    const encode = (text: string) => {
      const bytes = Buffer.from(text, 'utf16le');
      return encoding === 'utf-16be' ? bytes.swap16() : bytes;
    };
    append(encode('\ufeffeins\r\nzwölf 😀\n'));
    const first = reading(newSource());
    await find();
    await first.stop();
    // U+0A0A and U+0A00 hold the byte of a newline.
    append(encode('\u0a0a\u0a00\nlast without end'));

    const second = reading(newSource(), first.positions);
    await find();
    await find();

    expect(first.messages).toEqual(['eins', 'zwölf 😀']);
    expect(second.messages).toEqual(['\u0a0a\u0a00', 'last without end']);
  },
);

test('UTF-16 without a mark and latin1 are read as such where the config says so', async () => {
  const wide = setup('utf-16le');
  wide.append(Buffer.from('zwölf\n', 'utf16le'));
  const narrow = setup('latin1');
  narrow.append(Buffer.from('zwölf\n', 'latin1'));

  const reads = [reading(wide.newSource()), reading(narrow.newSource())];
  await wide.find();
  await narrow.find();

  expect(reads.map(({ messages }) => messages)).toEqual([['zwölf'], ['zwölf']]);
});

test('a line of any bytes arrives so that they can be had back', async () => {
  const { newSource, append, find } = setup();
  const line = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => byte !== 0x0a));
  append(Buffer.concat([Buffer.from('x'), line, Buffer.from('\n')]));

  const read = reading(newSource());
  await find();

  expect(read.messages.map((each) => originalBytes(each).toString('latin1'))).toEqual([
    `x${line.toString('latin1')}`,
  ]);
});

test('the parts of a long line are marked, and numbered on across a restart', async () => {
  const { newSource, append, find, look } = setup();
  append(`before\n${'ü'.repeat(partBytesMax)}`);
  const first = reading(newSource());
  await look();
  await first.stop();
  append(`${'y'.repeat(10)}\nafter\n`);

  const second = reading(newSource(), first.positions);
  await find();

  const mark = /^\[gatehouse (last )?part (\d) of line ([0-9a-f]{8})\] /u;
  const messages = [...first.messages, ...second.messages];
  const parts = messages.filter((each) => mark.test(each));
  expect([messages[0], messages.at(-1)]).toEqual(['before', 'after']);
  expect(first.messages.length).toBeGreaterThan(1);
  expect(parts.map((each) => mark.exec(each)?.slice(1, 3))).toEqual([
    [undefined, '1'],
    [undefined, '2'],
    ['last ', '3'],
  ]);
  expect(new Set(parts.map((each) => mark.exec(each)?.[3])).size).toBe(1);
  expect(parts.map((each) => each.replace(mark, '')).join('')).toBe(
    `${'ü'.repeat(partBytesMax)}${'y'.repeat(10)}`,
  );
});

test('the last part of a long line that nobody ends is taken when it has waited', async () => {
  const { newSource, append, find } = setup();
  append('x'.repeat(partBytesMax + 100));

  const read = reading(newSource());
  await find();
  append('a line of its own\n');
  await find();

  expect(read.messages.map((each) => each.replace(/ of line .*/u, ''))).toEqual([
    '[gatehouse part 1',
    '[gatehouse last part 2',
    'a line of its own',
  ]);
});

test('a hole is passed over and said: at the start, between lines and inside one', async () => {
  const { path, newSource, append, find, said } = setup();
  append(
    Buffer.concat([
      Buffer.alloc(7),
      Buffer.from('one\n'),
      Buffer.alloc(3 * 2 ** 20),
      Buffer.from('two\nthr'),
      Buffer.alloc(600),
    ]),
  );
  append('ee\nsh\0rt\n');

  const read = reading(newSource());
  await find();

  expect(read.messages).toEqual(['one', 'two', 'thr', 'ee', 'sh\0rt']);
  expect(said('events.hole-skipped').map(({ bytes }) => bytes)).toEqual([7, 3 * 2 ** 20, 600]);
  expect(said('events.hole-skipped')[0]).toEqual({ source: 'app', path, offset: 0, bytes: 7 });
});

test('reading goes on after a hole once it was passed', async () => {
  const { newSource, append, find } = setup();
  append(Buffer.concat([Buffer.alloc(5000), Buffer.from('one\n')]));
  const first = reading(newSource());
  await find();
  await first.stop();
  append('two\n');

  const second = reading(newSource(), first.positions);
  await find();

  expect(second.messages).toEqual(['two']);
});

test('room at the end of a file that is still to be written to is waited for, not passed', async () => {
  const { path, clock, newSource, append, find, said } = setup();
  append('one\n');
  const handle = openSync(path, 'r+');
  ftruncateSync(handle, 40 * 2 ** 20);
  const read = reading(newSource());
  await find();
  await find();

  // Its length does not change, and what is written within a tick of the kernel's clock may have the time before.
  writeSync(handle, 'two\nthr', 4);
  futimesSync(handle, 1, 1);
  await clock.advance(fileSourceLimits.lookEveryMs);
  writeSync(handle, 'ee\n', 11);
  futimesSync(handle, 2, 2);
  await find();

  expect(read.messages).toEqual(['one', 'two', 'three']);
  expect(said('events.hole-skipped')).toEqual([]);
});
