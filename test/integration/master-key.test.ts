import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DisableKeyCommand } from '@aws-sdk/client-kms';
import { describe, expect, it } from 'vitest';
import { awsKms } from '../../src/keys/aws-kms.ts';
import { kmsUnwrapper } from '../../src/keys/kms-keyring.ts';
import { openMasterKey } from '../../src/keys/master-key.ts';
import { parseHeader } from '../../src/keys/sealed-message.ts';
import { type Canary, canary, searchCanaries } from '../support/canary.ts';
import { bindingKey, eventually, type Host, setup } from '../support/host.ts';
import {
  decrypts,
  deliveredPath,
  hostWithMasterKey,
  masterKeyStatus,
  sealed,
  unsealed,
  withFiles,
} from '../support/master-key-commands.ts';

const never = new AbortController().signal;

describe('the master key', () => {
  it('is made once, wrapped by the binding key of the gateway config, and says so', async () => {
    const host = await setup();

    const made = await host.run(['master-key', 'create']);

    expect(made.stderr).toMatch(
      /^master key 1 \([0-9a-f]{32}\) is wrapped by arn:aws:kms:\S+ in \S+1\.wrapped\n/u,
    );
    const folder = join(host.stateDirectory, 'master-key');
    expect((statSync(folder).mode & 0o777).toString(8)).toBe('700');
    for (const name of readdirSync(folder)) {
      const mode = (statSync(join(folder, name)).mode & 0o777).toString(8);
      expect({ name, mode }).toEqual({ name, mode: '600' });
    }
    expect(await host.run(['master-key', 'create'])).toMatchObject({
      code: 73,
      stderr: expect.stringContaining('(MASTER_KEY_EXISTS)'),
    });
    expect(await masterKeyStatus(host)).toMatchObject({
      code: 0,
      isReachable: true,
      generation: 1,
      hasPassword: false,
      bindingKey: { state: 'Enabled' },
      sealedFiles: { current: 0, all: 0 },
    });
  });

  it('tells which action on which key is refused, where its state is not known', async () => {
    const host = await hostWithMasterKey();
    const effect = { kind: 'error', name: 'AccessDeniedException', status: 400 } as const;
    host.sandbox.faults.add({ service: 'kms', operation: 'DescribeKey', effect });

    const { code, stdout } = await host.run(['master-key', 'status']);

    expect(stdout).toMatch(/^reachable +yes$/mu);
    const [row] = /^its state .*$/mu.exec(stdout) ?? [];
    expect(row).toContain('not known: KMS refuses');
    expect(row).toContain('kms:DescribeKey');
    expect(row).toContain(host.keyArn(bindingKey));
    expect(code).toBe(0);
  });

  it('is made before there is a gateway config, where its key is named, and says so', async () => {
    const host = await setup({ bootstrap: { gatewayConfig: { secretName: 'prod/not-yet' } } });

    const unnamed = await host.run(['master-key', 'create']);
    const made = await host.run(['master-key', 'create', '--key-id', bindingKey]);

    expect(unnamed).toMatchObject({ code: 78, stderr: expect.stringContaining('(SECRET_NOT_FOUND)') });
    expect(made).toMatchObject({ code: 0, stderr: expect.stringContaining('master key 1 (') });
    expect(made.stderr).toContain('there is no secret prod/not-yet yet, so no registry has a copy');
    expect(await masterKeyStatus(host)).toMatchObject({ code: 0, generation: 1 });
  });

  it('that a gateway config of its own refuses is not made without it', async () => {
    const host = await setup({ gateway: (document) => Object.assign(document, { version: 2 }) });

    const done = await host.run(['master-key', 'create', '--key-id', bindingKey]);

    expect(done).toMatchObject({ code: 78, stderr: expect.stringContaining('(GATEWAY_CONFIG_') });
  });

  it('seals without KMS per file, and the agent opens them all with one call', async () => {
    const host = await hostWithMasterKey();
    const values = Object.fromEntries(
      Array.from({ length: 5 }, (_each, n) => [`secret-${n}`, `the value of ${n}`]),
    );
    const files: Record<string, string> = {};
    for (const [name, value] of Object.entries(values)) files[name] = await sealed(host, name, value);
    await host.putGateway(withFiles(host, files));
    host.sandbox.calls.clear();

    await host.started();

    for (const [name, value] of Object.entries(values)) {
      expect(host.delivered(deliveredPath(host, name))).toBe(value);
    }
    // Beside it, the spool's data key is made with GenerateDataKey.
    expect(decrypts(host)).toBe(1);
  });

  it('that cannot be opened says why, in status and by its exit code', async () => {
    const host = await hostWithMasterKey();
    await host.operator.kms.send(new DisableKeyCommand({ KeyId: host.keyArn(bindingKey) }));

    expect(await masterKeyStatus(host)).toMatchObject({
      code: 77,
      isReachable: false,
      failing: { code: 'KEY_DISABLED' },
      bindingKey: { state: 'Disabled' },
    });
    expect((await host.run(['master-key', 'status'])).stdout).toMatch(
      /^reachable {7}no: .*\(KEY_DISABLED\)$/mu,
    );
  });

  it('is needed for what asks for it', async () => {
    const host = await setup();

    for (const command of ['status', 'rewrap', 'reencrypt', 'change-password']) {
      expect({ command, ...(await host.run(['master-key', command])) }).toMatchObject({
        code: 66,
        stderr: expect.stringContaining('(MASTER_KEY_ABSENT)'),
      });
    }
  });
});

