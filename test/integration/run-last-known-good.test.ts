import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DisableKeyCommand } from '@aws-sdk/client-kms';
import { DeleteSecretCommand } from '@aws-sdk/client-secrets-manager';
import { describe, expect, it } from 'vitest';
import type { FaultRule } from '../../sandbox/faults.ts';
import { bindingKey, eventually, gatewaySecret, type Host, setup } from '../support/host.ts';

const unavailable = { kind: 'error', name: 'ServiceUnavailable', status: 503 } as const;
const away: FaultRule = { service: 'secretsmanager', effect: unavailable };
const rsaKey = 'alias/gatehouse-rsa';

describe('while Secrets Manager is away', () => {
  it('the agent starts with its sealed copy, degraded, says so, and follows when it is back', async () => {
    const host = await hostWithCopy();
    const versionId = versionIn(readFileSync(copyPath(host)));
    const fault = host.sandbox.faults.add(away);

    const agent = await host.started();

    expect(await agent.event('config.last-known-good-used')).toMatchObject({
      level: 'warn',
      versionId,
      secretName: gatewaySecret,
      key: arnOf(host, bindingKey),
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

describe('a start without the copy', () => {
  it('fails where KMS is away too, and both reasons are said', async () => {
    const host = await hostWithCopy();
    host.sandbox.faults.add(away);
    host.sandbox.faults.add({ service: 'kms', effect: unavailable });

    expect(await failedStart(host)).toEqual({
      exitCode: 69,
      error: 'SECRET_UNREACHABLE',
      copy: 'KEY_UNREACHABLE',
    });

    host.sandbox.faults.clear();
    await host.started();
  });

  it('fails where its key is disabled', async () => {
    const host = await hostWithCopy();
    host.sandbox.faults.add(away);
    await host.operator.kms.send(new DisableKeyCommand({ KeyId: arnOf(host, bindingKey) }));

    expect(await failedStart(host)).toMatchObject({ error: 'SECRET_UNREACHABLE', copy: 'KEY_DISABLED' });
  });

  it('fails where there is none yet', async () => {
    const host = await setup();
    host.sandbox.faults.add(away);

    expect(await failedStart(host)).toEqual({ exitCode: 69, error: 'SECRET_UNREACHABLE', copy: undefined });
  });

  it.each<[string, (file: Buffer) => Buffer, string]>([
    ['a bit flipped', (file) => withBitFlipped(file, file.length - 30), 'GATEWAY_CONFIG_COPY_DAMAGED'],
    [
      'a bit flipped by who knows the form',
      (file) => redone(file, (message) => withBitFlipped(message, message.length - 30)),
      'SEALED_DAMAGED',
    ],
    [
      'another version claimed',
      (file) => redone(file, (message) => replaced(message, versionIn(file), '0'.repeat(36))),
      'KEY_CIPHERTEXT_REFUSED',
    ],
    [
      'another host claimed',
      (file) => redone(file, (message) => replaced(message, 'web-1', 'web-2')),
      'GATEWAY_CONFIG_COPY_FOREIGN',
    ],
  ])(
    'fails where the copy has %s; once the config is fetched it is written anew',
    async (_what, spoil, code) => {
      const host = await hostWithCopy();
      writeFileSync(copyPath(host), spoil(readFileSync(copyPath(host))));
      const fault = host.sandbox.faults.add(away);

      expect(await failedStart(host)).toEqual({ exitCode: 69, error: 'SECRET_UNREACHABLE', copy: code });

      host.sandbox.faults.remove(fault);
      const agent = await host.started();
      await agent.event('config.last-known-good-kept');
      await agent.stop();
      host.sandbox.faults.add(away);
      await (await host.started()).event('config.last-known-good-used');
    },
  );
});

it('a start by a copy under a symmetric key needs nothing of the master key', async () => {
  const host = await hostWithCopy();
  const ledger = join(host.stateDirectory, 'master-key', 'ledger.db');
  mkdirSync(dirname(ledger), { recursive: true, mode: 0o700 });
  for (const name of [ledger, `${ledger}-wal`, `${ledger}-shm`]) rmSync(name, { force: true });
  writeFileSync(ledger, 'no ledger'.repeat(1000));
  host.sandbox.faults.add(away);

  const agent = await host.started();

  expect(await agent.event('config.last-known-good-used')).toMatchObject({ key: arnOf(host, bindingKey) });
});

describe('a copy that somebody planted', () => {
  it('under a key of another account is opened by nobody: KMS is not asked', async () => {
    const host = await hostWithCopy();
    const account = arnOf(host, bindingKey).split(':')[4] ?? '';
    const file = readFileSync(copyPath(host));
    writeFileSync(
      copyPath(host),
      redone(file, (message) => replaced(message, `:${account}:key/`, ':999999999999:key/')),
    );
    host.sandbox.faults.add(away);
    host.sandbox.calls.clear();

    expect(await failedStart(host)).toMatchObject({ error: 'SECRET_UNREACHABLE', copy: 'KEY_NOT_TRUSTED' });

    expect(host.sandbox.calls.count({ service: 'kms' })).toBe(0);
    expect(host.sandbox.calls.count({ service: 'sts' })).toBe(1);
  });

  it('under another key than those the bootstrap config names is not either, and STS is not asked', async () => {
    const host = await hostWithCopy();
    host.sandbox.faults.add(away);
    host.sandbox.calls.clear();
    const named = arnOf(host, bindingKey).replace(/[^/]+$/u, '00000000-0000-0000-0000-000000000000');

    expect(await failedStart(host, keysVariable(named))).toMatchObject({ copy: 'KEY_NOT_TRUSTED' });
    expect(host.sandbox.calls.list().filter(({ service }) => service === 'kms' || service === 'sts')).toEqual(
      [],
    );

    const agent = await host.started(keysVariable(arnOf(host, bindingKey)));
    await agent.event('config.last-known-good-used');
    expect(host.sandbox.calls.count({ service: 'sts' })).toBe(0);
  });

  it('is no danger where the key that is used could not open it: that is said when it is to be written', async () => {
    const host = await setup();
    const named = 'arn:aws:kms:eu-west-1:999999999999:key/00000000-0000-0000-0000-000000000000';

    const agent = await host.started(keysVariable(named));

    expect(await agent.event('config.last-known-good-failed')).toMatchObject({
      error: { code: 'KEY_NOT_TRUSTED' },
    });
    expect(existsSync(copyPath(host))).toBe(false);
    expect((await host.run(['status'])).stdout).toMatch(
      /^config copy +none yet; cannot be renewed: KEY_NOT_TRUSTED/mu,
    );
    expect((await host.status()).state).toBe('ready');
  });

  it('is no surprise either where the keys are named later: a copy that is there already is held against them', async () => {
    const host = await hostWithCopy();
    const named = arnOf(host, bindingKey).replace(/[^/]+$/u, '00000000-0000-0000-0000-000000000000');

    const agent = await host.started(keysVariable(named));

    expect(await agent.event('config.last-known-good-failed')).toMatchObject({
      error: { code: 'KEY_NOT_TRUSTED' },
    });
    expect((await host.run(['status'])).stdout).toMatch(
      /^config copy +version .*; cannot be renewed: KEY_NOT_TRUSTED/mu,
    );
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

describe('the copy', () => {
  it('costs an ordinary start no call, and is for nobody else to read', async () => {
    const host = await hostWithCopy();
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
    const host = await hostWithCopy();
    const before = arnOf(host, bindingKey);
    await host.operator.createKey('alias/next');
    const next = arnOf(host, 'alias/next');
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
    const host = await hostWithCopy();
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

/** A host whose agent has run, and left a sealed copy. */
async function hostWithCopy(): Promise<Host> {
  const host = await setup();
  const agent = await host.started();
  await agent.event('config.last-known-good-kept');
  await agent.stop();
  return host;
}

/** How a start ends that fails: with what, and why the copy was of no use. */
async function failedStart(host: Host, environment: Record<string, string> = {}) {
  const agent = host.start(environment);
  const { code } = await agent.finished;
  const errorOf = (name: string) =>
    (agent.lines().find(({ event }) => event === name) as { error?: { code: string } } | undefined)?.error
      ?.code;
  return {
    exitCode: code,
    error: errorOf('agent.failed'),
    copy: errorOf('config.last-known-good-unusable'),
  };
}

const copyPath = (host: Host): string => join(host.stateDirectory, 'last-known-good');

const keysVariable = (...arns: string[]) => ({
  GATEHOUSE_GATEWAY_CONFIG_LAST_KNOWN_GOOD_KEYS: JSON.stringify(arns),
});

function arnOf({ sandbox }: Host, alias: string): string {
  return [...sandbox.state.kms.aliases.values()].find(({ name }) => name === alias)?.targetKeyArn ?? '';
}

async function deleteGateway(host: Host, how: { ForceDeleteWithoutRecovery?: true }): Promise<void> {
  await host.operator.secretsManager.send(new DeleteSecretCommand({ SecretId: gatewaySecret, ...how }));
}

/** The version id that a copy claims. */
function versionIn(file: Buffer): string {
  const text = file.toString('latin1');
  return /[0-9a-f]{8}-[0-9a-f-]{27}/u.exec(text.slice(text.indexOf('version-id')))?.[0] ?? '';
}

/** The copy with another message in it, and the digest of that: by who can write, but has no key. */
function redone(file: Buffer, change: (message: Buffer) => Buffer): Buffer {
  const end = file.indexOf('\n') + 1;
  const message = change(Buffer.from(file.subarray(end)));
  const sha256 = createHash('sha256').update(message).digest('hex');
  return Buffer.concat([
    Buffer.from(
      file
        .subarray(0, end)
        .toString()
        .replace(/[0-9a-f]{64}/u, sha256),
    ),
    message,
  ]);
}

function replaced(message: Buffer, before: string, after: string): Buffer {
  const text = message.toString('latin1');
  if (!text.includes(before)) throw new Error(`the message has no ${before}`);
  return Buffer.from(text.replaceAll(before, after), 'latin1');
}

function withBitFlipped(bytes: Buffer, at: number): Buffer {
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  return bytes;
}
