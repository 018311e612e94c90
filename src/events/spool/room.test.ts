import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import type { LogEvent } from '../../base/log-events.ts';
import { room } from './room.ts';

function setup(bytes = 0) {
  const events: LogEvent[] = [];
  const space = room(10, bytes, (event) => void events.push(event));
  const entered: string[] = [];
  const { signal } = new AbortController();
  const enter = (name: string, wanted: number, until = signal): Promise<void> =>
    space.within(wanted, until, () => void entered.push(name));
  return { space, enter, entered, signal, names: () => events.map(({ name }) => name) };
}

/** Whoever may go on has gone on. */
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe('room', () => {
  test('is filled to the last byte, and not beyond', async () => {
    const { space, enter, entered } = setup(4);

    await enter('fits', 6);
    void enter('waits', 1);
    await settled();

    expect(entered).toEqual(['fits']);
    expect([space.bytes, space.isWaitedFor]).toEqual([10, true]);
  });

  test('lets in as many of those who wait as there is room for, in their order', async () => {
    const { space, enter, entered } = setup(10);
    for (const [name, wanted] of [
      ['first', 4],
      ['large', 6],
      ['small', 1],
    ] as const)
      void enter(name, wanted);

    space.give(5);
    await settled();
    const afterFirst = [...entered];
    space.give(5);
    await settled();

    expect(afterFirst).toEqual(['first']);
    expect(entered).toEqual(['first', 'large']);
    expect(space.bytes).toBe(10);
  });

  test('lets nobody in before those who wait, though there were room for him', async () => {
    const { enter, entered } = setup(8);

    void enter('large', 5);
    void enter('small', 1);
    await settled();

    expect(entered).toEqual([]);
  });

  test('takes what is larger than all of it when it is empty', async () => {
    const { space, enter, entered } = setup(1);
    void enter('huge', 11);
    await settled();
    const before = [...entered];

    space.give(1);
    await settled();

    expect([before, entered]).toEqual([[], ['huge']]);
  });

  test('is given back by work that fails', async () => {
    const { space, signal } = setup();

    const failed = space.within(10, signal, () => Promise.reject(new Error('no disk')));

    await expect(failed).rejects.toThrow('no disk');
    expect(space.bytes).toBe(0);
  });

  test('is said to be full and to be there again once each, and not while somebody waits', async () => {
    const { space, enter, names } = setup(10);
    void enter('one', 1);
    void enter('all', 10);

    space.give(10);
    await settled();
    const whileOneWaits = names();
    space.give(1);
    await settled();
    space.give(10);

    expect(whileOneWaits).toEqual(['events.spool-full']);
    expect(names()).toEqual(['events.spool-full', 'events.spool-relieved']);
  });

  test('is not given to whoever has given up, before or while he waits, and those behind him go on', async () => {
    const { space, enter, entered } = setup(10);
    const given = new AbortController();
    const waiting = enter('given up', 5, given.signal);
    void enter('behind', 5);

    given.abort(new Error('stop'));
    await expect(waiting).rejects.toThrow('stop');
    space.give(10);
    await settled();
    await expect(enter('too late', 1, given.signal)).rejects.toThrow('stop');

    expect(entered).toEqual(['behind']);
    expect(space.bytes).toBe(5);
  });

  test('leaves nothing at the signal of whoever waited', async () => {
    const { space, enter, signal } = setup(10);
    const waiting = enter('one', 1);

    space.give(10);
    await waiting;

    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});
