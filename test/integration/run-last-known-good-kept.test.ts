import { existsSync, readFileSync, statSync } from 'node:fs';
import { DisableKeyCommand } from '@aws-sdk/client-kms';
import { DeleteSecretCommand } from '@aws-sdk/client-secrets-manager';
import { describe, expect, it } from 'vitest';
import { bindingKey, eventually, gatewaySecret, type Host, setup } from '../support/host.ts';
import {
  secretsManagerAway as away,
  copyPath,
  failedStart,
  hostThatRan,
  hostWithCopy,
} from '../support/last-known-good.ts';

const rsaKey = 'alias/gatehouse-rsa';

describe('the copy', () => {
  it('costs an ordinary start no call, and is for nobody else to read', async () => {
    const host = await hostThatRan();
    host.sandbox.calls.clear();
    const before = readFileSync(copyPath(host));

    const agent = await host.started();
    await eventually('the copy', async () => (await host.status()).configCopy?.versionId);
    await agent.stop();

    const calls = host.sandbox.calls.list().filter(({ service }) => service === 'kms' || service === 'sts');
    expect(calls.map(({ operation }) => operation)).toEqual(['DescribeKey', 'Decrypt']);
    expect(readFileSync(copyPath(host)).equals(before)).toBe(true);
    expect(statSync(copyPath(host)).mode & 0o777).toBe(0o600);
  });

  it('follows the config while the agent runs', async () => {
    const host = await setup();
    const agent = await host.started();
    const { versionId } = await agent.event('config.last-known-good-kept');
    await host.putGateway((document) => {
      document['schedules'] = { refreshSecretsCron: '0 * * * *' };
    });

    agent.kill('SIGHUP');

    await agent.event('config.last-known-good-kept', (line) => line['versionId'] !== versionId);
    const { configCopy, config } = await host.status();
    expect(configCopy?.versionId).toBe(config?.versionId);
  });

  it('follows the binding key, and the one before can go', async () => {
    const host = await hostThatRan();
    const before = host.keyArn(bindingKey);
    await host.operator.createKey('alias/next');
    const next = host.keyArn('alias/next');
    await host.putGateway((document) => {
      document.keys = { bindingKey: 'alias/next', trustedKeys: [before] };
    });
    const agent = await host.started();
    expect(await agent.event('config.last-known-good-kept')).toMatchObject({ key: next });
    await agent.stop();
    await host.operator.kms.send(new DisableKeyCommand({ KeyId: before }));
    host.sandbox.faults.add(away);

    expect(await (await host.started()).event('config.last-known-good-used')).toMatchObject({ key: next });
  });

  it('under an RSA key is under the master key, and follows that too', async () => {
    const host = await setup();
    await host.operator.createKey(rsaKey, 'RSA_2048');
    expect(await host.run(['master-key', 'create', '--key-id', rsaKey])).toMatchObject({ code: 0 });
    await host.putGateway((document) => (document.keys = { bindingKey: rsaKey }));
    const first = await host.started();
    expect(await first.event('config.last-known-good-kept')).toMatchObject({
      key: 'master key, generation 1',
    });
    await first.stop();
    const fault = host.sandbox.faults.add(away);
    const second = await host.started();
    expect(await second.event('config.last-known-good-used')).toMatchObject({
      key: 'master key, generation 1',
    });
    await second.stop();
    host.sandbox.faults.remove(fault);
    expect(await host.run(['master-key', 'reencrypt'])).toMatchObject({ code: 0 });

    const third = await host.started();
    expect(await third.event('config.last-known-good-kept')).toMatchObject({
      key: 'master key, generation 2',
    });
    await third.stop();
    host.sandbox.faults.add(away);
    expect(await (await host.started()).event('config.last-known-good-used')).toMatchObject({
      key: 'master key, generation 2',
    });
  });

  it('goes where the config names no binding key any more, and is not made', async () => {
    const host = await hostThatRan();
    await host.putGateway((document) => {
      delete document.keys;
      if (document.events !== undefined) document.events['spool'] = { allowClearSpool: true };
    });

    const agent = await host.started();

    expect(await agent.event('config.last-known-good-removed')).toMatchObject({ reason: 'no binding key' });
    expect(existsSync(copyPath(host))).toBe(false);
    expect((await host.run(['status'])).stdout).toMatch(/^config copy +no binding key$/mu);
  });

  it('goes where the bootstrap config wants none, and is not used', async () => {
    const host = await hostWithCopy();
    const off = { GATEHOUSE_GATEWAY_CONFIG_LAST_KNOWN_GOOD_ENABLED: 'false' };
    const fault = host.sandbox.faults.add(away);
    expect(await failedStart(host, off)).toEqual({
      exitCode: 69,
      error: 'SECRET_UNREACHABLE',
      copy: undefined,
    });
    host.sandbox.faults.remove(fault);

    const agent = await host.started(off);

    expect(await agent.event('config.last-known-good-removed')).toMatchObject({ reason: 'switched off' });
    expect(existsSync(copyPath(host))).toBe(false);
  });
});

