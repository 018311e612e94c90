import { expect, test } from 'vitest';
import { turns } from './turns.ts';

test('work is done one after another, in the order in which it was asked for', async () => {
  const inTurn = turns();
  const happened: string[] = [];
  const first = Promise.withResolvers<void>();

  const both = [
    inTurn(async () => {
      happened.push('first begins');
      await first.promise;
      happened.push('first ends');
    }),
    inTurn(async () => {
      happened.push('second');
    }),
  ];
  first.resolve();
  await Promise.all(both);

  expect(happened).toEqual(['first begins', 'first ends', 'second']);
});

test('work that fails tells its caller and does not hold up the next', async () => {
  const inTurn = turns();

  const failing = inTurn(() => Promise.reject(new Error('no')));
  const next = inTurn(() => Promise.resolve('done'));

  await expect(failing).rejects.toThrow('no');
  await expect(next).resolves.toBe('done');
});
