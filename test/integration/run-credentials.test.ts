import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { eventually, type GatewayDocument, numbered, setup } from '../support/host.ts';
import { rolesAnywhereHost } from '../support/roles-anywhere.ts';

const instanceRole = { credentials: { source: 'instance-role' } };

describe('credentials that run out', () => {
  it('are renewed before they expire, and work goes on', async () => {
    const host = await setup();
    host.sandbox.instance.credentialSeconds = 60;

    const agent = await host.started();
    const renewed = await agent.event('credentials.renewed');
    host.log(numbered(10));
    await host.arrived(10);
    const ended = await agent.stop();

    const obtained = await agent.event('credentials.obtained');
    expect(new Date(String(renewed['time'])).getTime()).toBeLessThan(
      new Date(String(obtained['expiration'])).getTime(),
    );
    expect(renewed['accessKeyId']).not.toBe(obtained['accessKeyId']);
    expect(agent.lines().filter(({ event }) => event === 'events.send-failed')).toStrictEqual([]);
    expect(ended.code).toBe(0);
  });

  it('are replaced when AWS calls them expired before their time, and nothing is lost', async () => {
    const host = await setup();
    const agent = await host.started();
    const { accessKeyId } = (await host.status()).credentials;

    host.sandbox.identities.expire(accessKeyId);
    host.log(numbered(100));
    const shipped = await host.arrived(100);

    expect(shipped).toStrictEqual(numbered(100));
    // The audit has a stream of its own, which may still wait for its next try.
    const { credentials } = await eventually('an agent that is ready again', async () => {
      const status = await host.status();
      return status.state === 'ready' ? status : undefined;
    });
    expect(credentials.accessKeyId).not.toBe(accessKeyId);
    expect((await agent.stop()).code).toBe(0);
  });

  it('are replaced in the main thread too, when a reload is the first to be told', async () => {
    const host = await setup({ gateway: (document) => delete document.events });
    const agent = await host.started();
    const { accessKeyId } = (await host.status()).credentials;
    await host.operator.putSecret('prod/database', JSON.stringify({ password: 'another' }));

    host.sandbox.identities.expire(accessKeyId);
    await eventually('the new password', () => {
      // Repeated: within five seconds of the last renewal, its outcome is the answer to another.
      agent.kill('SIGHUP');
      return host.delivered() === 'another' || undefined;
    });

    expect((await host.status()).credentials.accessKeyId).not.toBe(accessKeyId);
  });
});

describe('credentials that AWS denies', () => {
  it('are a state of their own, until AWS takes newer ones', async () => {
    const host = await setup({ gateway: (document) => delete document.events });
    const agent = await host.started();
    const { accessKeyId = '' } = (await host.status()).credentials;
    host.sandbox.instance.frozen = true;
    host.sandbox.identities.remove(accessKeyId);

    agent.kill('SIGHUP');
    const denied = await agent.event('credentials.denied');
    const during = await host.status();
    host.sandbox.instance.frozen = false;
    host.sandbox.instance.role = 'GatehouseHost';
    agent.kill('SIGHUP');
    await agent.event('credentials.accepted');
    const after = await host.status();

    // Whichever asks first: the copy of the config may just be sealed.
    expect(denied).toMatchObject({
      service: expect.stringMatching(/^(?:Secrets Manager|KMS)$/u),
      awsError: 'UnrecognizedClientException',
    });
    expect(during).toMatchObject({
      state: 'degraded',
      failing: expect.arrayContaining(['credentials']),
      credentials: { denied: { service: expect.any(String), awsError: 'UnrecognizedClientException' } },
    });
    expect(after.credentials).not.toHaveProperty('denied');
    expect(after.credentials.accessKeyId).not.toBe(accessKeyId);
    expect((await agent.stop()).code).toBe(0);
  });

  it('are replaced where a policy of their role ends the sessions before a time, as docs/identity.md has it', async () => {
    const host = await setup({ gateway: (document) => delete document.events });
    const { identity, role } = await rolesAnywhereHost(host.sandbox, host.disk);
    const credentials = { source: 'roles-anywhere', rolesAnywhere: identity };
    writeFileSync(host.configFile, JSON.stringify({ ...host.bootstrap, credentials }));
    const agent = await host.started();
    const old = (await host.status()).credentials.accessKeyId;
    await host.operator.putSecret('prod/database', JSON.stringify({ password: 'another' }));

    // AWS knows when a session was issued in whole seconds.
    const endedAt = Math.floor(Date.now() / 1000) * 1000 + 1000;
    await eventually('the next second', () => Date.now() >= endedAt || undefined);
    const Condition = { DateLessThan: { 'aws:TokenIssueTime': new Date(endedAt).toISOString() } };
    const Statement = [{ Effect: 'Deny', Action: '*', Resource: '*', Condition }];
    const policy = JSON.stringify({ Version: '2012-10-17', Statement });
    host.sandbox.identities.setInlinePolicies(role.roleName, new Map([['sessions-before', policy]]));
    await eventually('the new password', () => {
      agent.kill('SIGHUP');
      return host.delivered() === 'another' || undefined;
    });
    const after = (await host.status()).credentials;

    expect(after.accessKeyId).not.toBe(old);
    expect(after).not.toHaveProperty('denied');
    expect(host.sandbox.calls.list({ service: 'rolesanywhere' })).toHaveLength(2);
    expect((await agent.stop()).code).toBe(0);
  });

  it('are used on when the instance has nothing newer and AWS still takes them', async () => {
    const host = await setup({ gateway: (document) => delete document.events });
    host.sandbox.instance.credentialSeconds = 3;
    host.sandbox.instance.frozen = true;

    const agent = await host.started();
    const extended = await agent.event('credentials.extended');
    const { credentials } = await host.status();

    expect(extended['accessKeyId']).toBe(credentials.accessKeyId);
    expect(credentials).toMatchObject({ extendedUntil: expect.any(String) });
    expect(agent.lines().map(({ event }) => event)).not.toContain('credentials.expired');
    await agent.stop();
  });
});

