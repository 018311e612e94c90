import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { FaultRule } from '../../sandbox/faults.ts';
import { bindingKey, eventually, gatewaySecret } from '../support/host.ts';
import {
  secretsManagerAway as away,
  copyPath,
  hostThatRan,
  hostWithCopy,
  versionIn,
} from '../support/last-known-good.ts';

describe('while Secrets Manager is away', () => {
  it('the agent starts with its sealed copy, degraded, says so, and follows when it is back', async () => {
    const host = await hostThatRan();
    const versionId = versionIn(readFileSync(copyPath(host)));
    const fault = host.sandbox.faults.add(away);

    const agent = await host.started();

    expect(await agent.event('config.last-known-good-used')).toMatchObject({
      level: 'warn',
      versionId,
      secretName: gatewaySecret,
      key: host.keyArn(bindingKey),
      error: { code: 'SECRET_UNREACHABLE' },
    });
    const { state, failing, config } = await host.status();
    expect({ state, version: config?.versionId }).toEqual({ state: 'degraded', version: versionId });
    expect(failing).toContain('config');
    expect(failing).toContain('secret database-password');
    expect((await host.run(['status'])).stdout).toMatch(/^LAST KNOWN GOOD {2}the sealed copy is in use/mu);
    await eventually(
      'the copy in the status',
      async () => (await host.status()).configCopy?.versionId === versionId || undefined,
    );
    expect((await host.run(['config', 'show'])).stdout).toMatch(
      /^gateway config .*last-known-good copy, sealed 2/mu,
    );
    host.log(['a line']);
    expect(await host.arrived(1)).toEqual(['a line']);
    await eventually(
      'the audit record',
      () => host.audit().some(({ event }) => event === 'config.last-known-good-used') || undefined,
    );
    expect((await host.asked('/metrics')).body).toContain('gatehouse_config_last_known_good_in_use 1');

    host.sandbox.faults.remove(fault);
    const left = await agent.event('config.last-known-good-left');

    expect(left).toMatchObject({ versionId, copyVersionId: versionId });
    await eventually('the delivery', () => host.delivered() === host.password.value || undefined);
    await eventually(
      'an agent that is ready',
      async () => (await host.status()).state === 'ready' || undefined,
    );
    expect(agent.lines().filter(({ event }) => event === 'config.last-known-good-left')).toHaveLength(1);
  });

  it.each<[string, FaultRule['effect'], string]>([
    ['throttles', { kind: 'throttle' }, 'SECRET_THROTTLED'],
    ['cuts connections', { kind: 'cut' }, 'SECRET_UNREACHABLE'],
    ['loses answers', { kind: 'lost-answer' }, 'SECRET_UNREACHABLE'],
    ['answers by half', { kind: 'half-body' }, 'SECRET_UNREACHABLE'],
  ])('the agent does so too where it %s', async (_what, effect, code) => {
    const host = await hostWithCopy();
    host.sandbox.faults.add({ service: 'secretsmanager', effect });

    const agent = await host.started();

    expect(await agent.event('config.last-known-good-used')).toMatchObject({ error: { code } });
  });
});

it('a Secrets Manager that takes calls and never answers holds up a start by the copy no longer than it must', async () => {
  const host = await hostWithCopy();
  host.sandbox.faults.add({ service: 'secretsmanager', effect: { kind: 'latency', ms: 600_000 } });

  const agent = await host.started();

  const tooLate = { error: { code: 'DEADLINE_EXCEEDED' } };
  expect(await agent.event('config.last-known-good-used')).toMatchObject(tooLate);
  // Of all secrets together: each by itself would be given up by the SDK, after a minute and a half.
  expect(await agent.event('secret.read-failed')).toMatchObject(tooLate);
});

describe('a bad version at the start', () => {
  it.each([
    ['is no JSON', '{"version": 1,', 'GATEWAY_CONFIG_NOT_JSON'],
    ['is not valid', '{"version": 1, "secrets": []}', 'GATEWAY_CONFIG_INVALID'],
    ['is of a newer form', '{"version": 2}', 'GATEWAY_CONFIG_VERSION_UNKNOWN'],
  ])(
    'that %s is refused, and the agent starts with the copy until there is a good one',
    async (_what, bad, code) => {
      const host = await hostWithCopy();
      const versionId = versionIn(readFileSync(copyPath(host)));
      await host.operator.putSecret(gatewaySecret, bad);

      const agent = await host.started();

      expect(await agent.event('config.last-known-good-used')).toMatchObject({ versionId, error: { code } });
      expect(host.delivered()).toBe(host.password.value);
      expect(await host.status()).toMatchObject({
        state: 'degraded',
        failing: ['config'],
        config: { refused: code },
      });

      await host.putGateway((document) => {
        document['schedules'] = { refreshSecretsCron: '0 * * * *' };
      });
      await agent.event('config.last-known-good-left');
      const { versionId: next } = await agent.event('config.last-known-good-kept');
      expect(next).not.toBe(versionId);
      await eventually(
        'an agent that is ready',
        async () => (await host.status()).state === 'ready' || undefined,
      );
    },
  );
});
