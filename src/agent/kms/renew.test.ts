import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateGrantCommand, CreateKeyCommand, KMSClient, PutKeyPolicyCommand } from '@aws-sdk/client-kms';
import {
  CreateSecretCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createSandbox } from '../../../sandbox/sandbox.ts';
import { operatorLaunch } from '../../../test/support/operator-launch.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { systemClock } from '../../base/clock.ts';
import { wrappingOf } from '../../keys/master-key.ts';
import { createMasterKey } from '../master-key/create.ts';
import { createKey } from './create-key.ts';
import { importKeyMaterial } from './import-key-material.ts';
import { type RenewRequest, renewKey } from './renew.ts';

const never = new AbortController().signal;
const renewalOrder = ['create', 'import', 'move alias', 'rewrap'];
const alias = 'alias/binding';

/** A host with a master key under a key of imported material, named by an alias. */
async function setup({ hasMasterKey = true, origin = 'EXTERNAL' } = {}) {
  const sandbox = createSandbox({ region: 'eu-west-1' });
  const listener = await sandbox.listen({ port: 0 });
  onTestFinished(() => listener.close());
  const credentials = sandbox.identities.createUser('operator');
  const client = { region: 'eu-west-1', endpoint: listener.url, credentials };
  const kms = new KMSClient(client);
  const secretsManager = new SecretsManagerClient(client);
  onTestFinished(() => kms.destroy());
  onTestFinished(() => secretsManager.destroy());
  const folder = temporaryDirectory();
  const stateDirectory = join(folder, 'state');
  const logged: unknown[] = [];
  let aheadMs = 0;
  const passDays = (days: number): void => {
    aheadMs += days * 24 * 60 * 60 * 1000;
  };
  const host = { name: 'web-1', stateDirectory };
  const launch = operatorLaunch({
    folder,
    url: listener.url,
    credentials,
    bootstrap: host,
    clock: { ...systemClock, now: () => new Date(Date.now() + aheadMs) },
    writeLog: (line) => logged.push(line),
  });
  const follow = (secretName: string): void =>
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...host, gatewayConfig: { secretName } }));
  const materialFile = (name: string): string => {
    const file = join(folder, name);
    writeFileSync(file, randomBytes(32), { mode: 0o600 });
    return file;
  };
  const { keyArn: oldKeyArn = '' } = await createKey(
    launch,
    {
      spec: 'SYMMETRIC_DEFAULT',
      isExternal: origin === 'EXTERNAL',
      isDurabilityAccepted: true,
      customKeyStoreId: undefined,
      alias,
      description: 'the binding key of web hosts',
      tags: {},
      admins: [],
      users: [],
      viaService: undefined,
      policy: undefined,
      isDryRun: false,
    },
    never,
  );
  const wrapping = 'RSAES_OAEP_SHA_256';
  if (origin === 'EXTERNAL') {
    const from = { material: { file: materialFile('old') }, wrapping } as const;
    await importKeyMaterial(launch, { keyId: oldKeyArn, from, expiresAt: undefined }, never);
  }
  if (hasMasterKey) {
    await createMasterKey(launch, { keyId: alias, table: undefined, passwords: undefined }, never);
  }

  const file = materialFile('new');
  const renew = (request: Partial<RenewRequest> = {}) =>
    renewKey(
      launch,
      {
        alias,
        material: { file },
        wrapping,
        expiresAt: undefined,
        isDurabilityAccepted: true,
        isDryRun: false,
        passwords: { current: () => Promise.reject(new Error('asked for a password')) },
        ...request,
      },
      never,
    );
  const wrappedBy = () => wrappingOf(readFileSync(join(stateDirectory, 'master-key', '1.wrapped'))).keyArn;
  const aliased = () =>
    [...sandbox.state.kms.aliases.values()].find(({ name }) => name === alias)?.targetKeyArn;
  const keys = () => [...sandbox.state.kms.keys.values()].map(({ arn }) => arn);
  /** The same host, with a gateway config that trusts these keys. */
  async function withGateway(trustedKeys: readonly string[]) {
    const value = JSON.stringify({ version: 1, keys: { bindingKey: alias, trustedKeys } });
    const put = { SecretString: value };
    await secretsManager
      .send(new CreateSecretCommand({ Name: 'gateway', ...put }))
      .catch(() => secretsManager.send(new PutSecretValueCommand({ SecretId: 'gateway', ...put })));
    follow('gateway');
  }
  /** A key of somebody else's that says it takes the place of the old one. */
  async function planted(like: { readonly origin?: 'AWS_KMS'; readonly policy?: string } = {}) {
    const { KeyMetadata: made } = await kms.send(
      new CreateKeyCommand({
        Origin: like.origin ?? 'EXTERNAL',
        Policy: like.policy ?? sandbox.state.kms.keys.get(oldKeyArn)?.policy,
        Tags: [{ TagKey: 'gatehouse:renews', TagValue: oldKeyArn }],
      }),
    );
    return made?.Arn ?? '';
  }
  /** Gives its maker a grant, which needs material, and the key the policy of the old one. */
  async function disguised(KeyId: string): Promise<void> {
    const from = { material: 'made here', wrapping } as const;
    await importKeyMaterial(launch, { keyId: KeyId, from, expiresAt: undefined }, never);
    await kms.send(
      new CreateGrantCommand({ KeyId, GranteePrincipal: credentials.arn, Operations: ['Decrypt'] }),
    );
    const Policy = sandbox.state.kms.keys.get(oldKeyArn)?.policy;
    await kms.send(new PutKeyPolicyCommand({ KeyId, Policy }));
  }
  const withAbsentGateway = (): void => follow('not-yet');
  return {
    sandbox,
    withAbsentGateway,
    passDays,
    renew,
    oldKeyArn,
    file,
    wrappedBy,
    aliased,
    keys,
    withGateway,
    planted,
    disguised,
    logged,
  };
}

