import { createPublicKey, generateKeyPairSync, publicEncrypt, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DeleteImportedKeyMaterialCommand, DisableKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createSandbox } from '../../../sandbox/sandbox.ts';
import { operatorLaunch } from '../../../test/support/operator-launch.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import type { WrappingAlgorithm } from '../../keys/kms-admin.ts';
import { withSealing } from '../sealing/seal.ts';
import { type CreateKeyRequest, createKey } from './create-key.ts';
import {
  downloadImportParameters,
  type ImportRequest,
  importKeyMaterial,
  wrapOffline,
} from './import-key-material.ts';
import { keyStatus } from './key-status.ts';

const never = new AbortController().signal;
const dayMs = 24 * 60 * 60 * 1000;

async function setup() {
  const sandbox = createSandbox({ region: 'eu-west-1' });
  const listener = await sandbox.listen({ port: 0 });
  onTestFinished(() => listener.close());
  const credentials = sandbox.identities.createUser('operator');
  const kms = new KMSClient({ region: 'eu-west-1', endpoint: listener.url, credentials });
  onTestFinished(() => kms.destroy());
  const folder = temporaryDirectory();
  const launch = operatorLaunch({ folder, url: listener.url, credentials });
  const create = (request: Partial<CreateKeyRequest> = {}) =>
    createKey(
      launch,
      {
        spec: 'SYMMETRIC_DEFAULT',
        isExternal: false,
        isDurabilityAccepted: true,
        customKeyStoreId: undefined,
        alias: undefined,
        description: 'a test',
        tags: { team: 'ops' },
        admins: [],
        users: [],
        viaService: undefined,
        policy: undefined,
        isDryRun: false,
        ...request,
      },
      never,
    );
  const external = async () => (await create({ isExternal: true })).keyArn ?? '';
  const material = join(folder, 'material');
  writeFileSync(material, randomBytes(32), { mode: 0o600 });
  /** The same host under another role, whose own policies allow everything. */
  const launchAs = (role: string) => {
    sandbox.identities.createRole(role);
    const session = sandbox.identities.issueSession({ role, sessionName: 'x', durationSeconds: 3600 });
    return {
      ...launch,
      env: {
        ...launch.env,
        AWS_ACCESS_KEY_ID: session.accessKeyId,
        AWS_SECRET_ACCESS_KEY: session.secretAccessKey,
        AWS_SESSION_TOKEN: session.sessionToken,
      },
    };
  };
  const importing = (keyId: string, request: Partial<ImportRequest> = {}, by = launch) =>
    importKeyMaterial(
      by,
      {
        keyId,
        from: { material: { file: material }, wrapping: 'RSAES_OAEP_SHA_256' },
        expiresAt: undefined,
        ...request,
      },
      never,
    );
  const status = (keyId: string) => keyStatus(launch, keyId, never);
  const operatorArn = credentials.arn;
  return {
    sandbox,
    kms,
    launch,
    launchAs,
    operatorArn,
    folder,
    create,
    external,
    material,
    importing,
    status,
  };
}

const from = (file: string, wrapping?: WrappingAlgorithm) => ({ from: { material: { file }, wrapping } });

describe('an RSA key', () => {
  it('is made with the policy for one, is not rotated, and takes no imported material', async () => {
    const { create, importing, status } = await setup();

    const { keyArn = '', isRotating, policy } = await create({ spec: 'RSA_2048' });

    expect(isRotating).toBe(false);
    expect(policy).toContain('"kms:EncryptionAlgorithm": "RSAES_OAEP_SHA_256"');
    expect((await status(keyArn)).status).toMatchObject({ spec: 'RSA_2048', state: 'Enabled' });
    await expect(importing(keyArn)).rejects.toMatchObject({ code: 'KEY_ORIGIN_UNSUITABLE' });
  });

  it('takes a private key of its own, at once and in three steps, and no other material', async () => {
    const { launch, folder, create, importing, material, status } = await setup();
    const [first = '', second = ''] = [
      (await create({ spec: 'RSA_2048', isExternal: true })).keyArn,
      (await create({ spec: 'RSA_2048', isExternal: true })).keyArn,
    ];
    const privateKey = join(folder, 'private.pem');
    const { privateKey: pem } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    writeFileSync(privateKey, pem, { mode: 0o600 });

    await expect(importing(first, from(material))).rejects.toMatchObject({ code: 'KEY_MATERIAL_INVALID' });
    await expect(importing(first, from(privateKey, 'RSAES_OAEP_SHA_256'))).rejects.toMatchObject({
      code: 'KEY_WRAPPING_UNSUITABLE',
    });
    const done = await importing(first, from(privateKey, 'RSA_AES_KEY_WRAP_SHA_256'));
    const request = { keyId: second, wrapping: undefined, folder };
    const { files } = await downloadImportParameters(launch, request, never);
    const [encryptedFile, tokenFile] = [join(folder, 'wrapped'), files[1] ?? ''];
    const offline = { folder, wrapping: undefined, material: { file: privateKey }, out: encryptedFile };
    await wrapOffline(offline);
    await importing(second, { from: { encryptedFile, tokenFile } });

    expect(done).toEqual({ keyArn: first, clearFile: privateKey });
    for (const key of [first, second]) expect(await status(key)).toMatchObject({ code: 0 });
  });
});

