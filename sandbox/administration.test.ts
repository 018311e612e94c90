import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { describe, expect, it, onTestFinished } from 'vitest';
import { authority } from '../test/support/certificates.ts';
import { createSandbox } from './sandbox.ts';

async function setup() {
  const sandbox = createSandbox();
  const { url, close } = await sandbox.listen();
  onTestFinished(close);
  const ask = async (
    method: string,
    path: string,
    body?: unknown,
    token: string | null = sandbox.adminToken,
  ) => {
    const response = await fetch(`${url}/_sandbox/${path}`, {
      method,
      headers: token === null ? {} : { 'x-sandbox-token': token },
      body: body === undefined ? null : JSON.stringify(body),
    });
    // oxlint-disable-next-line typescript/no-explicit-any -- whatever the test says it is
    return { status: response.status, body: (await response.json()) as any };
  };
  return { sandbox, url, ask };
}

describe('the administrative path', () => {
  it('refuses who has not the token', async () => {
    const { ask, sandbox } = await setup();
    const fault = { effect: { kind: 'cut' } };

    expect((await ask('POST', 'faults', fault, null)).status).toBe(403);
    expect((await ask('POST', 'faults', fault, `${sandbox.adminToken}0`)).status).toBe(403);
    expect((await ask('GET', 'calls', undefined, '')).status).toBe(403);
    expect(sandbox.faults.list()).toEqual([]);
  });

  it('adds, lists and removes faults', async () => {
    const { ask } = await setup();
    const rule = { service: 'sts', count: 1, effect: { kind: 'throttle' } };

    const one = await ask('POST', 'faults', rule);
    const two = await ask('POST', 'faults', { faults: [rule, rule] });

    expect(one.body).toEqual({ ids: ['fault-1'] });
    expect(two.body.ids).toHaveLength(2);
    expect((await ask('GET', 'faults')).body.faults[0]).toEqual({ id: 'fault-1', rule, seen: 0, hits: 0 });
    expect((await ask('DELETE', 'faults/fault-1')).status).toBe(200);
    expect((await ask('DELETE', 'faults/fault-1')).status).toBe(404);
    expect((await ask('DELETE', 'faults')).status).toBe(200);
    expect((await ask('GET', 'faults')).body).toEqual({ faults: [] });
  });

  it('says what is wrong with a fault', async () => {
    const { ask } = await setup();

    const refused = await ask('POST', 'faults', { effect: { kind: 'latency', ms: 'long' } });

    expect(refused).toMatchObject({
      status: 400,
      body: { error: 'SANDBOX_FAULTS_INVALID', problems: [{ path: 'faults[0].effect.ms' }] },
    });
  });

  it('issues credentials that verify, records their calls, and lets them expire', async () => {
    const { ask, url } = await setup();
    const { body: session } = await ask('POST', 'credentials', { role: 'Deploy', durationSeconds: 60 });
    const { body: user } = await ask('POST', 'credentials', { user: 'carol' });
    const whoIs = ({ accessKeyId, secretAccessKey, sessionToken }: Record<string, string>) =>
      new STSClient({
        endpoint: url,
        region: 'eu-west-1',
        credentials: {
          accessKeyId: accessKeyId ?? '',
          secretAccessKey: secretAccessKey ?? '',
          ...(sessionToken === undefined ? {} : { sessionToken }),
        },
        maxAttempts: 1,
      }).send(new GetCallerIdentityCommand({}));

    expect((await whoIs(session)).Arn).toBe('arn:aws:sts::123456789012:assumed-role/Deploy/sandbox');
    expect((await whoIs(user)).Arn).toBe(user.arn);
    expect((await ask('GET', 'calls')).body.calls).toMatchObject([
      { service: 'sts', operation: 'GetCallerIdentity', accessKeyId: session.accessKeyId, status: 200 },
      { accessKeyId: user.accessKeyId },
    ]);
    expect((await ask('DELETE', `credentials/${session.accessKeyId}`)).body).toEqual({ expired: 1 });
    await expect(whoIs(session)).rejects.toMatchObject({ name: 'ExpiredToken' });
    expect((await ask('DELETE', 'calls')).status).toBe(200);
    expect((await ask('GET', 'calls')).body).toEqual({ calls: [] });
  });

  it('changes roles, the instance and the container', async () => {
    const { ask, sandbox } = await setup();

    expect((await ask('POST', 'roles', { name: 'Long', maxSessionSeconds: 7200 })).body.arn).toBe(
      'arn:aws:iam::123456789012:role/Long',
    );
    await ask('PUT', 'instance', { role: null });
    await ask('PUT', 'container', { role: 'Fresh', credentialSeconds: 30, frozen: true });

    expect(sandbox.identities.role('Long')?.maxSessionSeconds).toBe(7200);
    expect(sandbox.instance.role).toBeUndefined();
    expect(sandbox.container).toMatchObject({ role: 'Fresh', credentialSeconds: 30, frozen: true });
    expect(sandbox.identities.role('Fresh')).toBeDefined();
  });

  it('makes, disables and enables what Roles Anywhere needs', async () => {
    const { ask, sandbox } = await setup();
    const root = await authority();

    const { body: anchor } = await ask('POST', 'trust-anchors', { certificates: root.pem });
    const { body: profile } = await ask('POST', 'profiles', {
      roleArns: ['arn:aws:iam::123456789012:role/GatehouseHost'],
      durationSeconds: 900,
    });
    const crl = { trustAnchorArn: anchor.arn, crl: await root.crl(['1234']) };

    expect((await ask('POST', 'crls', crl)).status).toBe(200);
    expect((await ask('PUT', `trust-anchors/${anchor.id}`, { enabled: false })).status).toBe(200);
    expect((await ask('PUT', `profiles/${profile.id}`, { enabled: false })).status).toBe(200);
    expect((await ask('PUT', 'profiles/none', { enabled: false })).status).toBe(404);
    expect(sandbox.rolesAnywhere.trustAnchor(anchor.arn)?.enabled).toBe(false);
    expect(sandbox.rolesAnywhere.profile(profile.arn)?.enabled).toBe(false);
    expect(sandbox.rolesAnywhere.revocationsOf(anchor)[0]?.serialNumbers).toEqual(new Set(['4660']));
  });

  it('gives roles and users policies and tags, and refuses a policy that is none', async () => {
    const { ask, sandbox, url } = await setup();
    const policies = [{ Version: '2012-10-17', Statement: [{ Effect: 'Deny', Action: '*', Resource: '*' }] }];

    await ask('POST', 'roles', { name: 'Host', policies, tags: { host: 'web-1' } });
    const user = (await ask('POST', 'credentials', { user: 'limited', policies })).body;
    const refused = await ask('POST', 'roles', { name: 'Broken', policies: ['{}'] });

    const role = sandbox.identities.role('Host');
    expect(role?.policies).toEqual([JSON.stringify(policies[0])]);
    expect(role?.tags).toEqual(new Map([['host', 'web-1']]));
    const tables = new DynamoDBClient({
      endpoint: url,
      region: sandbox.region,
      credentials: { accessKeyId: user.accessKeyId, secretAccessKey: user.secretAccessKey },
      maxAttempts: 1,
    });
    await expect(tables.send(new ListTablesCommand({}))).rejects.toThrow(/with an explicit deny/u);
    expect(refused.body).toMatchObject({ error: 'MalformedPolicyDocument' });
  });

  it('refuses what it does not know', async () => {
    const { ask, url, sandbox } = await setup();
    const headers = { 'x-sandbox-token': sandbox.adminToken };

    expect((await ask('GET', 'nothing')).status).toBe(404);
    expect((await ask('PATCH', 'faults')).status).toBe(404);
    expect((await ask('POST', 'credentials', { user: 'a b' })).status).toBe(400);
    expect((await ask('PUT', 'instance', { size: 1 })).status).toBe(400);
    const broken = await fetch(`${url}/_sandbox/faults`, { method: 'POST', headers, body: '{' });
    expect(broken.status).toBe(400);
  });

  it('is not among the calls and has no faults', async () => {
    const { ask, sandbox } = await setup();
    sandbox.faults.add({ effect: { kind: 'cut' } });

    expect((await ask('GET', 'faults')).status).toBe(200);
    expect(sandbox.calls.count()).toBe(0);
  });
});