describe('a host that AWS refuses the config', () => {
  it.each<[string, (host: Host) => Promise<unknown> | string, string, number]>([
    [
      'for it is denied',
      (host) =>
        host.sandbox.faults.add({
          service: 'secretsmanager',
          effect: { kind: 'error', name: 'AccessDeniedException', status: 400 },
        }),
      'SECRET_DENIED',
      77,
    ],
    ['for it is scheduled for deletion', (host) => deleteGateway(host, {}), 'SECRET_DELETED', 78],
    [
      'for it is gone',
      (host) => deleteGateway(host, { ForceDeleteWithoutRecovery: true }),
      'SECRET_NOT_FOUND',
      78,
    ],
  ])('does not start, %s, and has no copy any more', async (_why, refuse, code, exitCode) => {
    const host = await hostWithCopy();
    await refuse(host);

    expect(await failedStart(host)).toEqual({ exitCode, error: code, copy: undefined });

    expect(existsSync(copyPath(host))).toBe(false);
    host.sandbox.faults.clear();
    host.sandbox.faults.add(away);
    expect(await failedStart(host)).toEqual({ exitCode: 69, error: 'SECRET_UNREACHABLE', copy: undefined });
  });

  it('ends where it runs by the copy when it hears of that', async () => {
    const host = await hostWithCopy();
    const fault = host.sandbox.faults.add(away);
    const agent = await host.started();
    host.sandbox.faults.add({
      service: 'secretsmanager',
      effect: { kind: 'error', name: 'AccessDeniedException', status: 400 },
    });
    host.sandbox.faults.remove(fault);

    const { code, stderr } = await agent.finished;

    expect({ code, stderr }).toEqual({ code: 77, stderr: expect.stringContaining('(SECRET_DENIED)') });
    expect(existsSync(copyPath(host))).toBe(false);
  });

  it('while its agent runs has no copy until it is given the config again', async () => {
    const host = await setup();
    const agent = await host.started();
    await agent.event('config.last-known-good-kept');
    const denied = host.sandbox.faults.add({
      service: 'secretsmanager',
      effect: { kind: 'error', name: 'AccessDeniedException', status: 400 },
    });

    agent.kill('SIGHUP');

    expect(await agent.event('config.last-known-good-removed')).toMatchObject({ reason: 'SECRET_DENIED' });
    expect((await host.run(['status'])).stdout).toMatch(/^config copy +SECRET_DENIED$/mu);
    expect(existsSync(copyPath(host))).toBe(false);
    host.sandbox.faults.remove(denied);
    agent.kill('SIGHUP');
    await eventually('the copy', () => existsSync(copyPath(host)) || undefined);
  });

  it('whose credentials are not accepted does not start either; the copy stays', async () => {
    const host = await hostWithCopy();
    host.sandbox.faults.add({
      service: 'secretsmanager',
      effect: { kind: 'error', name: 'UnrecognizedClientException', status: 400 },
    });

    expect(await failedStart(host)).toMatchObject({ error: 'SECRET_CREDENTIALS_REFUSED', copy: undefined });

    expect(existsSync(copyPath(host))).toBe(true);
  });
});

async function deleteGateway(host: Host, how: { ForceDeleteWithoutRecovery?: true }): Promise<void> {
  await host.operator.secretsManager.send(new DeleteSecretCommand({ SecretId: gatewaySecret, ...how }));
}
