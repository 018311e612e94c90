import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateAliasCommand, CreateKeyCommand, DisableKeyCommand } from '@aws-sdk/client-kms';
import { describe, expect, it } from 'vitest';
import { awsKms } from '../../src/keys/aws-kms.ts';
import { kmsUnwrapper } from '../../src/keys/kms-keyring.ts';
import { openMasterKey, wrappingOf } from '../../src/keys/master-key.ts';
import { type Canary, canary, searchCanaries } from '../support/canary.ts';
import { bindingKey, type Host, numbered, setup } from '../support/host.ts';

const rsaKey = 'alias/gatehouse-rsa';
/** What waits cannot be sent at a stop: AWS is away. */
const bootstrap = { stopTimeoutSeconds: 2 };

describe('an agent whose binding key is an RSA key', () => {
  it('opens sealed files and its spool with one call to KMS', async () => {
    const host = await hostUnderRsa();
    host.sandbox.calls.clear();

    await host.started();
    host.log(['a line']);

    expect(await host.arrived(1)).toEqual(['a line']);
    expect(host.delivered(deliveredPath(host))).toBe('value of one');
    expect((await host.status()).events?.spool.isSealed).toBe(true);
    expect(kmsCalls(host)).toEqual(['DescribeKey', 'Decrypt']);
  });

  it('sends after a kill what waited in its spool, also when the master key was changed meanwhile', async () => {
    const host = await hostUnderRsa();
    const outage = host.sandbox.faults.add({ service: 'logs', effect: { kind: 'cut' } });
    const agent = await host.started();
    host.log(numbered(50));
    await host.spooled(50);
    agent.kill('SIGKILL');
    await agent.finished;
    expect(await host.run(['master-key', 'reencrypt'])).toMatchObject({ code: 0 });
    host.sandbox.faults.remove(outage);

    const next = await host.started();

    expect(await host.arrived(50)).toEqual(numbered(50));
    expect((await next.stop()).code).toBe(0);
    expect(next.lines().filter(({ event }) => event === 'events.batches-lost')).toEqual([]);
  });

  it('does not start without a master key, and says how to get one', async () => {
    const host = await setup({ gateway: (document) => (document.keys = { bindingKey: rsaKey }) });
    await host.operator.createKey(rsaKey, 'RSA_2048');

    const { code, stderr } = await host.start().finished;

    expect({ code, stderr }).toEqual({
      code: 66,
      stderr: expect.stringMatching(
        /\(MASTER_KEY_ABSENT\)[\s\S]*hint: Make one: gatehouse master-key create/u,
      ),
    });
    // And one can be made.
    expect(await host.run(['master-key', 'create'])).toMatchObject({ code: 0 });
    await host.started();
  });

  it('does not start with a key that signs, and says so', async () => {
    const host = await setup({ gateway: (document) => (document.keys = { bindingKey: 'alias/signing' }) });
    const { KeyMetadata: key } = await host.operator.kms.send(
      new CreateKeyCommand({ KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' }),
    );
    await host.operator.kms.send(
      new CreateAliasCommand({ AliasName: 'alias/signing', TargetKeyId: key?.KeyId }),
    );

    const { code, stderr } = await host.start().finished;

    expect({ code, stderr }).toEqual({ code: 78, stderr: expect.stringContaining('(KEY_KIND_UNSUITABLE)') });
  });

  it('takes over from a symmetric key what waits in the spool, and that key can go', async () => {
    const host = await setup({ bootstrap });
    expect(await host.run(['master-key', 'create'])).toMatchObject({ code: 0 });
    const outage = host.sandbox.faults.add({ service: 'logs', effect: { kind: 'cut' } });
    const agent = await host.started();
    host.log(numbered(50));
    await host.spooled(50);
    expect((await agent.stop()).code).toBe(0);

    await host.operator.createKey(rsaKey, 'RSA_2048');
    expect(await host.run(['master-key', 'rewrap', '--key-id', rsaKey])).toMatchObject({ code: 0 });
    const symmetric = host.keyArn(bindingKey);
    await host.putGateway((document) => {
      document.keys = { bindingKey: rsaKey, trustedKeys: [symmetric] };
    });
    const between = await host.started();
    await between.event('key.rewrapped');
    expect((await between.stop()).code).toBe(0);
    await host.operator.kms.send(new DisableKeyCommand({ KeyId: symmetric }));
    await host.putGateway((document) => (document.keys = { bindingKey: rsaKey }));
    host.sandbox.faults.remove(outage);

    await host.started();

    expect(await host.arrived(50)).toEqual(numbered(50));
  });

  it('keeps master key, data keys and values where they belong', async () => {
    const value = canary('sealed value', { plain: true });
    const line = canary('log line', { plain: true });
    const host = await hostUnderRsa(value.value);
    const outage = host.sandbox.faults.add({ service: 'logs', effect: { kind: 'cut' } });
    const agent = await host.started();
    host.log([line.value]);
    await host.spooled(1);
    const ended = [await agent.stop(), await host.run(['master-key', 'status', '--log-level', 'debug'])];
    host.sandbox.faults.remove(outage);

    const { findings, searched } = searchCanaries([value, line, await masterKeyCanary(host)], {
      buffers: { outputs: ended.map(({ stdout, stderr }) => stdout + stderr).join('\n') },
      directories: [host.disk, host.runtimeDirectory],
      except: (path) => path === host.logFile || path.startsWith(join(host.runtimeDirectory, 'secrets')),
    });

    expect(findings).toEqual([]);
    expect(searched.places).toContain(join(host.stateDirectory, 'master-key', '1.wrapped'));
    expect(searched.places.some((place) => place.includes('/spool-keys/'))).toBe(true);
    expect(host.delivered(deliveredPath(host)) === value.value).toBe(true);
  });
});

/** A host with a master key under an RSA key, and a sealed file that is delivered. */
async function hostUnderRsa(value = 'value of one'): Promise<Host> {
  const host = await setup({ bootstrap });
  await host.operator.createKey(rsaKey, 'RSA_2048');
  expect(await host.run(['master-key', 'create', '--key-id', rsaKey])).toMatchObject({ code: 0 });
  const file = join(host.disk, 'one.sealed');
  const sealed = await host.run(['seal', '--name', 'one', '--in', '-', '--out', file], value);
  expect(sealed).toMatchObject({ code: 0 });
  await host.putGateway((document) => {
    document.keys = { bindingKey: rsaKey };
    document.secrets['one'] = { sealedFile: file };
    document.deliveries.push({ secret: 'one', file: deliveredPath(host) });
  });
  return host;
}

const deliveredPath = (host: Host): string => join(host.runtimeDirectory, 'secrets', 'one');

const kmsCalls = (host: Host): readonly string[] =>
  host.sandbox.calls.list({ service: 'kms' }).map(({ operation }) => operation);

/** The master key, opened as the operator could, in the forms in which it might be lying about. */
async function masterKeyCanary(host: Host): Promise<Canary> {
  const wrapped = readFileSync(join(host.stateDirectory, 'master-key', '1.wrapped'));
  const kms = awsKms(async () => host.operator.kms);
  const trust = { keyArns: [wrappingOf(wrapped).keyArn] };
  const { signal } = new AbortController();
  const opener = kmsUnwrapper({ trust, kmsFor: () => kms });
  const { key } = await openMasterKey(wrapped, { agentName: 'web-1', generation: 1 }, opener, signal);
  const bytes = Buffer.from(key.revealBytes());
  const texts = [bytes.toString('hex'), bytes.toString('base64').slice(0, -2), bytes.toString('base64url')];
  const forms = [bytes, ...texts.map((text) => Buffer.from(text))].map((each) => ({
    form: 'key',
    bytes: each,
  }));
  return { name: 'master key', value: '', forms };
}
