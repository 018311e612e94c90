import { describe, expect, test } from 'vitest';
import { bodyBytesFew, bodyBytesUsual, borrowBody, holdBody, returnBody } from './body-memory.ts';

describe('memory of a body', () => {
  test('is used again once it was given back, whole or in part', () => {
    const body = borrowBody();

    returnBody(body.subarray(10, 20));

    expect(borrowBody().buffer).toBe(body.buffer);
  });

  test('is not used again while somebody holds it', () => {
    const body = borrowBody();
    holdBody(body);

    returnBody(body);
    const other = borrowBody();
    returnBody(body);

    expect(other.buffer).not.toBe(body.buffer);
    expect(borrowBody().buffer).toBe(body.buffer);
  });

  test('is lent to one at a time, though it is given back twice', () => {
    const body = borrowBody();

    returnBody(body);
    returnBody(body);

    expect(borrowBody().buffer).not.toBe(borrowBody().buffer);
  });

  test('is short for those who need little, and used again for them', () => {
    const short = borrowBody(bodyBytesFew);
    returnBody(short);

    expect(borrowBody().buffer).not.toBe(short.buffer);
    expect(borrowBody(1).buffer).toBe(short.buffer);
    expect(short.length).toBe(bodyBytesFew);
    expect(borrowBody(bodyBytesFew + 1).length).toBe(bodyBytesUsual);
    expect(() => borrowBody(bodyBytesUsual + 1)).toThrow(RangeError);
  });

  test('is given back to the system where enough is kept', () => {
    const bodies = Array.from({ length: 20 }, () => borrowBody());

    for (const body of bodies) returnBody(body);

    const bytes = bodies.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
    expect(bytes).toBeLessThan(10 * bodyBytesUsual);
  });

  test('that was never borrowed is left alone', () => {
    const own = Buffer.alloc(bodyBytesUsual, 'a');

    holdBody(own);
    returnBody(own);
    returnBody(own);

    expect(borrowBody().buffer).not.toBe(own.buffer);
    expect(own.length).toBe(bodyBytesUsual);
  });
});