describe('a password of the master key', () => {
  it('that is missing is asked for by the flag of the command', async () => {
    const host = await hostWithMasterKey();
    const other = await setup();

    const changed = await host.run(['master-key', 'change-password']);
    const made = await other.run(['master-key', 'create', '--password']);

    expect(changed).toMatchObject({ code: 64, stderr: expect.stringContaining(' --new-password-file') });
    expect(made).toMatchObject({ code: 64, stderr: expect.stringContaining(' --password-file') });
  });

  it('is needed for changes, and for nothing else', async () => {
    const host = await setup();
    const right = writtenFile(host, 'right', 'correct horse battery');
    const wrong = writtenFile(host, 'wrong', 'correct horse batterz');
    const next = writtenFile(host, 'next', 'another long sentence');
    expect((await host.run(['master-key', 'create', '--password-file', right])).code).toBe(0);
    const one = await sealed(host, 'one', 'x');

    for (const command of ['rewrap', 'reencrypt']) {
      expect((await host.run(['master-key', command])).stderr).toContain('(PASSWORD_MISSING)');
      const refused = await host.run(['master-key', command, '--password-file', wrong]);
      expect({ command, ...refused }).toMatchObject({
        code: 77,
        stderr: expect.stringContaining('(PASSWORD_WRONG)'),
      });
    }
    const flags = ['--password-file', right, '--new-password-file', next];
    const changed = await host.run(['master-key', 'change-password', ...flags]);

    expect(changed).toMatchObject({ code: 0 });
    expect(await unsealed(host, one)).toBe('x');
    expect(await host.run(['master-key', 'rewrap', '--password-file', right])).toMatchObject({ code: 77 });
    expect(await host.run(['master-key', 'rewrap', '--password-file', next])).toMatchObject({ code: 0 });
    expect(await masterKeyStatus(host)).toMatchObject({ hasPassword: true, generation: 2 });
  });

  it('that is weak is refused before anything is made', async () => {
    const host = await setup();

    const made = await host.run([
      'master-key',
      'create',
      '--password-file',
      writtenFile(host, 'weak', 'web-1password'),
    ]);

    expect(made).toMatchObject({ code: 64, stderr: expect.stringContaining('(PASSWORD_WEAK)') });
    expect(await host.run(['master-key', 'status'])).toMatchObject({ code: 66 });
  });
});

describe('an older sealed file that is put back', () => {
  it('is refused, until an operator allows it, which the agent audits', async () => {
    const host = await hostWithMasterKey();
    const file = await sealed(host, 'one', 'first');
    const old = readFileSync(file);
    await sealed(host, 'one', 'second', '--force');
    await host.putGateway(withFiles(host, { one: file }));
    writeFileSync(file, old);
    const agent = await host.started();
    const { error } = (await agent.event('secret.read-failed')) as unknown as { error: { code: string } };
    expect(error.code).toBe('SECRET_ROLLED_BACK');

    expect(await host.run(['master-key', 'allow-older', '--name', 'one'])).toMatchObject({ code: 0 });
    agent.kill('SIGHUP');

    await agent.event('secret.older-admitted', (line) => line['version'] === 1 && line['seen'] === 2);
    await eventually(
      'it is delivered',
      () => host.delivered(deliveredPath(host, 'one')) === 'first' || undefined,
    );
  });
});

