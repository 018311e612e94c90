import { fromInstanceMetadata } from '@smithy/credential-provider-imds';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createSandbox } from './sandbox.ts';

const roles = '/latest/meta-data/iam/security-credentials';
const ttlName = 'X-aws-ec2-metadata-token-ttl-seconds';

function setup() {
  let time = new Date('2026-11-22T12:00:00Z').getTime();
  const sandbox = createSandbox({ now: () => new Date(time) });
  const ask = async (method: string, target: string, headers: Record<string, string> = {}) => {
    const response = await sandbox.handle({
      method,
      target,
      headers: Object.entries(headers),
      body: Buffer.alloc(0),
    });
    return { status: response.status, headers: response.headers, text: response.body.toString() };
  };
  const newToken = async (seconds = '21600') => {
    const { text } = await ask('PUT', '/latest/api/token', { [ttlName]: seconds });
    return { 'X-aws-ec2-metadata-token': text };
  };
  const advance = (seconds: number): void => {
    time += seconds * 1000;
  };
  return { sandbox, ask, newToken, advance };
}

describe('the token', () => {
  it('is given for 1 to 21600 seconds, and the time is echoed', async () => {
    const { ask } = setup();

    const shortest = await ask('PUT', '/latest/api/token', { [ttlName]: '1' });
    const longest = await ask('PUT', '/latest/api/token', { [ttlName]: '21600' });

    expect([shortest.status, longest.status]).toEqual([200, 200]);
    expect(longest.headers['x-aws-ec2-metadata-token-ttl-seconds']).toBe('21600');
    expect(longest.text).not.toBe(shortest.text);
  });

  it.each(['', '0', '21601', '-1', '1.5', 'ten', '0x10'])('is not given for %j seconds', async (seconds) => {
    const { ask } = setup();

    expect((await ask('PUT', '/latest/api/token', { [ttlName]: seconds })).status).toBe(400);
  });

  it('is not given without a time, through a proxy or to another verb', async () => {
    const { ask } = setup();

    const forwarded = { [ttlName]: '60', 'X-Forwarded-For': '10.0.0.1' };
    expect((await ask('PUT', '/latest/api/token')).status).toBe(400);
    expect((await ask('PUT', '/latest/api/token', forwarded)).status).toBe(403);
    expect((await ask('GET', '/latest/api/token', { [ttlName]: '60' })).status).toBe(405);
    expect((await ask('POST', '/latest/api/token', { [ttlName]: '60' })).status).toBe(405);
  });

  it('is wanted for every document, and ends when its time is over', async () => {
    const { ask, newToken, advance } = setup();
    const token = await newToken('60');

    expect((await ask('GET', '/latest/meta-data/instance-id')).status).toBe(401);
    expect(
      (await ask('GET', '/latest/meta-data/instance-id', { 'X-aws-ec2-metadata-token': 'x' })).status,
    ).toBe(401);
    advance(59);
    expect((await ask('GET', '/latest/meta-data/instance-id', token)).status).toBe(200);
    advance(1);
    expect((await ask('GET', '/latest/meta-data/instance-id', token)).status).toBe(401);
  });
});

describe('the documents', () => {
  it.each(['', '/'])('name the role and give its credentials with %j at the end', async (end) => {
    const { sandbox, ask, newToken } = setup();
    const token = await newToken();

    const list = await ask('GET', `${roles}${end}`, token);
    const document = await ask('GET', `${roles}/GatehouseHost${end}`, token);

    expect(list).toMatchObject({ status: 200, text: 'GatehouseHost' });
    const credentials = JSON.parse(document.text);
    expect(credentials).toMatchObject({
      Code: 'Success',
      Type: 'AWS-HMAC',
      LastUpdated: '2026-11-22T12:00:00Z',
      Expiration: '2026-11-22T18:00:00Z',
    });
    expect(sandbox.identities.find(credentials.AccessKeyId)).toMatchObject({
      secretAccessKey: credentials.SecretAccessKey,
      sessionToken: credentials.Token,
      principalArn: `arn:aws:sts::123456789012:assumed-role/GatehouseHost/${sandbox.instance.instanceId}`,
    });
  });

  it('say which instance this is, and where', async () => {
    const { sandbox, ask, newToken } = setup();
    const token = await newToken();
    const { instanceId } = sandbox.instance;

    const text = async (path: string) => (await ask('GET', path, token)).text;

    expect(await text('/latest/meta-data/instance-id')).toBe(instanceId);
    expect(instanceId).toMatch(/^i-[0-9a-f]{17}$/u);
    expect(await text('/latest/meta-data/placement/region')).toBe('eu-west-1');
    expect(await text('/latest/meta-data/placement/availability-zone/')).toBe('eu-west-1a');
    expect(await text('/2021-07-15/meta-data/instance-id')).toBe(instanceId);
    expect(JSON.parse(await text('/latest/dynamic/instance-identity/document'))).toMatchObject({
      accountId: '123456789012',
      instanceId,
      region: 'eu-west-1',
      availabilityZone: 'eu-west-1a',
    });
    expect((await text('/latest/meta-data/')).split('\n')).toContain('placement/');
  });

  it('are not there for another role, another path or an instance without a role', async () => {
    const { sandbox, ask, newToken } = setup();
    const token = await newToken();

    expect((await ask('GET', `${roles}/Other`, token)).status).toBe(404);
    expect((await ask('GET', '/latest/meta-data/nothing', token)).status).toBe(404);
    expect((await ask('POST', '/latest/meta-data/instance-id', token)).status).toBe(405);
    sandbox.instance.role = undefined;
    expect((await ask('GET', `${roles}/`, token)).status).toBe(404);
    expect((await ask('GET', `${roles}/GatehouseHost`, token)).status).toBe(404);
  });
});

describe('the credentials', () => {
  it('stay the same until a quarter of their life is left', async () => {
    const context = setup();
    context.sandbox.instance.credentialSeconds = 3600;
    const first = await documentOf(context);

    context.advance(2699);
    expect(await documentOf(context)).toEqual(first);
    context.advance(1);
    const second = await documentOf(context);
    expect(second.AccessKeyId).not.toBe(first.AccessKeyId);
    expect(second.Expiration).toBe('2026-11-22T13:45:00Z');
  });

  it('are replaced when they expire on command, but not while frozen', async () => {
    const context = setup();
    const first = await documentOf(context);
    context.sandbox.identities.expire();

    context.sandbox.instance.frozen = true;
    expect(await documentOf(context)).toEqual(first);
    context.sandbox.instance.frozen = false;
    expect((await documentOf(context)).AccessKeyId).not.toBe(first.AccessKeyId);
  });

  it("come through the SDK's own provider", async () => {
    const sandbox = createSandbox();
    const { url, close } = await sandbox.listen();
    onTestFinished(close);
    vi.stubEnv('AWS_EC2_METADATA_SERVICE_ENDPOINT', url);
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });

    const credentials = await fromInstanceMetadata({ ec2MetadataV1Disabled: true })();

    expect(sandbox.identities.find(credentials.accessKeyId)?.sessionToken).toBe(credentials.sessionToken);
    expect(sandbox.calls.list().map(({ operation }) => operation)).toEqual([
      'GetToken',
      'ListRoles',
      'GetRoleCredentials',
    ]);
  });
});

async function documentOf({ ask, newToken }: ReturnType<typeof setup>) {
  const { text } = await ask('GET', `${roles}/GatehouseHost`, await newToken());
  return JSON.parse(text);
}
