import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DisableKeyCommand,
  KMSClient,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createSandbox } from '../../../sandbox/sandbox.ts';
import { operatorLaunch } from '../../../test/support/operator-launch.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { newMasterKey } from '../../keys/master-key.ts';
import { masterKeyUnwrapper } from '../../keys/master-keyring.ts';
import { masterKeys } from '../../keys/master-keys.ts';
import { openBytes } from '../../keys/message-sealer.ts';
import { parseSealedMessage } from '../../keys/sealed-message.ts';
import { agentError } from '../errors.ts';
import { createMasterKey } from '../master-key/create.ts';
import { openMasterKeyState } from '../master-key/state.ts';
import { type SealOptions, type SealRequest, sealing, withSealing } from './seal.ts';
import { type UnsealRequest, unseal } from './unseal.ts';

const never = new AbortController().signal;
const secret = 'correct horse battery staple';

/** The sandbox over HTTP, a key with an alias in it, and a host with a name. */
async function setup({ name = 'web-1' }: { name?: string | undefined } = {}) {
  const sandbox = createSandbox({ region: 'eu-west-1' });
  const listener = await sandbox.listen({ port: 0 });
  onTestFinished(() => listener.close());
  const credentials = sandbox.identities.createUser('sealer');
  const kms = new KMSClient({ region: 'eu-west-1', endpoint: listener.url, credentials });
  const newKey = async () => (await kms.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? '';
  const keyArn = await newKey();
  await kms.send(new CreateAliasCommand({ AliasName: 'alias/binding', TargetKeyId: keyArn }));

  const directory = temporaryDirectory();
  const launchAs = (hostName: string) =>
    operatorLaunch({
      folder: directory,
      url: listener.url,
      credentials,
      env: {
        ...(hostName === '' ? {} : { GATEHOUSE_NAME: hostName }),
        GATEHOUSE_STATE_DIRECTORY: join(directory, 'state'),
      },
    });
  const file = join(directory, 'tls-key.sealed');
  const sealed = (request: Partial<SealRequest & SealOptions> = {}) => {
    const usual = { wrap: undefined, keyId: 'alias/binding', bindToHost: false, force: false };
    const whole = { name: 'tls-key', plaintext: [Buffer.from(secret)], file, ...usual, ...request };
    return withSealing(launchAs(name), whole, (opened) => opened.seal(whole, never), never);
  };
  const unsealed = async (keyId?: string, hostName = name, from: UnsealRequest['from'] = { file }) => {
    const request = keyId === undefined ? { from } : { from, keyId };
    let opened: { bytes: Buffer; name: string; openedBy: unknown } | undefined;
    const take = async ({ pieces, ...rest }: Parameters<Parameters<typeof unseal>[2]>[0]) => {
      opened = { ...rest, bytes: await buffer(pieces) };
    };
    await unseal(launchAs(hostName), request, take, never);
    if (opened === undefined) throw new Error('nothing was given');
    return opened;
  };
  const master = () =>
    createMasterKey(
      launchAs(name),
      { keyId: 'alias/binding', table: undefined, passwords: undefined },
      never,
    );
  return { kms, keyArn, newKey, file, directory, master, sealed, unsealed };
}

/** Gives its piece, and then cannot go on. */
async function* failing(piece: Buffer): AsyncGenerator<Buffer> {
  yield piece;
  throw agentError('INPUT_MISSING');
}

describe('seal and unseal against the sandbox', () => {
  it('overwrites the plaintext, sealed or not', async () => {
    const { sealed } = await setup();
    const [good, bad] = [Buffer.from(secret), Buffer.from(secret)];

    await sealed({ plaintext: [good] });
    await expect(sealed({ plaintext: failing(bad), force: true })).rejects.toMatchObject({
      code: 'INPUT_MISSING',
    });

    expect([good, bad]).toEqual([Buffer.alloc(secret.length), Buffer.alloc(secret.length)]);
  });

  it('a sealed file is private, hides its secret and opens with the key of its alias', async () => {
    const { keyArn, file, sealed, unsealed } = await setup();

    expect(await sealed()).toEqual({ name: 'tls-key', file, version: 1, keyArn });
    expect((statSync(file).mode & 0o777).toString(8)).toBe('600');
    expect(readFileSync(file).includes(secret)).toBe(false);

    const opened = await unsealed('alias/binding');
    expect(opened).toEqual({ bytes: Buffer.from(secret), name: 'tls-key', openedBy: { keyArn } });
  });

  it('without a key id, a key of the own account opens it, and is named', async () => {
    const { keyArn, sealed, unsealed } = await setup();
    await sealed();

    expect((await unsealed()).openedBy).toEqual({ keyArn });
  });

  it('another key than the given one never opens it', async () => {
    const { newKey, sealed, unsealed } = await setup();
    await sealed();

    await expect(unsealed(await newKey())).rejects.toMatchObject({ code: 'KEY_NOT_TRUSTED' });
  });

  it('what is bound to a host opens on that host only', async () => {
    const { sealed, unsealed } = await setup();
    await sealed({ bindToHost: true });

    expect((await unsealed()).bytes.toString()).toBe(secret);
    await expect(unsealed(undefined, 'web-2')).rejects.toMatchObject({ code: 'SECRET_SEALED_FOR_OTHER_USE' });
  });

  it('nothing is bound to a host that has only its host name', async () => {
    const { file, sealed } = await setup({ name: '' });

    await expect(sealed({ bindToHost: true })).rejects.toMatchObject({ code: 'SECRET_HOST_UNNAMED' });
    expect(existsSync(file)).toBe(false);
  });

  it('a file that exists is replaced only by force', async () => {
    const { file, sealed, unsealed } = await setup();
    writeFileSync(file, 'mine');

    await expect(sealed()).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    expect(readFileSync(file, 'utf8')).toBe('mine');

    expect(await sealed({ force: true })).toMatchObject({ version: 1 });
    expect(await sealed({ force: true })).toMatchObject({ version: 2 });
    expect((await unsealed()).bytes.toString()).toBe(secret);
  });

  it('a damaged file is refused before KMS is asked', async () => {
    const { file, sealed, unsealed } = await setup();
    await sealed();
    writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.from('!')]));

    await expect(unsealed()).rejects.toMatchObject({ code: 'SEALED_DAMAGED', row: { exitCode: 65 } });
  });

  it('a damaged wrapped key is told apart from a damaged content', async () => {
    const { file, sealed, unsealed } = await setup();
    await sealed();
    const good = readFileSync(file);
    const flipped = (at: number) => {
      const bytes = Buffer.from(good);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
      return bytes;
    };

    writeFileSync(file, flipped(good.length - 20));
    await expect(unsealed()).rejects.toMatchObject({ code: 'SEALED_DAMAGED' });
    // The wrapped key ends before content type, frame length, commitment, tag and the only frame.
    writeFileSync(file, flipped(good.length - (1 + 4 + 32 + 16) - (4 + 4 + 12 + 4 + secret.length + 16) - 1));
    await expect(unsealed()).rejects.toMatchObject({ code: 'KEY_CIPHERTEXT_REFUSED' });
  });

  it('a key in a wrong state is named by its state, for sealing and for opening', async () => {
    const { kms, keyArn, sealed, unsealed } = await setup();
    await sealed();

    await kms.send(new DisableKeyCommand({ KeyId: keyArn }));
    await expect(sealed({ force: true })).rejects.toMatchObject({ code: 'KEY_DISABLED' });
    await expect(unsealed()).rejects.toMatchObject({ code: 'KEY_DISABLED' });

    await kms.send(new ScheduleKeyDeletionCommand({ KeyId: keyArn }));
    await expect(sealed({ force: true })).rejects.toMatchObject({ code: 'KEY_PENDING_DELETION' });
    await expect(unsealed()).rejects.toMatchObject({ code: 'KEY_PENDING_DELETION' });
  });

  it('a key that does not exist and a name that is none are refused', async () => {
    const { sealed } = await setup();

    await expect(sealed({ keyId: 'alias/nobody' })).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
    await expect(sealed({ name: 'a b' })).rejects.toMatchObject({ code: 'SECRET_NAME_INVALID' });
  });

  it('a file that is not there is missing input', async () => {
    const { unsealed } = await setup();

    await expect(unsealed()).rejects.toMatchObject({ code: 'FILE_NOT_FOUND', row: { exitCode: 66 } });
  });
});

