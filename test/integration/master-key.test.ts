import { generateKeyPairSync } from 'node:crypto';
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DisableKeyCommand } from '@aws-sdk/client-kms';
import { describe, expect, it } from 'vitest';
import { awsKms } from '../../src/keys/aws-kms.ts';
import { kmsUnwrapper } from '../../src/keys/kms-keyring.ts';
import { openMasterKey } from '../../src/keys/master-key.ts';
import { sealRsaEnvelope } from '../../src/keys/rsa-envelope.ts';
import { parseHeader } from '../../src/keys/sealed-message.ts';
import { takeLock } from '../../src/system/lock.ts';
import { type Canary, canary, searchCanaries } from '../support/canary.ts';
import { bindingKey, eventually, type GatewayDocument, type Host, setup } from '../support/host.ts';

const never = new AbortController().signal;

/** A host with a master key. */
async function hostWithMasterKey(...more: readonly string[]): Promise<Host> {
  const host = await setup();
  expect(await host.run(['master-key', 'create', ...more])).toMatchObject({ code: 0 });
  return host;
}

/** Seals a secret under the master key; returns the file. */
async function sealed(host: Host, name: string, value: string, ...more: readonly string[]): Promise<string> {
  const file = join(host.disk, `${name}.sealed`);
  const done = await host.run(['seal', '--name', name, '--in', '-', '--out', file, ...more], value);
  expect(done).toMatchObject({ code: 0 });
  return file;
}

/** The gateway config with these sealed files, each delivered. */
function withFiles(host: Host, files: Readonly<Record<string, string>>) {
  return (document: GatewayDocument): void => {
    for (const [name, file] of Object.entries(files)) {
      document.secrets[name] = { sealedFile: file };
      document.deliveries.push({ secret: name, file: deliveredPath(host, name) });
    }
  };
}

const deliveredPath = (host: Host, name: string) => join(host.runtimeDirectory, 'secrets', name);

function decrypts(host: Host): number {
  return host.sandbox.calls.count({ service: 'kms', operation: 'Decrypt' });
}

