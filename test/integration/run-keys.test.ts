import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DisableKeyCommand, EnableKeyCommand, ScheduleKeyDeletionCommand } from '@aws-sdk/client-kms';
import { describe, expect, it } from 'vitest';
import { bindingKey, type Host, setup } from '../support/host.ts';

describe('a binding key that cannot be used fails the start, with a remedy', () => {
  it('when it is disabled', async () => {
    const host = await setup();
    await host.operator.kms.send(new DisableKeyCommand({ KeyId: host.keyArn(bindingKey) }));

    expect(await failedStart(host)).toStrictEqual({ error: 'KEY_DISABLED', hasHint: true, exitCode: 77 });

    await host.operator.kms.send(new EnableKeyCommand({ KeyId: host.keyArn(bindingKey) }));
    await host.started();
  });

  it('when it is scheduled for deletion', async () => {
    const host = await setup();
    const command = new ScheduleKeyDeletionCommand({
      KeyId: host.keyArn(bindingKey),
      PendingWindowInDays: 7,
    });
    await host.operator.kms.send(command);

    expect(await failedStart(host)).toStrictEqual({
      error: 'KEY_PENDING_DELETION',
      hasHint: true,
      exitCode: 77,
    });
  });

  it('when it is not there', async () => {
    const host = await setup({ gateway: (document) => (document.keys = { bindingKey: 'alias/absent' }) });

    expect(await failedStart(host)).toStrictEqual({ error: 'KEY_NOT_FOUND', hasHint: true, exitCode: 78 });
  });
});

describe('a spool without a key', () => {
  it('is refused at the start', async () => {
    const host = await setup({ gateway: (document) => delete document.keys });

    expect(await failedStart(host)).toStrictEqual({
      error: 'GATEWAY_CONFIG_INVALID',
      hasHint: true,
      exitCode: 78,
    });
  });

  it('is in clear where the gateway config allows it', async () => {
    const host = await setup({
      gateway(document) {
        delete document.keys;
        if (document.events !== undefined) document.events['spool'] = { allowClearSpool: true };
      },
    });

    await host.started();

    expect((await host.status()).events?.spool.isSealed).toBe(false);
  });
});

describe('a sealed file that does not open fails alone', () => {
  it('when it was sealed for another name', async () => {
    const { host } = await hostWithSealed(async (made) => made.seal('other-name', 'value'));

    expect(await degradedLife(host)).toStrictEqual(allButTheSealedFile('SECRET_SEALED_FOR_OTHER_USE'));
  });

  it('when one bit of it is flipped', async () => {
    const { host, file } = await hostWithSealed((made) => made.seal('tls-key', 'value'));
    const bytes = readFileSync(file);
    const last = bytes.length - 20;
    bytes[last] = (bytes[last] ?? 0) ^ 1;
    writeFileSync(file, bytes);

    expect(await degradedLife(host)).toStrictEqual(allButTheSealedFile('SEALED_DAMAGED'));
  });

  it('when it is cut short', async () => {
    const { host, file } = await hostWithSealed((made) => made.seal('tls-key', 'value'));
    writeFileSync(file, readFileSync(file).subarray(0, 100));

    expect(await degradedLife(host)).toStrictEqual(allButTheSealedFile('SEALED_DAMAGED'));
  });

  it('when it is not there', async () => {
    const { host } = await hostWithSealed(async (made) => join(made.disk, 'absent.sealed'));

    expect(await degradedLife(host)).toStrictEqual(allButTheSealedFile('FILE_NOT_FOUND'));
  });

  it('when it was sealed under a key that is not trusted here', async () => {
    const { host } = await hostWithSealed(async (made) => {
      const file = await made.seal('tls-key', 'value');
      await made.operator.createKey('alias/next');
      return file;
    }, 'alias/next');

    expect(await degradedLife(host)).toStrictEqual(allButTheSealedFile('KEY_NOT_TRUSTED'));
  });
});

it('a sealed file opens under a retired key that is trusted', async () => {
  const retired: string[] = [];
  const { host, delivered } = await hostWithSealed(
    async (made) => {
      const file = await made.seal('tls-key', 'value');
      retired.push(made.keyArn(bindingKey));
      await made.operator.createKey('alias/next');
      return file;
    },
    'alias/next',
    retired,
  );

  await host.started();

  expect(host.delivered(delivered)).toBe('value');
});

/** How a start ends that fails: on stderr, in the log and as exit code. */
async function failedStart(host: Host) {
  const agent = host.start();
  const { code, stderr } = await agent.finished;
  const { error } = (await agent.event('agent.failed')) as unknown as { error: { code: string } };
  const words = stderr.slice(stderr.indexOf('\nerror: '));
  return {
    error: words.includes(`(${error.code})`) ? error.code : words,
    hasHint: /^hint: [A-Z].{10,}/mu.test(words),
    exitCode: code,
  };
}

/** A host with a second secret, which is the sealed file that `make` makes. */
async function hostWithSealed(
  make: (host: Host) => Promise<string>,
  key = bindingKey,
  trustedKeys: readonly string[] = [],
): Promise<{ host: Host; file: string; delivered: string }> {
  const host = await setup();
  const file = await make(host);
  const delivered = join(host.runtimeDirectory, 'secrets', 'tls-key');
  await host.putGateway((document) => {
    document.keys = { bindingKey: key, trustedKeys };
    document.secrets['tls-key'] = { sealedFile: file };
    document.deliveries.push({ secret: 'tls-key', file: delivered });
  });
  return { host, file, delivered };
}

function allButTheSealedFile(error: string) {
  return {
    error,
    state: 'degraded',
    failing: ['secret tls-key', 'delivery tls-key'],
    passwordIsDelivered: true,
    shipped: ['a line'],
    exitCode: 0,
  };
}

/** Lets an agent live whose sealed file fails, and says what it did all the same. */
async function degradedLife(host: Host) {
  host.log(['a line']);
  const agent = await host.started();
  const { secret, error } = (await agent.event('secret.read-failed')) as unknown as {
    secret: string;
    error: { code: string };
  };
  const { state, failing } = await host.status();
  const shipped = await host.arrived(1);
  const { code } = await agent.stop();
  return {
    error: secret === 'tls-key' ? error.code : secret,
    state,
    failing: failing.map((what) => what.replace(/ \/.*\//u, ' ')),
    passwordIsDelivered: host.delivered() === host.password.value,
    shipped,
    exitCode: code,
  };
}