describe('a manifest', () => {
  it('seals many, and says which it could not', async () => {
    const host = await hostWithMasterKey();
    for (const name of ['a', 'b']) writeFileSync(join(host.disk, name), `value of ${name}`);
    const manifest = join(host.disk, 'manifest.json');
    writeFileSync(manifest, JSON.stringify({ secrets: ['a', 'absent', 'b'].map(entry) }));

    const done = await host.run(['seal', '--manifest', manifest]);

    expect(done).toMatchObject({ code: 1, stderr: expect.stringContaining('(MANIFEST_INCOMPLETE)') });
    expect(done.stderr).toContain('absent: the input file cannot be read (INPUT_MISSING)');
    expect((await host.run(['unseal', join(host.disk, 'b.sealed')])).stdout).toBe('value of b');
    expect(await host.run(['seal', '--manifest', manifest, '--name', 'x'])).toMatchObject({ code: 64 });
  });
});

it('neither master key, password nor value is anywhere but where it belongs', async () => {
  const host = await setup();
  const password = canary('operator password');
  const value = canary('sealed value', { plain: true });
  const passwordFile = join(host.disk, 'password');
  writeFileSync(passwordFile, password.value, { mode: 0o600 });
  const withPassword = ['--password-file', passwordFile, '--log-level', 'debug'];
  await host.operator.createKeysTable('fleet-keys');
  const ended = [await host.run(['master-key', 'create', '--table', 'fleet-keys', ...withPassword])];
  const file = await sealed(host, 'one', value.value);
  await host.putGateway((document) => {
    withFiles(host, { one: file })(document);
    document.keys = { ...document.keys, registryTable: 'fleet-keys' };
  });
  const agent = await host.started();

  ended.push(await host.run(['master-key', 'reencrypt', ...withPassword]));
  agent.kill('SIGHUP');
  await agent.event('master-key.opened', (line) => line['generation'] === 2);
  ended.push(await host.run(['master-key', 'status', '--log-level', 'debug']), await agent.stop());

  const keys = [await masterKeyCanary(host, 1), await masterKeyCanary(host, 2)];
  const { findings, searched } = searchCanaries([password, value, ...keys], {
    buffers: {
      outputs: ended.map(({ stdout, stderr }) => stdout + stderr).join('\n'),
      'CloudWatch Logs': JSON.stringify(host.sandbox.state.logs),
      ...registryItems(host),
    },
    directories: [host.disk, host.runtimeDirectory],
    except: (path) => path === passwordFile || path.startsWith(join(host.runtimeDirectory, 'secrets')),
  });
  expect(findings).toEqual([]);
  expect(searched.places).toContain(join(host.stateDirectory, 'master-key', '2.wrapped'));
  expect(searched.places).toContain(join(host.stateDirectory, 'master-key', 'ledger.db'));
  expect(searched.places).toEqual(
    expect.arrayContaining(['generation#000000001', 'generation#000000002', 'seen#000']),
  );
  expect(host.delivered(deliveredPath(host, 'one')) === value.value).toBe(true);
});

const plainOf = (_key: string, value: unknown) => (value instanceof Map ? [...value] : value);

/** What the registry has of every host, by item: all of it as text, and what is binary as it is. */
function registryItems(host: Host): Record<string, Buffer> {
  const found: Record<string, Buffer> = {};
  for (const { partitions } of host.sandbox.state.dynamoDb.tables.values()) {
    for (const [name, item] of [...partitions.values()].flatMap((items) => Array.from(items))) {
      const binary = [...item.values()].flatMap(({ type, value }) =>
        type === 'B' ? Buffer.from(value, 'base64') : [],
      );
      found[name] = Buffer.concat([Buffer.from(JSON.stringify(item, plainOf)), ...binary]);
    }
  }
  return found;
}

/** The master key itself, opened as the operator could, in the forms in which it might be lying about. */
async function masterKeyCanary(host: Host, generation: number): Promise<Canary> {
  const wrapped = readFileSync(join(host.stateDirectory, 'master-key', `${generation}.wrapped`));
  const kms = awsKms(async () => host.operator.kms);
  const binding = kmsUnwrapper({ trust: { keyArns: parseHeader(wrapped).keyArns }, kmsFor: () => kms });
  const { key } = await openMasterKey(wrapped, { agentName: 'web-1', generation }, binding, never);
  const bytes = Buffer.from(key.revealBytes());
  const texts = [bytes.toString('hex'), bytes.toString('base64').slice(0, -2), bytes.toString('base64url')];
  const forms = [bytes, ...texts.map((text) => Buffer.from(text))].map((each) => ({
    form: 'key',
    bytes: each,
  }));
  return { name: `master key ${generation}`, value: '', forms };
}

function writtenFile(host: Host, name: string, value: string): string {
  const path = join(host.disk, name);
  writeFileSync(path, `${value}\n`, { mode: 0o600 });
  return path;
}

/** A line of a manifest. */
const entry = (name: string) => ({ name, in: name, out: `${name}.sealed` });
