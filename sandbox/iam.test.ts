import { describe, expect, it } from 'vitest';
import { createSandbox } from './sandbox.ts';
import { signedRequest } from './signed-request.ts';

interface Keys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

/** An account whose time stands still until it is set, and its administrator. */
function setup() {
  let now = new Date('2026-11-26T12:00:00Z');
  const sandbox = createSandbox({ now: () => now });
  const admin = sandbox.identities.createUser('admin');

  const iam = async (action: string, parameters: Record<string, string> = {}, credentials: Keys = admin) => {
    const request = await signedRequest({
      credentials,
      service: 'iam',
      date: now,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ Action: action, Version: '2010-05-08', ...parameters }).toString(),
    });
    const { status, body } = await sandbox.handle(request);
    const text = body.toString();
    return { status, text, error: /<Code>(\w+)<\/Code>/u.exec(text)?.[1] };
  };
  const listKeys = async (credentials: Keys) => {
    const request = await signedRequest({
      credentials,
      service: 'kms',
      date: now,
      headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'TrentService.ListKeys' },
      body: '{}',
    });
    const { status, body } = await sandbox.handle(request);
    return { status, text: body.toString() };
  };
  const at = (time: string): void => {
    now = new Date(time);
  };
  return { sandbox, iam, listKeys, at };
}

const policy = (...Statement: object[]): string => JSON.stringify({ Version: '2012-10-17', Statement });
const everything = policy({ Effect: 'Allow', Action: '*', Resource: '*' });
const trust = policy({
  Effect: 'Allow',
  Principal: { AWS: 'arn:aws:iam::123456789012:root' },
  Action: 'sts:AssumeRole',
});
const role = { RoleName: 'Host', AssumeRolePolicyDocument: trust };
const host = { RoleName: 'Host' };

describe('a role', () => {
  it('may do nothing until a policy is put on it, and nothing again once that is deleted', async () => {
    const { sandbox, iam, listKeys } = setup();
    await iam('CreateRole', role);
    const session = sandbox.identities.issueSession({
      role: 'Host',
      sessionName: 's',
      durationSeconds: 3600,
    });

    const before = await listKeys(session);
    const put = await iam('PutRolePolicy', { ...host, PolicyName: 'all', PolicyDocument: everything });
    const allowed = await listKeys(session);
    await iam('DeleteRolePolicy', { ...host, PolicyName: 'all' });
    const after = await listKeys(session);

    expect([before.status, put.status, allowed.status, after.status]).toEqual([400, 200, 200, 400]);
    expect(before.text).toContain('because no identity-based policy allows the kms:ListKeys action');
  });

  it('says which policies it has, and what is in them', async () => {
    const { iam } = setup();
    await iam('CreateRole', role);
    for (const PolicyName of ['one', 'two']) {
      await iam('PutRolePolicy', { ...host, PolicyName, PolicyDocument: everything });
    }

    const listed = await iam('ListRolePolicies', host);
    const read = await iam('GetRolePolicy', { ...host, PolicyName: 'two' });
    const attached = await iam('ListAttachedRolePolicies', host);

    expect(listed.text).toContain(
      '<PolicyNames><member>one</member><member>two</member></PolicyNames><IsTruncated>false',
    );
    expect(read.text).toContain(`<PolicyDocument>${encodeURIComponent(everything)}</PolicyDocument>`);
    expect(attached.text).toContain('<AttachedPolicies></AttachedPolicies>');
  });

  it('is not deleted while it has policies', async () => {
    const { iam } = setup();
    await iam('CreateRole', role);
    await iam('PutRolePolicy', { ...host, PolicyName: 'all', PolicyDocument: everything });

    const early = await iam('DeleteRole', host);
    await iam('DeleteRolePolicy', { ...host, PolicyName: 'all' });
    const deleted = await iam('DeleteRole', host);

    expect([early.status, early.error]).toEqual([409, 'DeleteConflict']);
    expect(deleted.status).toBe(200);
    expect(await iam('GetRole', host)).toMatchObject({ status: 404, error: 'NoSuchEntity' });
  });

  it('leaves sessions that may do nothing when it is deleted', async () => {
    const { sandbox, iam, listKeys } = setup();
    sandbox.identities.createRole('Host');
    const session = sandbox.identities.issueSession({
      role: 'Host',
      sessionName: 's',
      durationSeconds: 3600,
    });

    const before = await listKeys(session);
    await iam('DeleteRole', host);

    expect([before.status, (await listKeys(session)).status]).toEqual([200, 400]);
  });

  it.each([
    ['GetRole', { RoleName: 'Nobody' }, 404, 'NoSuchEntity'],
    ['GetRolePolicy', { ...host, PolicyName: 'none' }, 404, 'NoSuchEntity'],
    ['DeleteRolePolicy', { ...host, PolicyName: 'none' }, 404, 'NoSuchEntity'],
    ['PutRolePolicy', { ...host, PolicyName: 'a b', PolicyDocument: everything }, 400, 'ValidationError'],
    ['PutRolePolicy', { ...host, PolicyName: 'x', PolicyDocument: '{}' }, 400, 'MalformedPolicyDocument'],
    ['PutRolePolicy', { ...host, PolicyName: 'x', PolicyDocument: trust }, 400, 'MalformedPolicyDocument'],
    ['PutRolePolicy', { ...host, PolicyName: 'x' }, 400, 'ValidationError'],
    ['CreateRole', role, 409, 'EntityAlreadyExists'],
  ])('%s of %j is %i %s', async (action, parameters, status, error) => {
    const { iam } = setup();
    await iam('CreateRole', role);

    expect(await iam(action, parameters)).toMatchObject({ status, error });
  });

  it('has 10,240 characters of policies at most', async () => {
    const { iam } = setup();
    await iam('CreateRole', role);
    const long = policy({ Effect: 'Allow', Action: '*', Resource: `arn:aws:s3:::${'x'.repeat(6000)}` });

    const first = await iam('PutRolePolicy', { ...host, PolicyName: 'one', PolicyDocument: long });
    const second = await iam('PutRolePolicy', { ...host, PolicyName: 'two', PolicyDocument: long });

    expect([first.status, second.status, second.error]).toEqual([200, 409, 'LimitExceeded']);
  });

  it('is changed by nobody whose policies do not allow it', async () => {
    const { sandbox, iam } = setup();
    sandbox.identities.createRole('Host');
    const reader = sandbox.identities.createUser('reader', {
      policies: [policy({ Effect: 'Allow', Action: 'iam:Get*', Resource: '*' })],
    });

    const read = await iam('GetRole', host, reader);
    const refused = await iam(
      'PutRolePolicy',
      { ...host, PolicyName: 'x', PolicyDocument: everything },
      reader,
    );

    expect(read.status).toBe(200);
    expect([refused.status, refused.error]).toEqual([403, 'AccessDenied']);
    expect(refused.text).toContain(
      'is not authorized to perform: iam:PutRolePolicy on resource: arn:aws:iam::123456789012:role/Host',
    );
  });
});