describe('who looks after a key', () => {
  it('imports its material and tries it, and may not use it', async () => {
    const { sandbox, launchAs, operatorArn, create, importing, folder } = await setup();
    const admin = launchAs('KeyAdmin');
    sandbox.identities.createRole('Host');
    const admins = [operatorArn, 'arn:aws:iam::123456789012:role/KeyAdmin'];
    const users = ['arn:aws:iam::123456789012:role/Host'];
    const external = { isExternal: true, admins, users };
    const [symmetric = '', rsa = ''] = [
      (await create(external)).keyArn,
      (await create({ ...external, spec: 'RSA_2048' })).keyArn,
    ];
    const made = { from: { material: 'made here', wrapping: undefined } } as const;

    expect(await importing(symmetric, made, admin)).toEqual({ keyArn: symmetric });
    expect(await importing(rsa, made, admin)).toEqual({ keyArn: rsa, isUntried: true });
    await expect(
      withSealing(
        admin,
        { wrap: 'kms', keyId: symmetric, bindToHost: false, force: false },
        (sealing) =>
          sealing.seal({ name: 'x', plaintext: [Buffer.from('x')], file: join(folder, 'x') }, never),
        never,
      ),
    ).rejects.toMatchObject({ code: 'KEY_DENIED' });
  });
});

describe('kms create-key', () => {
  it('makes a key that rotates, under its alias', async () => {
    const { create, status } = await setup();

    const made = await create({ alias: 'alias/binding' });

    expect(made).toMatchObject({ alias: 'alias/binding', isRotating: true });
    expect(await status('alias/binding')).toMatchObject({
      code: 0,
      status: {
        keyArn: made.keyArn,
        state: 'Enabled',
        spec: 'SYMMETRIC_DEFAULT',
        origin: 'AWS_KMS',
        nextRotation: expect.stringMatching(/^\d{4}-/u),
      },
    });
  });

  it('is not made where its alias stands for another, and is told where naming it fails', async () => {
    const { sandbox, create } = await setup();
    await create({ alias: 'alias/binding' });
    const keys = () => [...sandbox.state.kms.keys.keys()];
    const failing = (name: string, count: number) =>
      sandbox.faults.add({
        service: 'kms',
        operation: 'CreateAlias',
        count,
        effect: { kind: 'error', name, status: 400 },
      });

    await expect(create({ alias: 'alias/binding' })).rejects.toMatchObject({ code: 'KEY_ALIAS_EXISTS' });
    expect(keys()).toHaveLength(1);
    failing('AccessDeniedException', 1);
    const unfinished = await create({ alias: 'alias/second' }).catch((error: unknown) => error);
    failing('NotFoundException', 2);
    const { keyArn } = await create({ alias: 'alias/third' });

    expect(unfinished).toMatchObject({ code: 'KEY_MADE_UNFINISHED', details: { keyArn: keys()[1] } });
    expect(keys()[2]).toBe(keyArn);
  });

  it('whose answer was lost is found again, and one that was made twice is named', async () => {
    const { sandbox, create } = await setup();
    const keys = () => [...sandbox.state.kms.keys.keys()];
    const lost = { service: 'kms', operation: 'CreateKey', effect: { kind: 'lost-answer' } } as const;

    sandbox.faults.add({ ...lost, count: 1 });
    const twice = await create({ alias: 'alias/twice' });
    const [first, second] = keys();
    const always = sandbox.faults.add(lost);
    const found = await create({ alias: 'alias/found' });
    sandbox.faults.remove(always);

    expect(new Set([twice.keyArn, ...(twice.spare ?? [])])).toEqual(new Set([first, second]));
    expect(twice.spare).toHaveLength(1);
    expect(new Set([found.keyArn, ...(found.spare ?? [])])).toEqual(new Set(keys().slice(2)));
  });

  it('in a dry run shows the policy and makes nothing', async () => {
    const { create, status } = await setup();

    const made = await create({ alias: 'alias/binding', isDryRun: true });

    expect(made.keyArn).toBeUndefined();
    expect(JSON.parse(made.policy)).toHaveProperty('Statement');
    await expect(status('alias/binding')).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
  });

  it('refuses what would lock its maker out, and external material that nobody answers for', async () => {
    const { create } = await setup();

    await expect(create({ admins: ['arn:aws:iam::123456789012:user/other'] })).rejects.toMatchObject({
      code: 'KEY_POLICY_LOCKS_OUT',
    });
    await expect(create({ policy: 'nonsense' })).rejects.toMatchObject({ code: 'KEY_POLICY_INVALID' });
    await expect(async () => create({ isExternal: true, isDurabilityAccepted: false })).rejects.toMatchObject(
      {
        code: 'KEY_DURABILITY_UNACCEPTED',
      },
    );
  });
});

