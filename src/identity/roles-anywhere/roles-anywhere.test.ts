import { X509Certificate } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createSandbox } from '../../../sandbox/sandbox.ts';
import {
  authority,
  type CertificateOptions,
  experimentalKeyKinds,
  keyKinds,
} from '../../../test/support/certificates.ts';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { patienceMs } from '../../../test/support/patience.ts';
import { pkcs12Password, pkcs12Vectors } from '../../../test/support/pkcs12-vectors.ts';
import {
  type RolesAnywhereOptions,
  rolesAnywhereHost,
  rolesAnywhereTrust,
} from '../../../test/support/roles-anywhere.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { awsPost } from '../../agent/aws/aws-post.ts';
import { clockSkew, corrected } from '../../agent/aws/clock-skew.ts';
import { systemClock } from '../../base/clock.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { credentialSourceContract } from '../credential-source.contract.ts';
import { scriptedEndpoint } from '../endpoint.contract.ts';
import { unconfiguredRolesAnywhere } from '../roles-anywhere-helper.ts';
import { type RolesAnywhereIdentity, rolesAnywhere, rolesAnywhereProblems } from './roles-anywhere.ts';

const signal = new AbortController().signal;
const post = awsPost({ proxyEnv: { HTTPS_PROXY: undefined, NO_PROXY: undefined }, ca: undefined });

interface Wanted extends Omit<RolesAnywhereOptions, 'role'> {
  readonly identity?: Partial<RolesAnywhereIdentity>;
  readonly clock?: typeof systemClock;
  readonly endpoint?: string;
  readonly serverTime?: (date: string) => void;
}

/** A host with a certificate, and the sandbox that trusts its authority. */
async function setup(wanted: Wanted = {}) {
  const { clock = systemClock } = wanted;
  const sandbox = createSandbox();
  const listener = await sandbox.listen();
  onTestFinished(() => listener.close());
  const host = await rolesAnywhereHost(sandbox, temporaryDirectory(), { ...wanted, role: 'Host' });
  const identity: RolesAnywhereIdentity = { ...host.identity, ...wanted.identity };
  const log: LogEvent[] = [];
  const context = {
    env: {},
    log: (event: LogEvent) => void log.push(event),
    clock,
    endpoint: { endpoint: wanted.endpoint ?? listener.url, useFips: false, useDualstack: false },
    post,
    serverTime: wanted.serverTime,
  };
  const problems = () => rolesAnywhereProblems(identity, context);
  const codes = async () => (await problems()).map(({ code }) => code);
  return {
    ...host,
    sandbox,
    listener,
    identity,
    problems,
    codes,
    log,
    source: rolesAnywhere(identity, context),
  };
}

credentialSourceContract('roles-anywhere', {
  async working() {
    const keys = { accessKeyId: 'ASIASESSION', secretAccessKey: 'session-secret' };
    const { url } = await scriptedEndpoint((_request, response) => {
      response.writeHead(201).end(session(keys));
    });
    return { source: (await setup({ endpoint: url })).source, ...keys };
  },
  absent: async () => unconfiguredRolesAnywhere,
  async failing(secretText) {
    const { url } = await scriptedEndpoint((_request, response) => {
      response
        .writeHead(403, { 'x-amzn-errortype': secretText, 'x-amzn-requestid': `${secretText}/` })
        .end(JSON.stringify({ message: secretText, __type: secretText }));
    });
    return (await setup({ endpoint: url })).source;
  },
});

function serialOf(der: Buffer): string {
  return new X509Certificate(der).serialNumber;
}

function session(credentials: Record<string, unknown>): string {
  const expiration = new Date(Date.now() + 3_600_000).toISOString();
  return JSON.stringify({
    credentialSet: [{ credentials: { sessionToken: 'token', expiration, ...credentials } }],
  });
}

