import { execFile } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, verify, X509Certificate } from 'node:crypto';
import { chmodSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { built, gatehouse } from '../support/agent.ts';
import { pkcs12Password, pkcs12Vectors } from '../support/pkcs12-vectors.ts';
import { type RolesAnywhereOptions, rolesAnywhereHost } from '../support/roles-anywhere.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/** A host with a certificate, and the flags that AWS's helper would be given on it. */
async function setup(options: RolesAnywhereOptions & { tls?: boolean } = {}) {
  const sandbox = createSandbox();
  const listener = await sandbox.listen({ tls: options.tls ?? false });
  onTestFinished(() => listener.close());
  const folder = temporaryDirectory();
  const host = await rolesAnywhereHost(sandbox, folder, options);
  const { identity } = host;
  const flags = {
    '--certificate': identity.certificate,
    '--private-key': identity.privateKey,
    '--trust-anchor-arn': identity.trustAnchorArn,
    '--profile-arn': identity.profileArn,
    '--role-arn': identity.roleArn,
    '--endpoint': listener.url,
    ...(identity.intermediates === undefined ? {} : { '--intermediates': identity.intermediates }),
  };
  const argv = ['credential-process', ...Object.entries(flags).flat()];
  return { ...host, sandbox, listener, folder, flags, argv };
}

describe('credential-process', () => {
  test('writes what SDKs want, and nothing else', async () => {
    const { argv, sandbox } = await setup({ intermediates: 2 });

    const { code, stdout, stderr } = await gatehouse([...argv, '--session-duration', '900']);

    const document: Record<string, string> = JSON.parse(stdout);
    expect(document).toEqual({
      Version: 1,
      AccessKeyId: expect.stringMatching(/^ASIA/u),
      SecretAccessKey: expect.any(String),
      SessionToken: expect.any(String),
      Expiration: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/u),
    });
    expect(sandbox.identities.find(document['AccessKeyId'] ?? '')?.roleArn).toMatch(/GatehouseHost$/u);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  test('goes over TLS under a bundle of authorities, and under no other', async () => {
    const { argv, listener, folder } = await setup({ tls: true });
    const bundle = join(folder, 'ca.pem');
    writeFileSync(bundle, listener.caPem ?? '');

    const trusted = await gatehouse(argv, { env: { AWS_CA_BUNDLE: bundle } });
    const foreign = await gatehouse([...argv, '--json']);

    expect(trusted).toMatchObject({ code: 0, stderr: '' });
    expect(foreign).toMatchObject({ code: 69, stdout: '' });
    expect(JSON.parse(foreign.stderr)).toMatchObject({ error: { code: 'ROLES_ANYWHERE_UNREACHABLE' } });
  });

  test('minds a proxy where it is told to go through one, and there alone', async () => {
    const { argv } = await setup();
    const env = { HTTPS_PROXY: 'socks5://user:secret@127.0.0.1:1' };

    const direct = await gatehouse(argv, { env });
    const proxied = await gatehouse([...argv, '--with-proxy', '--json'], { env });

    expect(direct).toMatchObject({ code: 0, stderr: '' });
    expect(proxied).toMatchObject({ code: 78, stdout: '' });
    expect(JSON.parse(proxied.stderr)).toMatchObject({ error: { code: 'AWS_PROXY_INVALID' } });
  });

  test('is what it is under the name of AWS’s helper', async () => {
    const { argv, folder } = await setup();
    const link = join(folder, 'aws_signing_helper');
    symlinkSync(built, link);
    const run = promisify(execFile);

    const { stdout } = await run(process.execPath, [link, ...argv]);
    const { stdout: version } = await run(process.execPath, [link, 'version']);

    expect(JSON.parse(stdout)).toMatchObject({ Version: 1 });
    expect(version).toMatch(/^\d+\.\d+\.\d+\n$/u);
  });

  test('is configured by the bootstrap config where no flag says who to be', async () => {
    const { identity, listener, folder } = await setup();
    const config = join(folder, 'config.json');
    const rolesAnywhere = { ...identity };
    writeFileSync(config, JSON.stringify({ credentials: { rolesAnywhere } }), { mode: 0o600 });

    const { code, stdout } = await gatehouse(['credential-process', '--config', config], {
      env: { AWS_ENDPOINT_URL: listener.url },
    });
    const without = await gatehouse(['credential-process', '--json']);

    expect({ code, document: JSON.parse(stdout) }).toMatchObject({ code: 0, document: { Version: 1 } });
    expect(JSON.parse(without.stderr)).toMatchObject({ error: { code: 'CREDENTIALS_NOT_CONFIGURED' } });
    expect(without.code).toBe(78);
  });

  test('takes no flag for nothing: with a part of them it does not fall back on the bootstrap config', async () => {
    const { identity, listener, folder } = await setup();
    const config = join(folder, 'config.json');
    writeFileSync(config, JSON.stringify({ credentials: { rolesAnywhere: { ...identity } } }), {
      mode: 0o600,
    });
    const other = 'arn:aws:iam::123456789012:role/Other';

    const { code, stdout, stderr } = await gatehouse(
      ['credential-process', '--config', config, '--role-arn', other],
      { env: { AWS_ENDPOINT_URL: listener.url } },
    );

    expect(stderr).toContain('Missing required arguments: certificate, private-key');
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
  });

  test.each([
    ['--role-arn', 'arn:aws:iam::123456789012:role/Other'],
    ['--endpoint', 'https://example.com'],
    ['--with-proxy'],
  ])('takes no %s beside --consumer, which would be unheard', async (...flag) => {
    const { code, stdout, stderr } = await gatehouse(['credential-process', '--consumer', 'app', ...flag]);

    expect(stderr).toContain(`${flag[0]} is not for --consumer`);
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
  });

  test.each([
    ['127.0.0.1:1', 'AWS_ENDPOINT_INVALID'],
    ['http://example.com', 'AWS_ENDPOINT_INSECURE'],
  ])('refuses --endpoint %s as what the flag says, with %s', async (endpoint, expected) => {
    const { argv } = await setup();
    const before = argv.indexOf('--endpoint');
    const without = before < 0 ? argv : argv.toSpliced(before, 2);

    const { code, stderr } = await gatehouse([...without, '--endpoint', endpoint]);

    expect(stderr).toMatch(new RegExp(`flag --endpoint.* \\(${expected}\\)`, 'u'));
    expect(code).toBe(78);
  });

  test('goes on with a key that others may read, and says so', async () => {
    const { argv, identity } = await setup();
    chmodSync(identity.privateKey, 0o644);

    const { code, stdout, stderr } = await gatehouse(argv);

    expect(JSON.parse(stdout)).toMatchObject({ Version: 1 });
    expect(stderr).toMatch(/^warning: .*private-key\.pem \(PRIVATE_KEY_EXPOSED\)\nhint: /u);
    expect(code).toBe(0);
  });

  test('that is refused says by what, and writes nothing', async () => {
    const { argv, profile } = await setup();
    profile.enabled = false;

    const { code, stdout, stderr } = await gatehouse(argv);

    expect({ code, stdout }).toEqual({ code: 77, stdout: '' });
    expect(stderr).toMatch(/^error: .*AccessDeniedException.* \(ROLES_ANYWHERE_DISABLED\)\nhint: /u);
  });

  test.each([
    [['--certificate'], '—certificate', 'write --certificate'],
    [['--certificate'], '–certificate', 'write --certificate'],
    [['--role-arn'], '—role-arn', 'write --role-arn'],
  ])('sees that %s was written %s by a web page', async ([flag = ''], written, said) => {
    const { argv } = await setup();

    const { code, stderr } = await gatehouse(argv.map((word) => (word === flag ? written : word)));

    expect(code).toBe(64);
    expect(stderr).toContain(said);
  });

  test.each([
    ['--no-verify-ssl', 'AWS_CA_BUNDLE'],
    ['--pkcs8-password=secret', '--private-key-password-file'],
    ['--cert-selector=file://selector.json', '--certificate'],
    ['--tpm-key-password=secret', 'TPM'],
  ])('says of %s what to use', async (flag, said) => {
    const { argv } = await setup();

    const { code, stderr, stdout } = await gatehouse([...argv, flag]);

    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toContain(said);
    expect(stderr).not.toContain('secret');
  });

  test('says which flags are missing, and which value is none', async () => {
    const { argv, flags } = await setup();
    const missing = await gatehouse(
      argv.filter((word) => word !== '--role-arn' && word !== flags['--role-arn']),
    );
    const wrong = await gatehouse([...argv, '--session-duration', '1h']);

    expect(missing.stderr).toContain('Missing required arguments: role-arn');
    expect(wrong.stderr).toContain('--session-duration takes seconds, not 1h');
    expect([missing.code, wrong.code]).toEqual([64, 64]);
  });
});

describe('read-certificate-data', () => {
  test.each([
    ['rsa-2048', 'RSA'],
    ['ec-p384', 'EC'],
  ] as const)('says of a certificate for %s what AWS’s helper says', async (key, keyType) => {
    const { identity, leaf } = await setup({ certificate: { key, serialNumber: '00ff0000000000000001' } });

    const { code, stdout, stderr } = await gatehouse([
      'read-certificate-data',
      '--certificate',
      identity.certificate,
    ]);

    expect(JSON.parse(stdout)).toEqual({
      keyType,
      certificateData: leaf.der.toString('base64'),
      serialNumber: BigInt('0xff0000000000000001').toString(),
      supportedAlgorithms: [`${keyType}SHA256`, `${keyType}SHA384`, `${keyType}SHA512`],
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});

describe('read-certificate-data of a PKCS#12 file', () => {
  test('opens it with the password in a file, and says how where there is none', async () => {
    const folder = temporaryDirectory();
    const [file, password] = [join(folder, 'host.p12'), join(folder, 'password')];
    writeFileSync(file, Buffer.from(pkcs12Vectors.aes256, 'base64'));
    writeFileSync(password, `${pkcs12Password}\n`, { mode: 0o600 });
    const argv = ['read-certificate-data', '--certificate', file];

    const without = await gatehouse(argv);
    const { code, stdout } = await gatehouse([...argv, '--private-key-password-file', password]);

    expect(without.stderr).toMatch(/\(PRIVATE_KEY_PASSWORD_MISSING\)\nhint: .*--private-key-password-file/u);
    expect(without.code).toBe(78);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ keyType: 'EC' });
  });
});

describe('sign-string', () => {
  test.each(['pw', './pw'])('looks for the password %s in the working directory', async (name) => {
    const { privateKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'geheim' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    const cwd = temporaryDirectory();
    writeFileSync(join(cwd, 'key.pem'), privateKey, { mode: 0o600 });
    writeFileSync(join(cwd, 'pw'), 'geheim', { mode: 0o600 });
    const argv = ['sign-string', '--private-key', 'key.pem', '--private-key-password-file', name];

    expect(await gatehouse(argv, { cwd, stdin: 'a' })).toMatchObject({ code: 0, stderr: '' });
  });

  test.each(['SHA256', 'SHA384', 'SHA512'])('signs standard input over %s, in each form', async (digest) => {
    const { identity, leaf } = await setup({ certificate: { key: 'rsa-2048' } });
    const taken = ['--certificate', identity.certificate, '--debug'];
    const argv = ['sign-string', '--private-key', identity.privateKey, '--digest', digest, ...taken];
    const sign = async (format: string) => {
      const { code, stdout } = await gatehouse([...argv, '--format', format], { stdin: 'to be signed' });
      expect(code).toBe(0);
      return stdout;
    };

    const [json, text] = [await sign('json'), await sign('text')];

    expect(JSON.parse(json)).toBe(text);
    const key = createPublicKey(
      new X509Certificate(leaf.der).publicKey.export({ type: 'spki', format: 'pem' }),
    );
    const signature = Buffer.from(text, 'hex');
    expect(verify(digest.toLowerCase(), Buffer.from('to be signed'), key, signature)).toBe(true);
  });
});
