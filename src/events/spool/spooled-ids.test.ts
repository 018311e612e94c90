import { expect, test } from 'vitest';
import { spooledIds } from './spooled-ids.ts';

test('a batch is known by the id that it had in memory until it is gone, whoever removes it', () => {
  const ids = spooledIds();
  ids.went(1001, 1);
  ids.went(1002, 2);
  expect([ids.of(1001), ids.of(1002), ids.of(3)]).toEqual([1, 2, 3]);

  // By its sender, and by another who read it from the spool.
  ids.settled(ids.of(1001));
  ids.settled(ids.of(2));

  expect(ids.size).toBe(0);
});
