import { createHash, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { describe, expect, it, onTestFinished, test } from 'vitest';
import {
  type Authority,
  authority,
  type CertificateOptions,
  keyKinds,
} from '../test/support/certificates.ts';
import { rolesAnywhereTrust } from '../test/support/roles-anywhere.ts';
import { createSandbox } from './sandbox.ts';
import type { RawRequest } from './service.ts';
import { withHeader } from './signed-request.ts';

const now = new Date();

interface Asked {
  readonly body?: Record<string, unknown>;
  readonly isQuery?: boolean;
  readonly date?: Date;
  readonly chain?: readonly Buffer[];
  readonly serial?: string;
  readonly algorithm?: string;
  readonly signed?: (names: readonly string[]) => readonly string[];
  readonly key?: KeyObject;
}

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');

/** A trust anchor, a profile and a certificate, and requests signed with it as the user guide says. */
async function setup(
  leafOptions: CertificateOptions = {},
  issuerOf?: (root: Authority) => Promise<Authority>,
) {
  const sandbox = createSandbox({ now: () => now });
  const root = await authority();
  const issuer = (await issuerOf?.(root)) ?? root;
  const leaf = await issuer.issue(leafOptions);
  const role = sandbox.identities.createRole('Host', {
    maxSessionSeconds: 7200,
    trustPolicy: rolesAnywhereTrust,
  });
  const anchor = sandbox.rolesAnywhere.createTrustAnchor({ certificates: root.pem });
  const profile = sandbox.rolesAnywhere.createProfile({ roleArns: [role.arn], durationSeconds: 7200 });
  const arns = { profileArn: profile.arn, roleArn: role.arn, trustAnchorArn: anchor.arn };

  const request = (asked: Asked = {}): RawRequest => {
    const { isQuery = false, date = now, chain = [], key = leaf.privateKey } = asked;
    const body = Buffer.from(
      JSON.stringify({ durationSeconds: 3600, ...(isQuery ? {} : arns), ...asked.body }),
    );
    const query = isQuery
      ? Object.entries(arns)
          .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
          .join('&')
      : '';
    const amzDate = date.toISOString().replaceAll(/[-:]|\.\d{3}/gu, '');
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      host: '127.0.0.1:4566',
      'x-amz-date': amzDate,
      'x-amz-x509': leaf.der.toString('base64'),
      ...(chain.length === 0
        ? {}
        : { 'x-amz-x509-chain': chain.map((each) => each.toString('base64')).join(',') }),
    };
    const signed = (asked.signed ?? ((names) => names))(Object.keys(headers).toSorted());
    const canonical = [
      'POST',
      '/sessions',
      query,
      ...signed.map((name) => `${name}:${headers[name]}`),
      '',
      signed.join(';'),
      sha256(body),
    ].join('\n');
    const algorithm =
      asked.algorithm ??
      (key.asymmetricKeyType === 'rsa' ? 'AWS4-X509-RSA-SHA256' : 'AWS4-X509-ECDSA-SHA256');
    const scope = `${amzDate.slice(0, 8)}/eu-west-1/rolesanywhere/aws4_request`;
    const signature = sign(
      'sha256',
      Buffer.from([algorithm, amzDate, scope, sha256(canonical)].join('\n')),
      key,
    ).toString('hex');
    const serial = asked.serial ?? BigInt(`0x${new X509Certificate(leaf.der).serialNumber}`).toString();
    return {
      method: 'POST',
      target: query === '' ? '/sessions' : `/sessions?${query}`,
      headers: [
        ...Object.entries(headers),
        [
          'authorization',
          `${algorithm} Credential=${serial}/${scope}, SignedHeaders=${signed.join(';')}, Signature=${signature}`,
        ],
      ],
      body,
    };
  };
  const ask = async (raw: RawRequest) => {
    const { status, headers, body } = await sandbox.handle(raw);
    const document = JSON.parse(body.toString());
    return { status, error: headers['x-amzn-errortype']?.split(':')[0], message: document.message, document };
  };
  return { sandbox, root, issuer, leaf, role, anchor, profile, request, ask };
}