// The sandbox makes an RSA-4096 pair for each import, as KMS does.
describe('kms import-key-material', () => {
  it.each(['RSAES_OAEP_SHA_256', 'RSAES_OAEP_SHA_1'] as const)(
    'imports under %s, and says where the material lies in clear',
    async (wrapping) => {
      const { external, importing, material, status } = await setup();
      const keyArn = await external();
      expect(await status(keyArn)).toMatchObject({ code: 77, status: { state: 'PendingImport' } });

      const done = await importing(keyArn, { from: { material: { file: material }, wrapping } });

      expect(done).toEqual({ keyArn, clearFile: material });
      expect(await status(keyArn)).toMatchObject({
        code: 0,
        status: { state: 'Enabled', origin: 'EXTERNAL' },
      });
    },
  );

  it('takes the same material again, with another expiry, and no other', async () => {
    const { kms, external, importing, status } = await setup();
    const keyArn = await external();
    await importing(keyArn);
    await kms.send(new DeleteImportedKeyMaterialCommand({ KeyId: keyArn }));

    await expect(
      importing(keyArn, { from: { material: 'made here', wrapping: 'RSAES_OAEP_SHA_256' } }),
    ).rejects.toMatchObject({ code: 'KEY_MATERIAL_OTHER' });
    const expiresAt = new Date(Math.trunc(Date.now() / 1000) * 1000 + 30 * dayMs + 3_600_000);
    await importing(keyArn, { expiresAt });

    expect((await status(keyArn)).status).toMatchObject({
      state: 'Enabled',
      materialExpiresAt: expiresAt.toISOString(),
      materialExpiresInDays: 30,
    });
  });

  it('works in three steps, the second without AWS, by us or by others', async () => {
    const { launch, folder, external, importing, material } = await setup();
    for (const wrapIt of ['us', 'others']) {
      const keyId = await external();
      const wrapping = 'RSAES_OAEP_SHA_256';
      const { files } = await downloadImportParameters(launch, { keyId, wrapping, folder }, never);
      const out = join(folder, `wrapped-${wrapIt}`);
      const [publicKey = '', tokenFile = ''] = files;

      if (wrapIt === 'us') await wrapOffline({ folder, material: { file: material }, wrapping, out });
      else {
        const key = createPublicKey({ key: readFileSync(publicKey), format: 'der', type: 'spki' });
        writeFileSync(out, publicEncrypt({ key, oaepHash: 'sha256' }, readFileSync(material)));
      }

      expect(await importing(keyId, { from: { encryptedFile: out, tokenFile } })).toEqual({ keyArn: keyId });
      expect(readFileSync(out).includes(readFileSync(material))).toBe(false);
      expect((statSync(publicKey).mode & 0o777).toString(8)).toBe('600');
    }
  });

  it('makes the folder of a download, for nobody else, and leaves one that is there as it is', async () => {
    const { launch, folder, external } = await setup();
    const request = { keyId: await external(), wrapping: 'RSAES_OAEP_SHA_256' } as const;
    const [fresh, old, below] = [join(folder, 'new'), join(folder, 'old'), join(folder, 'absent/new')];
    mkdirSync(old);
    chmodSync(old, 0o755);

    for (const each of [fresh, old])
      await downloadImportParameters(launch, { ...request, folder: each }, never);

    expect((statSync(fresh).mode & 0o777).toString(8)).toBe('700');
    expect((statSync(old).mode & 0o777).toString(8)).toBe('755');
    expect(readdirSync(fresh).toSorted()).toEqual(['ImportToken.bin', 'WrappingPublicKey.bin']);
    await expect(
      downloadImportParameters(launch, { ...request, folder: below }, never),
    ).rejects.toMatchObject({
      code: 'FILE_DIRECTORY_MISSING',
      row: { exitCode: 73 },
    });
  });

  it('refuses what cannot be', async () => {
    const { launch, folder, create, external, importing } = await setup();
    const own = (await create()).keyArn ?? '';
    const short = join(folder, 'short');
    writeFileSync(short, randomBytes(31));
    const keyArn = await external();

    await expect(importing(own)).rejects.toMatchObject({ code: 'KEY_ORIGIN_UNSUITABLE' });
    await expect(importing(keyArn, from(short))).rejects.toMatchObject({ code: 'KEY_MATERIAL_INVALID' });
    await expect(
      wrapOffline({ folder, material: 'made here', wrapping: 'RSAES_OAEP_SHA_256', out: join(folder, 'x') }),
    ).rejects.toMatchObject({ code: 'KEY_IMPORT_PARAMETERS_MISSING' });
    for (const noFolder of [join(folder, 'absent'), short]) {
      await expect(
        wrapOffline({ folder: noFolder, material: 'made here', wrapping: 'RSAES_OAEP_SHA_256', out: 'x' }),
      ).rejects.toMatchObject({ code: 'KEY_IMPORT_PARAMETERS_MISSING', row: { exitCode: 66 } });
    }
    // A token and a wrapping key of two downloads.
    const wrapping = 'RSAES_OAEP_SHA_256';
    const { files } = await downloadImportParameters(launch, { keyId: keyArn, wrapping, folder }, never);
    const token = readFileSync(files[1] ?? '');
    await downloadImportParameters(launch, { keyId: keyArn, wrapping, folder }, never);
    const [encryptedFile, tokenFile] = [join(folder, 'wrapped'), join(folder, 'old token')];
    await wrapOffline({ folder, material: 'made here', wrapping, out: encryptedFile });
    writeFileSync(tokenFile, token);
    await expect(importing(keyArn, { from: { encryptedFile, tokenFile } })).rejects.toHaveProperty(
      'code',
      expect.stringMatching(/^KEY_(?:IMPORT_REFUSED|CIPHERTEXT_REFUSED)$/u),
    );
    expect(existsSync(encryptedFile)).toBe(true);
  });
});

