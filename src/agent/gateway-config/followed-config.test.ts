import { describe, expect, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { aborted } from '../../base/aborted.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { Secret } from '../../base/secret.ts';
import { configError } from '../../config/errors.ts';
import { secretsError } from '../../secrets/errors.ts';
import { type GatewayConfig, gatewaySchema } from '../config.ts';
import { type CopiedVersion, type FetchedVersion, followedConfig } from './followed-config.ts';

const { signal } = new AbortController();
const start = '2026-11-22T12:00:00.000Z';

function version(versionId: string, more: object = {}): FetchedVersion {
  return {
    versionId,
    config: gatewaySchema.parse({ version: 1, ...more }),
    value: Secret.ofText(versionId),
  };
}

/** The same out of a sealed copy. */
function copied(versionId: string, more: object = {}): CopiedVersion {
  const { config } = version(versionId, more);
  return { versionId, config, sealedAt: new Date('2026-11-20T12:00:00.000Z'), key: 'arn' };
}

const hourly = { schedules: { refreshSecretsCron: '0 * * * *' } };
const otherKey = { keys: { bindingKey: 'alias/other' } };
const away = secretsError('SECRET_UNREACHABLE');
const denied = secretsError('SECRET_DENIED');
const invalid = configError('GATEWAY_CONFIG_INVALID', { problems: [{ path: 'x', message: 'unknown key' }] });

/** A config whose next versions, or the failures to read them, are in `next`. */
function setup(...next: (FetchedVersion | Error)[]) {
  return setupWith(undefined, ...next);
}

/** The same, on a host that has this copy. */
function setupWith(copy: CopiedVersion | undefined, ...next: (FetchedVersion | 'hangs' | Error)[]) {
  const heeded: unknown[] = [];
  const log: LogEvent[] = [];
  const applied: GatewayConfig[] = [];
  const clock = fakeClock(new Date(start));
  const left = { ms: 80_000 };
  const config = followedConfig({
    secretName: 'prod/web',
    clock,
    leftMs: () => left.ms,
    log: (event) => log.push(event),
    copy: {
      isThere: () => copy !== undefined,
      async standIn(error) {
        if (copy === undefined || error === denied) throw error;
        return copy;
      },
      heed: async (error) => void heeded.push(error),
    },
    async read(sig) {
      const result = next.shift();
      if (result === undefined) throw new TypeError('read once too often');
      if (result === 'hangs') await aborted(sig);
      if (result instanceof Error) throw result;
      if (result === 'hangs') throw sig.reason;
      return result;
    },
    async apply(gateway) {
      applied.push(gateway);
    },
  });
  return { config, clock, left, applied, heeded, log, said: () => log.map(({ name }) => name) };
}

describe('the first version', () => {
  test('is in effect as it is, and nothing has to be applied', async () => {
    const first = version('v1');
    const { config, applied, said } = setup(first);

    expect(await config.start(signal)).toEqual(first.config);

    expect(config.current()).toEqual(first.config);
    expect(config.state()).toEqual({
      secretName: 'prod/web',
      versionId: 'v1',
      appliedAt: start,
      readAt: start,
      restartNeeded: [],
      refused: undefined,
    });
    expect(applied).toEqual([]);
    expect(said()).toEqual(['config.applied']);
  });

  test('that cannot be read fails the start', async () => {
    const { config } = setup(invalid);

    await expect(config.start(signal)).rejects.toBe(invalid);
  });
});

describe('a further version', () => {
  test('is applied, and says which keys took effect', async () => {
    const { config, clock, applied, log } = setup(version('v1'), version('v2', hourly));
    await config.start(signal);
    await clock.advance(1000);

    expect(await config.refresh(signal)).toBe('applied');

    expect(applied.map(({ schedules }) => schedules)).toEqual([hourly.schedules]);
    expect(log.at(-1)).toMatchObject({
      name: 'config.applied',
      fields: { versionId: 'v2', changed: ['schedules.refreshSecretsCron'] },
    });
    expect(config.state()).toMatchObject({ versionId: 'v2', appliedAt: '2026-11-22T12:00:01.000Z' });
  });

  test('that is the running one changes nothing', async () => {
    const { config, clock, applied, said } = setup(version('v1'), version('v1'));
    await config.start(signal);
    await clock.advance(1000);

    expect(await config.refresh(signal)).toBe('unchanged');

    const { appliedAt, readAt } = config.state();
    expect({ appliedAt, readAt }).toEqual({ appliedAt: start, readAt: '2026-11-22T12:00:01.000Z' });
    expect(applied).toEqual([]);
    expect(said()).toEqual(['config.applied', 'config.unchanged']);
  });

  test('with a key that needs a restart says so until it is taken back', async () => {
    const { config, said } = setup(version('v1'), version('v2', otherKey), version('v3'));
    await config.start(signal);

    await config.refresh(signal);
    expect(config.state().restartNeeded).toEqual(['keys.bindingKey']);
    expect(said().at(-1)).toBe('config.restart-needed');

    await config.refresh(signal);
    expect(config.state().restartNeeded).toEqual([]);
    expect(said().at(-1)).toBe('config.applied');
  });

  test('that is bad is refused, said once, and the running one stays', async () => {
    const { config, applied, said } = setup(version('v1'), invalid, invalid);
    await config.start(signal);

    expect(await config.refresh(signal)).toBe('refused');
    expect(await config.refresh(signal)).toBe('refused');

    expect(config.state()).toMatchObject({ versionId: 'v1', refused: 'GATEWAY_CONFIG_INVALID' });
    expect(applied).toEqual([]);
    expect(said()).toEqual(['config.applied', 'config.refused']);
  });

  test('that is refused for another reason is said again', async () => {
    const empty = configError('GATEWAY_CONFIG_EMPTY');
    const { config, said } = setup(version('v1'), invalid, empty);
    await config.start(signal);

    await config.refresh(signal);
    await config.refresh(signal);

    expect(said()).toEqual(['config.applied', 'config.refused', 'config.refused']);
    expect(config.state().refused).toBe('GATEWAY_CONFIG_EMPTY');
  });

  test('that is good again ends the refusal, also when it is the running one', async () => {
    const { config, said } = setup(version('v1'), invalid, version('v1'));
    await config.start(signal);

    await config.refresh(signal);
    expect(await config.refresh(signal)).toBe('unchanged');

    expect(config.state().refused).toBeUndefined();
    expect(said()).toEqual(['config.applied', 'config.refused', 'config.accepted-again', 'config.unchanged']);
  });

  test('is not called refused when the agent is stopping', async () => {
    const stop = new AbortController();
    const { config, said } = setup(version('v1'), new Error('aborted'));
    await config.start(stop.signal);
    stop.abort(new Error('stop asked for'));

    await expect(config.refresh(stop.signal)).rejects.toThrow('stop asked for');

    expect(said()).toEqual(['config.applied']);
  });
});

describe('a start without Secrets Manager', () => {
  test('is one with the copy, which is told apart, and with what is wrong', async () => {
    const { config, heeded } = setupWith(copied('v1'), away);

    expect(await config.start(signal)).toEqual(copied('v1').config);

    expect(config.state()).toMatchObject({
      versionId: 'v1',
      readAt: undefined,
      refused: 'SECRET_UNREACHABLE',
      lastKnownGood: { sealedAt: '2026-11-20T12:00:00.000Z', key: 'arn' },
    });
    expect(heeded).toEqual([away]);
  });

  test('that hangs is one with the copy after half a minute', async () => {
    const { config, clock } = setupWith(copied('v1'), 'hangs');
    const starting = config.start(signal);

    await clock.advance(30_000);

    await starting;
    expect(config.state()).toMatchObject({ versionId: 'v1', refused: 'DEADLINE_EXCEEDED' });
  });

  test('that hangs leaves the copy half of what is left of a start that began late', async () => {
    const { config, clock, left } = setupWith(copied('v1'), 'hangs');
    left.ms = 20_000;
    const starting = config.start(signal);

    await clock.advance(10_000);

    await starting;
    expect(config.state()).toMatchObject({ versionId: 'v1', refused: 'DEADLINE_EXCEEDED' });
  });

  test('fails where the copy may not stand in, as without a copy', async () => {
    const { config, heeded } = setupWith(copied('v1'), denied);

    await expect(config.start(signal)).rejects.toBe(denied);

    expect(heeded).toEqual([denied]);
  });

  test('ends with the version that is fetched, the same or another, and that is said once', async () => {
    const { config, clock, applied, said } = setupWith(copied('v1'), away, away, version('v2', hourly));
    await config.start(signal);
    const following = config.untilFetched((sig) => config.refresh(sig), signal);

    await clock.advance(300_000);
    await following;

    expect(config.state()).toMatchObject({ versionId: 'v2', refused: undefined });
    expect(config.state().lastKnownGood).toBeUndefined();
    expect(applied.map(({ schedules }) => schedules)).toEqual([hourly.schedules]);
    expect(said()).toEqual(['config.applied', 'config.last-known-good-left', 'config.applied']);
  });

  test('goes on with the copy while what is fetched is no config', async () => {
    const { config, said } = setupWith(copied('v1'), away, invalid, version('v1'));
    await config.start(signal);

    expect(await config.refresh(signal)).toBe('refused');
    expect(config.state()).toMatchObject({ refused: 'GATEWAY_CONFIG_INVALID', lastKnownGood: {} });
    expect(await config.refresh(signal)).toBe('unchanged');

    expect(said()).toEqual([
      'config.applied',
      'config.refused',
      'config.last-known-good-left',
      'config.unchanged',
    ]);
  });

  test('ends the agent when AWS, back again, refuses this host the config', async () => {
    const { config, clock, heeded } = setupWith(copied('v1'), away, denied);
    await config.start(signal);
    const following = config.untilFetched((sig) => config.refresh(sig), signal);

    await Promise.all([expect(following).rejects.toBe(denied), clock.advance(300_000)]);

    expect(heeded).toEqual([away, denied]);
  });

  test('goes on where the refusal is over before it was heeded', async () => {
    const { config, clock } = setupWith(copied('v1'), away, denied, version('v1'));
    await config.start(signal);
    const following = config.untilFetched(() => Promise.reject(new TypeError('fetched already')), signal);

    expect(await config.refresh(signal)).toBe('refused');
    expect(await config.refresh(signal)).toBe('unchanged');
    await clock.advance(300_000);

    await expect(following).resolves.toBeUndefined();
    expect(config.state()).toMatchObject({ versionId: 'v1', refused: undefined });
  });

  test('has nothing to wait for where Secrets Manager was there', async () => {
    const { config } = setup(version('v1'));
    await config.start(signal);

    await expect(
      config.untilFetched(() => Promise.reject(new TypeError('asked for nothing')), signal),
    ).resolves.toBeUndefined();
  });
});

describe('the versions that are kept', () => {
  test('are the first, once there is a keeper, and every one that is fetched and in use', async () => {
    const versions = [version('v1'), version('v1'), version('v2')] as const;
    const { config } = setup(versions[0], versions[1], invalid, versions[2]);
    const kept: FetchedVersion[] = [];

    await config.start(signal);
    config.keptBy({ offer: (each) => kept.push(each) });
    expect(kept).toEqual([versions[0]]);
    for (let round = 0; round < 3; round += 1) await config.refresh(signal);

    expect(kept).toEqual(versions);
  });

  test('are none after a start with the copy, until one is fetched', async () => {
    const { config } = setupWith(copied('v1'), away, version('v1'));
    const kept: string[] = [];
    await config.start(signal);
    config.keptBy({ offer: ({ versionId }) => kept.push(versionId) });
    expect(kept).toEqual([]);

    await config.refresh(signal);

    expect(kept).toEqual(['v1']);
  });
});
