import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { describe, expect, it, onTestFinished } from 'vitest';
import { patienceMs } from '../test/support/patience.ts';
import { createSandbox } from './sandbox.ts';
import { type SignedRequestParts, signedRequest, withHeader } from './signed-request.ts';

interface Keys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

async function setup() {
  const sandbox = createSandbox();
  const { url, close } = await sandbox.listen();
  onTestFinished(close);
  const user = sandbox.identities.createUser('alice');
  const host = sandbox.identities.createRole('Host');
  const client = (credentials: Keys = user, region = 'eu-west-1') =>
    new STSClient({ endpoint: url, region, credentials, maxAttempts: 1 });
  const assume = (parts: { session?: string; seconds?: number; role?: string; externalId?: string } = {}) =>
    new AssumeRoleCommand({
      RoleArn: parts.role ?? host.arn,
      RoleSessionName: parts.session ?? 'session-1',
      DurationSeconds: parts.seconds,
      ExternalId: parts.externalId,
    });
  return { sandbox, user, host, client, assume };
}

/** Answers of the raw endpoint, without the SDK. */
function rawSetup() {
  const now = new Date('2026-11-22T12:00:00Z');
  const sandbox = createSandbox({ now: () => now });
  const user = sandbox.identities.createUser('alice');
  const sign = (parts: Partial<SignedRequestParts> = {}) =>
    signedRequest({
      credentials: user,
      service: 'sts',
      date: now,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'Action=GetCallerIdentity&Version=2011-06-15',
      ...parts,
    });
  const answer = async (request: Awaited<ReturnType<typeof sign>>) => {
    const { status, headers, body } = await sandbox.handle(request);
    return { status, headers, text: body.toString() };
  };
  return { sandbox, user, sign, answer };
}

describe('GetCallerIdentity', () => {
  it('says who a user is', async () => {
    const { client, user } = await setup();

    const identity = await client().send(new GetCallerIdentityCommand({}));

    expect(identity).toMatchObject({ Arn: user.arn, UserId: user.userId, Account: '123456789012' });
    expect(identity.$metadata.requestId).toMatch(/^[0-9a-f-]{36}$/u);
  });

  it('answers a signed GET as well', async () => {
    const { sign, answer, user } = rawSetup();

    const { status, text } = await answer(
      await sign({
        method: 'GET',
        headers: {},
        body: '',
        query: { Action: 'GetCallerIdentity', Version: '2011-06-15' },
      }),
    );

    expect(status).toBe(200);
    expect(text).toContain(`<Arn>${user.arn}</Arn>`);
  });
});

describe('AssumeRole', () => {
  it('gives credentials that verify, and that say so', async () => {
    const { client, assume, host } = await setup();

    const { Credentials, AssumedRoleUser } = await client().send(assume());

    const identity = await client({
      accessKeyId: Credentials?.AccessKeyId ?? '',
      secretAccessKey: Credentials?.SecretAccessKey ?? '',
      sessionToken: Credentials?.SessionToken ?? '',
    }).send(new GetCallerIdentityCommand({}));
    expect(identity.Arn).toBe('arn:aws:sts::123456789012:assumed-role/Host/session-1');
    expect(identity.UserId).toBe(`${host.roleId}:session-1`);
    expect(AssumedRoleUser).toEqual({ Arn: identity.Arn, AssumedRoleId: identity.UserId });
    const left = (Credentials?.Expiration?.getTime() ?? 0) - Date.now();
    expect(left).toBeGreaterThan(3_600_000 - patienceMs);
    expect(left).toBeLessThanOrEqual(3_600_000);
  });

  it.each([
    ['a session name with a space', { session: 'a b' }, 'ValidationError'],
    ['a session name of one character', { session: 'a' }, 'ValidationError'],
    ['a session of less than 15 minutes', { seconds: 899 }, 'ValidationError'],
    ['a session of more than 12 hours', { seconds: 43_201 }, 'ValidationError'],
    ['a session longer than the role allows', { seconds: 3601 }, 'ValidationError'],
    ['a role ARN that is none', { role: 'arn:aws:iam::123456789012:user/Host' }, 'ValidationError'],
    ['a role that is not there', { role: 'arn:aws:iam::123456789012:role/Nobody' }, 'AccessDenied'],
  ])('refuses %s', async (_what, parts, name) => {
    const { client, assume } = await setup();

    await expect(client().send(assume(parts))).rejects.toMatchObject({
      name,
      $metadata: { httpStatusCode: name === 'AccessDenied' ? 403 : 400 },
    });
  });

  it('takes what a role allows, up to 12 hours', async () => {
    const { sandbox, client, assume } = await setup();
    const { arn } = sandbox.identities.createRole('Long', { maxSessionSeconds: 50_000 });

    await expect(client().send(assume({ role: arn, seconds: 43_201 }))).rejects.toThrow(/equal to 43200/u);
    await expect(client().send(assume({ role: arn, seconds: 43_200 }))).resolves.toBeDefined();
    await expect(client().send(assume({ role: arn, seconds: 900 }))).resolves.toBeDefined();
  });

  it('refuses more than an hour to a role session', async () => {
    const { sandbox, client, assume } = await setup();
    const { arn } = sandbox.identities.createRole('Long', { maxSessionSeconds: 43_200 });
    const session = sandbox.identities.issueSession({
      role: 'Host',
      sessionName: 'first',
      durationSeconds: 900,
    });

    await expect(client(session).send(assume({ role: arn, seconds: 3601 }))).rejects.toThrow(
      /role chaining/u,
    );
    await expect(client(session).send(assume({ role: arn, seconds: 3600 }))).resolves.toBeDefined();
  });

  it('is for whom the role names, and for whom IAM allows it where the role leaves that to the account', async () => {
    const { client, sandbox, assume, host } = await setup();
    const none = sandbox.identities.createUser('none', { policies: [] });
    const statement = { Effect: 'Allow', Action: 'sts:AssumeRole', Resource: host.arn };
    const policies = [JSON.stringify({ Version: '2012-10-17', Statement: statement })];
    const allowed = sandbox.identities.createUser('allowed', { policies });
    const trusted = { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { AWS: none.arn } };
    const trustPolicy = JSON.stringify({ Version: '2012-10-17', Statement: trusted });
    const named = sandbox.identities.createRole('Named', { trustPolicy });

    await expect(client(none).send(assume())).rejects.toMatchObject({
      name: 'AccessDenied',
      message: `User: ${none.arn} is not authorized to perform: sts:AssumeRole on resource: ${host.arn}`,
    });
    expect(await client(allowed).send(assume())).toHaveProperty('Credentials');
    expect(await client(none).send(assume({ role: named.arn }))).toHaveProperty('Credentials');
    await expect(client(allowed).send(assume({ role: named.arn }))).rejects.toThrow(/not authorized/u);
  });

  it('wants the external id of a role that has one', async () => {
    const { sandbox, client, assume } = await setup();
    const { arn } = sandbox.identities.createRole('Guarded', { externalId: 'right' });

    await expect(client().send(assume({ role: arn }))).rejects.toThrow(/not authorized/u);
    await expect(client().send(assume({ role: arn, externalId: 'wrong' }))).rejects.toThrow(
      /not authorized/u,
    );
    await expect(client().send(assume({ role: arn, externalId: 'right' }))).resolves.toBeDefined();
  });

  it('refuses a session policy that is not JSON', async () => {
    const { client, host } = await setup();

    await expect(
      client().send(new AssumeRoleCommand({ RoleArn: host.arn, RoleSessionName: 'aa', Policy: '{' })),
    ).rejects.toMatchObject({ name: 'MalformedPolicyDocumentException' });
  });
});