describe('kms status', () => {
  it('has the connection of a custom key store, whose outage is an error of its own, to sealing too', async () => {
    const { sandbox, launch, folder, create, status } = await setup();
    const id = 'cks-1234567890abcdef0';
    const store = { id, name: 'hsm', clusterId: 'cluster-1', createdAt: 0, error: undefined };
    sandbox.state.kms.customKeyStores.set(id, { ...store, connection: 'CONNECTED' });
    const { keyArn = '' } = await create({ customKeyStoreId: id });
    const seal = (file: string) =>
      withSealing(
        launch,
        { wrap: 'kms', keyId: keyArn, bindToHost: false, force: false },
        (sealing) =>
          sealing.seal({ name: 'x', plaintext: [Buffer.from('x')], file: join(folder, file) }, never),
        never,
      );

    await seal('before');
    const connected = await status(keyArn);
    sandbox.state.kms.customKeyStores.set(id, { ...store, connection: 'DISCONNECTED' });

    expect(connected).toMatchObject({
      code: 0,
      status: { origin: 'AWS_CLOUDHSM', customKeyStore: { id, connection: 'CONNECTED' } },
    });
    expect(await status(keyArn)).toMatchObject({
      code: 69,
      status: {
        customKeyStore: { id, connection: 'DISCONNECTED' },
        failing: { code: 'KEY_STORE_UNAVAILABLE' },
      },
    });
    await expect(seal('after')).rejects.toMatchObject({ code: 'KEY_STORE_UNAVAILABLE' });
    await expect(create({ customKeyStoreId: id })).rejects.toMatchObject({ code: 'KEY_STORE_UNAVAILABLE' });
  });

  it('says why a key cannot be used, by its exit code too', async () => {
    const { kms, create, status } = await setup();
    const keyArn = (await create()).keyArn ?? '';
    await kms.send(new DisableKeyCommand({ KeyId: keyArn }));

    expect(await status(keyArn)).toMatchObject({
      code: 77,
      status: { state: 'Disabled', failing: { code: 'KEY_DISABLED' } },
    });
  });
});