describe('our own signer', () => {
  test.each(keyKinds.flatMap((key) => [0, 1, 5].map((intermediates) => [key, intermediates] as const)))(
    'gets a session with a key %s and %i intermediates',
    async (key, intermediates) => {
      const { source, sandbox } = await setup({ certificate: { key }, intermediates });

      const credentials = await source.load(signal);

      expect(sandbox.identities.find(credentials?.accessKeyId ?? '')?.roleArn).toMatch(/role\/Host$/u);
      expect(credentials?.accountId).toBe('123456789012');
      // The serial number of the certificate, in hex, as AWS names such a session.
      expect(credentials?.sessionName).toMatch(/^[0-9a-f]+$/u);
    },
  );

  test.each(experimentalKeyKinds)('gets a session with a key %s from the sandbox', async (key) => {
    const { source, sandbox } = await setup({ certificate: { key }, intermediates: 1 });

    await source.load(signal);

    expect(sandbox.calls.list().map(({ status }) => status)).toEqual([201]);
  });

  test.each(['01', '00ff00ff', '8000000000000001', `00${'c'.repeat(38)}`])(
    'says the serial number %s in decimal',
    async (serialNumber) => {
      const { source, listener, sandbox } = await setup({ certificate: { serialNumber } });

      const credentials = await source.load(signal);

      const sts = new STSClient({
        endpoint: listener.url,
        region: sandbox.region,
        credentials: {
          accessKeyId: credentials?.accessKeyId ?? '',
          secretAccessKey: credentials?.secretAccessKey.revealText() ?? '',
          sessionToken: credentials?.sessionToken?.revealText() ?? '',
        },
      });
      const { Arn: arn } = await sts.send(new GetCallerIdentityCommand({}));
      expect(arn?.split('/').at(-1)).toMatch(new RegExp(`^0*${serialNumber.replace(/^0+/u, '')}$`, 'u'));
    },
  );

  test('lets the session live as long as configured, under the name configured', async () => {
    const { source, sandbox, identity } = await setup({
      identity: { sessionDurationSeconds: 900, roleSessionName: 'web-1' },
    });
    const profile = sandbox.rolesAnywhere.profile(identity.profileArn);
    if (profile !== undefined) profile.acceptRoleSessionName = true;

    const credentials = await source.load(signal);

    const left = (credentials?.expiration?.getTime() ?? 0) - Date.now();
    expect(left).toBeGreaterThan(900_000 - patienceMs);
    expect(left).toBeLessThanOrEqual(900_000);
    expect(sandbox.identities.find(credentials?.accessKeyId ?? '')?.principalArn).toMatch(/\/web-1$/u);
  });

  test('takes what a certificate manager has replaced, at the next load', async () => {
    const { source, root, sandbox, file } = await setup();
    await source.load(signal);

    const renewed = await root.issue({ key: 'ec-p384', serialNumber: 'abcdef' });
    file('certificate.pem', renewed.pem);
    file('private-key.pem', renewed.keyPem);
    const credentials = await source.load(signal);

    expect(sandbox.identities.find(credentials?.accessKeyId ?? '')?.principalArn).toMatch(/\/abcdef$/u);
  });

  test('goes on with the pair it has while the files hold none, and says so once', async () => {
    const { source, root, sandbox, file, log } = await setup();
    await source.load(signal);
    const renewed = await root.issue({ serialNumber: 'abcdef' });

    file('certificate.pem', renewed.pem);
    await source.load(signal);
    await source.load(signal);
    file('private-key.pem', 'half a k');
    await source.load(signal);
    file('private-key.pem', renewed.keyPem);
    const credentials = await source.load(signal);

    expect(sandbox.calls.list().map(({ status }) => status)).toEqual([201, 201, 201, 201, 201]);
    expect(sandbox.identities.find(credentials?.accessKeyId ?? '')?.principalArn).toMatch(/\/abcdef$/u);
    expect(log.map(({ name, fields }) => [name, fields['error']])).toMatchObject([
      ['certificate.files-unusable', { code: 'CERTIFICATE_KEY_MISMATCH' }],
      ['certificate.files-unusable', { code: 'PRIVATE_KEY_INVALID' }],
    ]);
  });

  test('does not go on with a pair that has expired', async () => {
    const clock = fakeClock(new Date());
    const { source, file } = await setup({ clock });
    await source.load(signal);

    file('private-key.pem', 'half a k');
    clock.jump(400 * 86_400_000);

    await expect(source.load(signal)).rejects.toMatchObject({ code: 'PRIVATE_KEY_INVALID' });
  });

  test('tries again when it is throttled or cut off', async () => {
    const { source, sandbox } = await setup({ clock: { ...systemClock, sleep: async () => undefined } });
    sandbox.faults.add({ service: 'rolesanywhere', nth: 1, effect: { kind: 'throttle' } });
    sandbox.faults.add({ service: 'rolesanywhere', nth: 2, effect: { kind: 'cut' } });

    await source.load(signal);

    expect(sandbox.calls.list().map(({ status }) => status)).toEqual([429, undefined, 201]);
  });

  test('corrects for a clock that is off, by what the answer says', async () => {
    const { source, sandbox } = await setup({ clock: fakeClock(new Date(Date.now() - 1_800_000)) });

    await source.load(signal);

    expect(sandbox.calls.list().map(({ status }) => status)).toEqual([403, 201]);
  });
});