describe('CreateSession', () => {
  test.each(keyKinds)('gives a session for a certificate with a key %s', async (key) => {
    const { ask, request } = await setup({ key });

    expect(await ask(request())).toMatchObject({ status: 201 });
  });

  test.each([false, true])('takes the ARNs in the body, or in the query: %s', async (isQuery) => {
    const { ask, request, role } = await setup();

    const { status, document } = await ask(request({ isQuery }));

    expect(status).toBe(201);
    expect(document.credentialSet).toMatchObject([{ roleArn: role.arn, sourceIdentity: 'web-1' }]);
  });

  it('gives credentials that other services know, under the serial number in hex', async () => {
    const { sandbox, ask, request } = await setup({ serialNumber: '00fe8000000000000012ab' });
    const listener = await sandbox.listen();
    onTestFinished(() => listener.close());
    const { document } = await ask(request());
    const { accessKeyId, secretAccessKey, sessionToken } = document.credentialSet[0].credentials;

    const sts = new STSClient({
      endpoint: listener.url,
      region: 'eu-west-1',
      credentials: { accessKeyId, secretAccessKey, sessionToken },
    });
    const { Arn: arn } = await sts.send(new GetCallerIdentityCommand({}));

    expect(arn).toBe('arn:aws:sts::123456789012:assumed-role/Host/fe8000000000000012ab');
  });

  it('lives as long as asked for, and no longer than the profile says', async () => {
    const { ask, request, profile } = await setup();
    const secondsOf = async (durationSeconds: number) => {
      const { document } = await ask(request({ body: { durationSeconds } }));
      const { expiration } = document.credentialSet[0].credentials;
      return Math.round((Date.parse(expiration) - now.getTime()) / 1000);
    };

    expect(await secondsOf(900)).toBeCloseTo(900, -1);
    profile.durationSeconds = 1800;
    expect(await secondsOf(3600)).toBeCloseTo(1800, -1);
  });

  it('goes through intermediates, each issued by the next', async () => {
    const { ask, request, issuer } = await setup({}, (root) => root.authority());

    expect(await ask(request({ chain: [issuer.der] }))).toMatchObject({ status: 201 });
    expect(await ask(request())).toMatchObject({
      status: 403,
      error: 'AccessDeniedException',
      message: 'Untrusted Signing Certificate',
    });
  });

  it('is for the host and the trust anchor that the role names', async () => {
    const { ask, request, sandbox, anchor } = await setup();
    const condition = {
      StringEquals: { 'aws:PrincipalTag/x509Subject/CN': 'web-1' },
      ArnEquals: { 'aws:SourceArn': anchor.arn },
    };
    sandbox.identities.createRole('Host', { trustPolicy: trustUnder(condition) });

    expect(await ask(request())).toMatchObject({ status: 201 });
  });

  it('takes a session name only where the profile accepts one', async () => {
    const { ask, request, profile } = await setup();
    const named = request({ body: { roleSessionName: 'build-7' } });

    expect(await ask(named)).toMatchObject({
      status: 403,
      message: 'Not authorized to set roleSessionName.',
    });
    profile.acceptRoleSessionName = true;
    const { document } = await ask(named);
    expect(document.credentialSet[0].assumedRoleUser.arn).toMatch(/\/build-7$/u);
  });
});

function trustUnder(condition: object): string {
  return rolesAnywhereTrust.replace('"Action"', `"Condition":${JSON.stringify(condition)},"Action"`);
}

type Setup = Awaited<ReturnType<typeof setup>>;