describe('a secret that another role may read', () => {
  const reader = 'arn:aws:iam::123456789012:role/Reader';
  const withRole = (document: GatewayDocument): void => {
    delete document.events;
    document.secrets['database-password'] = {
      secretsManager: {
        secretId: 'prod/database',
        jsonField: 'password',
        roleArn: reader,
        externalId: 'x-1',
      },
    };
  };

  it('is read as that role, and everything else as the host', async () => {
    const host = await setup({ bootstrap: { allow: { assumeRoles: [reader] } }, gateway: withRole });
    host.sandbox.identities.createRole('Reader', { externalId: 'x-1' });

    const agent = await host.started();
    const reads = host.sandbox.calls.list().filter(({ operation }) => operation === 'GetSecretValue');
    await agent.stop();

    const roles = reads.map(({ accessKeyId = '' }) => host.sandbox.identities.find(accessKeyId)?.roleArn);
    expect(roles).toStrictEqual(['arn:aws:iam::123456789012:role/GatehouseHost', reader]);
    expect(host.delivered()).toBe(host.password.value);
  });

  it('needs a role that the bootstrap config permits', async () => {
    const host = await setup({ gateway: withRole });

    const { code, stderr } = await host.start().finished;

    expect(code).toBe(78);
    expect(stderr).toContain('is not permitted by allow.assumeRoles');
  });

  it('fails by itself when the role is refused, and says which', async () => {
    const host = await setup({ bootstrap: { allow: { assumeRoles: [reader] } }, gateway: withRole });

    const agent = await host.started();
    const { state, secrets } = await host.status();
    await agent.stop();

    expect(state).toBe('degraded');
    expect(secrets).toMatchObject([{ name: 'database-password', failing: 'CREDENTIALS_ROLE_REFUSED' }]);
  });
});