describe('a clock that is ahead by more than a session lasts', () => {
  const hourMs = 3_600_000;

  test('does not have a session thrown away that AWS has just given', async () => {
    const { source, sandbox } = await setup({ clock: fakeClock(new Date(Date.now() + 2 * hourMs)) });

    const credentials = await source.load(signal);

    expect(sandbox.identities.find(credentials?.accessKeyId ?? '')?.roleArn).toMatch(/role\/Host$/u);
    expect(sandbox.calls.list().map(({ status }) => status)).toEqual([403, 201]);
  });

  test('is told the time, so that what is renewed by it is renewed in time', async () => {
    const clock = fakeClock(new Date(Date.now() + 2 * hourMs));
    const skew = clockSkew(clock, () => undefined);
    const { source, sandbox } = await setup({
      clock: corrected(clock, skew),
      serverTime: (date) => skew.observe(date),
    });

    await source.load(signal);
    await source.load(signal);

    expect(skew.seconds()).toBeCloseTo(-7200, -1);
    expect(sandbox.calls.list().map(({ status }) => status)).toEqual([403, 201, 201]);
  });
});

describe('a refusal by AWS', () => {
  type Given = Awaited<ReturnType<typeof setup>>;

  test.each<[string, (given: Given) => unknown, string]>([
    [
      'of the anchor, disabled',
      ({ sandbox, identity }) =>
        Object.assign(sandbox.rolesAnywhere.trustAnchor(identity.trustAnchorArn) ?? {}, { enabled: false }),
      'ROLES_ANYWHERE_DISABLED',
    ],
    [
      'of the role',
      ({ sandbox, identity }) =>
        Object.assign(sandbox.rolesAnywhere.profile(identity.profileArn) ?? {}, { roleArns: [] }),
      'ROLES_ANYWHERE_ROLE_REFUSED',
    ],
    [
      'of the certificate, revoked',
      async ({ sandbox, identity, root, leaf }) =>
        sandbox.rolesAnywhere.importCrl({
          trustAnchorArn: identity.trustAnchorArn,
          crl: await root.crl([serialOf(leaf.der)]),
        }),
      'ROLES_ANYWHERE_CERTIFICATE_REFUSED',
    ],
    [
      'of the certificate, from a foreign authority',
      async ({ file }) => {
        const foreign = await (await authority()).issue();
        file('certificate.pem', foreign.pem);
        file('private-key.pem', foreign.keyPem);
      },
      'ROLES_ANYWHERE_CERTIFICATE_REFUSED',
    ],
    [
      'of the duration, over the role’s own maximum',
      ({ sandbox }) =>
        sandbox.identities.createRole('Host', { maxSessionSeconds: 3599, trustPolicy: rolesAnywhereTrust }),
      'ROLES_ANYWHERE_REQUEST_INVALID',
    ],
    [
      'for another reason',
      ({ sandbox }) =>
        sandbox.faults.add({ effect: { kind: 'error', name: 'AccessDeniedException', status: 403 } }),
      'CREDENTIALS_REFUSED',
    ],
  ])('%s has an error of its own', async (_what, spoil, code) => {
    const given = await setup();
    await spoil(given);

    await expect(given.source.load(signal)).rejects.toMatchObject({ code, row: { exitCode: 77 } });
    expect(given.sandbox.calls.count()).toBe(1);
  });

  test('of a session name has, and of what does not exist', async () => {
    const named = await setup({ identity: { roleSessionName: 'web-1' } });
    const profileArn = 'arn:aws:rolesanywhere:eu-west-1:123456789012:profile/none';
    const absent = await setup({ identity: { profileArn } });

    await expect(named.source.load(signal)).rejects.toMatchObject({
      code: 'ROLES_ANYWHERE_SESSION_NAME_REFUSED',
    });
    await expect(absent.source.load(signal)).rejects.toMatchObject({ code: 'ROLES_ANYWHERE_NOT_FOUND' });
  });

  test('for the clock says by how many seconds it is off, where correcting for it did not help', async () => {
    const { url } = await scriptedEndpoint((_request, response) => {
      response
        .writeHead(403, {
          date: new Date(Date.now() - 600_000).toUTCString(),
          'x-amzn-errortype': 'AccessDeniedException',
        })
        .end('{}');
    });
    const { source } = await setup({ endpoint: url });

    const failure = await source.load(signal).catch((error: unknown) => error);

    expect(failure).toMatchObject({ code: 'ROLES_ANYWHERE_CLOCK_WRONG', row: { exitCode: 77 } });
    expect(failure).toHaveProperty('details.clockAheadSeconds', expect.closeTo(600, -1));
  });
});

