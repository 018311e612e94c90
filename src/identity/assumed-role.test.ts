import { ListSecretsCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { STSClient } from '@aws-sdk/client-sts';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { patienceMs } from '../../test/support/patience.ts';
import { systemClock } from '../base/clock.ts';
import type { LogEvent } from '../base/log-events.ts';
import { assumedRole, type RoleToAssume } from './assumed-role.ts';
import { callerIdentity } from './caller.ts';
import { credentialSourceContract } from './credential-source.contract.ts';
import type { Credentials } from './credential-source.ts';
import { deadEndpoint, scriptedEndpoint } from './endpoint.contract.ts';
import { identityError } from './errors.ts';
import { refreshing } from './refreshing.ts';

const signal = new AbortController().signal;

/** A host's session in a cloud with the role `app`, which it may assume. */
async function setup(parts: Partial<RoleToAssume> = {}) {
  const sandbox = createSandbox();
  const listener = await sandbox.listen();
  onTestFinished(() => listener.close());
  const session = { role: 'GatehouseHost', sessionName: 'i-0abc', durationSeconds: 3600 };
  const host = sandbox.identities.issueSession(session);
  const { arn } = sandbox.identities.createRole('app', { maxSessionSeconds: 43_200 });
  const sts = clientOf(listener.url, host);
  const role = { roleArn: arn, sessionName: 'web-1', durationSeconds: 900, ...parts };
  const source = assumedRole(role, async () => sts, systemClock);
  return { sandbox, url: listener.url, host, source, role };
}

function clientOf(
  endpoint: string,
  keys: { accessKeyId: string; secretAccessKey: string; sessionToken?: string },
) {
  const { accessKeyId, secretAccessKey, sessionToken = '' } = keys;
  const credentials = { accessKeyId, secretAccessKey, sessionToken };
  const client = new STSClient({ endpoint, region: 'eu-west-1', credentials, maxAttempts: 1 });
  onTestFinished(() => client.destroy());
  return client;
}

function revealed({ accessKeyId, secretAccessKey, sessionToken }: Credentials) {
  return {
    accessKeyId,
    secretAccessKey: secretAccessKey.revealText(),
    sessionToken: sessionToken?.revealText() ?? '',
  };
}

const invented = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret', sessionToken: 'token' };

credentialSourceContract('assumed-role', {
  async working() {
    const reply = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
      <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/app/web-1</Arn></AssumedRoleUser>
      <Credentials><AccessKeyId>ASIAAPP</AccessKeyId><SecretAccessKey>of-the-app</SecretAccessKey>
      <SessionToken>token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
      </AssumeRoleResult></AssumeRoleResponse>`;
    const { url } = await scriptedEndpoint((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/xml' }).end(reply);
    });
    const role = {
      roleArn: 'arn:aws:iam::123456789012:role/app',
      sessionName: 'web-1',
      durationSeconds: 900,
    };
    const source = assumedRole(role, async () => clientOf(url, invented), systemClock);
    return { source, accessKeyId: 'ASIAAPP', secretAccessKey: 'of-the-app' };
  },
  // It has no way of not applying: whoever names a role means it.
  async absent() {
    const { source } = await setup();
    return { ...source, load: async () => undefined };
  },
  async failing(secretText) {
    const { url } = await scriptedEndpoint((_request, response) => {
      response
        .writeHead(403, { 'content-type': 'text/xml' })
        .end(
          `<ErrorResponse><Error><Code>AccessDenied</Code><Message>${secretText}</Message></Error></ErrorResponse>`,
        );
    });
    const role = {
      roleArn: 'arn:aws:iam::123456789012:role/app',
      sessionName: 'web-1',
      durationSeconds: 900,
    };
    return assumedRole(role, async () => clientOf(url, invented), systemClock);
  },
});

describe('an assumed role', () => {
  test('is who its credentials say, for as long as was asked', async () => {
    const { url, source } = await setup();

    const credentials = await source.load(signal);

    expect(credentials).toMatchObject({ source: 'assumed-role', accountId: '123456789012' });
    expect(credentials?.sessionName).toMatch(/^[\w+=,.@-]{2,64}$/u);
    const leftMs = (credentials?.expiration?.getTime() ?? 0) - Date.now();
    expect(leftMs).toBeGreaterThan(900_000 - patienceMs);
    expect(leftMs).toBeLessThanOrEqual(900_000);
    const caller = await callerIdentity(
      clientOf(url, credentials ? revealed(credentials) : invented),
      signal,
    );
    expect(caller).toMatchObject({ roleName: 'app', sessionName: 'web-1' });
  });

  test('may do what its session policy leaves it', async () => {
    const statement = { Effect: 'Allow', Action: 'kms:*', Resource: '*' };
    const sessionPolicy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
    const { url, source } = await setup({ sessionPolicy });

    const credentials = await source.load(signal);

    const keys = credentials ? revealed(credentials) : invented;
    const secrets = new SecretsManagerClient({ endpoint: url, region: 'eu-west-1', credentials: keys });
    onTestFinished(() => secrets.destroy());
    await expect(secrets.send(new ListSecretsCommand({}))).rejects.toMatchObject({
      name: 'AccessDeniedException',
    });
  });

  test('with an external id is given to who knows it', async () => {
    const { sandbox, source } = await setup({ externalId: 'right' });
    sandbox.identities.createRole('app', { externalId: 'right' });

    await expect(source.load(signal)).resolves.toBeDefined();

    sandbox.identities.createRole('app', { externalId: 'another' });
    await expect(source.load(signal)).rejects.toMatchObject({
      code: 'CREDENTIALS_ROLE_REFUSED',
      details: { awsError: 'AccessDenied', status: 403 },
    });
  });

  test.each([
    ['for more than an hour, by a session', { durationSeconds: 3601 }, 'CREDENTIALS_ROLE_REFUSED'],
    ['that is not there', { roleArn: 'arn:aws:iam::123456789012:role/none' }, 'CREDENTIALS_ROLE_REFUSED'],
    ['under a policy that is none', { sessionPolicy: '{}' }, 'CREDENTIALS_SESSION_POLICY_REFUSED'],
  ])('%s is refused', async (_what, parts, code) => {
    const { source } = await setup(parts);

    await expect(source.load(signal)).rejects.toMatchObject({ code });
  });

  test('whose host has credentials that AWS no longer takes is not reached', async () => {
    const { sandbox, source, host } = await setup();

    sandbox.identities.expire(host.accessKeyId);
    await expect(source.load(signal)).rejects.toMatchObject({ code: 'CREDENTIALS_EXPIRED' });
    sandbox.identities.remove(host.accessKeyId);
    await expect(source.load(signal)).rejects.toMatchObject({ code: 'CREDENTIALS_REFUSED' });
  });

  test('whose host has no credentials fails with the reason for that', async () => {
    const error = identityError('CREDENTIALS_NO_ROLE');
    const client = new STSClient({
      endpoint: await deadEndpoint(),
      region: 'eu-west-1',
      credentials: () => Promise.reject(error),
    });
    const { role } = await setup();

    await expect(assumedRole(role, async () => client, systemClock).load(signal)).rejects.toBe(error);
  });

  test('is throttled as such, and out of reach as such', async () => {
    const { sandbox, source, role } = await setup();
    sandbox.faults.add({ service: 'sts', effect: { kind: 'throttle' } });
    const unreachable = clientOf(await deadEndpoint(), invented);

    await expect(source.load(signal)).rejects.toMatchObject({ code: 'CREDENTIALS_THROTTLED' });
    await expect(assumedRole(role, async () => unreachable, systemClock).load(signal)).rejects.toMatchObject({
      code: 'CREDENTIALS_STS_UNREACHABLE',
    });
  });

  test('is renewed as the host’s own credentials are, with one call for many callers', async () => {
    const { sandbox, source } = await setup();
    const clock = fakeClock(new Date());
    const logged: LogEvent[] = [];
    const refreshed = refreshing(source, { clock, log: (event) => logged.push(event), random: () => 0 });

    const all = await Promise.all(Array.from({ length: 20 }, () => refreshed.current(signal)));

    expect(new Set(all.map(({ accessKeyId }) => accessKeyId)).size).toBe(1);
    expect(sandbox.calls.list({ service: 'sts' })).toHaveLength(1);
    expect(logged.map(({ name }) => name)).toEqual(['credentials.obtained']);
  });
});
