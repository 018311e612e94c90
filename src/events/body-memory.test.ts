import { describe, expect, test } from 'vitest';
import { isSameMemory } from '../../test/support/same-memory.ts';
import {
  bodyBytesFew,
  bodyBytesUsual,
  borrowBody,
  borrowDraft,
  holdBody,
  returnBody,
} from './body-memory.ts';
import { bodyAreas, isInEncoder } from './encoding/encoder-memory.ts';

describe('memory of a body', () => {
  test('is used again once it was given back, whole or in part', () => {
    const body = borrowBody();

    returnBody(body.subarray(10, 20));

    expect(isSameMemory(borrowBody(), body)).toBe(true);
  });

  test('is not used again while somebody holds it', () => {
    const body = borrowBody();
    holdBody(body);

    returnBody(body);
    const other = borrowBody();
    returnBody(body);

    expect(isSameMemory(other, body)).toBe(false);
    expect(isSameMemory(borrowBody(), body)).toBe(true);
  });

  test('is lent to one at a time, though it is given back twice', () => {
    const body = borrowBody();

    returnBody(body);
    returnBody(body);

    expect(isSameMemory(borrowBody(), borrowBody())).toBe(false);
  });

  test('is short for those who need little, and used again for them', () => {
    const short = borrowBody(bodyBytesFew);
    returnBody(short);

    expect(isSameMemory(borrowBody(), short)).toBe(false);
    expect(isSameMemory(borrowBody(1), short)).toBe(true);
    expect(short.length).toBe(bodyBytesFew);
    expect(borrowBody(bodyBytesFew + 1).length).toBe(bodyBytesUsual);
    expect(() => borrowBody(bodyBytesUsual + 1)).toThrow(RangeError);
  });

  test('is given back to the system where enough is kept', () => {
    const bodies = Array.from({ length: 20 }, () => borrowBody());

    for (const body of bodies) returnBody(body);

    // What was given back has none.
    const bytes = bodies.reduce((sum, { length }) => sum + length, 0);
    expect(bytes).toBeLessThan(10 * bodyBytesUsual);
  });

  test('that lines are encoded into is the encoder’s as long as there is some, and no other is', () => {
    const drafts = Array.from({ length: bodyAreas.count + 1 }, () => borrowDraft(bodyBytesUsual));

    expect(drafts.map(isInEncoder)).toEqual([...Array(bodyAreas.count).fill(true), false]);
    for (const draft of drafts) returnBody(draft);
    expect(isInEncoder(borrowBody())).toBe(false);
    expect(isInEncoder(borrowDraft(bodyBytesFew))).toBe(false);
    expect(bodyAreas.free).toBe(bodyAreas.count);
    expect(() => borrowDraft(bodyBytesUsual + 1)).toThrow(RangeError);
  });

  test('that was never borrowed is left alone', () => {
    const own = Buffer.alloc(bodyBytesUsual, 'a');

    holdBody(own);
    returnBody(own);
    returnBody(own);

    expect(isSameMemory(borrowBody(), own)).toBe(false);
    expect(own.length).toBe(bodyBytesUsual);
  });
});
