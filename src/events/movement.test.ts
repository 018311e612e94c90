import { describe, expect, onTestFinished, test } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { LogEvent } from '../base/log-events.ts';
import { movement } from './movement.ts';

const wedgedAfterMs = 300_000;

function setup() {
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const state = { isWaiting: false };
  const moving = movement({
    wedgedAfterMs,
    isWaiting: () => state.isWaiting,
    clock,
    log: (event) => events.push(event),
  });
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  void moving.watch(stop.signal);
  return { clock, state, moving, events, said: () => events.map(({ name }) => name) };
}

describe('movement', () => {
  test('is no matter where nothing waits, however long', async () => {
    const { clock, moving, said } = setup();

    await clock.advance(100 * wedgedAfterMs);

    expect([moving.wedgedMs, said()]).toEqual([undefined, []]);
  });

  test('that is missed for too long is a wedge, told once', async () => {
    const { clock, state, moving, events, said } = setup();
    await clock.advance(10 * wedgedAfterMs);
    state.isWaiting = true;
    await clock.advance(wedgedAfterMs * 0.9);
    const before = said();

    await clock.advance(wedgedAfterMs);

    expect(before).toEqual([]);
    expect(events).toMatchObject([{ name: 'events.wedged', fields: { forMs: wedgedAfterMs } }]);
    expect(moving.wedgedMs).toBe(1.9 * wedgedAfterMs);
  });

  test('ends a wedge at once, and that is told', async () => {
    const { clock, state, moving, said } = setup();
    state.isWaiting = true;
    await clock.advance(2 * wedgedAfterMs);

    moving.moved();

    expect(moving.wedgedMs).toBeUndefined();
    expect(said()).toEqual(['events.wedged', 'events.unwedged']);
  });

  test('of failures is movement: an outage is no wedge', async () => {
    const { clock, state, moving, said } = setup();
    state.isWaiting = true;
    for (let minute = 0; minute < 60; minute += 1) {
      await clock.advance(60_000);
      moving.moved();
    }

    expect(said()).toEqual([]);
  });

  test('that is waited for by nobody any more ends a wedge', async () => {
    const { clock, state, moving, said } = setup();
    state.isWaiting = true;
    await clock.advance(2 * wedgedAfterMs);

    state.isWaiting = false;
    await clock.advance(wedgedAfterMs);

    expect([moving.wedgedMs, said()]).toEqual([undefined, ['events.wedged', 'events.unwedged']]);
  });
});