it('a policy on aws:TokenIssueTime ends the sessions that were issued before, and no others', async () => {
  const { sandbox, iam, listKeys, at } = setup();
  sandbox.identities.createRole('Host');
  const session = () =>
    sandbox.identities.issueSession({ role: 'Host', sessionName: 's', durationSeconds: 3600 });
  const [old, user] = [session(), sandbox.identities.createUser('alice')];
  at('2026-11-26T12:00:30Z');
  const revoked = policy({
    Effect: 'Deny',
    Action: '*',
    Resource: '*',
    Condition: { DateLessThan: { 'aws:TokenIssueTime': '2026-11-26T12:00:30Z' } },
  });

  const before = await listKeys(old);
  await iam('PutRolePolicy', { ...host, PolicyName: 'sessions-before', PolicyDocument: revoked });
  const after = await listKeys(old);

  expect(before.status).toBe(200);
  expect(after.status).toBe(400);
  expect(after.text).toContain('with an explicit deny in an identity-based policy');
  // Issued in that very second: not before it.
  expect((await listKeys(session())).status).toBe(200);
  expect((await listKeys(user)).status).toBe(200);
});

/** Policies that let those do anything who have such a time, or have none. */
function only(isAbsent: boolean): string[] {
  const Condition = { Null: { 'aws:TokenIssueTime': String(isAbsent) } };
  return [policy({ Effect: 'Allow', Action: '*', Resource: '*', Condition })];
}

it('a long-term key has no aws:TokenIssueTime', async () => {
  const { sandbox, listKeys } = setup();
  sandbox.identities.createRole('Host', { policies: only(false) });

  expect(
    await Promise.all(
      [
        sandbox.identities.createUser('with', { policies: only(false) }),
        sandbox.identities.createUser('without', { policies: only(true) }),
        sandbox.identities.issueSession({ role: 'Host', sessionName: 's', durationSeconds: 3600 }),
      ].map(async (keys) => (await listKeys(keys)).status),
    ),
  ).toEqual([400, 200, 200]);
});