describe('seal and unseal under the master key', () => {
  it('seals without a call to KMS but one, and opens with the generation', async () => {
    const { file, master, sealed, unsealed } = await setup();
    await master();

    expect(await sealed({ keyId: undefined })).toEqual({ name: 'tls-key', file, version: 1, generation: 1 });
    expect(await unsealed()).toEqual({
      bytes: Buffer.from(secret),
      name: 'tls-key',
      openedBy: { generation: 1 },
    });
    expect((statSync(file).mode & 0o777).toString(8)).toBe('600');
  });

  it('is refused where there is none, and where the host has no name of its own', async () => {
    const { file, sealed } = await setup();
    const unnamed = await setup({ name: '' });

    await expect(sealed({ keyId: undefined })).rejects.toMatchObject({ code: 'SEALING_KEY_MISSING' });
    await expect(sealed({ wrap: 'kms', keyId: undefined })).rejects.toMatchObject({
      code: 'SEALING_KEY_MISSING',
    });
    await expect(unnamed.master()).rejects.toMatchObject({ code: 'MASTER_KEY_HOST_UNNAMED' });
    expect(existsSync(file)).toBe(false);
  });

  it('still seals under a KMS key that is named', async () => {
    const { keyArn, master, sealed, unsealed } = await setup();
    await master();

    await sealed();

    expect((await unsealed()).openedBy).toEqual({ keyArn });
  });

  it('counts versions up, across files and keys', async () => {
    const { file, directory, master, sealed } = await setup();
    await master();

    const other = join(directory, 'other.sealed');
    const versions = [
      await sealed({ keyId: undefined }),
      await sealed({ keyId: undefined, file: other }),
      await sealed({ force: true }),
      await sealed({ keyId: undefined, force: true }),
    ].map(({ version }) => version);

    expect(versions).toEqual([1, 2, 3, 4]);
    expect(existsSync(file)).toBe(true);
  });

  it('seals again under the new master key where a change begins meanwhile', async () => {
    const directory = temporaryDirectory();
    const file = join(directory, 'tls-key.sealed');
    const state = openMasterKeyState(join(directory, 'state'), { isMade: true });
    if (state === undefined) throw new Error('no state');
    onTestFinished(() => state.close());
    const bindingKey = { unwrap: asksKms, decryptRsa: asksKms };
    const keys = masterKeys({ agentName: 'web-1', readWrapped: async () => undefined, bindingKey });
    for (const generation of [1, 2]) keys.add(newMasterKey(generation));
    state.ledger.adopt({ number: 1, createdAt: new Date() });
    const host = {
      kmsFor: () => Promise.reject(new Error('asked')) as never,
      region: 'eu-west-1',
      agentName: 'web-1',
      master: { state, keys },
      log: () => undefined,
    };
    const options = { wrap: 'master', keyId: undefined, bindToHost: false, force: false } as const;
    async function* plaintext() {
      yield Buffer.from(secret.slice(0, 5));
      state?.ledger.begin({ number: 2, createdAt: new Date() });
      yield Buffer.from(secret.slice(5));
    }

    const under = await sealing(host, options, never);
    const made = await under.seal({ name: 'tls-key', plaintext: plaintext(), file }, never);

    expect(made).toMatchObject({ generation: 2, version: 1 });
    const bytes = readFileSync(file);
    const unwrapper = masterKeyUnwrapper(keys.keyOf);
    const opened = await openBytes(bytes, parseSealedMessage(bytes).context, unwrapper, never);
    expect(opened).toEqual({ bytes: Buffer.from(secret), openedBy: { generation: 2 } });
    expect(state.ledger.count(2)).toEqual({ at: 1, all: 1 });
    expect(readdirSync(directory).toSorted()).toEqual(['state', 'tls-key.sealed']);
  });

  it('what comes from a pipe is verified whole too', async () => {
    const { file, master, sealed, unsealed } = await setup();
    await master();
    await sealed({ keyId: undefined });
    const bytes = readFileSync(file);
    const cut = bytes.subarray(0, -1);

    expect((await unsealed(undefined, 'web-1', { bytes })).bytes.toString()).toBe(secret);
    await expect(unsealed(undefined, 'web-1', { bytes: cut })).rejects.toMatchObject({
      code: 'SEALED_DAMAGED',
    });
  });
});

function asksKms(): Promise<never> {
  return Promise.reject(new Error('asked'));
}
