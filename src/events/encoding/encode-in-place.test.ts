import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Batch, encodeChunk, eventsOf, type OpenBatch, openBatch } from '../batch.ts';
import { returnBody } from '../body-memory.ts';
import { messageBytesMax } from '../limits.ts';
import { bodyAreas, isInEncoder, readAreas, stepBytesMax } from './encoder-memory.ts';
import { encodeLines } from './line-encoder.ts';

const stream = { logGroup: 'group', logStream: 'stream' };
const timeMs = 1_795_000_000_000;

/** As if a source had read it into the encoder's memory; `done` gives that back. */
function readText(text: string): { readonly bytes: Buffer; readonly done: () => void } {
  const area = readAreas.borrow();
  if (area === undefined) throw new Error('all areas are lent');
  return { bytes: area.subarray(100, 100 + area.write(text, 100)), done: () => readAreas.giveBack(area) };
}

/** One that has so much text already that it is written in the encoder's memory. */
function largeBatch(): OpenBatch {
  const open = openBatch(stream);
  for (const piece of encodeChunk(Buffer.from(`${'x'.repeat(500_000)}\n`), timeMs).pieces) open.add(piece);
  return open;
}

/** Messages of a batch behind its first. */
function messagesAfterFirst(batch: Batch): string[] {
  return eventsOf(batch)
    .slice(1)
    .map(({ message }) => message);
}

const line = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.nat(3_000).map((length) => '\u0001'.repeat(length)),
  fc.nat(3_000).map((length) => 'plain text '.repeat(length / 11)),
);

describe('lines that were read into the memory of the encoder', () => {
  test('are written into the batch where they are to stay', () => {
    const open = largeBatch();
    const { bytes, done } = readText('one "quoted"\ntwo\n');

    const { pieces } = encodeChunk(bytes, timeMs, {}, open.placeFor(bytes.length));
    const [piece] = pieces;
    if (piece === undefined) throw new Error('nothing was encoded');
    open.add(piece);
    const batch = open.seal();

    expect(piece.json.buffer === batch.body.buffer).toBe(true);
    expect(piece.json.byteOffset).toBe(batch.body.byteOffset + batch.body.length - piece.json.length - 2);
    expect(messagesAfterFirst(batch)).toEqual(['one "quoted"', 'two']);
    done();
    returnBody(batch.body);
  });

  test('are encoded as lines elsewhere are, whatever they are and however little room there is', () => {
    const body = bodyAreas.borrow();
    if (body === undefined) throw new Error('all areas are lent');
    const untouched = Buffer.alloc(100_000, 7);
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 20 }), fc.nat(200_000), (lines, room) => {
        const { bytes, done } = readText(
          lines
            .map((each) => `${each}\n`)
            .join('')
            .slice(0, 40_000),
        );
        untouched.copy(body, room);

        const { json, isInPlace, events } = encodeLines(bytes, timeMs, { place: body.subarray(0, room) });
        const members: unknown = JSON.parse(`[${json.toString()}]`);
        const isAtPlace = json.buffer === body.buffer && json.byteOffset === body.byteOffset;
        const elsewhere = encodeLines(Buffer.from(bytes), timeMs);
        const all: unknown[] = JSON.parse(`[${elsewhere.json.toString()}]`);
        done();

        expect(isAtPlace).toBe(isInPlace);
        expect(events).toBeGreaterThan(0);
        expect(members).toEqual(all.slice(0, events));
        expect(body.subarray(room, room + untouched.length).equals(untouched)).toBe(true);
      }),
    );
    bodyAreas.giveBack(body);
  });

  test('go on elsewhere where their JSON is longer than the room', () => {
    const open = largeBatch();
    const { bytes, done } = readText('\u0001'.repeat(999).concat('\n').repeat(130));
    const place = open.placeFor(bytes.length)?.subarray(0, 2 * bytes.length + 2 * stepBytesMax);

    const { pieces } = encodeChunk(bytes, timeMs, {}, place);
    for (const piece of pieces) open.add(piece);
    const batch = open.seal();

    expect(pieces.map(({ json }) => isInEncoder(json))).toEqual([true, false]);
    expect(messagesAfterFirst(batch)).toEqual(Array.from({ length: 130 }, () => '\u0001'.repeat(999)));
    done();
    returnBody(batch.body);
  });

  test('are encoded elsewhere where the first of them finds no room', () => {
    const open = largeBatch();
    const { bytes, done } = readText(`${'\u0001'.repeat(100_000)}\n`);
    const place = open.placeFor(bytes.length)?.subarray(0, 2 * bytes.length + 2 * stepBytesMax);

    const { isInPlace, events, consumed } = encodeLines(bytes, timeMs, { place });

    expect([isInPlace, events, consumed]).toEqual([false, 1, bytes.length]);
    done();
    returnBody(open.seal().body);
  });

  test('move to the next batch where they do not fit, before the full one is sealed', () => {
    const open = openBatch(stream);
    const most = Buffer.from(`${'x'.repeat(messageBytesMax - 150_000)}\n`);
    for (const piece of encodeChunk(most, timeMs).pieces) open.add(piece);
    const { bytes, done } = readText(`${'y'.repeat(19)}\n`.repeat(5_000));
    const [piece] = encodeChunk(bytes, timeMs, {}, open.placeFor(bytes.length)).pieces;
    if (piece === undefined) throw new Error('nothing was encoded');
    const isBehind = bodyAreas.areaOf(piece.json) !== undefined;

    const next = openBatch(stream);
    next.add(piece);
    const bodies = [open.seal(), next.seal()];

    expect([isBehind, open.fits(piece)]).toEqual([true, false]);
    const messages = bodies.map((batch) => eventsOf(batch).map(({ message }) => message));
    expect(messages).toEqual([
      ['x'.repeat(messageBytesMax - 150_000)],
      Array.from({ length: 5_000 }, () => 'y'.repeat(19)),
    ]);
    done();
    for (const { body } of bodies) returnBody(body);
  });
});

