import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bindingKey, type Host, setup } from '../support/host.ts';
import { done, sealed, unsealed } from '../support/master-key-commands.ts';

const rsaKey = 'alias/gatehouse-rsa';

/** A host whose master key is under an RSA key. */
async function hostUnderRsa(...more: readonly string[]): Promise<Host> {
  const host = await setup();
  await host.operator.createKey(rsaKey, 'RSA_2048');
  host.sandbox.calls.clear();
  await done(host, 'create', '--key-id', rsaKey, ...more);
  return host;
}

const wrappedAt = (host: Host, generation: number): Buffer =>
  readFileSync(join(host.stateDirectory, 'master-key', `${generation}.wrapped`));

const keyOf = (host: Host, alias: string) => host.sandbox.state.kms.keys.get(host.keyArn(alias));

const kmsCalls = (host: Host): readonly string[] =>
  host.sandbox.calls.list({ service: 'kms' }).map(({ operation }) => operation);

describe('a master key under an RSA key', () => {
  it('is wrapped here and opened by KMS, and KMS never has it to encrypt', async () => {
    const host = await hostUnderRsa();

    expect(kmsCalls(host)).toEqual(['DescribeKey', 'GetPublicKey', 'Decrypt']);
    expect(wrappedAt(host, 1).subarray(0, 4).toString()).toBe('GHRE');
    expect(await done(host, 'status')).toMatchObject({
      isReachable: true,
      bindingKey: { arn: host.keyArn(rsaKey), kind: 'rsa', state: 'Enabled' },
    });
  });

  it('seals and opens files, with one call for all of them', async () => {
    const host = await hostUnderRsa();
    const file = await sealed(host, 'one', 'x');
    host.sandbox.calls.clear();

    expect(await unsealed(host, file)).toBe('x');

    expect(kmsCalls(host)).toEqual(['Decrypt']);
  });

  it('is changed, with its password, and every file follows', async () => {
    const host = await setup();
    await host.operator.createKey(rsaKey, 'RSA_3072');
    const [right, next] = ['correct horse battery', 'another long sentence'].map((text, index) => {
      const path = join(host.disk, `password-${index}`);
      writeFileSync(path, text, { mode: 0o600 });
      return path;
    }) as [string, string];
    await done(host, 'create', '--key-id', rsaKey, '--password-file', right);
    const file = await sealed(host, 'one', 'x');

    const refused = await host.run(['master-key', 'reencrypt', '--password-file', next]);
    await done(host, 'change-password', '--password-file', right, '--new-password-file', next);

    expect(refused).toMatchObject({ code: 77, stderr: expect.stringContaining('(PASSWORD_WRONG)') });
    expect(await done(host, 'status')).toMatchObject({ generation: 2, hasPassword: true });
    expect(wrappedAt(host, 2).subarray(0, 4).toString()).toBe('GHRE');
    expect(await unsealed(host, file)).toBe('x');
  });

  it('comes back from the registry, which says how it is wrapped', async () => {
    const host = await setup();
    await host.operator.createKeysTable('fleet-keys');
    await host.operator.createKey(rsaKey, 'RSA_2048');
    await done(host, 'create', '--key-id', rsaKey);
    await done(host, 'bind', '--table', 'fleet-keys');
    expect(await done(host, 'status')).toMatchObject({ registry: { state: 'agrees' } });
    const file = await sealed(host, 'one', 'x');
    rmSync(host.stateDirectory, { recursive: true });

    await done(host, 'recover', '--table', 'fleet-keys');

    expect(await unsealed(host, file)).toBe('x');
    expect(JSON.stringify(host.sandbox.state.dynamoDb, replacer)).toContain('RSAES_OAEP_SHA_256');
  });

  it('is not opened as that of another host, though KMS would open it', async () => {
    const host = await hostUnderRsa();
    const config = readFileSync(host.configFile, 'utf8');
    writeFileSync(host.configFile, config.replace('"web-1"', '"web-2"'));

    const { code, stdout } = await host.run(['master-key', 'status', '--json']);

    expect({ code, ...(JSON.parse(stdout) as object) }).toMatchObject({
      code: 77,
      failing: { code: 'SEALED_CONTEXT_MISMATCH' },
    });
  });

  it('wraps no files itself, and says what to do instead', async () => {
    const host = await hostUnderRsa();
    const file = join(host.disk, 'one.sealed');
    const flags = ['--name', 'one', '--in', '-', '--out', file, '--wrap', 'kms', '--key-id', rsaKey];

    const refused = await host.run(['seal', ...flags], 'x');

    expect(refused).toMatchObject({ code: 78, stderr: expect.stringContaining('(KEY_RSA_SEALS_NO_FILES)') });
    expect(refused.stderr).toContain('hint: Seal under the master key, without --wrap kms');
  });
});