async function status(host: Host) {
  const { code, stdout } = await host.run(['master-key', 'status', '--json']);
  return { code, ...(JSON.parse(stdout) as Record<string, unknown>) };
}

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
    expect(await status(host)).toMatchObject({
      code: 0,
      isReachable: true,
      generation: 1,
      hasPassword: false,
      bindingKey: { state: 'Enabled' },
      sealedFiles: { current: 0, all: 0 },
    });
  });

  it('is made before there is a gateway config, where its key is named, and says so', async () => {
    const host = await setup({ bootstrap: { gatewayConfig: { secretName: 'prod/not-yet' } } });

    const unnamed = await host.run(['master-key', 'create']);
    const made = await host.run(['master-key', 'create', '--key-id', bindingKey]);

    expect(unnamed).toMatchObject({ code: 78, stderr: expect.stringContaining('(SECRET_NOT_FOUND)') });
    expect(made).toMatchObject({ code: 0, stderr: expect.stringContaining('master key 1 (') });
    expect(made.stderr).toContain('there is no secret prod/not-yet yet, so no registry has a copy');
    expect(await status(host)).toMatchObject({ code: 0, generation: 1 });
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
    const alias = [...host.sandbox.state.kms.aliases.values()].find(({ name }) => name === bindingKey);
    await host.operator.kms.send(new DisableKeyCommand({ KeyId: alias?.targetKeyArn }));

    expect(await status(host)).toMatchObject({
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

describe('a change of the master key', () => {
  it('re-encrypts every file while the agent runs, which follows', async () => {
    const host = await hostWithMasterKey();
    const files = {
      one: await sealed(host, 'one', 'value of one'),
      two: await sealed(host, 'two', 'value of two'),
    };
    await host.putGateway(withFiles(host, files));
    const agent = await host.started();
    const before = readFileSync(files.one);

    const changed = await host.run(['master-key', 'reencrypt', '--json']);

    expect(JSON.parse(changed.stdout)).toMatchObject({ generation: 2, files: 2, gone: [], isBack: false });
    expect(readFileSync(files.one).equals(before)).toBe(false);
    agent.kill('SIGHUP');
    await agent.event('master-key.opened', (line) => line['generation'] === 2);
    await eventually('the agent has read both again', async () => {
      const { secrets } = await host.status();
      return secrets.every(({ failing }) => failing === undefined) || undefined;
    });
    expect(host.delivered(deliveredPath(host, 'two'))).toBe('value of two');
    expect((await agent.stop()).code).toBe(0);
    expect(await status(host)).toMatchObject({
      generation: 2,
      generations: [
        { number: 1, state: 'retired' },
        { number: 2, state: 'current' },
      ],
      sealedFiles: { current: 2, all: 2 },
    });
  });

  it('finds files that are not on record, and leaves out what nothing opens', async () => {
    const host = await hostWithMasterKey();
    const known = await sealed(host, 'known', 'x');
    const damaged = await sealed(host, 'damaged', 'y');
    writeFileSync(damaged, readFileSync(damaged).subarray(0, -1));

    const left = await host.run(['master-key', 'reencrypt']);

    expect(left).toMatchObject({ code: 1, stderr: expect.stringContaining('(MASTER_KEY_FILES_LEFT)') });
    expect(left.stderr).toContain(
      `${damaged}: the sealed data is damaged, incomplete or forged (SEALED_DAMAGED)`,
    );
    expect(await status(host)).toMatchObject({
      change: { from: 1, to: 2 },
      sealedFiles: { current: 1, all: 2 },
    });

    const done = await host.run([
      'master-key',
      'reencrypt',
      '--forget',
      damaged,
      '--also',
      host.disk,
      '--json',
    ]);
    expect(JSON.parse(done.stdout)).toMatchObject({ generation: 2, files: 1 });
    expect((await host.run(['unseal', known])).stdout).toBe('x');
  });

  it('that is under way in another process is waited for', async () => {
    const host = await hostWithMasterKey();
    await sealed(host, 'one', 'x');
    const lock = await lockedBySomebody(host);
    try {
      expect(await host.run(['master-key', 'reencrypt'])).toMatchObject({
        code: 75,
        stderr: expect.stringContaining('(MASTER_KEY_CHANGING)'),
      });
      // Sealing goes on.
      await sealed(host, 'two', 'y');
    } finally {
      lock.release();
    }
    expect(await host.run(['master-key', 'reencrypt'])).toMatchObject({ code: 0 });
  });

  it('is given up on request', async () => {
    const host = await hostWithMasterKey();
    const one = await sealed(host, 'one', 'x');
    const damaged = await sealed(host, 'two', 'y');
    writeFileSync(damaged, 'no sealed file any more');
    expect((await host.run(['master-key', 'reencrypt'])).code).toBe(1);

    const back = await host.run(['master-key', 'reencrypt', '--abort', '--forget', damaged, '--json']);

    expect(JSON.parse(back.stdout)).toMatchObject({ generation: 1, isBack: true, files: 1 });
    expect(await host.run(['unseal', one, '--json'])).toMatchObject({
      stdout: 'x',
      stderr: '{"name":"one","generation":1}\n',
    });
    expect(await host.run(['master-key', 'reencrypt', '--abort'])).toMatchObject({
      stderr: expect.stringContaining('(MASTER_KEY_NOT_CHANGING)'),
    });
    // The number of what was given up is not used again.
    expect(JSON.parse((await host.run(['master-key', 'reencrypt', '--json'])).stdout)).toMatchObject({
      generation: 3,
    });
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
    expect((await host.run(['unseal', one])).stdout).toBe('x');
    expect(await host.run(['master-key', 'rewrap', '--password-file', right])).toMatchObject({ code: 77 });
    expect(await host.run(['master-key', 'rewrap', '--password-file', next])).toMatchObject({ code: 0 });
    expect(await status(host)).toMatchObject({ hasPassword: true, generation: 2 });
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

/** A host whose agent saw version 2 of a secret, with version 1 of its file kept. */
async function hostThatSawTwo() {
  const host = await setup();
  await host.operator.createKeysTable('fleet-keys');
  expect((await host.run(['master-key', 'create', '--table', 'fleet-keys'])).code).toBe(0);
  const file = await sealed(host, 'one', 'first');
  const old = readFileSync(file);
  await sealed(host, 'one', 'second', '--force');
  await host.putGateway((document) => {
    withFiles(host, { one: file })(document);
    document.keys = { ...document.keys, registryTable: 'fleet-keys' };
  });
  const agent = await host.started();
  expect(host.delivered(deliveredPath(host, 'one'))).toBe('second');
  await agent.stop();
  return { host, file, old };
}

/** What whoever has the public half of an RSA key can make. */
function envelopeUnder(keyArn: string): Buffer {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const claims = { keyArn, agentName: 'web-1', generation: 1 };
  return sealRsaEnvelope(claims, Buffer.alloc(34), publicKey.export({ format: 'der', type: 'spki' }));
}

function withoutRecords(host: Host): void {
  for (const end of ['', '-wal', '-shm']) {
    rmSync(join(host.stateDirectory, 'master-key', `ledger.db${end}`), { force: true });
  }
}

describe('the registry as rollback guard', () => {
  it('refuses an older file on a host whose own records were removed, until an operator allows it', async () => {
    const { host, file, old } = await hostThatSawTwo();
    withoutRecords(host);
    writeFileSync(file, old);
    const agent = await host.started();

    const refused = (await agent.event('secret.read-failed')) as unknown as { error: { code: string } };
    expect(refused.error.code).toBe('SECRET_ROLLED_BACK');
    const allowed = await host.run(['master-key', 'allow-older', '--name', 'one', '--json']);
    agent.kill('SIGHUP');

    expect(JSON.parse(allowed.stdout)).toEqual({ name: 'one', seen: 2 });
    await agent.event('secret.older-admitted', (line) => line['version'] === 1 && line['seen'] === 2);
    await eventually(
      'it is delivered',
      () => host.delivered(deliveredPath(host, 'one')) === 'first' || undefined,
    );
  });

  it('brings back what a lost disk knew, and is said in status', async () => {
    const { host, file, old } = await hostThatSawTwo();
    rmSync(host.stateDirectory, { recursive: true });
    writeFileSync(file, old);

    expect((await host.run(['master-key', 'recover', '--table', 'fleet-keys'])).code).toBe(0);

    expect((await host.run(['master-key', 'status'])).stdout).toContain(
      'rollback guard  the registry knows the versions of 1 secret\n',
    );
    // Sealing counts on, or the agent would refuse it.
    await sealed(host, 'one', 'third', '--force');
    const agent = await host.started();
    expect(host.delivered(deliveredPath(host, 'one'))).toBe('third');
    await agent.stop();
  });

  it('lets sealing count on where the whole disk was put back to an older state', async () => {
    const host = await setup();
    await host.operator.createKeysTable('fleet-keys');
    expect((await host.run(['master-key', 'create', '--table', 'fleet-keys'])).code).toBe(0);
    const file = await sealed(host, 'one', 'first');
    const [oldFile, oldState] = [readFileSync(file), join(host.disk, 'state-before')];
    cpSync(host.stateDirectory, oldState, { recursive: true });
    for (const value of ['second', 'third']) await sealed(host, 'one', value, '--force');
    await host.putGateway(withFiles(host, { one: file }));
    await (await host.started()).stop();
    rmSync(host.stateDirectory, { recursive: true });
    cpSync(oldState, host.stateDirectory, { recursive: true });
    writeFileSync(file, oldFile);
    const agent = await host.started();
    await agent.event('secret.read-failed');
    await agent.stop();

    await sealed(host, 'one', 'fourth', '--force');

    await (await host.started()).stop();
    expect(host.delivered(deliveredPath(host, 'one'))).toBe('fourth');
  });

  it('asks it once at a start, and starts without it, which is said', async () => {
    const { host } = await hostThatSawTwo();
    host.sandbox.calls.clear();
    await (await host.started()).stop();
    expect(host.sandbox.calls.count({ service: 'dynamodb' })).toBe(1);
    host.sandbox.faults.add({ service: 'dynamodb', count: 50, effect: { kind: 'cut' } });

    const agent = await host.started();

    expect(await agent.event('master-key.watermark-away')).toMatchObject({ table: 'fleet-keys' });
    expect(host.delivered(deliveredPath(host, 'one'))).toBe('second');
    await agent.stop();
  });
});

describe('the registry', () => {
  it('gives a host that lost its disk its master key back', async () => {
    const host = await setup();
    await host.operator.createKeysTable('fleet-keys');
    const made = await host.run(['master-key', 'create', '--table', 'fleet-keys', '--json']);
    const first = (JSON.parse(made.stdout) as { fingerprint: string }).fingerprint;
    const file = await sealed(host, 'one', 'x');
    const changed = await host.run(['master-key', 'reencrypt', '--json']);
    const { fingerprint } = JSON.parse(changed.stdout) as { fingerprint: string };
    expect(await status(host)).toMatchObject({ registry: { table: 'fleet-keys', state: 'agrees' } });
    rmSync(host.stateDirectory, { recursive: true });
    expect((await host.run(['unseal', file])).code).toBe(66);

    const done = await host.run(['master-key', 'recover', '--table', 'fleet-keys', '--json']);

    expect(JSON.parse(done.stdout)).toEqual({ table: 'fleet-keys', generations: [1, 2], fingerprint });
    expect((await host.run(['unseal', file])).stdout).toBe('x');
    expect(await status(host)).toMatchObject({
      generation: 2,
      generations: [
        { number: 1, state: 'retired' },
        { number: 2, state: 'current' },
      ],
      registry: { state: 'agrees' },
    });
    expect(first).toMatch(/^[0-9a-f]{32}$/u);
    expect(fingerprint).not.toBe(first);
    expect(await host.run(['master-key', 'recover', '--table', 'fleet-keys'])).toMatchObject({ code: 73 });
  });

  it('gives it back wherever a recovery stopped, and meanwhile nothing is sealed under a retired one', async () => {
    const host = await setup();
    await host.operator.createKeysTable('fleet-keys');
    expect((await host.run(['master-key', 'create', '--table', 'fleet-keys'])).code).toBe(0);
    const file = await sealed(host, 'one', 'x');
    expect((await host.run(['master-key', 'reencrypt'])).code).toBe(0);
    rmSync(host.stateDirectory, { recursive: true });
    const effect = { kind: 'error', name: 'AccessDeniedException', status: 400 } as const;
    const recover = ['master-key', 'recover', '--table', 'fleet-keys'];
    const stopped = async (nth: number) => {
      const fault = host.sandbox.faults.add({ service: 'kms', operation: 'Decrypt', nth, effect });
      const { code, stderr } = await host.run(recover);
      host.sandbox.faults.remove(fault);
      return { code, stderr };
    };

    expect(await stopped(1)).toMatchObject({ code: 77 });
    // The one that seals is opened first; an older one that does not open is left, and said.
    expect(await stopped(2)).toMatchObject({ code: 1, stderr: expect.stringContaining('generation 1: ') });
    expect(await status(host)).toMatchObject({
      generation: 2,
      generations: [{ number: 2, state: 'current' }],
    });
    expect((await host.run(['unseal', file])).stdout).toBe('x');
    expect(await host.run(recover)).toMatchObject({ code: 0 });

    expect(await status(host)).toMatchObject({
      generation: 2,
      generations: [
        { number: 1, state: 'retired' },
        { number: 2, state: 'current' },
      ],
      registry: { state: 'agrees' },
    });
    expect((await host.run(['unseal', file])).stdout).toBe('x');
    expect(await host.run(recover)).toMatchObject({ code: 73 });
  });

  it('brings no key of another account, unless the gateway config names it', async () => {
    const host = await setup();
    await host.operator.createKeysTable('fleet-keys');
    const theirs = 'arn:aws:kms:eu-west-1:999999999999:key/11111111-2222-3333-4444-555555555555';
    await host.operator.putMasterKey('fleet-keys', 'web-1', envelopeUnder(theirs));
    host.sandbox.calls.clear();
    const recover = ['master-key', 'recover', '--table', 'fleet-keys'];

    const refused = await host.run(recover);
    const before = decrypts(host);
    await host.putGateway((document) => {
      document.keys = { ...document.keys, trustedKeys: [theirs] };
    });
    await host.run(recover);

    expect(refused).toMatchObject({ code: 77, stderr: expect.stringContaining('(KEY_NOT_TRUSTED)') });
    expect(before).toBe(0);
    expect(decrypts(host)).toBe(1);
  });

  it('that was refused is forgotten by the host, which may do without', async () => {
    const host = await setup();
    await host.operator.createKeysTable('fleet-keys');
    await host.operator.leaseKeys('fleet-keys', 'web-1', 'somebody', new Date(Date.now() + 600_000));
    expect(await host.run(['master-key', 'create', '--table', 'fleet-keys'])).toMatchObject({ code: 75 });

    const done = await host.run(['master-key', 'create']);

    expect(done).toMatchObject({ code: 0, stderr: expect.stringContaining('keep a copy of that file') });
  });

  it('that is away when a change ends has it go on later, and has a key to give back meanwhile', async () => {
    const host = await setup();
    await host.operator.createKeysTable('fleet-keys');
    expect((await host.run(['master-key', 'create', '--table', 'fleet-keys'])).code).toBe(0);
    const effect = { kind: 'error', name: 'AccessDeniedException', status: 400 } as const;
    // After the lease: the new generation, that it is current, and that the one before is retired.
    const fault = host.sandbox.faults.add({ service: 'dynamodb', operation: 'PutItem', nth: 4, effect });

    expect(await host.run(['master-key', 'reencrypt'])).toMatchObject({ code: 77 });
    host.sandbox.faults.remove(fault);
    const interrupted = await status(host);
    const { stateDirectory } = host;
    renameSync(stateDirectory, `${stateDirectory}-kept`);
    await host.run(['master-key', 'recover', '--table', 'fleet-keys']);
    const recovered = await status(host);
    rmSync(stateDirectory, { recursive: true });
    renameSync(`${stateDirectory}-kept`, stateDirectory);
    expect(await host.run(['master-key', 'reencrypt'])).toMatchObject({ code: 0 });

    expect(interrupted).toMatchObject({ change: { from: 1, to: 2 }, registry: { state: 'agrees' } });
    expect(recovered).toMatchObject({ generation: 2 });
    const ended = await status(host);
    expect(ended).toMatchObject({ generation: 2, registry: { state: 'agrees' } });
    expect(ended).not.toHaveProperty('change');
  });

  it('that was put back to an older state does not agree, and is bound again', async () => {
    const host = await setup();
    await host.operator.createKeysTable('fleet-keys');
    expect((await host.run(['master-key', 'create', '--table', 'fleet-keys'])).code).toBe(0);
    const effect = { kind: 'error', name: 'AccessDeniedException', status: 400 } as const;
    const fault = host.sandbox.faults.add({ service: 'dynamodb', operation: 'PutItem', nth: 3, effect });
    expect((await host.run(['master-key', 'reencrypt'])).code).toBe(77);
    host.sandbox.faults.remove(fault);
    // There the new generation has not begun to seal.
    const before = host.sandbox.snapshot();
    expect((await host.run(['master-key', 'reencrypt'])).code).toBe(0);
    host.sandbox.restore(before);

    const behind = await status(host);
    await host.run(['master-key', 'bind', '--table', 'fleet-keys']);

    expect(behind).toMatchObject({ generation: 2, registry: { state: 'disagrees' } });
    expect(await status(host)).toMatchObject({ registry: { state: 'agrees' } });
  });

  it('is bound later, follows every change, and tells another life of the host from this one', async () => {
    const host = await hostWithMasterKey();
    expect(await host.run(['master-key', 'bind', '--table', 'fleet-keys'])).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('(REGISTRY_TABLE_MISSING)'),
    });
    await host.operator.createKeysTable('fleet-keys');
    expect((await host.run(['master-key', 'status'])).stdout).toContain('registry        none: ');

    await sealed(host, 'one', 'x');
    const bound = await host.run(['master-key', 'bind', '--table', 'fleet-keys', '--json']);

    expect(JSON.parse(bound.stdout)).toEqual({ table: 'fleet-keys', generations: [1] });
    await host.operator.createKey('alias/next');
    expect((await host.run(['master-key', 'rewrap', '--key-id', 'alias/next'])).code).toBe(0);
    expect(await status(host)).toMatchObject({ registry: { state: 'agrees', secretsSeen: 1 } });
    rmSync(host.stateDirectory, { recursive: true });
    expect(await host.run(['master-key', 'create', '--table', 'fleet-keys'])).toMatchObject({
      code: 77,
      stderr: expect.stringContaining('(REGISTRY_DISAGREES)'),
    });
  });

  it('lets one operator change at a time, and no change go on without it', async () => {
    const host = await setup();
    await host.operator.createKeysTable('fleet-keys');
    expect((await host.run(['master-key', 'create', '--table', 'fleet-keys'])).code).toBe(0);
    await host.operator.leaseKeys('fleet-keys', 'web-1', 'somebody', new Date(Date.now() + 600_000));

    const refused = await host.run(['master-key', 'reencrypt']);
    await host.operator.leaseKeys('fleet-keys', 'web-1', 'somebody', new Date(Date.now() - 1000));
    const done = await host.run(['master-key', 'reencrypt']);
    host.sandbox.faults.add({ service: 'dynamodb', count: 20, effect: { kind: 'cut' } });
    const cut = await host.run(['master-key', 'reencrypt']);

    expect(refused).toMatchObject({
      code: 75,
      stderr: expect.stringMatching(/holder somebody; until \S+Z/u),
    });
    expect(done).toMatchObject({ code: 0 });
    expect(cut).toMatchObject({ code: 69, stderr: expect.stringContaining('(REGISTRY_UNREACHABLE)') });
  });
});

describe('another binding key', () => {
  it('wraps the master key, files untouched, and the old one can go', async () => {
    const host = await hostWithMasterKey();
    const file = await sealed(host, 'one', 'x');
    const before = readFileSync(file);
    const old = [...host.sandbox.state.kms.aliases.values()].find(
      ({ name }) => name === bindingKey,
    )?.targetKeyArn;
    const next = await host.operator.createKey('alias/next');

    const done = await host.run(['master-key', 'rewrap', '--key-id', 'alias/next', '--json']);
    await host.operator.kms.send(new DisableKeyCommand({ KeyId: old }));

    expect(JSON.parse(done.stdout)).toEqual({ bindingKeyArn: next, generations: [1] });
    expect(readFileSync(file).equals(before)).toBe(true);
    expect((await host.run(['unseal', file])).stdout).toBe('x');
  });

  it('leaves a generation that does not open as it is, wraps the rest, and says which', async () => {
    const host = await hostWithMasterKey();
    const file = await sealed(host, 'one', 'x');
    expect((await host.run(['master-key', 'reencrypt'])).code).toBe(0);
    const lost = join(host.stateDirectory, 'master-key', '1.wrapped');
    const damaged = readFileSync(lost);
    damaged.writeUInt8(damaged.readUInt8(100) ^ 1, 100);
    writeFileSync(lost, damaged);
    const next = await host.operator.createKey('alias/next');

    const done = await host.run(['master-key', 'rewrap', '--key-id', 'alias/next']);

    expect(done).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/\(MASTER_KEY_GENERATIONS_LEFT\)[\s\S]*generation 1: /u),
    });
    expect(await status(host)).toMatchObject({ generation: 2, bindingKey: { arn: next } });
    expect(readFileSync(lost).equals(damaged)).toBe(true);
    expect((await host.run(['unseal', file])).stdout).toBe('x');
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

async function lockedBySomebody(host: Host): Promise<{ release(): void }> {
  const lock = takeLock(join(host.stateDirectory, 'master-key', 'change.lock'));
  if (lock === undefined) throw new Error('somebody has it already');
  return lock;
}
