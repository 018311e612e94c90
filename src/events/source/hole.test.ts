import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { holeStart, textStart } from './hole.ts';

describe('holeStart', () => {
  const long = 512;
  const text = 'a line\n'.repeat(100);

  test.each([
    ['nothing but text has none', text, 7, -1],
    ['a long run within a line is one', `${text}a${'\0'.repeat(long)}b\n`, 7, text.length + 1],
    ['a shorter one is text, however much comes before it', `${text}a${'\0'.repeat(long - 1)}b\n`, 7, -1],
    ['a long one behind a shorter one is one', `a\0b${'\0'.repeat(long)}c\n`, 7, 3],
    ['the file begins with one, however short', '\0b\n', 0, 0],
    ['a line that begins with NUL is text', '\0b\n', 7, -1],
    ['NUL and nothing else after a line is one', '\0\0', 7, 0],
    ['NUL at the end of what follows a line is text', 'b\n\0\0', 7, -1],
  ])('%s', (_fact, bytes, offset, expected) => {
    expect(holeStart(Buffer.from(bytes), true, offset)).toBe(expected);
  });

  test('in the middle of a line NUL and nothing else is text', () => {
    expect(holeStart(Buffer.from('\0\0'), false, 7)).toBe(-1);
  });
});

function fileOf(...pieces: readonly Buffer[]): number {
  const path = join(temporaryDirectory(), 'app.log');
  writeFileSync(path, Buffer.concat(pieces));
  const handle = openSync(path, 'r');
  onTestFinished(() => closeSync(handle));
  return handle;
}

describe('textStart', () => {
  test.each([0, 1, 65_535, 65_536, 65_537, 200_000])('finds text behind %i NUL bytes', (length) => {
    const handle = fileOf(Buffer.from('ab'), Buffer.alloc(length), Buffer.from('c\0'));

    expect(textStart(handle, 2, length + 4)).toEqual({ at: length + 2, isText: true });
  });

  test('says how far it looked, and looks no further', () => {
    const handle = fileOf(Buffer.alloc(100_000), Buffer.from('c'));

    expect(textStart(handle, 0, 100_000)).toEqual({ at: 100_000, isText: false });
    expect(textStart(handle, 0, 70_000)).toEqual({ at: 70_000, isText: false });
  });

  test('ends where the file ends, though it was longer when it was looked at', () => {
    expect(textStart(fileOf(Buffer.alloc(100)), 10, 200)).toEqual({ at: 100, isText: false });
  });
});
