import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { headBytesMax, newFingerprint, recognize } from './fingerprint.ts';

function handleOn(bytes: Buffer): number {
  const path = join(temporaryDirectory(), 'app.log');
  writeFileSync(path, bytes);
  const handle = openSync(path, 'r');
  onTestFinished(() => closeSync(handle));
  return handle;
}

/** Of bytes that were read in pieces, and asked for after each, as positions are. */
function fingerprintOf(...pieces: readonly Buffer[]) {
  const state = newFingerprint();
  for (const piece of pieces) {
    state.advance(piece);
    state.fingerprint();
  }
  return state.fingerprint();
}

test('a file is known again, in whatever pieces it was read, and what is known of it goes on', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 700 }), { maxLength: 6 }),
      fc.uint8Array({ maxLength: 50 }),
      (read, more) => {
        const pieces = read.map((piece) => Buffer.from(piece));
        const all = Buffer.concat(pieces);
        const handle = handleOn(Buffer.concat([all, more]));

        const state = recognize(handle, fingerprintOf(...pieces), all.length);
        state?.advance(Buffer.from(more));

        expect(state?.fingerprint()).toEqual(fingerprintOf(all, Buffer.from(more)));
      },
    ),
    { numRuns: 50 },
  );
});

const long = Buffer.alloc(4 * headBytesMax, 'abcdefg');

test.each([
  ['its first byte', 0],
  ['the last byte of its head', headBytesMax - 1],
  ['the first byte of its tail', long.length - 256],
  ['the last byte before its offset', long.length - 1],
])('a file that differs in %s is another', (_what, at) => {
  const other = Buffer.from(long);
  other[at] = 0;

  expect(recognize(handleOn(long), fingerprintOf(long), long.length)).toBeDefined();
  expect(recognize(handleOn(other), fingerprintOf(long), long.length)).toBeUndefined();
});

test('a file that is shorter is another', () => {
  const shorter = handleOn(long.subarray(0, long.length - 1));

  expect(recognize(shorter, fingerprintOf(long), long.length)).toBeUndefined();
});

test('a file of which nothing was read is any', () => {
  expect(recognize(handleOn(long), newFingerprint().fingerprint(), 0)).toBeDefined();
});

test.each([1, 300, 5_000])('%d NUL bytes that are skipped count as bytes that were read', (length) => {
  const skipped = newFingerprint();
  for (const part of [Buffer.from('a'), undefined, Buffer.from('b')]) {
    if (part === undefined) skipped.skipNul(length);
    else skipped.advance(part);
  }

  expect(skipped.fingerprint()).toEqual(
    fingerprintOf(Buffer.from('a'), Buffer.alloc(length), Buffer.from('b')),
  );
});
