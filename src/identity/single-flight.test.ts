import { describe, expect, test } from 'vitest';
import { singleFlight } from './single-flight.ts';

function setup() {
  const flights: { resolve(value: string): void; reject(error: unknown): void; signal: AbortSignal }[] = [];
  const ask = singleFlight((signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    flights.push({ resolve, reject, signal });
    return promise;
  });
  return { flights, ask };
}

const never = new AbortController().signal;

describe('a single flight', () => {
  test('serves a thousand callers with one piece of work', async () => {
    const { flights, ask } = setup();

    const asked = Array.from({ length: 1000 }, () => ask(never));
    flights[0]?.resolve('done');

    expect(new Set(await Promise.all(asked))).toEqual(new Set(['done']));
    expect(flights).toHaveLength(1);
  });

  test('fails for all of them', async () => {
    const { flights, ask } = setup();
    const error = new Error('no');

    const asked = Promise.allSettled([ask(never), ask(never)]);
    flights[0]?.reject(error);

    expect(await asked).toEqual([
      { status: 'rejected', reason: error },
      { status: 'rejected', reason: error },
    ]);
  });

  test('starts anew once it has landed', async () => {
    const { flights, ask } = setup();
    const first = ask(never);
    flights[0]?.resolve('first');
    await first;

    const second = ask(never);
    flights[1]?.resolve('second');

    expect(await second).toBe('second');
  });

  test('goes on when one waiter leaves', async () => {
    const { flights, ask } = setup();
    const leaving = new AbortController();
    const reason = new Error('leaving');

    const one = ask(leaving.signal);
    const other = ask(never);
    leaving.abort(reason);

    await expect(one).rejects.toBe(reason);
    expect(flights[0]?.signal.aborted).toBe(false);
    flights[0]?.resolve('done');
    expect(await other).toBe('done');
  });

  test('is called off when the last waiter leaves, and the next caller starts anew', async () => {
    const { flights, ask } = setup();
    const leaving = new AbortController();

    const one = ask(leaving.signal);
    leaving.abort();
    await expect(one).rejects.toBe(leaving.signal.reason);

    expect(flights[0]?.signal.aborted).toBe(true);
    const next = ask(never);
    flights[1]?.resolve('anew');
    expect(await next).toBe('anew');
  });
});
