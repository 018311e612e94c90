import { expect, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { Probe } from '../../api/monitoring.ts';
import { healthOf, type Vitals } from './health.ts';
import type { AgentState } from './status.ts';

const { signal } = new AbortController();

function setup(state: AgentState, changes: Partial<Vitals> = {}) {
  const clock = fakeClock();
  const failing = state === 'degraded' ? ['secret database-password', 'credentials'] : [];
  const vitals = { condition: async () => ({ state, failing }), isHealthy: () => true, ...changes };
  const health = healthOf(vitals, clock);
  const answers = async () => {
    const all = await Promise.all(
      (['startup', 'live', 'ready'] as const).map((probe) => health(probe, signal)),
    );
    return all.map(({ isOk }) => isOk);
  };
  return { clock, health, answers };
}

test.each<[AgentState, readonly [startup: boolean, live: boolean, ready: boolean]]>([
  ['starting', [false, true, false]],
  ['ready', [true, true, true]],
  ['degraded', [true, true, true]],
  ['stopping', [true, true, false]],
])('an agent that is %s has started, is alive, is ready: %s', async (state, expected) => {
  const { answers } = setup(state);

  expect(await answers()).toEqual(expected);
});

test('it says how many parts fail, never which', async () => {
  const { health } = setup('degraded');

  expect(await health('ready', signal)).toEqual({ isOk: true, state: 'degraded', failing: 2 });
});

test.each<[Probe, string]>([
  ['startup', 'starting'],
  ['ready', 'starting'],
])('%s says why not', async (probe, reason) => {
  const { health } = setup('starting');

  expect(await health(probe, signal)).toEqual({ isOk: false, state: 'starting', failing: 0, reason });
});

test('an agent that is wedged is nothing of it', async () => {
  const { answers, health } = setup('ready', { isHealthy: () => false });

  expect(await answers()).toEqual([false, false, false]);
  expect(await health('live', signal)).toMatchObject({ reason: 'wedged' });
});

test('a worker that does not answer is told of before whoever asks has gone', async () => {
  const { clock, health } = setup('ready', { condition: () => new Promise(() => undefined) });
  const asked = health('live', signal);

  await clock.advance(3_000);

  expect(await asked).toEqual({ isOk: false, reason: 'no answer' });
});

test('so is one whose state cannot be had', async () => {
  const { answers } = setup('ready', { condition: () => Promise.reject(new Error('the worker is gone')) });

  expect(await answers()).toEqual([false, false, false]);
});