describe('events that other roles send', () => {
  const logs = 'arn:aws:iam::123456789012:role/Logs';
  const withRoles = (document: GatewayDocument): void => {
    const { app, agent } = document.events?.sources ?? {};
    const sources = {
      app: { ...Object(app), roleArn: logs, externalId: 'x-1', logGroup: '/central/app' },
      agent,
    };
    document.events = { ...document.events, sources };
  };
  it('go under them, and the others as the host', async () => {
    const host = await setup({
      bootstrap: { allow: { readFrom: [tmpdir()], assumeRoles: [logs] } },
      gateway: withRoles,
    });
    host.sandbox.identities.createRole('Logs', { externalId: 'x-1' });

    const agent = await host.started();
    host.log(numbered(3));
    await eventually('its events', () => host.messages('app', '/central/app').length === 3 || undefined);
    await host.arrived(1, 'agent');
    await agent.stop();

    const puts = host.sandbox.calls.list({ operation: 'PutLogEvents', status: 200 });
    const roles = puts.map(({ accessKeyId = '' }) => host.sandbox.identities.find(accessKeyId)?.roleArn);
    expect(new Set(roles)).toEqual(new Set([logs, 'arn:aws:iam::123456789012:role/GatehouseHost']));
    expect(host.sandbox.calls.count({ operation: 'AssumeRole' })).toBe(1);
  });

  it('are verified under the role that sent them, where they are audit', async () => {
    const host = await setup({
      bootstrap: { allow: { readFrom: [tmpdir()], assumeRoles: [logs] } },
      gateway(document) {
        document.events = { sources: {}, ...document.events, roleArn: logs, externalId: 'x-1' };
      },
    });
    host.sandbox.identities.createRole('Logs', { externalId: 'x-1' });
    const agent = await host.started();
    await host.arrived(1, 'agent');
    await agent.stop();
    host.sandbox.calls.clear();

    const { code, stdout } = await host.run(['audit', 'verify', '--json']);

    expect(code).toBe(0);
    expect(stdout).toContain('"logStream":"agent"');
    const reads = host.sandbox.calls.list({ service: 'logs' });
    const roles = reads.map(({ accessKeyId = '' }) => host.sandbox.identities.find(accessKeyId)?.roleArn);
    expect(new Set(roles)).toEqual(new Set([logs]));
  });

  it('wait for a role that is refused, hold no others up, and are there after a restart', async () => {
    const host = await setup({
      bootstrap: { stopTimeoutSeconds: 2, allow: { readFrom: [tmpdir()], assumeRoles: [logs] } },
      gateway: withRoles,
    });

    const agent = await host.started();
    host.log(numbered(3));
    const failed = await agent.event('events.send-failed');
    await host.arrived(1, 'agent');
    await eventually('the spool', async () => (await host.status()).events?.spool.batches === 1 || undefined);
    await agent.stop();
    host.sandbox.identities.createRole('Logs', { externalId: 'x-1' });
    const again = await host.started();
    await eventually('its events', () => host.messages('app', '/central/app').length === 3 || undefined);
    await again.stop();

    expect(failed).toMatchObject({ roleOf: 'app', error: { code: 'EVENTS_CREDENTIALS_UNAVAILABLE' } });
    expect(failed['error']).toMatchObject({ details: { code: 'CREDENTIALS_ROLE_REFUSED' } });
  });

  it('need roles that the bootstrap config permits', async () => {
    const host = await setup({ gateway: withRoles });

    const { code, stderr } = await host.start().finished;

    expect(code).toBe(78);
    expect(stderr).toContain('events.sources.app.roleArn');
  });
});

describe('a host without credentials', () => {
  it('that has no role fails its start with CREDENTIALS_NO_ROLE and exit code 77', async () => {
    const host = await setup({ bootstrap: instanceRole });
    host.sandbox.instance.role = undefined;

    const { code, stderr } = await host.start().finished;

    expect(stderr).toContain('(CREDENTIALS_NO_ROLE)');
    expect(stderr).toMatch(/^hint: Attach an instance profile/mu);
    expect(code).toBe(77);
  });

  it('whose metadata service is away fails its start with exit code 69', async () => {
    const host = await setup({ bootstrap: instanceRole });

    const agent = host.start({ AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:9' });
    const { code, stderr } = await agent.finished;

    expect(stderr).toContain('(CREDENTIALS_METADATA_UNREACHABLE)');
    expect(stderr).toMatch(/^hint: /mu);
    expect(code).toBe(69);
  });

  it('to which no source applies is told why each was passed over', async () => {
    const host = await setup();

    const agent = host.start({ AWS_EC2_METADATA_DISABLED: 'true' });
    const { code, stderr } = await agent.finished;

    expect(stderr).toContain('(CREDENTIALS_NOT_FOUND)');
    for (const source of ['environment', 'roles-anywhere', 'container', 'instance-role']) {
      expect(stderr.split('\nerror: ')[1]).toContain(`${source}: `);
    }
    expect(code).toBe(77);
  });

  it('leaves nothing behind that keeps the next start from working', async () => {
    const host = await setup({ bootstrap: instanceRole });
    host.sandbox.instance.role = undefined;
    await host.start().finished;

    host.sandbox.instance.role = 'GatehouseHost';
    await host.started();

    expect(host.delivered() === host.password.value).toBe(true);
  });
});

const pinned = (accountId: string, roleName: string) =>
  setup({ bootstrap: { credentials: { expectAccountId: accountId, expectRoleName: roleName } } });

describe('an agent that is pinned to an identity', () => {
  it('starts as that one', async () => {
    const host = await pinned('123456789012', 'GatehouseHost');

    const agent = await host.started();

    expect((await agent.stop()).code).toBe(0);
  });

  it.each([
    ['another account', '210987654321', 'GatehouseHost'],
    ['another role', '123456789012', 'Other'],
  ])('does not start as %s, and asks for no secret', async (_what, accountId, roleName) => {
    const host = await pinned(accountId, roleName);

    const { code, stderr } = await host.start().finished;

    expect(code).toBe(77);
    expect(stderr).toContain('CREDENTIALS_UNEXPECTED_IDENTITY');
    const asked = host.sandbox.calls.list().filter(({ service }) => service === 'secretsmanager');
    expect(asked.filter(({ operation }) => operation === 'GetSecretValue')).toStrictEqual([]);
  });
});