describe('an answer that is none', () => {
  test.each<[string, number, string, string]>([
    ['an empty credential set', 201, '{"credentialSet":[]}', 'ROLES_ANYWHERE_ANSWER_INVALID'],
    ['a page of a proxy', 200, '<html>', 'ROLES_ANYWHERE_ANSWER_INVALID'],
    ['a redirect', 302, '', 'ROLES_ANYWHERE_ANSWER_INVALID'],
    [
      'no time',
      201,
      session({ accessKeyId: 'A', secretAccessKey: 'S', expiration: 'soon' }),
      'ROLES_ANYWHERE_ANSWER_INVALID',
    ],
    ['no key', 201, session({ accessKeyId: 'A' }), 'ROLES_ANYWHERE_ANSWER_INVALID'],
    ['a flood', 201, 'x'.repeat(70_000), 'ROLES_ANYWHERE_UNREACHABLE'],
    ['trouble', 503, '', 'ROLES_ANYWHERE_UNREACHABLE'],
    [
      'credentials of yesterday',
      201,
      session({ accessKeyId: 'A', secretAccessKey: 'S', expiration: '2020-01-01T00:00:00Z' }),
      'CREDENTIALS_HANDED_OUT_EXPIRED',
    ],
  ])('is a typed error: %s', async (_what, status, body, code) => {
    const { url } = await scriptedEndpoint((_request, response) => response.writeHead(status).end(body));
    const { source } = await setup({
      endpoint: url,
      clock: { ...systemClock, sleep: async () => undefined },
    });

    await expect(source.load(signal)).rejects.toMatchObject({ code });
  });
});