describe('kms renew', () => {
  it('makes a key like the old one, imports, moves the alias and wraps the master key under it', async () => {
    const { sandbox, renew, oldKeyArn, file, wrappedBy, aliased } = await setup();

    const done = await renew();

    expect(done).toEqual({
      alias,
      oldKeyArn,
      newKeyArn: aliased(),
      before: [],
      now: ['create', 'import', 'move alias', 'rewrap'],
      clearFile: file,
    });
    expect(aliased()).not.toBe(oldKeyArn);
    expect(wrappedBy()).toBe(aliased());
    const [old, next] = [...sandbox.state.kms.keys.values()];
    expect(next).toMatchObject({ description: 'the binding key of web hosts', origin: 'EXTERNAL' });
    expect(JSON.parse(next?.policy ?? '{}')).toEqual(JSON.parse(old?.policy ?? '{}'));
  });

  it('in a dry run says what is to be done, and does nothing', async () => {
    const { renew, oldKeyArn, keys, aliased } = await setup();

    const plan = await renew({ isDryRun: true, material: undefined });

    expect(plan).toEqual({
      alias,
      oldKeyArn,
      before: [],
      now: ['create', 'import', 'move alias', 'rewrap'],
    });
    expect(keys()).toEqual([oldKeyArn]);
    expect(aliased()).toBe(oldKeyArn);
  });

  it('of two keys that were made for it takes the older one, and names the other', async () => {
    const { sandbox, renew, oldKeyArn, planted, aliased, wrappedBy, keys, logged } = await setup();
    // The answer is lost, so the same is asked for once more.
    const lost = {
      service: 'kms',
      operation: 'CreateKey',
      effect: { kind: 'lost-answer' },
      count: 1,
    } as const;
    sandbox.faults.add(lost);

    const done = await renew();

    const [, older, newer] = keys();
    expect(done).toMatchObject({ newKeyArn: older, spare: [newer], now: renewalOrder });
    expect([aliased(), wrappedBy()]).toEqual([older, older]);
    expect(logged.filter((line) => JSON.stringify(line).includes('kms-key.spare'))).toHaveLength(1);
    // Somebody else's run made one at the same time, which comes too late.
    await planted();
    expect(await renew({ material: undefined })).toMatchObject({ oldKeyArn, newKeyArn: older, now: [] });
  });

  it('gives the new key the tags of the old one', async () => {
    const { sandbox, renew, oldKeyArn, aliased } = await setup();
    sandbox.state.kms.keys.get(oldKeyArn)?.tags.set('gatehouse-binding-key', alias);

    await renew();

    const { tags } = sandbox.state.kms.keys.get(aliased() ?? '') ?? {};
    expect(tags?.get('gatehouse-binding-key')).toBe(alias);
    expect(tags?.get('gatehouse:renews')).toBe(oldKeyArn);
  });

  it('run again does nothing more', async () => {
    const { renew, keys } = await setup();
    const { newKeyArn } = await renew();

    const again = await renew({ material: undefined, isDurabilityAccepted: false });

    expect(again).toMatchObject({ newKeyArn, now: [] });
    expect(keys()).toHaveLength(2);
  });

  it('goes on wherever it stopped', async () => {
    const { sandbox, renew, passDays, aliased, wrappedBy, keys } = await setup();
    const calls = [
      ['GetKeyPolicy', 1],
      ['CreateKey', 1],
      ['GetParametersForImport', 1],
      ['ImportKeyMaterial', 1],
      // Trying the new key, then opening the master key and wrapping it under the new one.
      ['GenerateDataKey', 1],
      ['Decrypt', 1],
      ['UpdateAlias', 1],
      ['Decrypt', 2],
      ['GenerateDataKey', 2],
      ['Decrypt', 3],
    ] as const;
    for (const [operation, nth] of calls) {
      const what = `${operation} ${nth}`;
      const old = aliased();
      const keysBefore = keys().length;
      // It is due again.
      passDays(8);
      const effect = { kind: 'error', name: 'KMSInvalidStateException', status: 400 } as const;
      const fault = sandbox.faults.add({ service: 'kms', operation, nth, effect });

      expect(await renew().catch((error: unknown) => error)).toHaveProperty('code');

      sandbox.faults.remove(fault);
      expect({ what, wrappedBy: wrappedBy() }).toEqual({ what, wrappedBy: old });
      await renew();
      const newest = keys().at(-1);
      expect({ what, made: keys().length - keysBefore, alias: aliased(), wrappedBy: wrappedBy() }).toEqual({
        what,
        made: 1,
        alias: newest,
        wrappedBy: newest,
      });
    }
  });

  it('takes no key for its own that gives somebody more than the old one did, and says so', async () => {
    const { sandbox, renew, oldKeyArn, planted, disguised, aliased, wrappedBy, logged } = await setup();
    const policy = JSON.parse(sandbox.state.kms.keys.get(oldKeyArn)?.policy ?? '') as { Statement: object[] };
    const open = { Effect: 'Allow', Principal: '*', Action: 'kms:*', Resource: '*' };
    policy.Statement.push(open);
    const theirs = [
      await planted({ policy: JSON.stringify(policy) }),
      await planted({ origin: 'AWS_KMS' }),
      await planted({ policy: JSON.stringify(policy) }),
    ];
    await disguised(theirs[2] ?? '');

    const done = await renew();

    expect(done.now).toEqual(['create', 'import', 'move alias', 'rewrap']);
    expect(theirs).not.toContain(done.newKeyArn);
    expect([aliased(), wrappedBy()]).toEqual([done.newKeyArn, done.newKeyArn]);
    expect(logged.filter((line) => JSON.stringify(line).includes('kms-key.renewal-foreign'))).toHaveLength(3);
  });

  it('moves no alias while hosts would not accept the old key any more', async () => {
    const { renew, oldKeyArn, aliased, keys, withGateway } = await setup();
    await withGateway([]);

    await expect(renew({ alias: undefined })).rejects.toMatchObject({
      code: 'KEY_RENEWAL_UNTRUSTED',
      details: { oldKeyArn },
    });
    expect(aliased()).toBe(oldKeyArn);
    await withGateway([oldKeyArn]);
    const done = await renew({ alias: undefined, material: undefined });

    expect(done).toMatchObject({ before: ['create', 'import'], now: ['move alias', 'rewrap'] });
    expect(aliased()).toBe(done.newKeyArn);
    expect(keys()).toHaveLength(2);
  });

  it('is done before there is a gateway config too', async () => {
    const { renew, withAbsentGateway, wrappedBy } = await setup();
    withAbsentGateway();

    const done = await renew();

    expect(wrappedBy()).toBe(done.newKeyArn);
  });

  it('on a machine without a master key ends with the alias', async () => {
    const { renew, aliased } = await setup({ hasMasterKey: false });

    const done = await renew();

    expect(done.now).toEqual(['create', 'import', 'move alias']);
    expect(aliased()).toBe(done.newKeyArn);
  });

  it('refuses a key of KMS’s own material, a key that has no alias, and material that nobody answers for', async () => {
    const { renew, oldKeyArn } = await setup({ hasMasterKey: false });
    const { renew: renewOwn } = await setup({ origin: 'AWS_KMS', hasMasterKey: false });

    await expect(renew({ alias: oldKeyArn })).rejects.toMatchObject({ code: 'KEY_ALIAS_NEEDED' });
    await expect(renew({ isDurabilityAccepted: false })).rejects.toMatchObject({
      code: 'KEY_DURABILITY_UNACCEPTED',
    });
    await expect(renew({ material: undefined })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(renewOwn()).rejects.toMatchObject({ code: 'KEY_ORIGIN_UNSUITABLE' });
  });
});
