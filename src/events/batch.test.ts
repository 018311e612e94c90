import { isUtf8 } from 'node:buffer';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeChunk, eventsOf, openBatch, partOf, type SingleEvent } from './batch.ts';
import { bodyBytesFew, bodyBytesUsual, returnBody } from './body-memory.ts';
import { bodyAreas } from './encoding/encoder-memory.ts';
import { originalBytes } from './foreign-bytes.ts';
import { batchBytesMax, batchEventsMax, eventOverheadBytes, messageBytesMax } from './limits.ts';
import { characterEnd, partBytesMax } from './long-line.ts';

const stream = { logGroup: '/a/"b', logStream: 'ü' };
const timeMs = 1_795_000_000_000;

function messagesOf(bytes: Buffer): string[] {
  return encodeChunk(bytes, timeMs).pieces.flatMap((piece) => {
    const batch = openBatch(stream);
    batch.add(piece);
    return eventsOf(batch.seal()).map(({ message }) => message);
  });
}

/** What the encoder is to do, written for clarity and one line at a time. */
function modelMessages(bytes: Buffer): string[] {
  return modelLines(bytes).map((line) => Buffer.from(line, 'latin1').toString());
}

/** The bytes of each line, as latin1. */
function modelLines(bytes: Buffer): string[] {
  if (bytes.length === 0) return [];
  const lines = bytes.toString('latin1').replaceAll('\r\n', '\n').split('\n');
  if (lines.at(-1) === '' && lines.length > 1) lines.pop();
  return lines.map((line) => line || ' ');
}

const byText = (one: string, other: string): number => (one < other ? -1 : Number(one > other));

const nasty = fc.constantFrom(
  '\\n',
  '\\',
  'n',
  '\n',
  '\n\n',
  '\r\n',
  '\r',
  '"',
  '\t',
  '\0',
  'ü',
  '😀',
  '\u2028',
  ' ',
  'a',
);
const text = fc
  .array(fc.oneof(nasty, fc.string({ unit: 'binary' })), { maxLength: 40 })
  .map((parts) => parts.join(''));

const encoded = (events: readonly string[]): string[] => {
  const eventLines = events.map((each) => each.split('\n').length);
  const bytes = Buffer.from(events.map((each) => `${each}\n`).join(''));
  return encodeChunk(bytes, timeMs, { eventLines }).pieces.flatMap((piece) => {
    const batch = openBatch(stream);
    batch.add(piece);
    const made = batch.seal();
    expect([made.events, made.bytes]).toEqual([piece.events, piece.bytes]);
    expect(eventsOf(made).reduce((sum, { message }) => sum + Buffer.byteLength(message) + 26, 0)).toBe(
      made.bytes,
    );
    return eventsOf(made).map(({ message }) => message);
  });
};
const oneByOne = (events: readonly string[]): string[] =>
  events.flatMap((each) =>
    encodeChunk(Buffer.from(`${each}\n`), timeMs, { isOneEvent: true }).pieces.flatMap((piece) => {
      const batch = openBatch(stream);
      batch.add(piece);
      return eventsOf(batch.seal()).map(({ message }) => message);
    }),
  );

describe('encoding events of several lines', () => {
  test('gives each as encoding it by itself does, whatever text it is', () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 10 }), (texts) => {
        const events = texts.map((each) =>
          Buffer.from(each)
            .toString()
            .replaceAll(/[\uef80-\uefff]/gu, '?'),
        );
        expect(encoded(events)).toEqual(oneByOne(events));
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    ['one that is too long, between others', ['a\nb', `x\n${'y'.repeat(2 ** 20)}\nz`, 'c\nd', 'e']],
    [
      'more than are encoded at once',
      Array.from({ length: 40 }, (_, each) => `${'line\n'.repeat(9_000 - 100 * each)}${each}`),
    ],
    [
      'more than a batch has',
      Array.from({ length: 25_001 }, (_, each) => `${each}${'\n'.repeat((each % 7) % 3)}`),
    ],
    ['blank ones', ['', '\n', '\r\n', '', '\n\n']],
  ])('knows %s', (_what, events) => {
    expect(encoded(events)).toEqual(oneByOne(events));
  });
});

