import { generateKeyPairSync } from 'node:crypto';
import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openLedger } from '../../src/keys/ledger.ts';
import { sealRsaEnvelope } from '../../src/keys/rsa-envelope.ts';
import { startProgram } from '../support/agent.ts';
import { eventually, type Host, setup } from '../support/host.ts';
import {
  decrypts,
  deliveredPath,
  hostWithMasterKey,
  hostWithRegistry,
  masterKeyStatus,
  sealed,
  unsealed,
  withFiles,
} from '../support/master-key-commands.ts';

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
    const host = await hostWithRegistry();
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
    expect(await masterKeyStatus(host)).toMatchObject({ registry: { table: 'fleet-keys', state: 'agrees' } });
    rmSync(host.stateDirectory, { recursive: true });
    expect((await host.run(['unseal', file])).code).toBe(66);

    const done = await host.run(['master-key', 'recover', '--table', 'fleet-keys', '--json']);

    expect(JSON.parse(done.stdout)).toEqual({ table: 'fleet-keys', generations: [1, 2], fingerprint });
    expect(await unsealed(host, file)).toBe('x');
    expect(await masterKeyStatus(host)).toMatchObject({
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
    const host = await hostWithRegistry();
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
    expect(await masterKeyStatus(host)).toMatchObject({
      generation: 2,
      generations: [{ number: 2, state: 'current' }],
    });
    expect(await unsealed(host, file)).toBe('x');
    expect(await host.run(recover)).toMatchObject({ code: 0 });

    expect(await masterKeyStatus(host)).toMatchObject({
      generation: 2,
      generations: [
        { number: 1, state: 'retired' },
        { number: 2, state: 'current' },
      ],
      registry: { state: 'agrees' },
    });
    expect(await unsealed(host, file)).toBe('x');
    expect(await host.run(recover)).toMatchObject({ code: 73 });
  });

  it('has the key that seals on record before it brings one that was only to come', async () => {
    const host = await hostWithRegistry();
    const file = await sealed(host, 'one', 'x');
    writeFileSync(file, 'damaged');
    // The registry has generation 2 as the next one.
    expect(await host.run(['master-key', 'reencrypt'])).toMatchObject({ code: 1 });
    rmSync(host.stateDirectory, { recursive: true });
    host.sandbox.faults.add({ service: 'kms', operation: 'Decrypt', nth: 2, effect: { kind: 'hold' } });
    const recovering = startProgram(
      ['master-key', 'recover', '--table', 'fleet-keys', '--config', host.configFile],
      host.env,
    );

    await eventually('it waits for the second', () => host.sandbox.faults.list()[0]?.hits === 1 || undefined);
    recovering.kill('SIGKILL');
    await recovering.finished;

    const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const ledger = openLedger(join(host.stateDirectory, 'master-key', 'ledger.db'), { busyMsMax: 0, owner });
    onTestFinished(() => ledger.close());
    expect(ledger.generations()).toMatchObject([
      { number: 1, state: 'current', proof: { hasPassword: false } },
    ]);
  });

  it.each([
    [
      'tells how it goes on, where the registry has still to hear of it',
      { operation: 'PutItem', nth: 3 },
      130,
    ],
    ['ends well, where nothing but its lease is left to give back', { operation: 'DeleteItem' }, 0],
  ])('a change that Ctrl-C reaches late %s', async (_what, call, code) => {
    const host = await hostWithRegistry();
    await sealed(host, 'one', 'x');
    const held = host.sandbox.faults.add({ service: 'dynamodb', ...call, effect: { kind: 'hold' } });
    const changing = startProgram(['master-key', 'reencrypt', '--config', host.configFile], host.env);

    await eventually(
      'it waits for the registry',
      () => host.sandbox.faults.list()[0]?.hits === 1 || undefined,
    );
    changing.kill('SIGINT');
    if (code === 0) {
      await eventually('the key is changed', async () => {
        const { generation } = await masterKeyStatus(host);
        return generation === 2 || undefined;
      });
      host.sandbox.faults.remove(held);
    }

    const ended = await changing.finished;
    expect(ended.stderr.includes('stopped on the way')).toBe(code === 130);
    expect(ended.stderr.includes('sealed files are under master key 2')).toBe(code === 0);
    expect(ended.code).toBe(code);
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
    const host = await hostWithRegistry();
    const effect = { kind: 'error', name: 'AccessDeniedException', status: 400 } as const;
    // After the lease: the new generation, that it is current, and that the one before is retired.
    const fault = host.sandbox.faults.add({ service: 'dynamodb', operation: 'PutItem', nth: 4, effect });

    expect(await host.run(['master-key', 'reencrypt'])).toMatchObject({ code: 77 });
    host.sandbox.faults.remove(fault);
    const interrupted = await masterKeyStatus(host);
    const { stateDirectory } = host;
    renameSync(stateDirectory, `${stateDirectory}-kept`);
    await host.run(['master-key', 'recover', '--table', 'fleet-keys']);
    const recovered = await masterKeyStatus(host);
    rmSync(stateDirectory, { recursive: true });
    renameSync(`${stateDirectory}-kept`, stateDirectory);
    expect(await host.run(['master-key', 'reencrypt'])).toMatchObject({ code: 0 });

    expect(interrupted).toMatchObject({ change: { from: 1, to: 2 }, registry: { state: 'agrees' } });
    expect(recovered).toMatchObject({ generation: 2 });
    const ended = await masterKeyStatus(host);
    expect(ended).toMatchObject({ generation: 2, registry: { state: 'agrees' } });
    expect(ended).not.toHaveProperty('change');
  });

  it('that was put back to an older state does not agree, and is bound again', async () => {
    const host = await hostWithRegistry();
    const effect = { kind: 'error', name: 'AccessDeniedException', status: 400 } as const;
    const fault = host.sandbox.faults.add({ service: 'dynamodb', operation: 'PutItem', nth: 3, effect });
    expect((await host.run(['master-key', 'reencrypt'])).code).toBe(77);
    host.sandbox.faults.remove(fault);
    // There the new generation has not begun to seal.
    const before = host.sandbox.snapshot();
    expect((await host.run(['master-key', 'reencrypt'])).code).toBe(0);
    host.sandbox.restore(before);

    const behind = await masterKeyStatus(host);
    await host.run(['master-key', 'bind', '--table', 'fleet-keys']);

    expect(behind).toMatchObject({ generation: 2, registry: { state: 'disagrees' } });
    expect(await masterKeyStatus(host)).toMatchObject({ registry: { state: 'agrees' } });
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
    expect(await masterKeyStatus(host)).toMatchObject({ registry: { state: 'agrees', secretsSeen: 1 } });
    rmSync(host.stateDirectory, { recursive: true });
    expect(await host.run(['master-key', 'create', '--table', 'fleet-keys'])).toMatchObject({
      code: 77,
      stderr: expect.stringContaining('(REGISTRY_DISAGREES)'),
    });
  });

  it('lets one operator change at a time, and no change go on without it', async () => {
    const host = await hostWithRegistry();
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

/** A host whose agent saw version 2 of a secret, with version 1 of its file kept. */
async function hostThatSawTwo() {
  const host = await hostWithRegistry();
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
