import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeChunk, eventsOf, openBatch } from '../batch.ts';
import { chunkBytesMax } from '../event-source.ts';
import { originalBytes } from '../foreign-bytes.ts';
import type { Encoding } from './encodings.ts';
import { textFormat } from './text-format.ts';

const none = Buffer.alloc(0);

test.each([
  ['ef bb bf 61', 'utf-8', 3],
  ['ff fe 61 00', 'utf-16le', 2],
  ['fe ff 00 61', 'utf-16be', 2],
  ['61 62', 'utf-8', 0],
  ['', 'utf-8', 0],
] as const)('a file that starts with %s is %s', (head, encoding, markBytes) => {
  expect(textFormat('auto', Buffer.from(head.replaceAll(' ', ''), 'hex'))).toEqual({
    format: textFormat(encoding, none).format,
    markBytes,
  });
});

test('the mark of another encoding than the named one is text', () => {
  expect(textFormat('latin1', Buffer.from([0xff, 0xfe])).markBytes).toBe(0);
});

const text = fc.string({ unit: 'binary', maxLength: 30 }).map((each) => each.replaceAll('\n', 'x'));

test.each(['utf-16le', 'utf-16be'] as const)('lines of %s end where their text has an end', (encoding) => {
  const { format } = textFormat(encoding, none);
  const encode = (line: string) => {
    const bytes = Buffer.from(line, 'utf16le');
    return encoding === 'utf-16be' ? bytes.swap16() : bytes;
  };
  fc.assert(
    fc.property(fc.array(text, { maxLength: 6 }), text, (lines, rest) => {
      const whole = encode(lines.map((each) => `${each}\n`).join(''));
      const all = Buffer.concat([whole, encode(rest)]);

      expect(format.lastLineEnd(all)).toBe(whole.length);
      expect(format.firstLineEnd(all)).toBe(lines.length === 0 ? 0 : encode(`${lines[0]}\n`).length);
      expect(format.toUtf8(all).toString()).toBe(`${lines.map((each) => `${each}\n`).join('')}${rest}`);
    }),
    { numRuns: 500 },
  );
});

test('a character of which only a half is there can be had back', () => {
  const { format } = textFormat('utf-16le', none);

  const bytes = format.toUtf8(Buffer.from([0x61, 0x00, 0x00, 0xd8, 0x62, 0x00]));

  const open = openBatch({ logGroup: 'g', logStream: 's' });
  for (const piece of encodeChunk(bytes, 0).pieces) open.add(piece);
  const [event] = eventsOf(open.seal());
  // As UTF-8 would have it, if it had such halves.
  expect(originalBytes(event?.message ?? '').toString('hex')).toBe('61eda08062');
});

test.each<[Encoding, Buffer]>([
  ['utf-8', Buffer.alloc(chunkBytesMax, 'ü')],
  ['utf-8', Buffer.alloc(chunkBytesMax, 0xff)],
  ['utf-8', Buffer.alloc(chunkBytesMax, '\uefff')],
  ['latin1', Buffer.alloc(chunkBytesMax, 0xff)],
  ['utf-16le', Buffer.alloc(chunkBytesMax, Buffer.from('漢', 'utf16le'))],
  ['utf-16le', Buffer.alloc(chunkBytesMax, Buffer.from([0x00, 0xd8]))],
  ['utf-16be', Buffer.alloc(chunkBytesMax, Buffer.from('😀', 'utf16le').swap16())],
])('a part of a long line of %s is one event, whatever it is of', (encoding, bytes) => {
  const { format } = textFormat(encoding, none);

  const part = bytes.subarray(0, format.partLength(bytes));
  const { pieces } = encodeChunk(format.toUtf8(part), 0, {
    part: { line: '12345678', number: 9999, isLast: true },
  });

  expect(part.length).toBeGreaterThan(100_000);
  expect(part.length % format.unitBytes).toBe(0);
  expect(pieces).toHaveLength(1);
  expect(pieces[0]?.bytes).toBeLessThanOrEqual(2 ** 20);
  expect(
    format.toUtf8(bytes.subarray(0, Math.min(bytes.length, format.readBytesMax))).length,
  ).toBeLessThanOrEqual(chunkBytesMax);
});
