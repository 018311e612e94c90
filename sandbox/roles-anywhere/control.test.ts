import { describe, expect, it } from 'vitest';
import { authority } from '../../test/support/certificates.ts';
import { createSandbox } from '../sandbox.ts';
import { signedRequest } from '../signed-request.ts';

interface Keys {
  accessKeyId: string;
  secretAccessKey: string;
}

async function setup() {
  const sandbox = createSandbox();
  const admin = sandbox.identities.createUser('admin');
  const ask = async (method: string, path: string, body: object = {}, credentials: Keys = admin) => {
    const request = await signedRequest({
      credentials,
      service: 'rolesanywhere',
      date: new Date(),
      method,
      path,
      headers: { 'content-type': 'application/json' },
      body: method === 'GET' || method === 'DELETE' ? '' : JSON.stringify(body),
    });
    const { status, headers, body: answer } = await sandbox.handle(request);
    return { status, error: headers['x-amzn-errortype']?.split(':')[0], body: JSON.parse(answer.toString()) };
  };
  const root = await authority();
  return { sandbox, ask, root };
}

const anchorOf = (pem: string) => ({
  name: 'hosts',
  enabled: true,
  source: { sourceType: 'CERTIFICATE_BUNDLE', sourceData: { x509CertificateData: pem } },
});

const allow = (Action: string, Resource = '*') =>
  JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action, Resource }] });

const profileOf = (role: string) => ({
  name: 'hosts',
  roleArns: [`arn:aws:iam::123456789012:role/${role}`],
});

