import { describe, expect, it } from 'vitest';
import { authority } from '../../test/support/certificates.ts';
import { createSandbox } from '../sandbox.ts';
import { signedRequest } from '../signed-request.ts';

async function setup() {
  const sandbox = createSandbox();
  const credentials = sandbox.identities.createUser('admin');
  const ask = async (method: string, path: string, body: object = {}) => {
    const request = await signedRequest({
      credentials,
      service: 'rolesanywhere',
      date: new Date(),
      method,
      path,
      headers: { 'content-type': 'application/json' },
      body: method === 'GET' ? '' : JSON.stringify(body),
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
      error: 'UnknownOperationException',
    });
  });
});