describe('encoding a chunk', () => {
  test.each([
    ['quotes', '"'],
    ['backslashes', '\\'],
  ])('knows %s wherever they are in sixteen bytes', (_what, mark) => {
    const letters = 'abcdefghijklmnop';
    const lines = Array.from({ length: 2 ** letters.length }, (_each, set) =>
      Array.from(letters, (letter, at) => ((set >> at) & 1 ? mark : letter)).join(''),
    );

    expect(messagesOf(Buffer.from(lines.join('\n')))).toEqual(lines);
  });

  test('gives each line as one message, whatever text it is', () => {
    fc.assert(
      fc.property(text, (lines) => {
        const bytes = Buffer.from(lines);

        expect(messagesOf(bytes).map((each) => originalBytes(each).toString())).toEqual(modelMessages(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  test('gives each line as one message from which its bytes can be had back, whatever they are', () => {
    const bytesOrText = fc.oneof(
      fc.uint8Array({ maxLength: 20 }),
      fc
        .constantFrom('\uef80', '\uefff', '\uef7f', '\uf000', '\ufffd')
        .map((each) => new Uint8Array(Buffer.from(each))),
      nasty.map((part) => new Uint8Array(Buffer.from(part))),
    );
    fc.assert(
      fc.property(fc.array(bytesOrText, { maxLength: 20 }), (parts) => {
        const bytes = Buffer.concat(parts);

        const messages = messagesOf(bytes);

        expect(messages.map((each) => originalBytes(each).toString('latin1'))).toEqual(modelLines(bytes));
        expect(messages.every((each) => each.isWellFormed())).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test('counts events and bytes as CloudWatch Logs does', () => {
    fc.assert(
      fc.property(text, (lines) => {
        const { pieces } = encodeChunk(Buffer.from(lines), timeMs);
        const messages = messagesOf(Buffer.from(lines));

        const bytes = messages.reduce((sum, each) => sum + Buffer.byteLength(each) + eventOverheadBytes, 0);
        expect(pieces.reduce((sum, piece) => sum + piece.bytes, 0)).toBe(bytes);
        expect(pieces.reduce((sum, piece) => sum + piece.events, 0)).toBe(messages.length);
      }),
    );
  });

  test('escapes bytes that are not UTF-8, and counts their lines', () => {
    const bytes = Buffer.from('good\nb\xffd\nworse\xc3\n\xf0\x9f\n', 'latin1');

    const { escapedLines } = encodeChunk(bytes, timeMs);

    expect(escapedLines).toBe(3);
    expect(messagesOf(bytes)).toEqual(['good', 'b\uefffd', 'worse\uefc3', '\ueff0\uef9f']);
  });

  test('takes every byte at every place of sixteen, and lines of every length up to that', () => {
    for (let length = 0; length <= 48; length += 1) {
      for (let code = 0; code < 0x80; code += 1) {
        const line = 'x'.repeat(length) + String.fromCharCode(code);
        const bytes = Buffer.from(`${line}y\n${line}\n${line}${line}`);

        expect(messagesOf(bytes)).toEqual(modelMessages(bytes));
      }
    }
  });

  test('takes more than is encoded at once, where bytes that are not UTF-8 made more of it', () => {
    const line = `${'\xff'.repeat(999)}\n`;
    const bytes = Buffer.from(line.repeat(1000), 'latin1');

    const messages = messagesOf(bytes);

    expect(messages).toHaveLength(1000);
    expect(new Set(messages)).toEqual(new Set(['\uefff'.repeat(999)]));
  });

  test('keeps pieces apart that are more than one', () => {
    const lines = Array.from({ length: 3 }, (_, index) => `${index}`.repeat(400_000));

    const { pieces } = encodeChunk(Buffer.from(lines.join('\n')), timeMs);

    const events = pieces.flatMap(({ json }) => JSON.parse(`[${json.toString()}]`) as { message: string }[]);
    expect(pieces.length).toBeGreaterThan(1);
    expect(events.map(({ message }) => message)).toEqual(lines);
  });

  test('takes several lines as one event where they are one', () => {
    const { pieces } = encodeChunk(Buffer.from('Error: x\r\n  at y\n\n  at z\n'), timeMs, {
      isOneEvent: true,
    });

    const batch = openBatch(stream);
    for (const piece of pieces) batch.add(piece);
    expect(eventsOf(batch.seal())).toEqual([{ timestamp: timeMs, message: 'Error: x\n  at y\n\n  at z' }]);
  });

  test('ships a blank line as a space', () => {
    expect(messagesOf(Buffer.from('\n\n\na\n\r\n\n'))).toEqual([' ', ' ', ' ', 'a', ' ', ' ']);
  });

  test('does not take a written backslash and n for a line end', () => {
    expect(messagesOf(Buffer.from('a\\nb\nc\\\\n\n\\\nd\n'))).toEqual(['a\\nb', 'c\\\\n', '\\', 'd']);
  });

  test('splits a line too long for one event where a character ends, and marks its parts', () => {
    const line = `${'x'.repeat(partBytesMax - 1)}ü${'y'.repeat(partBytesMax)}`;
    const bytes = Buffer.from(`first\n${line}\nlast\n`);

    const { pieces, splitEvents } = encodeChunk(bytes, timeMs);

    const messages = messagesOf(bytes);
    const mark = /^\[gatehouse (?:last )?part \d of line ([0-9a-f]{8})\] /u;
    const [, name] = mark.exec(messages[1] ?? '') ?? [];
    expect(splitEvents).toBe(3);
    expect([messages[0], messages.at(-1)]).toEqual(['first', 'last']);
    expect(messages.slice(1, -1).map((each) => mark.exec(each)?.[0])).toEqual([
      `[gatehouse part 1 of line ${name}] `,
      `[gatehouse part 2 of line ${name}] `,
      `[gatehouse last part 3 of line ${name}] `,
    ]);
    expect(
      messages
        .slice(1, -1)
        .map((each) => each.replace(mark, ''))
        .join(''),
    ).toBe(line);
    for (const piece of pieces) expect(piece.bytes).toBeLessThanOrEqual(batchBytesMax);
  });

  test('takes a line of exactly the longest message as one event', () => {
    const { pieces, splitEvents } = encodeChunk(Buffer.from(`${'x'.repeat(messageBytesMax)}\n`), timeMs);

    expect(splitEvents).toBe(0);
    expect(pieces).toMatchObject([{ events: 1, bytes: batchBytesMax }]);
  });

  test('makes pieces that fit a batch out of more lines than one may have', () => {
    const lines = Array.from({ length: 25_003 }, (_, index) => `${index}`);
    const bytes = Buffer.from(`${lines.join('\n')}\n`);

    const { pieces } = encodeChunk(bytes, timeMs);

    for (const piece of pieces) expect(piece.events).toBeLessThanOrEqual(batchEventsMax);
    expect(messagesOf(bytes)).toEqual(lines);
  });
});

describe('a batch', () => {
  test('never exceeds a limit, and loses no line, whatever is put into it', () => {
    const length = fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 400_000 }));
    const chunk = fc.array(
      length.map((each) => 'l'.repeat(each)),
      { minLength: 1, maxLength: 3 },
    );
    const delayMs = fc.oneof(
      fc.integer({ min: -5000, max: 5000 }),
      fc.integer({ min: 0, max: 20 * 60 * 60 * 1000 }),
    );
    const step = fc.record({ lines: chunk, afterMs: delayMs });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const batches = [openBatch(stream)];
        let now = timeMs;
        for (const { lines, afterMs } of steps) {
          now += afterMs;
          for (const piece of encodeChunk(Buffer.from(`${lines.join('\n')}\n`), now).pieces) {
            if (!batches.at(-1)?.fits(piece)) batches.push(openBatch(stream));
            batches.at(-1)?.add(piece);
          }
        }

        const sent = batches.filter(({ events }) => events > 0).map((open) => open.seal());
        const expected = steps.flatMap(({ lines }) => lines.map((each) => each || ' '));
        const messages = sent.flatMap((batch) => eventsOf(batch).map(({ message }) => message));
        expect(messages.toSorted(byText)).toEqual(expected.toSorted(byText));
        for (const batch of sent) {
          const events = eventsOf(batch);
          const times = events.map(({ timestamp }) => timestamp);
          const bytes = events.reduce((sum, { message }) => sum + Buffer.byteLength(message) + 26, 0);
          expect(bytes).toBe(batch.bytes);
          expect(bytes).toBeLessThanOrEqual(1_048_576);
          expect(events.length).toBe(batch.events);
          expect(times).toEqual(times.toSorted((a, b) => a - b));
          expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeLessThan(24 * 60 * 60 * 1000);
        }
      }),
      { numRuns: 50 },
    );
  });

  test('is in the order of its times, where the events of a piece have each their own', () => {
    const event = fc.record({
      message: fc.oneof(
        fc.string({ unit: fc.constantFrom('a', 'ü', '"', '\\', '}', ',') }),
        fc.constantFrom('"},{"timestamp":1795000000001,"message":"', 'x'.repeat(40)),
      ),
      ms: fc.nat(20),
    });
    const chunk = fc.array(event, { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(fc.array(chunk, { minLength: 1, maxLength: 8 }), (chunks) => {
        const batch = openBatch(stream);
        for (const events of chunks) {
          const lines = events.map(({ message }) => `${message}\n`).join('');
          const eventTimes = events.map(({ ms }) => timeMs + ms);
          for (const piece of encodeChunk(Buffer.from(lines), timeMs, { eventTimes }).pieces)
            batch.add(piece);
        }

        const expected = chunks
          .flat()
          .toSorted((one, other) => one.ms - other.ms)
          .map(({ message, ms }) => ({ timestamp: timeMs + ms, message: message || ' ' }));
        expect(eventsOf(batch.seal())).toEqual(expected);
      }),
    );
  });

  test('keeps each event its time where one batch cannot hold them all, or one is too long', () => {
    const lines = Array.from({ length: batchEventsMax + 5 }, (_, index) => `${index}`);
    lines[7] = 'long '.repeat(messageBytesMax / 4);
    const eventTimes = lines.map((_, index) => timeMs + index);
    const bytes = Buffer.from(lines.join('\n'));
    const half = bytes.indexOf('\n8\n') + 1;
    const decoded = (from: number, to: number, times: readonly number[]): SingleEvent[] =>
      encodeChunk(bytes.subarray(from, to), timeMs, { eventTimes: times }).pieces.flatMap(
        ({ json }): SingleEvent[] => JSON.parse(`[${json.toString()}]`),
      );

    const events = [
      ...decoded(0, half, eventTimes.slice(0, 8)),
      ...decoded(half, bytes.length, eventTimes.slice(8)),
    ];
    const parts = events.filter(({ message }) => message.startsWith('[gatehouse'));
    expect(parts).not.toEqual([]);
    expect(parts.map(({ timestamp }) => timestamp)).toEqual(parts.map(() => timeMs + 7));
    expect(events.filter((each) => !parts.includes(each))).toEqual(
      lines.flatMap((message, index) => (index === 7 ? [] : [{ timestamp: timeMs + index, message }])),
    );
  });

  test('refuses times that are not as long as others', () => {
    expect(() => encodeChunk(Buffer.from('a\nb\n'), timeMs, { eventTimes: [timeMs, 1] })).toThrow(RangeError);
  });

  test('is in the order of its times, and what has one time in the order in which it came', () => {
    const step = fc.record({
      lines: fc.array(fc.string({ unit: fc.constantFrom('a', 'ü', '"') }), { minLength: 1 }),
      ms: fc.nat(9),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), (steps) => {
        const batch = openBatch(stream);
        for (const { lines, ms } of steps) {
          for (const piece of encodeChunk(Buffer.from(lines.map((line) => `${line}\n`).join('')), timeMs + ms)
            .pieces)
            batch.add(piece);
        }

        const expected = steps
          .toSorted((one, other) => one.ms - other.ms)
          .flatMap(({ lines, ms }) =>
            lines.map((each) => ({ timestamp: timeMs + ms, message: each || ' ' })),
          );
        expect(eventsOf(batch.seal())).toEqual(expected);
      }),
    );
  });

  test.each([
    [1_000, 1_100],
    [200_000, bodyBytesFew],
    [900_000, bodyBytesUsual],
  ])('of %i bytes lies in no more memory than %i', (bytes, most) => {
    const batch = openBatch(stream);
    const line = `${'x'.repeat(999)}\n`;
    for (let added = 0; added < bytes; added += line.length) {
      for (const piece of encodeChunk(Buffer.from(line), timeMs).pieces) batch.add(piece);
    }

    const { body, events } = batch.seal();

    expect(events).toBe(bytes / line.length);
    expect((bodyAreas.areaOf(body) ?? body.buffer).byteLength).toBeLessThanOrEqual(most);
    expect(JSON.parse(body.toString())).toMatchObject({ logGroupName: stream.logGroup });
    returnBody(body);
  });

  test('refuses lines that do not fit', () => {
    const batch = openBatch(stream);
    const [piece] = encodeChunk(Buffer.from(`${'x'.repeat(messageBytesMax)}\n`), timeMs).pieces;
    if (piece === undefined) throw new Error('no piece');
    batch.add(piece);

    expect(batch.fits(piece)).toBe(false);
    expect(() => batch.add(piece)).toThrow(RangeError);
  });

  test('names group and stream in its request, in UTF-8', () => {
    const batch = openBatch(stream);
    const [piece] = encodeChunk(Buffer.from('ä\n'), timeMs).pieces;
    if (piece !== undefined) batch.add(piece);

    const { body } = batch.seal();

    expect(isUtf8(body)).toBe(true);
    expect(JSON.parse(body.toString())).toEqual({
      logGroupName: '/a/"b',
      logStreamName: 'ü',
      logEvents: [{ timestamp: timeMs, message: 'ä' }],
    });
  });

  test('can be cut into parts that are batches', () => {
    const batch = openBatch(stream);
    const [piece] = encodeChunk(Buffer.from('one\ntwo\nthree ü\n'), timeMs).pieces;
    if (piece !== undefined) batch.add(piece);

    const whole = batch.seal();
    const part = partOf(whole, eventsOf(whole).slice(1));

    expect(part.events).toBe(2);
    expect(part.bytes).toBe(3 + 8 + 2 * 26);
    expect(eventsOf(part).map(({ message }) => message)).toEqual(['two', 'three ü']);
  });
});

test('a cut never falls inside a character', () => {
  const bytes = Buffer.from('aü😀b');
  for (let end = 1; end <= bytes.length; end += 1) {
    const cut = characterEnd(end, (at) => bytes[at]);
    expect(isUtf8(bytes.subarray(0, cut))).toBe(true);
    expect(isUtf8(bytes.subarray(cut))).toBe(true);
  }
});
