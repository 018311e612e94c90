import { assert, double, integer, nat, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { LogEvent } from '../base/log-events.ts';
import { Secret } from '../base/secret.ts';
import type { CredentialSource, Credentials } from './credential-source.ts';
import { identityError, type identityErrors } from './errors.ts';
import { refreshing, renewAfterMs, retryWaitMs } from './refreshing.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const never = new AbortController().signal;

type Trouble = keyof typeof identityErrors;

/** A source that hands out an hour at a time, on a clock that moves when told, and a script of its troubles. */
function setup(random: () => number = () => 0.5, isOnDemand = false) {
  const clock = fakeClock();
  const logged: LogEvent[] = [];
  const world: {
    loads: number;
    trouble: Trouble | undefined;
    frozen: boolean;
    lifetimeMs: number | undefined;
    /** The last good credentials are handed out, and once they have expired, as extended. */
    outage: boolean;
    /** When those end in an outage, from now; undefined: when they do. */
    lastGood: number | undefined;
  } = {
    loads: 0,
    trouble: undefined,
    frozen: false,
    lifetimeMs: hourMs,
    outage: false,
    lastGood: undefined,
  };
  let last: Credentials | undefined;
  const source: CredentialSource = {
    name: 'fake',
    absence: 'no fake',
    async load() {
      world.loads += 1;
      if (world.trouble !== undefined) throw identityError(world.trouble);
      if (world.frozen && last !== undefined) return last;
      if (world.outage && last !== undefined) {
        const now = clock.now().getTime();
        const end = world.lastGood === undefined ? (last.expiration?.getTime() ?? 0) : now + world.lastGood;
        const extendedUntil = new Date(now + 15 * minuteMs);
        return end > now ? last : { ...last, expiration: new Date(end), extendedUntil };
      }
      last = {
        accessKeyId: `ASIA${world.loads}`,
        secretAccessKey: Secret.ofText('s'),
        sessionToken: Secret.ofText('t'),
        source: 'fake',
        ...(world.lifetimeMs === undefined
          ? {}
          : { expiration: new Date(clock.now().getTime() + world.lifetimeMs) }),
      };
      return last;
    },
  };
  const credentials = refreshing(source, { clock, log: (event) => logged.push(event), random, isOnDemand });

  /** Starts `run`; what it returns stops it and waits for its end. */
  function running(): () => Promise<unknown> {
    const stop = new AbortController();
    const ended = credentials.run(stop.signal).catch((error: unknown) => error);
    return () => {
      stop.abort(new Error('stopped'));
      return ended;
    };
  }
  const named = (name: string): LogEvent[] => logged.filter((event) => event.name === name);
  return { clock, world, credentials, logged, named, running };
}

async function loadsPerDay(trouble: Trouble): Promise<number> {
  const { world, clock, running } = setup();
  world.trouble = trouble;
  const stop = running();
  await clock.advance(24 * hourMs);
  await stop();
  return world.loads;
}

describe('refreshing credentials', () => {
  test('loads once for a thousand callers at the same time, and not again while they are good', async () => {
    const { credentials, world, clock } = setup();

    const all = await Promise.all(Array.from({ length: 1000 }, () => credentials.current(never)));
    await clock.advance(59 * minuteMs);
    await credentials.current(never);

    expect(new Set(all).size).toBe(1);
    expect(world.loads).toBe(1);
  });

  test('throws the source’s own error when the first load fails', async () => {
    const { credentials, world } = setup();
    world.trouble = 'CREDENTIALS_NO_ROLE';

    await expect(credentials.current(never)).rejects.toMatchObject({ code: 'CREDENTIALS_NO_ROLE' });
    expect(credentials.state()).toMatchObject({ failing: { code: 'CREDENTIALS_NO_ROLE', attempts: 1 } });
  });

  test('says that none were found when the source does not apply', async () => {
    const source = { name: 'one', absence: 'it is not here', load: async () => undefined };
    const credentials = refreshing(source, { clock: fakeClock(), log: () => undefined });

    await expect(credentials.current(never)).rejects.toMatchObject({
      code: 'CREDENTIALS_NOT_FOUND',
      details: { passedOver: ['one: it is not here'] },
    });
  });

  test('loads again for a caller who finds them expired, as after a suspended night', async () => {
    const { credentials, world, clock } = setup();
    await credentials.current(never);
    clock.jump(8 * hourMs);

    const fresh = await credentials.current(never);

    expect(fresh.accessKeyId).toBe('ASIA2');
    expect(world.loads).toBe(2);
  });

  test.each([
    [0, 37],
    [0.5, 34],
    [0.999, 33],
  ])(
    'runs a day of one-hour credentials with jitter %d in %i loads, always with good ones',
    async (random, most) => {
      const { credentials, world, clock, running, named } = setup(() => random);
      const stop = running();

      let worstMs = Infinity;
      for (let minute = 0; minute < 24 * 60; minute += 1) {
        await clock.advance(minuteMs);
        const { expiration } = await credentials.current(never);
        worstMs = Math.min(worstMs, (expiration?.getTime() ?? 0) - clock.now().getTime());
      }
      await stop();

      // 24 would be the least there could be, each used to its last second.
      expect(world.loads).toBeGreaterThan(24);
      expect(world.loads).toBeLessThanOrEqual(most);
      // Looked at once a minute, so a quarter of an hour is left but for that.
      expect(worstMs).toBeGreaterThanOrEqual(14 * minuteMs);
      expect(named('credentials.obtained')).toHaveLength(1);
      expect(named('credentials.renewed')).toHaveLength(world.loads - 1);
      expect(named('credentials.renewal-failed')).toEqual([]);
    },
  );

  test('ends its run with the reason of the signal', async () => {
    const { running, clock } = setup();
    const stop = running();
    await clock.advance(minuteMs);

    expect(await stop()).toMatchObject({ message: 'stopped' });
    expect(clock.sleeping).toBe(0);
  });

  test('keeps the last good ones through an outage shorter than their life, and logs it once each way', async () => {
    const { credentials, world, clock, running, named } = setup();
    const stop = running();
    await clock.advance(40 * minuteMs);
    world.trouble = 'CREDENTIALS_METADATA_UNREACHABLE';

    await clock.advance(15 * minuteMs);
    const during = await credentials.current(never);
    const { failing } = credentials.state();
    world.trouble = undefined;
    await clock.advance(2 * minuteMs);
    await stop();

    expect(during.accessKeyId).toBe('ASIA1');
    expect(failing).toMatchObject({ code: 'CREDENTIALS_METADATA_UNREACHABLE' });
    expect(failing?.attempts).toBeGreaterThan(10);
    expect(named('credentials.renewal-failed')).toHaveLength(1);
    expect(named('credentials.recovered')).toHaveLength(1);
    expect(named('credentials.expired')).toEqual([]);
    expect(credentials.state().failing).toBeUndefined();
  });

  test('says that they expired when an outage outlives them, and recovers by itself', async () => {
    const { credentials, world, clock, running, named } = setup();
    const stop = running();
    await clock.advance(40 * minuteMs);
    world.trouble = 'CREDENTIALS_METADATA_UNREACHABLE';

    await clock.advance(2 * hourMs);
    const during = credentials.current(never);
    await expect(during).rejects.toMatchObject({
      code: 'CREDENTIALS_EXPIRED',
      cause: { code: 'CREDENTIALS_METADATA_UNREACHABLE' },
    });
    world.trouble = undefined;
    await clock.advance(2 * minuteMs);
    const after = await credentials.current(never);
    await stop();

    expect(after.expiration?.getTime()).toBeGreaterThan(clock.now().getTime());
    expect(named('credentials.renewal-failed')).toHaveLength(1);
    expect(named('credentials.expired')).toHaveLength(1);
    expect(named('credentials.recovered')).toMatchObject([{ fields: { source: 'fake' } }]);
  });

  test.each<[string, Trouble, number, number]>([
    ['out of reach twice a minute', 'CREDENTIALS_METADATA_UNREACHABLE', 1440, 3 * 1440],
    ['in trouble every few minutes', 'CREDENTIALS_THROTTLED', 300, 1440],
    ['that refuses a few times an hour', 'CREDENTIALS_REFUSED', 48, 150],
  ])('asks a source %s', async (_what, trouble, least, most) => {
    const loads = await loadsPerDay(trouble);

    expect(loads).toBeGreaterThan(least);
    expect(loads).toBeLessThan(most);
  });

  test('renews on demand those that are due behind the back of who asks, and leaves the rest alone', async () => {
    const { credentials, world, clock } = setup(undefined, true);
    await credentials.current(never);
    await clock.advance(45 * minuteMs);
    const loadsBefore = world.loads;

    const given = await credentials.current(never);
    await clock.advance(0);
    const next = await credentials.current(never);
    await clock.advance(10 * hourMs);

    expect(loadsBefore).toBe(1);
    expect([given.accessKeyId, next.accessKeyId]).toEqual(['ASIA1', 'ASIA2']);
    expect(world.loads).toBe(2);
    expect((await credentials.current(never)).accessKeyId).toBe('ASIA3');
  });

  test('asks a source that refused at once when somebody says that it is mended', async () => {
    const { credentials, world, clock, running } = setup();
    world.trouble = 'CREDENTIALS_REFUSED';
    const stop = running();
    await clock.advance(minuteMs);
    world.trouble = undefined;

    await credentials.retry(never);
    await credentials.retry(never);
    const held = await credentials.current(never);
    await stop();

    expect(held.accessKeyId).toBe('ASIA2');
    expect(world.loads).toBe(2);
  });

  test('uses extended credentials on, says so once, and asks every 5 to 10 minutes for newer ones', async () => {
    const { credentials, world, clock, running, named } = setup();
    const stop = running();
    await clock.advance(minuteMs);
    world.outage = true;

    await clock.advance(5 * hourMs);
    const during = await credentials.current(never);
    const state = credentials.state();
    const loads = world.loads;
    world.outage = false;
    await clock.advance(11 * minuteMs);
    const after = await credentials.current(never);
    await stop();

    expect(during.accessKeyId).toBe('ASIA1');
    expect(state.extendedUntil?.getTime()).toBeGreaterThan(clock.now().getTime() - 11 * minuteMs);
    expect(state.expiration?.getTime()).toBeLessThan(clock.now().getTime() - 3 * hourMs);
    expect(loads).toBeLessThan(80);
    expect(named('credentials.extended')).toHaveLength(1);
    expect(named('credentials.expired')).toEqual([]);
    expect(after.accessKeyId).not.toBe('ASIA1');
    expect(named('credentials.renewed')).toHaveLength(1);
    expect(credentials.state().extendedUntil).toBeUndefined();
  });

  test('does not change good credentials for expired ones', async () => {
    const { credentials, world, clock } = setup();
    await credentials.current(never);
    await clock.advance(minuteMs);
    world.outage = true;
    world.lastGood = -1;

    await expect(credentials.renew(never)).rejects.toMatchObject({ code: 'CREDENTIALS_HANDED_OUT_EXPIRED' });

    expect((await credentials.current(never)).accessKeyId).toBe('ASIA1');
  });

  test('does not ask a failing source for each caller', async () => {
    const { credentials, world, clock } = setup();
    await credentials.current(never);
    world.trouble = 'CREDENTIALS_METADATA_UNREACHABLE';
    await clock.advance(hourMs);

    const calls = Array.from({ length: 1000 }, () => credentials.current(never).catch(() => undefined));
    await Promise.all(calls);
    await credentials.current(never).catch(() => undefined);

    expect(world.loads).toBe(2);
  });

  test('renews on demand, together with others', async () => {
    const { credentials, world, clock } = setup();
    await credentials.current(never);
    await clock.advance(minuteMs);

    const renewed = await Promise.all([credentials.renew(never), credentials.renew(never)]);

    expect(renewed.map(({ accessKeyId }) => accessKeyId)).toEqual(['ASIA2', 'ASIA2']);
    expect(world.loads).toBe(2);
  });

  test('that could not be renewed on demand are kept, and the failure is not repeated at once', async () => {
    const { credentials, world, clock } = setup();
    await credentials.current(never);
    await clock.advance(minuteMs);
    world.trouble = 'CREDENTIALS_REFUSED';

    await expect(credentials.renew(never)).rejects.toMatchObject({ code: 'CREDENTIALS_REFUSED' });
    await expect(credentials.renew(never)).rejects.toMatchObject({ code: 'CREDENTIALS_REFUSED' });

    expect((await credentials.current(never)).accessKeyId).toBe('ASIA1');
    expect(world.loads).toBe(2);
  });

  test('reads those without an expiry again every quarter of an hour, and says nothing when they are the same', async () => {
    const { world, clock, running, logged } = setup();
    world.lifetimeMs = undefined;
    world.frozen = true;
    const stop = running();

    await clock.advance(24 * hourMs);
    await stop();

    expect(world.loads).toBeGreaterThanOrEqual(96);
    expect(world.loads).toBeLessThanOrEqual(97);
    expect(logged.map(({ name }) => name)).toEqual(['credentials.obtained']);
  });

  test('does not storm a source that hands out the same dying ones', async () => {
    const { world, clock, running } = setup();
    world.frozen = true;
    const stop = running();

    await clock.advance(60 * minuteMs);
    await stop();

    expect(world.loads).toBeLessThan(20);
  });

  test('notices that the clock was put forward', async () => {
    const { world, clock, running } = setup();
    const stop = running();
    await clock.advance(minuteMs);

    clock.jump(50 * minuteMs);
    await clock.advance(minuteMs);
    await stop();

    expect(world.loads).toBe(2);
  });

  test('takes a caller who leaves for no failure', async () => {
    const clock = fakeClock();
    const logged: LogEvent[] = [];
    const source: CredentialSource = {
      name: 'slow',
      absence: 'never',
      load: async (signal) => {
        await clock.sleep(hourMs, signal);
        return undefined;
      },
    };
    const credentials = refreshing(source, { clock, log: (event) => logged.push(event) });
    const leaving = new AbortController();
    const reason = new Error('leaving');

    const asked = credentials.current(leaving.signal);
    leaving.abort(reason);

    await expect(asked).rejects.toBe(reason);
    expect(credentials.state()).toEqual({});
    expect(logged).toEqual([]);
  });

  test('warns of long-term keys', async () => {
    const logged: LogEvent[] = [];
    const keys = { accessKeyId: 'AKIA', secretAccessKey: Secret.ofText('s'), source: 'environment' };
    const source = { name: 'environment', absence: 'not set', load: async () => keys };

    await refreshing(source, { clock: fakeClock(), log: (event) => logged.push(event) }).current(never);

    expect(logged.map(({ name }) => name)).toEqual(['credentials.obtained', 'credentials.long-term']);
  });

  test('says what it holds', async () => {
    const { credentials, clock } = setup();
    expect(credentials.state()).toEqual({});

    await credentials.current(never);

    expect(credentials.state()).toEqual({
      source: 'fake',
      accessKeyId: 'ASIA1',
      lastRenewed: clock.now(),
      expiration: new Date(clock.now().getTime() + hourMs),
    });
  });
});

describe('the jitter', () => {
  const uniform = double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  const now = new Date('2026-11-22T12:00:00Z');

  test('of a renewal lies between two thirds and five sixths of the life, with a quarter of an hour to spare', () => {
    assert(
      property(integer({ min: 10_000, max: 12 * hourMs }), uniform, (lifetimeMs, random) => {
        const expiration = new Date(now.getTime() + lifetimeMs);
        const credentials = {
          accessKeyId: 'A',
          secretAccessKey: Secret.ofText('s'),
          expiration,
          source: 'fake',
        };

        const waitMs = renewAfterMs(credentials, now, () => random);

        const spareMs = lifetimeMs < 30 * minuteMs ? 0 : 15 * minuteMs;
        const isSpared = lifetimeMs - spareMs < (lifetimeMs * 2) / 3;
        expect(waitMs).toBeGreaterThanOrEqual(lifetimeMs * (isSpared ? 2 / 5 : 2 / 3) - 1e-6);
        expect(waitMs).toBeLessThanOrEqual((lifetimeMs * 5) / 6 + 1e-6);
        expect(lifetimeMs - waitMs).toBeGreaterThanOrEqual(spareMs - 1e-6);
      }),
    );
  });

  test('of another attempt lies within what its failure asks for', () => {
    assert(
      property(nat(10_000), uniform, (attempt, random) => {
        const unreachable = retryWaitMs(identityError('CREDENTIALS_STS_UNREACHABLE'), attempt, () => random);
        const throttled = retryWaitMs(identityError('CREDENTIALS_THROTTLED'), attempt, () => random);
        const refused = retryWaitMs(identityError('CREDENTIALS_REFUSED'), attempt, () => random);

        expect(unreachable).toBeGreaterThanOrEqual(1000);
        expect(unreachable).toBeLessThanOrEqual(minuteMs);
        expect(throttled).toBeGreaterThanOrEqual(20_000);
        expect(throttled).toBeLessThanOrEqual(5 * minuteMs);
        expect(refused).toBeGreaterThanOrEqual(5 * minuteMs);
        expect(refused).toBeLessThanOrEqual(30 * minuteMs);
      }),
    );
  });
});