describe('an administrator of Roles Anywhere', () => {
  it('makes a trust anchor, and takes trust away', async () => {
    const { sandbox, ask, root } = await setup();

    const made = await ask('POST', '/trustanchors', anchorOf(root.pem));
    const { trustAnchorId: id, trustAnchorArn: arn } = made.body.trustAnchor;
    const disabled = await ask('POST', `/trustanchor/${id}/disable`);

    expect(made).toMatchObject({ status: 201, body: { trustAnchor: { name: 'hosts', enabled: true } } });
    expect(disabled).toMatchObject({ status: 200, body: { trustAnchor: { enabled: false } } });
    expect(sandbox.rolesAnywhere.trustAnchor(arn)?.enabled).toBe(false);
    expect(await ask('GET', `/trustanchor/${id}`)).toMatchObject({ body: disabled.body });
    expect(await ask('POST', `/trustanchor/${id}/enable`)).toMatchObject({ body: made.body });
  });

  it('makes a profile, disabled unless it is said', async () => {
    const { ask } = await setup();
    const roleArns = ['arn:aws:iam::123456789012:role/Host'];

    const { status, body } = await ask('POST', '/profiles', {
      name: 'hosts',
      roleArns,
      durationSeconds: 900,
    });

    expect(status).toBe(201);
    expect(body.profile).toMatchObject({ roleArns, durationSeconds: 900, enabled: false });
    expect(await ask('POST', `/profile/${body.profile.profileId}/enable`)).toMatchObject({
      body: { profile: { enabled: true } },
    });
  });

  it('imports a revocation list', async () => {
    const { sandbox, ask, root } = await setup();
    const { body: made } = await ask('POST', '/trustanchors', anchorOf(root.pem));
    const { trustAnchorArn } = made.trustAnchor;
    const crlData = Buffer.from(await root.crl(['0a'])).toString('base64');

    const { status } = await ask('POST', '/crls', { name: 'lost', enabled: true, trustAnchorArn, crlData });

    expect(status).toBe(201);
    const anchor = sandbox.rolesAnywhere.trustAnchor(trustAnchorArn);
    const [list] = anchor === undefined ? [] : sandbox.rolesAnywhere.revocationsOf(anchor);
    expect(list?.serialNumbers).toEqual(new Set(['10']));
  });

  it('brings a revocation list up to date, and takes it away', async () => {
    const { sandbox, ask, root } = await setup();
    const { body: made } = await ask('POST', '/trustanchors', anchorOf(root.pem));
    const { trustAnchorArn } = made.trustAnchor;
    const crlData = async (...serials: string[]) => Buffer.from(await root.crl(serials)).toString('base64');
    const first = { name: 'lost', enabled: true, trustAnchorArn, crlData: await crlData('0a') };
    const { body: imported } = await ask('POST', '/crls', first);
    const id: string = imported.crl.crlId;
    const revoked = () => {
      const anchor = sandbox.rolesAnywhere.trustAnchor(trustAnchorArn);
      const lists = anchor === undefined ? [] : sandbox.rolesAnywhere.revocationsOf(anchor);
      return lists.map(({ serialNumbers }) => Array.from(serialNumbers));
    };

    const updated = await ask('PATCH', `/crl/${id}`, { crlData: await crlData('0a', '0b') });
    const both = revoked();
    await ask('POST', `/crl/${id}/disable`);
    const none = revoked();
    await ask('POST', `/crl/${id}/enable`);
    const again = revoked();
    const listed = await ask('GET', '/crls');
    const damaged = await ask('PATCH', `/crl/${id}`, { crlData: 'AAAA' });
    const deleted = await ask('DELETE', `/crl/${id}`);

    expect(updated).toMatchObject({ status: 200, body: { crl: { crlId: id, name: 'lost' } } });
    expect([both, none, again]).toEqual([[['10', '11']], [], [['10', '11']]]);
    expect(listed.body.crls).toEqual([expect.objectContaining({ crlId: id, trustAnchorArn })]);
    expect(damaged).toMatchObject({ status: 400, error: 'ValidationException' });
    expect(deleted).toMatchObject({ status: 200, body: { crl: { crlId: id } } });
    expect(revoked()).toEqual([]);
    expect(await ask('GET', `/crl/${id}`)).toMatchObject({ status: 404, error: 'ResourceNotFoundException' });
  });

  it('deletes a trust anchor and a profile, enabled or not, and says what they were', async () => {
    const { sandbox, ask, root } = await setup();
    const { body: anchor } = await ask('POST', '/trustanchors', anchorOf(root.pem));
    const roleArns = ['arn:aws:iam::123456789012:role/Host'];
    const { body: profile } = await ask('POST', '/profiles', { name: 'hosts', roleArns, enabled: true });
    const { trustAnchorId, trustAnchorArn } = anchor.trustAnchor;
    const { profileId, profileArn } = profile.profile;

    const deleted = [
      await ask('DELETE', `/trustanchor/${trustAnchorId}`),
      await ask('DELETE', `/profile/${profileId}`),
    ];

    expect(deleted).toMatchObject([
      { status: 200, body: anchor },
      { status: 200, body: profile },
    ]);
    expect(sandbox.rolesAnywhere.trustAnchor(trustAnchorArn)).toBeUndefined();
    expect(sandbox.rolesAnywhere.profile(profileArn)).toBeUndefined();
    expect(await ask('DELETE', `/trustanchor/${trustAnchorId}`)).toMatchObject({
      status: 404,
      error: 'ResourceNotFoundException',
    });
  });

  it('does what his policies allow, and gives away no role that he may not pass on', async () => {
    const { sandbox, ask, root } = await setup();
    const { body: made } = await ask('POST', '/trustanchors', anchorOf(root.pem));
    const { trustAnchorId, trustAnchorArn } = made.trustAnchor;
    const keeper = sandbox.identities.createUser('keeper', {
      policies: [
        allow('rolesanywhere:DisableTrustAnchor', trustAnchorArn),
        allow('rolesanywhere:CreateProfile'),
        allow('iam:PassRole', 'arn:aws:iam::123456789012:role/Host'),
      ],
    });

    const answers = [
      await ask('POST', `/trustanchor/${trustAnchorId}/disable`, {}, keeper),
      await ask('DELETE', `/trustanchor/${trustAnchorId}`, {}, keeper),
      await ask('POST', '/profiles', profileOf('Host'), keeper),
      await ask('POST', '/profiles', profileOf('Administrator'), keeper),
    ];

    expect(answers.map(({ status, error }) => [status, error])).toEqual([
      [200, undefined],
      [403, 'AccessDeniedException'],
      [201, undefined],
      [403, 'AccessDeniedException'],
    ]);
  });

  it('is refused what is wrong', async () => {
    const { ask, root } = await setup();
    const leaf = await root.issue();

    expect(await ask('POST', '/trustanchors', anchorOf(leaf.pem))).toMatchObject({
      status: 400,
      error: 'ValidationException',
    });
    expect(await ask('POST', '/trustanchors', {})).toMatchObject({
      status: 400,
      error: 'ValidationException',
    });
    expect(await ask('GET', '/trustanchor/none')).toMatchObject({
      status: 404,
      error: 'ResourceNotFoundException',
    });
    expect(await ask('GET', '/profile/none')).toMatchObject({
      status: 404,
      error: 'ResourceNotFoundException',
    });
    expect(await ask('DELETE', '/profile/none')).toMatchObject({
      status: 404,
      error: 'ResourceNotFoundException',
    });
    expect(await ask('PUT', '/profile/none')).toMatchObject({
      status: 404,
      error: 'UnknownOperationException',
    });
  });
});
