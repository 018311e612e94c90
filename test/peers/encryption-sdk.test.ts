import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Finished, gatehouse } from '../support/agent.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { startMoto } from './support/moto.ts';
import { arePeersMissing } from './support/peer.ts';
import { type PeerRun, runPeer } from './support/run-peer.ts';

const alias = 'alias/gatehouse-binding';
/** 0x0478 and 0x0578. */
const suite = 'AES_256_GCM_HKDF_SHA512_COMMIT_KEY';
const signingSuite = 'AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384';
const context = { 'gatehouse:name': 'tls-key', 'gatehouse:purpose': 'sealed-file', 'gatehouse:version': '1' };
const secret = '-----BEGIN äöü-----\r\n no line end';

describe.skipIf(arePeersMissing('moto', 'python', 'aws-encryption-cli'))('AWS’s own Encryption SDK', () => {
  let cloud: Cloud;

  beforeAll(async () => {
    cloud = await startCloud();
  });

  afterAll(() => cloud.moto.close());

  it.each(['alias', 'ARN'])('opens in Python what we sealed under a key’s %s', async (named) => {
    const file = await cloud.seal(named === 'alias' ? alias : cloud.keyArn);

    const opened: unknown = JSON.parse(done(await cloud.python('open', file, cloud.keyArn)));

    const plaintext = Buffer.from(secret).toString('base64');
    expect(opened).toEqual({ plaintext, context, suite });
  });

  it('opens nothing of ours under another key or with a context that was changed', async () => {
    const file = await cloud.seal(alias);
    const forged = readFileSync(file);
    forged.write('tls-kex', forged.indexOf('tls-key'));
    const forgedFile = `${file}.forged`;
    writeFileSync(forgedFile, forged);

    const underOther = await cloud.python('open', file, cloud.otherKeyArn);
    const renamed = await cloud.python('open', forgedFile, cloud.keyArn);

    expect([underOther.exitCode, renamed.exitCode]).toEqual([1, 1]);
    expect(underOther.stderr).toContain('DecryptKeyError');
    expect(renamed.stderr).toContain('DecryptKeyError');
  });

  it('opens on the command line what we sealed', async () => {
    const file = await cloud.seal(alias);
    const [plain, metadata] = [`${file}.plain`, `${file}.metadata`];

    const where = ['--input', file, '--output', plain, '--metadata-output', metadata];
    done(await cloud.cli('--decrypt', ...where, ...pairs(context)));

    expect(readFileSync(plain, 'utf8')).toBe(secret);
    expect(JSON.parse(readFileSync(metadata, 'utf8'))).toMatchObject({
      header: { algorithm: suite, encryption_context: context, version: '2.0' },
    });
  });

  it('writes in Python what we open, with the key given and with any of the account', async () => {
    const file = await cloud.write(suite, context);

    const pinned = await cloud.gatehouse(['unseal', file, '--key-id', alias]);
    const own = await cloud.gatehouse(['unseal', file]);

    expect(pinned).toEqual({ code: 0, stdout: secret, stderr: `opened tls-key with ${cloud.keyArn}\n` });
    expect(own).toEqual(pinned);
  });

  it('writes on the command line what we open', async () => {
    const directory = temporaryDirectory();
    const [plain, file] = [join(directory, 'plain'), join(directory, 'sealed')];
    writeFileSync(plain, secret);
    const where = ['--input', plain, '--output', file, '--suppress-metadata'];
    done(await cloud.cli('--encrypt', '--algorithm', suite, ...where, ...pairs(context)));

    const opened = await cloud.gatehouse(['unseal', file, '--key-id', cloud.keyArn]);

    expect(opened).toEqual({ code: 0, stdout: secret, stderr: `opened tls-key with ${cloud.keyArn}\n` });
  });

  it('writes nothing that we open in another suite, for another purpose or under another key', async () => {
    const signed = await cloud.write(signingSuite, context);
    const elsewhere = await cloud.write(suite, { ...context, 'gatehouse:purpose': 'master-key' });
    const sealed = await cloud.write(suite, context);

    const refused = [
      await cloud.gatehouse(['unseal', '--json', signed]),
      await cloud.gatehouse(['unseal', '--json', elsewhere]),
      await cloud.gatehouse(['unseal', '--json', sealed, '--key-id', cloud.otherKeyArn]),
    ];

    expect(refused.map(({ code, stdout }) => [code, stdout])).toEqual([
      [65, ''],
      [77, ''],
      [77, ''],
    ]);
    expect(refused.map(errorCode)).toEqual([
      'SEALED_FORMAT_UNKNOWN',
      'SECRET_SEALED_FOR_OTHER_USE',
      'KEY_NOT_TRUSTED',
    ]);
  });

  it('opens in Python the wrapped master key, by KMS, and with it what we sealed, and the other way round', async () => {
    const host = await cloud.hostWithMasterKey();

    // Version 1, the key, no password: docs/keys.md.
    const { plaintext: payload, context: boundTo } = JSON.parse(
      done(await cloud.python('open', host.wrapped, cloud.keyArn)),
    ) as { plaintext: string; context: unknown };
    const key = Buffer.from(payload, 'base64').subarray(1, 33).toString('hex');
    const opened: unknown = JSON.parse(done(await cloud.python('open-raw', host.sealed, key, '1')));
    const theirs = join(temporaryDirectory(), 'tls-key.sealed');
    done(await cloud.python('write-raw', theirs, key, '1', JSON.stringify(context), secret));

    expect(boundTo).toEqual({
      'gatehouse:agent': 'web-1',
      'gatehouse:purpose': 'master-key',
      'gatehouse:generation': '1',
    });
    expect(opened).toEqual({ plaintext: Buffer.from(secret).toString('base64'), context, suite });
    expect(await host.gatehouse(['unseal', theirs])).toEqual({
      code: 0,
      stdout: secret,
      stderr: 'opened tls-key with master key 1\n',
    });
  });

  it('opens the wrapped master key on the command line', async () => {
    const host = await cloud.hostWithMasterKey();
    const plain = join(temporaryDirectory(), 'plain');

    done(await cloud.cli('--decrypt', '--input', host.wrapped, '--output', plain, '--suppress-metadata'));

    expect(readFileSync(plain).length).toBe(34);
  });
});

