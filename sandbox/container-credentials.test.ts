import { fromHttp } from '@aws-sdk/credential-provider-http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createSandbox } from './sandbox.ts';

function setup() {
  const sandbox = createSandbox({ now: () => new Date('2026-11-22T12:00:00Z') });
  const ask = async (target: string, authorization?: string, method = 'GET') => {
    const { status, body } = await sandbox.handle({
      method,
      target,
      headers: authorization === undefined ? [] : [['Authorization', authorization]],
      body: Buffer.alloc(0),
    });
    return { status, body: JSON.parse(body.toString()) };
  };
  return { sandbox, ask };
}

describe('the container endpoint', () => {
  it("gives credentials of the task's role for the token", async () => {
    const { sandbox, ask } = setup();

    const { status, body } = await ask(sandbox.container.path, sandbox.container.authorizationToken);

    expect(status).toBe(200);
    expect(body).toMatchObject({
      RoleArn: 'arn:aws:iam::123456789012:role/GatehouseHost',
      Expiration: '2026-11-22T18:00:00Z',
      AccountId: '123456789012',
    });
    expect(sandbox.identities.find(body.AccessKeyId)?.sessionToken).toBe(body.Token);
  });

  it('refuses without the token, with a wrong one and with one that was rotated', async () => {
    const { sandbox, ask } = setup();
    const { container } = sandbox;
    const old = container.authorizationToken;

    const missing = await ask(container.path);
    const wrong = await ask(container.path, `${old}x`);
    container.authorizationToken = 'rotated';
    const rotated = await ask(container.path, old);

    expect([missing.status, wrong.status, rotated.status]).toEqual([401, 403, 403]);
    expect(missing.body).toEqual({ code: 'AccessDenied', message: expect.any(String) });
    expect((await ask(container.path, 'rotated')).status).toBe(200);
  });

  it('serves the relative path to who knows its identifier', async () => {
    const { sandbox, ask } = setup();
    const { relativePath } = sandbox.container;

    expect((await ask(relativePath)).status).toBe(200);
    expect((await ask(relativePath, 'wrong')).status).toBe(403);
    expect(await ask('/v2/credentials/other')).toEqual({
      status: 400,
      body: { code: 'InvalidIdInRequest', message: 'CredentialsV2Request: Credentials not found' },
    });
  });

  it('knows no other verb, and no credentials where there is no role', async () => {
    const { sandbox, ask } = setup();
    const { path, authorizationToken } = sandbox.container;

    expect((await ask(path, authorizationToken, 'POST')).status).toBe(405);
    sandbox.container.role = undefined;
    expect((await ask(path, authorizationToken)).status).toBe(404);
  });

  it("serves the SDK's own provider", async () => {
    const { sandbox } = setup();
    const { url, close } = await sandbox.listen();
    onTestFinished(close);
    const { path, authorizationToken } = sandbox.container;

    const credentials = await fromHttp({
      awsContainerCredentialsFullUri: `${url}${path}`,
      awsContainerAuthorizationToken: authorizationToken,
    })();

    expect(sandbox.identities.find(credentials.accessKeyId)?.secretAccessKey).toBe(
      credentials.secretAccessKey,
    );
  });
});