describe('before the first call', () => {
  test('nothing is wrong with a good identity', async () => {
    const { codes } = await setup({ intermediates: 2 });

    expect(await codes()).toEqual([]);
  });

  const hourMs = 3_600_000;
  test.each<[string, CertificateOptions, string]>([
    ['expired', { notAfter: new Date(Date.now() - hourMs) }, 'CERTIFICATE_EXPIRED'],
    ['not valid yet', { notBefore: new Date(Date.now() + hourMs) }, 'CERTIFICATE_NOT_YET_VALID'],
    ['of an authority', { isCa: true }, 'CERTIFICATE_IS_CA'],
    ['without digitalSignature', { usage: ['keyEncipherment'] }, 'CERTIFICATE_CANNOT_SIGN'],
    ['signed with SHA-1', { hash: 'SHA-1' }, 'CERTIFICATE_SIGNED_WEAKLY'],
    ['of a short key', { key: 'rsa-1024' }, 'CERTIFICATE_KEY_UNSUPPORTED'],
  ])('a certificate %s is refused', async (_what, certificate, code) => {
    const { source, codes, sandbox } = await setup({ certificate });

    expect(await codes()).toEqual([code]);
    await expect(source.load(signal)).rejects.toMatchObject({ code });
    expect(sandbox.calls.count()).toBe(0);
  });

  test('an expiry is said beside the clock', async () => {
    const clock = fakeClock(new Date(Date.now() + 400 * 24 * hourMs));
    const { source } = await setup({ clock });

    await expect(source.load(signal)).rejects.toMatchObject({
      code: 'CERTIFICATE_EXPIRED',
      details: { clock: clock.now().toISOString() },
    });
  });

  test.each<[string, Partial<RolesAnywhereIdentity>, string]>([
    [
      'regions that differ',
      { profileArn: 'arn:aws:rolesanywhere:us-east-1:123456789012:profile/a' },
      'ROLES_ANYWHERE_REGIONS_DIFFER',
    ],
    ['a duration too short', { sessionDurationSeconds: 899 }, 'ROLES_ANYWHERE_DURATION_INVALID'],
    ['a duration too long', { sessionDurationSeconds: 43_201 }, 'ROLES_ANYWHERE_DURATION_INVALID'],
    ['a session name', { roleSessionName: 'a b' }, 'ROLES_ANYWHERE_SESSION_NAME_INVALID'],
    ['a role’s characters', { roleArn: 'arn:aws:iam::123456789012:role/a b' }, 'ROLES_ANYWHERE_ARN_INVALID'],
    ['a role’s path', { roleArn: 'arn:aws:iam::123456789012:role//Host/' }, 'ROLES_ANYWHERE_ARN_INVALID'],
    [
      'a trust anchor',
      { trustAnchorArn: 'arn:aws:iam::123456789012:role/Host' },
      'ROLES_ANYWHERE_ARN_INVALID',
    ],
    ['a key that is not there', { privateKey: '/nonexistent' }, 'PRIVATE_KEY_UNREADABLE'],
    ['a certificate that is not there', { certificate: '/nonexistent' }, 'CERTIFICATE_UNREADABLE'],
    ['a certificate that is a folder', { certificate: '/' }, 'CERTIFICATE_UNREADABLE'],
    ['a certificate that never ends', { certificate: '/dev/zero' }, 'CERTIFICATE_UNREADABLE'],
  ])('%s is refused', async (_what, identity, code) => {
    const { source, codes } = await setup({ identity });

    expect(await codes()).toEqual([code]);
    await expect(source.load(signal)).rejects.toMatchObject({ code });
  });

  test.each(['hosts/Host', "a!'()*/b+=,.@-_/Host+=,.@-_"])(
    'a role with the path of %s is not',
    async (name) => {
      const { codes } = await setup({ identity: { roleArn: `arn:aws-cn:iam::123456789012:role/${name}` } });

      expect(await codes()).toEqual([]);
    },
  );

  test('a key of another certificate is refused', async () => {
    const { root, file, codes } = await setup();
    file('private-key.pem', (await root.issue()).keyPem);

    expect(await codes()).toEqual(['CERTIFICATE_KEY_MISMATCH']);
  });

  test.each([0o604, 0o602, 0o620, 0o666])('a key file of mode %o is refused', async (mode) => {
    const { identity, codes } = await setup();
    chmodSync(identity.privateKey, mode);

    expect(await codes()).toEqual(['PRIVATE_KEY_EXPOSED']);
  });

  test.each([0o400, 0o440, 0o640])('a key file of mode %o is not', async (mode) => {
    const { identity, codes } = await setup();
    chmodSync(identity.privateKey, mode);

    expect(await codes()).toEqual([]);
  });

  test('a chain that does not begin with the issuer is refused, and one too long', async () => {
    const { root, file, problems, codes } = await setup({ intermediates: 1 });
    file('intermediates.pem', (await root.authority({ subject: 'CN=Another' })).pem);
    const long = await setup({ intermediates: 6 });

    expect(await codes()).toEqual(['CERTIFICATE_CHAIN_BROKEN']);
    expect((await problems())[0]?.details).toMatchObject({
      issuer: 'CN=Test intermediate 0',
    });
    expect(await long.codes()).toEqual(['CERTIFICATE_CHAIN_TOO_LONG']);
  });

  test('certificate and key come from one PKCS#12 file', async () => {
    const password = join(temporaryDirectory(), 'password');
    writeFileSync(password, `${pkcs12Password}\nnot this\n`, { mode: 0o600 });
    const given = await setup({ identity: { privateKeyPassword: password } });
    const file = given.file('identity.p12', Buffer.from(pkcs12Vectors.aes256, 'base64'));
    const both = { ...given.identity, certificate: file, privateKey: file };

    // OpenSSL makes an authority where nothing else is asked for: all the rest is right.
    expect(await codesOf(both)).toEqual(['CERTIFICATE_IS_CA', 'CERTIFICATE_CANNOT_SIGN']);
    expect(await codesOf({ ...both, privateKeyPassword: undefined })).toEqual([
      'PRIVATE_KEY_PASSWORD_MISSING',
    ]);
    expect(await codesOf({ ...both, privateKeyPassword: '/nonexistent' })).toContain(
      'PRIVATE_KEY_PASSWORD_UNREADABLE',
    );
  });

  test('the password is a systemd credential where it is a name', async () => {
    const folder = temporaryDirectory();
    writeFileSync(join(folder, 'key-password'), 'geheim', { mode: 0o600 });
    const { identity, leaf, file } = await setup({ identity: { privateKeyPassword: 'key-password' } });
    const encryption = { cipher: 'aes-256-cbc', passphrase: 'geheim' };
    file('private-key.pem', leaf.privateKey.export({ type: 'pkcs8', format: 'pem', ...encryption }));

    const problems = await rolesAnywhereProblems(identity, {
      env: { CREDENTIALS_DIRECTORY: folder },
      clock: systemClock,
    });

    expect(problems).toEqual([]);
  });

  test('everything that is wrong is said at once', async () => {
    const { root, file, codes, identity } = await setup({
      certificate: { usage: [], notAfter: new Date(Date.now() - hourMs) },
      identity: { sessionDurationSeconds: 1 },
    });
    file('private-key.pem', (await root.issue()).keyPem);
    chmodSync(identity.privateKey, 0o644);

    expect(await codes()).toEqual([
      'ROLES_ANYWHERE_DURATION_INVALID',
      'PRIVATE_KEY_EXPOSED',
      'CERTIFICATE_KEY_MISMATCH',
      'CERTIFICATE_EXPIRED',
      'CERTIFICATE_CANNOT_SIGN',
    ]);
  });
});

async function codesOf(identity: RolesAnywhereIdentity): Promise<readonly string[]> {
  const problems = await rolesAnywhereProblems(identity, { env: {}, clock: systemClock });
  return problems.map(({ code }) => code);
}