describe('master-key create --rsa', () => {
  it('makes the KMS key and the master key in one step, for this host alone', async () => {
    const host = await setup();
    const role = `arn:aws:iam::${host.sandbox.accountId}:role/GatehouseHost`;
    const flags = ['--rsa', '2048', '--alias', 'alias/gatehouse-web-1', '--user', role];

    const made = await host.run(['master-key', 'create', ...flags]);

    expect(made).toMatchObject({ code: 0 });
    expect(made.stderr).toContain('"keys": { "bindingKey": "alias/gatehouse-web-1" }');
    const key = keyOf(host, 'alias/gatehouse-web-1');
    expect(key).toMatchObject({
      spec: 'RSA_2048',
      description: 'Gatehouse binding key of web-1',
    });
    expect(key?.tags.get('gatehouse-name')).toBe('web-1');
    expect(JSON.parse(key?.policy ?? '')).toMatchObject({
      Statement: [
        { Sid: 'Administer' },
        { Sid: 'Use', Action: ['kms:Decrypt'], Principal: { AWS: [role] } },
        { Sid: 'SeeThePublicKey', Principal: { AWS: [role] } },
      ],
    });
    expect(await unsealed(host, await sealed(host, 'one', 'x'))).toBe('x');
  });

  it('makes no KMS key where there is a master key already, or a password that is weak', async () => {
    const host = await setup();
    const weak = join(host.disk, 'weak');
    writeFileSync(weak, 'web-1password', { mode: 0o600 });

    const refused = await host.run(['master-key', 'create', '--rsa', '2048', '--password-file', weak]);
    await done(host, 'create');
    const again = await host.run(['master-key', 'create', '--rsa', '2048']);

    expect(refused).toMatchObject({ code: 64, stderr: expect.stringContaining('(PASSWORD_WEAK)') });
    expect(again).toMatchObject({ code: 73, stderr: expect.stringContaining('(MASTER_KEY_EXISTS)') });
    expect(kmsCalls(host).filter((operation) => operation === 'CreateKey')).toHaveLength(1);
  });

  it('makes no KMS key that its maker could not use', async () => {
    const host = await setup();
    const other = `arn:aws:iam::${host.sandbox.accountId}:role/Other`;
    host.sandbox.identities.createRole('Other');

    const refused = await host.run(['master-key', 'create', '--rsa', '2048', '--user', other]);

    expect(refused).toMatchObject({ code: 78, stderr: expect.stringContaining('(KEY_POLICY_LEAVES_OUT)') });
    expect(kmsCalls(host).filter((operation) => operation === 'CreateKey')).toHaveLength(1);
  });

  it('says which KMS key it made where the master key could not be, and goes on with that', async () => {
    const host = await setup();
    host.sandbox.faults.add({
      service: 'kms',
      operation: 'GetPublicKey',
      count: 20,
      effect: { kind: 'error', name: 'AccessDeniedException', status: 400 },
    });

    const cut = await host.run(['master-key', 'create', '--rsa', '2048']);
    const [keyArn = ''] = /arn:aws:kms:[^;\s]+:key\/[0-9a-f-]+/u.exec(cut.stderr) ?? [];
    host.sandbox.faults.clear();
    await done(host, 'create', '--key-id', keyArn);

    expect(cut).toMatchObject({ code: 1, stderr: expect.stringContaining('(KEY_MADE_MASTER_KEY_NOT)') });
    expect(await done(host, 'status')).toMatchObject({ bindingKey: { arn: keyArn, kind: 'rsa' } });
  });

  it('waits until KMS knows the key that it made', async () => {
    const host = await setup();
    host.sandbox.faults.add({
      service: 'kms',
      operation: 'GetPublicKey',
      count: 2,
      effect: { kind: 'error', name: 'NotFoundException', status: 400 },
    });

    expect(await done(host, 'create', '--rsa', '2048')).toMatchObject({ generation: 1 });
  });

  it.each([
    [['--rsa', '2048', '--key-id', bindingKey]],
    [['--alias', 'alias/x']],
    [['--user', 'arn:aws:iam::123456789012:role/x']],
    [['--rsa', '1024']],
  ])('is not asked for by %j', async (flags) => {
    const host = await setup();

    expect(await host.run(['master-key', 'create', ...flags])).toMatchObject({ code: 64 });
  });
});

describe('a rewrap from a symmetric key to RSA', () => {
  it('leaves files as they are, and goes back', async () => {
    const host = await setup();
    const rsaArn = await host.operator.createKey(rsaKey, 'RSA_4096');
    await done(host, 'create');
    const file = await sealed(host, 'one', 'x');
    const before = readFileSync(file);

    expect(await host.run(['master-key', 'rewrap', '--key-id', rsaKey])).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(
        new RegExp(`wrapped by ${rsaArn} now\nname it in keys.bindingKey or keys.trustedKeys`, 'u'),
      ),
    });
    expect(await unsealed(host, file)).toBe('x');
    await done(host, 'rewrap', '--key-id', bindingKey);

    expect(await unsealed(host, file)).toBe('x');
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(await done(host, 'status')).toMatchObject({ bindingKey: { kind: 'symmetric' } });
  });
});

/** Maps of the sandbox's state as text. */
function replacer(_key: string, value: unknown): unknown {
  return value instanceof Map ? [...value] : value;
}
