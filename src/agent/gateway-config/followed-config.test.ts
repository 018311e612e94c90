import { describe, expect, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { configError } from '../../config/errors.ts';
import { type GatewayConfig, gatewaySchema } from '../config.ts';
import { followedConfig, type GatewayVersion } from './followed-config.ts';

const { signal } = new AbortController();
const start = '2026-11-22T12:00:00.000Z';

function version(versionId: string, more: object = {}): GatewayVersion {
  return { versionId, config: gatewaySchema.parse({ version: 1, ...more }) };
}

const hourly = { schedules: { refreshSecretsCron: '0 * * * *' } };
const otherKey = { keys: { bindingKey: 'alias/other' } };
const invalid = configError('GATEWAY_CONFIG_INVALID', { problems: [{ path: 'x', message: 'unknown key' }] });

/** A config whose next versions, or the failures to read them, are in `next`. */
function setup(...next: (GatewayVersion | Error)[]) {
  const log: LogEvent[] = [];
  const applied: GatewayConfig[] = [];
  const clock = fakeClock(new Date(start));
  const config = followedConfig({
    secretName: 'prod/web',
    clock,
    log: (event) => log.push(event),
    async read() {
      const result = next.shift();
      if (result === undefined) throw new TypeError('read once too often');
      if (result instanceof Error) throw result;
      return result;
    },
    async apply(gateway) {
      applied.push(gateway);
    },
  });
  return { config, clock, applied, log, said: () => log.map(({ name }) => name) };
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
