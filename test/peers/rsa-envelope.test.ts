import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Host, setup } from '../support/host.ts';

const alias = 'alias/gatehouse-web-1';
const oaep = ['rsa_padding_mode:oaep', 'rsa_oaep_md:sha256', 'rsa_mgf1_md:sha256'].flatMap((option) => [
  '-pkeyopt',
  option,
]);

describe.each([
  [2048, 256],
  [4096, 512],
])('an envelope under RSA-%i, and openssl', (bits, length) => {
  it('opens what we wrapped, with the private key that only the sandbox gives away', async () => {
    const { host, privateKey } = await hostUnder(bits);
    const wrapped = readFileSync(wrappedPath(host));
    const header = wrapped.subarray(0, -length);

    const plaintext = openssl(
      ['pkeyutl', '-decrypt', '-inkey', privateKey, '-keyform', 'DER', ...oaep],
      wrapped.subarray(-length),
    );

    expect(plaintext.subarray(0, 32).equals(openssl(['dgst', '-sha256', '-binary'], header))).toBe(true);
    // Version 1, the key, no password.
    expect([plaintext.length, plaintext[32], plaintext.at(-1)]).toEqual([32 + 34, 1, 0]);
    expect(fingerprintBy(plaintext.subarray(33, 65))).toBe((await status(host)).fingerprint);
  });

  it('wraps what we open', async () => {
    const { host, privateKey } = await hostUnder(bits);
    const header = readFileSync(wrappedPath(host)).subarray(0, -length);
    const key = createHash('sha256').update('a key of somebody else').digest();
    const content = Buffer.concat([Buffer.of(1), key, Buffer.of(0)]);
    const plaintext = Buffer.concat([openssl(['dgst', '-sha256', '-binary'], header), content]);

    const encrypt = ['pkeyutl', '-encrypt', '-inkey', privateKey, '-keyform', 'DER', ...oaep];
    writeFileSync(wrappedPath(host), Buffer.concat([header, openssl(encrypt, plaintext)]));

    // Not where another key was opened before.
    expect(await status(host)).toMatchObject({ failing: { code: 'MASTER_KEY_REPLACED' } });
    rmSync(join(host.stateDirectory, 'master-key', 'ledger.db'));
    expect(await status(host)).toMatchObject({
      isReachable: true,
      fingerprint: fingerprintBy(key),
    });
  });
});

function openssl(args: readonly string[], input: Buffer): Buffer {
  return execFileSync('openssl', args, { input });
}

/** A host whose master key is under an RSA key, and the private half of that. */
async function hostUnder(bits: number) {
  const host = await setup();
  const flags = ['--rsa', String(bits), '--alias', alias];
  expect(await host.run(['master-key', 'create', ...flags])).toMatchObject({ code: 0 });
  const { kms } = host.sandbox.state;
  const arn = [...kms.aliases.values()].find(({ name }) => name === alias)?.targetKeyArn ?? '';
  const privateKey = join(host.disk, 'private-key.der');
  writeFileSync(privateKey, Buffer.from(kms.keys.get(arn)?.material ?? '', 'base64'));
  return { host, privateKey };
}

const wrappedPath = (host: Host): string => join(host.stateDirectory, 'master-key', '1.wrapped');

async function status(host: Host) {
  const { stdout } = await host.run(['master-key', 'status', '--json']);
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** The keyed hash that tells one master key from another. */
function fingerprintBy(key: Buffer): string {
  const args = ['dgst', '-sha256', '-binary', '-mac', 'HMAC', '-macopt', `hexkey:${key.toString('hex')}`];
  return openssl(args, Buffer.from('gatehouse master-key fingerprint')).subarray(0, 16).toString('hex');
}