describe('each refusal has its name and status in XML', () => {
  it.each([
    ['MissingAuthenticationToken', 403, (value: string) => (value === '' ? '' : undefined)],
    ['IncompleteSignature', 400, () => 'AWS4-HMAC-SHA256 Credential=x'],
    ['SignatureDoesNotMatch', 403, (value: string) => value.replace(/.{4}$/u, 'zzzz')],
    [
      'InvalidClientTokenId',
      403,
      (value: string) => value.replace(/Credential=[^/]+/u, 'Credential=AKIANOBODY'),
    ],
  ])('%s %i', async (name, status, change) => {
    const { sign, answer } = rawSetup();

    const refused = await answer(withHeader(await sign(), 'authorization', change));

    expect(refused.status).toBe(status);
    expect(refused.headers['content-type']).toBe('text/xml');
    expect(refused.text).toMatch(
      new RegExp(
        `^<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${name}</Code><Message>[^<]+</Message></Error><RequestId>${refused.headers['x-amzn-requestid']}</RequestId></ErrorResponse>\n$`,
        'u',
      ),
    );
  });

  it('ExpiredToken 403', async () => {
    const { sandbox, sign, answer } = rawSetup();
    sandbox.identities.createRole('Host');
    const session = sandbox.identities.issueSession({
      role: 'Host',
      sessionName: 's1',
      durationSeconds: 900,
    });
    const request = await sign({ credentials: session });
    sandbox.identities.expire();

    const refused = await answer(request);

    expect(refused.status).toBe(403);
    expect(refused.text).toContain('<Code>ExpiredToken</Code>');
  });

  it('InvalidAction and MissingAction 400', async () => {
    const { sign, answer } = rawSetup();

    const invalid = await answer(await sign({ body: 'Action=DeleteEverything&Version=2011-06-15' }));
    const version = await answer(await sign({ body: 'Action=GetCallerIdentity&Version=2010-01-01' }));
    const missing = await answer(await sign({ body: 'Version=2011-06-15' }));

    expect([invalid.status, version.status, missing.status]).toEqual([400, 400, 400]);
    expect(invalid.text).toContain('<Code>InvalidAction</Code>');
    expect(version.text).toContain('<Code>InvalidAction</Code>');
    expect(missing.text).toContain('<Code>MissingAction</Code>');
  });

  it('what the client sent is escaped', async () => {
    const { sign, answer } = rawSetup();

    const { text } = await answer(await sign({ body: 'Action=%3Ca%3E%26&Version=2011-06-15' }));

    expect(text).toContain('operation &lt;a&gt;&amp; for');
  });
});

describe('the SDK', () => {
  it('gets a typed error for another region', async () => {
    const { client, user } = await setup();

    await expect(client(user, 'us-east-1').send(new GetCallerIdentityCommand({}))).rejects.toMatchObject({
      name: 'SignatureDoesNotMatch',
      message: /valid region/u,
    });
  });

  it('corrects its clock by the Date header when the cloud is half an hour ahead', async () => {
    const { sandbox, user } = await setup();
    const { url, close } = await sandbox.listen();
    onTestFinished(close);
    sandbox.faults.add({ service: 'sts', effect: { kind: 'clock', offsetSeconds: 1800 } });
    const client = new STSClient({ endpoint: url, region: 'eu-west-1', credentials: user, maxAttempts: 3 });

    const identity = await client.send(new GetCallerIdentityCommand({}));

    expect(identity.Arn).toBe(user.arn);
    expect(sandbox.calls.list({ service: 'sts' }).map(({ status }) => status)).toEqual([403, 200]);
  });
});
