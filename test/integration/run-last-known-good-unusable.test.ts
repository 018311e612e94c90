import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DisableKeyCommand } from '@aws-sdk/client-kms';
import { describe, expect, it } from 'vitest';
import { bindingKey, setup } from '../support/host.ts';
import {
  secretsManagerAway as away,
  copyPath,
  failedStart,
  hostWithCopy,
  versionIn,
} from '../support/last-known-good.ts';

describe('a start without the copy', () => {
  it('fails where KMS is away too, and both reasons are said', async () => {
    const host = await hostWithCopy();
    host.sandbox.faults.add(away);
    host.sandbox.faults.add({ ...away, service: 'kms' });

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
    await host.operator.kms.send(new DisableKeyCommand({ KeyId: host.keyArn(bindingKey) }));

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

  expect(await agent.event('config.last-known-good-used')).toMatchObject({ key: host.keyArn(bindingKey) });
});

describe('a copy that somebody planted', () => {
  it('under a key of another account is opened by nobody: KMS is not asked', async () => {
    const host = await hostWithCopy();
    const account = host.keyArn(bindingKey).split(':')[4] ?? '';
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
    const named = host.keyArn(bindingKey).replace(/[^/]+$/u, '00000000-0000-0000-0000-000000000000');

    expect(await failedStart(host, keysVariable(named))).toMatchObject({ copy: 'KEY_NOT_TRUSTED' });
    expect(host.sandbox.calls.list().filter(({ service }) => service === 'kms' || service === 'sts')).toEqual(
      [],
    );

    const agent = await host.started(keysVariable(host.keyArn(bindingKey)));
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
    const named = host.keyArn(bindingKey).replace(/[^/]+$/u, '00000000-0000-0000-0000-000000000000');

    const agent = await host.started(keysVariable(named));

    expect(await agent.event('config.last-known-good-failed')).toMatchObject({
      error: { code: 'KEY_NOT_TRUSTED' },
    });
    expect((await host.run(['status'])).stdout).toMatch(
      /^config copy +version .*; cannot be renewed: KEY_NOT_TRUSTED/mu,
    );
  });
});

const keysVariable = (...arns: string[]) => ({
  GATEHOUSE_GATEWAY_CONFIG_LAST_KNOWN_GOOD_KEYS: JSON.stringify(arns),
});

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
