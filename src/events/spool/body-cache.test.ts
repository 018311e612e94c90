import { describe, expect, test } from 'vitest';
import { isSameMemory } from '../../../test/support/same-memory.ts';
import { borrowBody, returnBody } from '../body-memory.ts';
import { bodyCache } from './body-cache.ts';

const bytes = (length: number): Buffer => Buffer.alloc(length, 'a');

describe('bodies in memory', () => {
  test('are kept as long as there is room, and what is forgotten makes room', () => {
    const cache = bodyCache(10);

    cache.keep(1, bytes(6));
    cache.keep(2, bytes(6));

    expect([cache.get(1)?.length, cache.get(2)]).toEqual([6, undefined]);

    cache.forget(1);
    cache.keep(3, bytes(10));

    expect([cache.get(1), cache.get(3)?.length]).toEqual([undefined, 10]);
  });

  test('are read ahead within the same room, one read for each', async () => {
    const cache = bodyCache(10);
    const read: number[] = [];
    const ahead = (id: number): void =>
      cache.readAhead(id, 5, async () => {
        read.push(id);
        return bytes(4);
      });

    for (const id of [1, 1, 2, 3]) ahead(id);
    cache.keep(4, bytes(1));
    await Promise.all([cache.settled(1), cache.settled(2)]);

    expect(read).toEqual([1, 2]);
    expect([1, 2, 3, 4].map((id) => cache.get(id)?.length)).toEqual([4, 4, undefined, undefined]);
    expect(cache.settled(1)).toBeUndefined();
  });

  test('are not there where reading ahead failed, and their room is free', async () => {
    const cache = bodyCache(5);

    cache.readAhead(1, 5, () => Promise.reject(new Error('a bad sector')));
    await cache.settled(1);
    cache.keep(2, bytes(5));

    expect([cache.get(1), cache.get(2)?.length]).toEqual([undefined, 5]);
  });

  test('that come after they were forgotten are given back', async () => {
    const cache = bodyCache(2 ** 22);
    const body = borrowBody();
    const disk = Promise.withResolvers<Buffer>();

    cache.readAhead(1, body.length, () => disk.promise);
    const settled = cache.settled(1);
    cache.forget(1);
    disk.resolve(body);
    await settled;

    expect(cache.get(1)).toBeUndefined();
    expect(isSameMemory(borrowBody(), body)).toBe(true);
  });

  test('belong to whoever got them, too, when they are forgotten', () => {
    const cache = bodyCache(2 ** 22);
    const body = borrowBody();
    cache.keep(1, body);
    returnBody(body);

    const got = cache.get(1);
    cache.forget(1);

    expect(isSameMemory(borrowBody(), body)).toBe(false);
    if (got !== undefined) returnBody(got);
    expect(isSameMemory(borrowBody(), body)).toBe(true);
  });

  test('are given back when there is an end of all of them', () => {
    const cache = bodyCache(2 ** 22);
    const body = borrowBody();
    cache.keep(1, body);
    returnBody(body);

    cache.clear();

    expect(cache.get(1)).toBeUndefined();
    expect(borrowBody().buffer).toBe(body.buffer);
  });
});