type Cloud = Awaited<ReturnType<typeof startCloud>>;

/** moto with two keys, and every program pointed at it. */
async function startCloud() {
  const moto = await startMoto();
  const { accessKeyId, secretAccessKey } = moto.credentials;
  const env = {
    AWS_ENDPOINT_URL: moto.endpoint,
    AWS_REGION: moto.region,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
  };
  const script = (file: string, ...args: string[]): Promise<PeerRun> =>
    runPeer('python', [join(import.meta.dirname, file), ...args], moto);
  const newKey = async (name: string): Promise<string> => {
    const made = done(await script('seed_with_boto3.py', JSON.stringify({ alias: name })));
    return (JSON.parse(made) as { keyArn: string }).keyArn;
  };
  const keyArn = await newKey(alias);
  const otherKeyArn = await newKey('alias/other');

  const cloud = {
    moto,
    keyArn,
    otherKeyArn,
    gatehouse: (args: readonly string[], stdin = ''): Promise<Finished> => gatehouse(args, { env, stdin }),
    python: (...args: string[]) => script('encryption_sdk.py', ...args),
    cli: (...args: string[]) =>
      runPeer('aws-encryption-cli', [...args, '--wrapping-keys', `key=${keyArn}`], moto),

    /** A file that we sealed. */
    async seal(keyId: string): Promise<string> {
      const file = join(temporaryDirectory(), 'tls-key.sealed');
      const key = ['--wrap', 'kms', '--key-id', keyId];
      const args = ['seal', '--name', 'tls-key', '--in', '-', '--out', file, ...key];
      const { code, stderr } = await cloud.gatehouse(args, secret);
      expect({ code, stderr }).toEqual({ code: 0, stderr: `sealed tls-key into ${file} under ${keyArn}\n` });
      return file;
    },

    /** A host with a master key, and a file that is sealed under it. */
    async hostWithMasterKey() {
      const state = temporaryDirectory();
      const hostEnv = { ...env, GATEHOUSE_NAME: 'web-1', GATEHOUSE_STATE_DIRECTORY: state };
      const run = (args: readonly string[], stdin = '') => gatehouse(args, { env: hostEnv, stdin });
      const sealed = join(state, 'tls-key.sealed');
      const seal = ['seal', '--name', 'tls-key', '--in', '-', '--out', sealed];
      expect(await run(['master-key', 'create', '--key-id', alias])).toMatchObject({ code: 0 });
      expect(await run(seal, secret)).toMatchObject({ code: 0 });
      return { gatehouse: run, sealed, wrapped: join(state, 'master-key', '1.wrapped') };
    },

    /** A file that Python wrote. */
    async write(as: string, under: Record<string, string>): Promise<string> {
      const file = join(temporaryDirectory(), 'tls-key.sealed');
      done(await cloud.python('write', file, keyArn, as, JSON.stringify(under), secret));
      return file;
    },
  };
  return cloud;
}

/** Standard output of a run that went well. */
function done({ exitCode, stdout, stderr }: PeerRun): string {
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return stdout;
}

function errorCode({ stderr }: Finished): string | undefined {
  return (JSON.parse(stderr) as { error?: { code?: string } }).error?.code;
}

function pairs(values: Record<string, string>): string[] {
  return ['--encryption-context', ...Object.entries(values).map(([key, value]) => `${key}=${value}`)];
}
