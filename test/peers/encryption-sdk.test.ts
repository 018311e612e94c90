import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gatehouse } from '../support/agent.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { type Moto, startMoto } from './support/moto.ts';
import { arePeersMissing, type PeerName } from './support/peer.ts';
import { type PeerRun, runPeer } from './support/run-peer.ts';

const alias = 'alias/gatehouse-binding';
const suite = 'AES_256_GCM_HKDF_SHA512_COMMIT_KEY';
const signingSuite = 'AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384';
const context = { 'gatehouse:name': 'tls-key', 'gatehouse:purpose': 'sealed-file', 'gatehouse:version': '1' };
const secret = '-----BEGIN äöü-----\r\n no line end';

describe.skipIf(arePeersMissing('moto', 'python', 'aws-encryption-cli'))(
  'a sealed file and AWS’s own Encryption SDK, over KMS of moto',
  () => {
    let moto: Moto;
    let keyArn: string;
    let otherKeyArn: string;

    beforeAll(async () => {
      moto = await startMoto();
      keyArn = await newKey(alias);
      otherKeyArn = await newKey('alias/other');
    });

    afterAll(() => moto.close());

    async function newKey(name: string): Promise<string> {
      const { stdout } = await script('seed_with_boto3.py', JSON.stringify({ alias: name }));
      return (JSON.parse(stdout) as { keyArn: string }).keyArn;
    }

    function script(name: string, ...args: string[]): Promise<PeerRun> {
      return runPeer('python', [join(import.meta.dirname, name), ...args], moto);
    }

    async function done(name: PeerName, run: Promise<PeerRun>): Promise<string> {
      const { exitCode, stdout, stderr } = await run;
      expect({ name, exitCode, stderr }).toEqual({ name, exitCode: 0, stderr: '' });
      return stdout;
    }

    const open = (file: string, key: string) => script('encryption_sdk.py', 'open', file, key);

    /** Ours, pointed at moto. */
    function run(args: readonly string[], stdin = '') {
      const { accessKeyId, secretAccessKey } = moto.credentials;
      const env = {
        AWS_ENDPOINT_URL: moto.endpoint,
        AWS_REGION: moto.region,
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
      };
      return gatehouse(args, { env, stdin });
    }

    async function sealedByUs(keyId: string): Promise<string> {
      const file = join(temporaryDirectory(), 'tls-key.sealed');
      const key = ['--wrap', 'kms', '--key-id', keyId];
      const { code, stderr } = await run(
        ['seal', '--name', 'tls-key', '--in', '-', '--out', file, ...key],
        secret,
      );
      expect({ code, stderr }).toMatchObject({ code: 0 });
      return file;
    }

    async function writtenByPython(changes: { suite?: string; context?: Record<string, string> } = {}) {
      const file = join(temporaryDirectory(), 'tls-key.sealed');
      const as = [changes.suite ?? suite, JSON.stringify(changes.context ?? context), secret];
      await done('python', script('encryption_sdk.py', 'write', file, keyArn, ...as));
      return file;
    }

    it.each(['the alias', 'the ARN'])('opens in Python when we sealed it under %s', async (by) => {
      const file = await sealedByUs(by === 'the alias' ? alias : keyArn);

      const opened: unknown = JSON.parse(await done('python', open(file, keyArn)));

      const plaintext = Buffer.from(secret).toString('base64');
      expect(opened).toEqual({ plaintext, context, suite });
    });

    it('opens in Python under no other key, and not with a context that was changed', async () => {
      const file = await sealedByUs(alias);
      const forged = readFileSync(file);
      forged.write('tls-kex', forged.indexOf('tls-key'));
      const forgedFile = `${file}.forged`;
      writeFileSync(forgedFile, forged);

      const [underOther, renamed] = await Promise.all([open(file, otherKeyArn), open(forgedFile, keyArn)]);

      expect([underOther.exitCode, renamed.exitCode]).toEqual([1, 1]);
      expect(underOther.stderr).toContain('DecryptKeyError');
      expect(renamed.stderr).toContain('DecryptKeyError');
    });

    it('opens in the aws-encryption-cli when we sealed it', async () => {
      const file = await sealedByUs(alias);
      const [plain, metadata] = [`${file}.plain`, `${file}.metadata`];

      const where = ['--input', file, '--output', plain, '--metadata-output', metadata];
      await done('aws-encryption-cli', cli('--decrypt', ...where, ...pairs(context)));

      expect(readFileSync(plain, 'utf8')).toBe(secret);
      expect(JSON.parse(readFileSync(metadata, 'utf8'))).toMatchObject({
        header: { algorithm: suite, encryption_context: context, version: '2.0' },
      });
    });

    it('opens here when Python wrote it, with the key given and with any of the account', async () => {
      const file = await writtenByPython();

      const [pinned, own] = await Promise.all([
        run(['unseal', file, '--key-id', alias]),
        run(['unseal', file]),
      ]);

      expect(pinned).toEqual({ code: 0, stdout: secret, stderr: `opened tls-key with ${keyArn}\n` });
      expect(own).toEqual(pinned);
    });

    it('opens here when the aws-encryption-cli wrote it', async () => {
      const directory = temporaryDirectory();
      const [plain, file] = [join(directory, 'plain'), join(directory, 'sealed')];
      writeFileSync(plain, secret);
      const where = ['--input', plain, '--output', file, '--suppress-metadata'];
      await done('aws-encryption-cli', cli('--encrypt', '--algorithm', suite, ...where, ...pairs(context)));

      const opened = await run(['unseal', file, '--key-id', keyArn]);

      expect(opened).toEqual({ code: 0, stdout: secret, stderr: `opened tls-key with ${keyArn}\n` });
    });

    it('does not open here when Python wrote it in another suite or for another purpose', async () => {
      const [signed, elsewhere] = await Promise.all([
        writtenByPython({ suite: signingSuite }),
        writtenByPython({ context: { ...context, 'gatehouse:purpose': 'master-key' } }),
      ]);

      const [inOtherSuite, forOtherPurpose] = await Promise.all([
        run(['unseal', signed]),
        run(['unseal', elsewhere]),
      ]);

      expect(inOtherSuite).toMatchObject({ code: 65, stdout: '' });
      expect(inOtherSuite.stderr).toContain('SEALED_FORMAT_UNKNOWN');
      expect(forOtherPurpose).toMatchObject({ code: 77, stdout: '' });
      expect(forOtherPurpose.stderr).toContain('SECRET_SEALED_FOR_OTHER_USE');
    });

    function cli(...args: string[]): Promise<PeerRun> {
      return runPeer('aws-encryption-cli', [...args, '--wrapping-keys', `key=${keyArn}`], moto);
    }
  },
);

function pairs(values: Record<string, string>): string[] {
  return ['--encryption-context', ...Object.entries(values).map(([key, value]) => `${key}=${value}`)];
}
