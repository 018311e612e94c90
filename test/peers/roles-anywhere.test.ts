import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { startSandbox } from '../contract/sandbox-target.ts';
import { built } from '../support/agent.ts';
import { type Authority, type Issued, keyKinds } from '../support/certificates.ts';
import { rolesAnywhereHost } from '../support/roles-anywhere.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { arePeersMissing } from './support/peer.ts';
import { runPeer } from './support/run-peer.ts';

const password = 'a password of two words';

/** How certificate, key and chain may lie in files; each answers with the flags that name them. */
const containers: Readonly<
  Record<
    string,
    (
      leaf: Issued,
      chain: readonly Authority[],
      file: (name: string, content: string | Buffer) => string,
    ) => string[]
  >
> = {
  'pem-pkcs8': (leaf, chain, file) => {
    const flags = [
      '--certificate',
      file('certificate.pem', leaf.pem),
      '--private-key',
      file('key.pem', leaf.keyPem),
    ];
    return [...flags, ...intermediates(chain, file)];
  },
  'pem-traditional': (leaf, chain, file) => {
    const type = leaf.privateKey.asymmetricKeyType === 'rsa' ? 'pkcs1' : 'sec1';
    const key = leaf.privateKey.export({ type, format: 'pem' });
    const certificate = file('certificate.pem', leaf.pem);
    return [
      '--certificate',
      certificate,
      '--private-key',
      file('key.pem', key),
      ...intermediates(chain, file),
    ];
  },
  'pem-encrypted': (leaf, chain, file) => {
    const encryption = { cipher: 'aes-256-cbc', passphrase: password };
    const key = leaf.privateKey.export({ type: 'pkcs8', format: 'pem', ...encryption });
    const certificate = file('certificate.pem', leaf.pem);
    const flags = ['--certificate', certificate, '--private-key', file('key.pem', key)];
    return [
      ...flags,
      '--private-key-password-file',
      file('password', `${password}\n`),
      ...intermediates(chain, file),
    ];
  },
  der: (leaf, chain, file) => {
    const key = leaf.privateKey.export({ type: 'pkcs8', format: 'der' });
    const certificate = file('certificate.der', leaf.der);
    return [
      '--certificate',
      certificate,
      '--private-key',
      file('key.der', key),
      ...intermediates(chain, file),
    ];
  },
  txt: (leaf, chain, file) => {
    const text = ['Certificate body:', leaf.pem, 'Certificate chain:', ...chain.map(({ pem }) => pem)].join(
      '\n\n',
    );
    return ['--certificate', file('certificate.txt', text), '--private-key', file('key.pem', leaf.keyPem)];
  },
  pkcs12: (leaf, chain, file) => {
    const [certificate, key] = [file('certificate.pem', leaf.pem), file('key.pem', leaf.keyPem)];
    const below = file('below.pem', chain.map(({ pem }) => pem).join(''));
    const secret = file('password', `${password}\n`);
    const identity = file('identity.p12', '');
    const more = chain.length === 0 ? [] : ['-certfile', below];
    const argv = ['pkcs12', '-export', '-in', certificate, '-inkey', key, '-out', identity, ...more];
    execFileSync('openssl', [...argv, '-passout', `file:${secret}`]);
    return ['--certificate', identity, '--private-key', identity, '--private-key-password-file', secret];
  },
};

function intermediates(
  chain: readonly Authority[],
  file: (name: string, content: string) => string,
): string[] {
  if (chain.length === 0) return [];
  // Not in order: they are sorted.
  return [
    '--intermediates',
    file(
      'chain.pem',
      chain
        .toReversed()
        .map(({ pem }) => pem)
        .join(''),
    ),
  ];
}

