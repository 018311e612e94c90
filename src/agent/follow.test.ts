import { expect, test } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { type Agent, follow } from './follow.ts';
import { turns } from './turns.ts';

const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

function setup() {
  const clock = fakeClock();
  const stop = new AbortController();
  const worker = Promise.withResolvers<void>();
  const happened: string[] = [];
  const happens = (what: string) => () => {
    happened.push(what);
    return Promise.resolve();
  };
  const agent: Agent = {
    clock,
    credentials: { run: untilAborted },
    certificate: undefined,
    attended: undefined,
    config: {
      current: () => ({
        version: 1,
        keys: { trustedKeys: [] },
        secrets: {},
        deliveries: [],
        exec: { environment: {} },
        credentialEndpoints: { consumers: {} },
        audit: { whenFull: 'allow' },
        schedules: { refreshSecretsCron: '*/10 * * * *' },
      }),
      refresh: async () => {
        happened.push('config');
        return 'unchanged';
      },
      untilFetched: async () => undefined,
    },
    copy: { run: untilAborted },
    refreshConfigCron: '*/30 * * * *',
    workload: { run: untilAborted, refresh: happens('secrets') },
    consumers: { run: untilAborted },
    reads: { run: untilAborted },
    keyExpiry: { run: untilAborted },
    events: { done: worker.promise },
    inTurn: turns(),
    supervised: { watch: untilAborted },
    monitoring: { run: untilAborted },
    openFiles: { run: untilAborted },
    reload: async (by) => {
      happened.push(`reload by ${by}`);
      return { config: 'unchanged' };
    },
  };
  let hangUp = Promise.withResolvers<void>();
  const reloads = {
    async next(signal: AbortSignal) {
      await Promise.race([hangUp.promise, untilAborted(signal)]);
      hangUp = Promise.withResolvers();
    },
  };
  const following = follow(agent, reloads, stop.signal);
  following.catch(() => undefined);
  return { clock, stop, worker, happened, following, hangUp: () => hangUp.resolve() };
}

test('a worker that dies ends the agent at once, with the worker’s error', async () => {
  const { worker, following } = setup();

  worker.reject(new Error('the worker died'));

  await expect(following).rejects.toThrow('the worker died');
});

test('a stop ends everything quietly, though the worker goes on to drain', async () => {
  const { stop, following } = setup();

  stop.abort(new Error('told to stop'));

  await expect(following).resolves.toBeUndefined();
});

test('config and secrets are refreshed on their schedules, each hang-up is a reload', async () => {
  const { clock, happened, hangUp } = setup();

  await clock.advance(36 * 60_000);
  hangUp();
  await clock.advance(0);
  hangUp();
  await clock.advance(0);

  expect(happened.toSorted()).toEqual([
    'config',
    'reload by signal',
    'reload by signal',
    'secrets',
    'secrets',
    'secrets',
  ]);
});