test('lines that will not fit a batch have no place there', () => {
  const open = largeBatch();

  const places = [500_000, 600_000].map((textBytes) => open.placeFor(textBytes) !== undefined);

  expect(places).toEqual([true, false]);
  returnBody(open.seal().body);
});

describe('memory that is lent', () => {
  test('is lent to one at a time, and the last that was given back first', () => {
    const [one, other] = [readAreas.borrow(), readAreas.borrow()];
    if (one === undefined || other === undefined) throw new Error('all areas are lent');

    readAreas.giveBack(one);
    readAreas.giveBack(other);
    const again = [readAreas.borrow(), readAreas.borrow()];

    expect(one === other).toBe(false);
    expect(again.map((area) => [area === other, area === one])).toEqual([
      [true, false],
      [false, true],
    ]);
    for (const area of [one, other]) readAreas.giveBack(area);
  });

  test('is known by any part of it', () => {
    const area = readAreas.borrow();
    if (area === undefined) throw new Error('all areas are lent');

    expect(readAreas.areaOf(area.subarray(1, 2)) === area).toBe(true);
    expect(readAreas.areaOf(area.subarray(area.length - 1)) === area).toBe(true);
    expect(bodyAreas.areaOf(area)).toBeUndefined();
    expect(readAreas.areaOf(Buffer.alloc(1))).toBeUndefined();
    readAreas.giveBack(area);
  });

  test('ends: who comes later has none', () => {
    const lent = Array.from({ length: readAreas.count + 1 }, () => readAreas.borrow());

    expect(lent.map((area) => area === undefined)).toEqual([
      ...Array.from({ length: readAreas.count }, () => false),
      true,
    ]);
    for (const area of lent) if (area !== undefined) readAreas.giveBack(area);
  });
});