describe.skipIf(arePeersMissing('aws', 'python'))('credential-process', () => {
  it.each(keyKinds)(
    'gives boto3 and the AWS CLI credentials for a key of kind %s in every container, with and without chain',
    async (key) => {
      const target = await startSandbox();
      onTestFinished(() => target.close());
      const folder = temporaryDirectory();
      const profiles: string[] = [];
      const serials = new Map<string, string>();
      for (const depth of [0, 2]) {
        const host = await rolesAnywhereHost(target.sandbox, folder, {
          certificate: { key },
          intermediates: depth,
        });
        for (const [container, write] of Object.entries(containers)) {
          const name = `${container}-${depth}`;
          const own = join(folder, name);
          mkdirSync(own);
          const file = (given: string, content: string | Buffer): string => {
            const path = join(own, given);
            writeFileSync(path, content, { mode: 0o600 });
            return path;
          };
          const { trustAnchorArn, profileArn, roleArn } = host.identity;
          const arns = [
            ['--trust-anchor-arn', trustAnchorArn],
            ['--profile-arn', profileArn],
            ['--role-arn', roleArn],
          ].flat();
          const flags = [...write(host.leaf, host.between, file), ...arns, '--endpoint', target.endpoint];
          const words = [process.execPath, built, 'credential-process', ...flags];
          profiles.push(`[profile ${name}]\ncredential_process = ${words.join(' ')}\n`);
          serials.set(name, new X509Certificate(host.leaf.der).serialNumber.toLowerCase());
        }
      }
      const config = join(folder, 'config');
      writeFileSync(config, profiles.join('\n'));
      const changes = {
        AWS_CONFIG_FILE: config,
        AWS_ACCESS_KEY_ID: undefined,
        AWS_SECRET_ACCESS_KEY: undefined,
      };

      const script = join(import.meta.dirname, 'callers_with_boto3.py');
      const boto3 = await runPeer('python', [script], target, changes);
      const identity = ['sts', 'get-caller-identity', '--profile', 'pkcs12-2', '--output', 'json'];
      const cli = await runPeer('aws', identity, target, changes);

      const role = 'arn:aws:sts::123456789012:assumed-role/GatehouseHost';
      expect(JSON.parse(boto3.stdout || JSON.stringify(boto3))).toEqual(
        Object.fromEntries([...serials].map(([name, serial]) => [name, `${role}/${serial}`])),
      );
      expect(serials.size).toBe(12);
      expect(JSON.parse(cli.stdout || JSON.stringify(cli))).toMatchObject({
        Arn: expect.stringContaining(role),
      });
    },
  );
});

describe.skipIf(arePeersMissing('python'))('a signer that nobody here wrote', () => {
  it('gets sessions from the sandbox with its own form of the request, and is refused what AWS refuses', async () => {
    const sandbox = createSandbox({ region: 'eu-west-1' });
    const listener = await sandbox.listen({ tls: true });
    onTestFinished(() => listener.close());
    const folder = temporaryDirectory();
    const identityOf = async (name: string, options: Parameters<typeof rolesAnywhereHost>[2]) => {
      mkdirSync(join(folder, name));
      return rolesAnywhereHost(sandbox, join(folder, name), options);
    };
    const rsa = await identityOf('rsa', { certificate: { key: 'rsa-2048' } });
    const chain = await identityOf('chain', { certificate: { key: 'ec-p256' }, intermediates: 1 });
    const large = await identityOf('large', {
      certificate: { key: 'rsa-4096', serialNumber: `00${'f'.repeat(38)}` },
    });
    const foreign = await identityOf('foreign', {});
    const disabled = await identityOf('disabled', {});
    disabled.anchor.enabled = false;
    const ca = await identityOf('authority', {
      certificate: { isCa: true, usage: ['digitalSignature', 'keyCertSign'] },
    });
    const revoked = await identityOf('revoked', {});
    sandbox.rolesAnywhere.importCrl({
      trustAnchorArn: revoked.anchor.arn,
      crl: await revoked.root.crl([new X509Certificate(revoked.leaf.der).serialNumber]),
    });
    const caBundle = join(folder, 'ca.pem');
    writeFileSync(caBundle, listener.caPem ?? '');
    const given = {
      url: listener.url,
      endpoint: listener.url.replace('https://', ''),
      ca: caBundle,
      identities: {
        rsa: rsa.identity,
        chain: chain.identity,
        large: large.identity,
        foreign: { ...foreign.identity, trustAnchorArn: rsa.identity.trustAnchorArn },
        disabled: disabled.identity,
        authority: ca.identity,
        revoked: revoked.identity,
        otherKey: { ...rsa.identity, privateKey: large.identity.privateKey },
      },
    };
    const { accessKeyId, secretAccessKey } = sandbox.identities.createUser('contract');
    const target = {
      endpoint: listener.url,
      region: sandbox.region,
      credentials: { accessKeyId, secretAccessKey },
      roleArn: rsa.role.arn,
    };

    const { stdout, stderr } = await runPeer(
      'python',
      [join(import.meta.dirname, 'roles_anywhere_session.py'), JSON.stringify(given)],
      target,
    );

    const role = 'arn:aws:sts::123456789012:assumed-role/GatehouseHost';
    expect(JSON.parse(stdout || JSON.stringify({ stderr }))).toEqual({
      rsa: expect.stringContaining(role),
      chain: expect.stringContaining(role),
      large: `${role}/${'f'.repeat(38)}`,
      foreign: expect.stringContaining('Untrusted Signing Certificate'),
      disabled: expect.stringContaining('disabled'),
      authority: expect.stringContaining('CA: false'),
      revoked: expect.stringContaining('revoked'),
      otherKey: expect.stringContaining('Invalid signature'),
    });
    expect(sandbox.calls.list().filter(({ operation }) => operation === 'CreateSession')).toHaveLength(8);
  });
});