describe('CreateSession refuses', () => {
  test.each<[string, (given: Setup) => RawRequest | Promise<RawRequest>, string]>([
    [
      'a signature of another key',
      async ({ request, root }) => request({ key: (await root.issue()).privateKey }),
      'Invalid signature',
    ],
    [
      'a swapped certificate',
      async ({ request, root }) => {
        const other = await root.issue();
        return withHeader(request(), 'x-amz-x509', () => other.der.toString('base64'));
      },
      'Invalid signature',
    ],
    [
      'a header changed after signing',
      ({ request }) => withHeader(request(), 'content-type', () => 'text/plain'),
      'Invalid signature',
    ],
    [
      'a body changed after signing',
      ({ request }) => ({ ...request(), body: Buffer.from('{"durationSeconds":43200}') }),
      'Invalid signature',
    ],
    ['another serial number', ({ request }) => request({ serial: '1' }), 'Invalid signature'],
    ['a serial number in hex', ({ request }) => request({ serial: '00ff' }), 'Invalid signature'],
    [
      'an algorithm that is not the key’s',
      ({ request }) => request({ algorithm: 'AWS4-X509-RSA-SHA256' }),
      'Invalid signature',
    ],
    [
      'a certificate that is not signed',
      ({ request }) => request({ signed: (names) => names.filter((name) => name !== 'x-amz-x509') }),
      "'x-amz-x509' must be a 'SignedHeader' in the AWS Authorization.",
    ],
    [
      'a chain that is not signed',
      ({ request, root }) =>
        request({ chain: [root.der], signed: (names) => names.filter((name) => !name.endsWith('-chain')) }),
      "'x-amz-x509-chain' must be a 'SignedHeader' in the AWS Authorization.",
    ],
    [
      'a replay after five minutes',
      ({ request }) => request({ date: new Date(now.getTime() - 301_000) }),
      'Signature expired: ',
    ],
    [
      'a date in the future',
      ({ request }) => request({ date: new Date(now.getTime() + 302_000) }),
      'Signature not yet current: ',
    ],
    [
      'a trust anchor that is disabled',
      ({ request, anchor }) => {
        anchor.enabled = false;
        return request();
      },
      'Trust anchor is disabled',
    ],
    [
      'a profile that is disabled',
      ({ request, profile }) => {
        profile.enabled = false;
        return request();
      },
      'Profile is disabled',
    ],
    [
      'a role that the profile has not',
      ({ request, profile }) => {
        profile.roleArns = [];
        return request();
      },
      'Unable to assume role for arn:aws:iam::123456789012:role/Host',
    ],
    [
      'a role that does not trust the service',
      ({ request, sandbox }) => {
        sandbox.identities.createRole('Host');
        return request();
      },
      'Unable to assume role for arn:aws:iam::123456789012:role/Host',
    ],
    [
      'a role that does not let the service set a source identity',
      ({ request, sandbox }) => {
        const trustPolicy = rolesAnywhereTrust.replace(',"sts:SetSourceIdentity"', '');
        sandbox.identities.createRole('Host', { trustPolicy });
        return request();
      },
      'Unable to assume role for arn:aws:iam::123456789012:role/Host',
    ],
    [
      'a role that trusts another host only',
      ({ request, sandbox }) => {
        const condition = { StringEquals: { 'aws:PrincipalTag/x509Subject/CN': 'web-2' } };
        sandbox.identities.createRole('Host', { trustPolicy: trustUnder(condition) });
        return request();
      },
      'Unable to assume role for arn:aws:iam::123456789012:role/Host',
    ],
    [
      'a revoked certificate',
      async ({ request, sandbox, root, anchor, leaf }) => {
        const crl = await root.crl([new X509Certificate(leaf.der).serialNumber]);
        sandbox.rolesAnywhere.importCrl({ trustAnchorArn: anchor.arn, crl });
        return request();
      },
      'Untrusted Signing Certificate: revoked',
    ],
  ])('%s', async (_what, requestOf, message) => {
    const given = await setup();

    const refused = await given.ask(await requestOf(given));

    expect(refused).toMatchObject({ status: 403, error: 'AccessDeniedException' });
    expect(refused.message).toContain(message);
  });

  it('is not misled by another authority’s revocation list', async () => {
    const { sandbox, ask, request, anchor, leaf } = await setup();
    const foreign = await authority({ subject: 'CN=Test root' });
    const crl = await foreign.crl([new X509Certificate(leaf.der).serialNumber]);
    sandbox.rolesAnywhere.importCrl({ trustAnchorArn: anchor.arn, crl });

    expect(await ask(request())).toMatchObject({ status: 201 });
  });

  test.each<[string, CertificateOptions, string]>([
    ['an authority as leaf', { isCa: true, usage: ['digitalSignature', 'keyCertSign'] }, 'CA: false'],
    ['a leaf without basic constraints', { isCa: undefined }, 'CA: false'],
    ['a leaf that may not sign', { usage: ['keyEncipherment'] }, 'no digital signature'],
    ['a leaf signed with SHA-1', { hash: 'SHA-1' }, 'SHA-256 or stronger'],
    ['a leaf without a subject', { subject: '' }, 'subject is empty'],
    ['a leaf that expired', { notAfter: new Date(now.getTime() - 1000) }, 'expired'],
    ['a leaf that is not valid yet', { notBefore: new Date(now.getTime() + 60_000) }, 'not yet valid'],
    ['a short RSA key', { key: 'rsa-1024' }, 'Invalid signature'],
  ])('%s', async (_what, options, message) => {
    const { ask, request } = await setup(options);

    const refused = await ask(request());

    expect(refused).toMatchObject({ status: 403, error: 'AccessDeniedException' });
    expect(refused.message).toContain(message);
  });

  test.each<[string, (root: Authority) => Promise<Authority>]>([
    ['a foreign authority of the same name', () => authority({ subject: 'CN=Test root' })],
    ['an intermediate that is none', async (root) => root.authority({ isCa: false })],
    ['an intermediate that may not issue', (root) => root.authority({ usage: ['digitalSignature'] })],
    ['an intermediate signed with SHA-1', (root) => root.authority({ key: 'ec-p384', hash: 'SHA-1' })],
    ['an intermediate that expired', (root) => root.authority({ notAfter: new Date(now.getTime() - 1000) })],
    [
      'more intermediates than one allows',
      async (root) => {
        const first = await root.authority({ pathLength: 0 });
        return first.authority();
      },
    ],
  ])('a leaf of %s', async (_what, issuerOf) => {
    const { ask, request, issuer } = await setup({}, issuerOf);

    const refused = await ask(request({ chain: [issuer.der] }));

    expect(refused).toMatchObject({ status: 403, error: 'AccessDeniedException' });
    expect(refused.message).toContain('Untrusted Signing Certificate');
  });

  test.each<[string, Record<string, unknown>, number, string]>([
    ['too short a session', { durationSeconds: 899 }, 400, 'ValidationException'],
    ['too long a session', { durationSeconds: 43_201 }, 400, 'ValidationException'],
    ['a duration that is none', { durationSeconds: '3600' }, 400, 'ValidationException'],
    ['a session name that is none', { roleSessionName: 'a b' }, 400, 'ValidationException'],
    ['no role', { roleArn: undefined }, 400, 'ValidationException'],
    ['a role that is no ARN', { roleArn: 'Host' }, 400, 'ValidationException'],
    [
      'a trust anchor that is not there',
      { trustAnchorArn: 'arn:aws:rolesanywhere:eu-west-1:123456789012:trust-anchor/none' },
      404,
      'ResourceNotFoundException',
    ],
    [
      'a profile that is not there',
      { profileArn: 'arn:aws:rolesanywhere:eu-west-1:123456789012:profile/none' },
      404,
      'ResourceNotFoundException',
    ],
  ])('%s', async (_what, body, status, error) => {
    const { ask, request } = await setup();

    expect(await ask(request({ body }))).toMatchObject({ status, error });
  });

  it('a session longer than the role allows', async () => {
    const { ask, request, role, sandbox } = await setup();
    sandbox.identities.createRole(role.roleName, { trustPolicy: rolesAnywhereTrust });

    const refused = await ask(request({ body: { durationSeconds: 3601 } }));

    expect(refused).toMatchObject({ status: 400, error: 'ValidationException' });
    expect(refused.message).toContain('MaxSessionDuration');
  });
});

describe('a trust anchor', () => {
  it('is made of an authority only', async () => {
    const { sandbox, leaf } = await setup();

    expect(() => sandbox.rolesAnywhere.createTrustAnchor({ certificates: leaf.pem })).toThrow(
      'basic constraints',
    );
    expect(() => sandbox.rolesAnywhere.createTrustAnchor({ certificates: 'none' })).toThrow('PEM');
  });

  it('is in a snapshot, with profiles and revocation lists', async () => {
    const { sandbox, ask, request, root, anchor, leaf } = await setup();
    const crl = await root.crl([new X509Certificate(leaf.der).serialNumber]);
    sandbox.rolesAnywhere.importCrl({ trustAnchorArn: anchor.arn, crl });
    const other = createSandbox({ now: () => now });
    other.restore(sandbox.snapshot());

    const { status, body } = await other.handle(request());

    expect(status).toBe(403);
    expect(body.toString()).toContain('revoked');
    expect(await ask(request())).toMatchObject({ status: 403 });
  });
});
