import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { expect, onTestFinished, test } from 'vitest';
import { createSandbox } from '../../../sandbox/sandbox.ts';
import { systemClock } from '../../base/clock.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { Secret } from '../../base/secret.ts';
import { assumedRoles } from './assumed-roles.ts';
import { awsClients } from './aws-clients.ts';

/** A host of the sandbox with a session of its own, and a role that asks for an external id. */
async function setup() {
  const sandbox = createSandbox();
  const listener = await sandbox.listen();
  onTestFinished(() => listener.close());
  const { arn } = sandbox.identities.createRole('Reader', { externalId: 'x-1' });
  const session = sandbox.identities.issueSession({
    role: 'GatehouseHost',
    sessionName: 'host',
    durationSeconds: 3600,
  });
  const reach = { env: { AWS_ENDPOINT_URL: listener.url }, region: sandbox.region };
  const host = awsClients({
    ...reach,
    credentials: async () => ({
      accessKeyId: session.accessKeyId,
      secretAccessKey: Secret.ofText(session.secretAccessKey),
      sessionToken: Secret.ofText(session.sessionToken),
      source: 'test',
    }),
    denials: { renew: async () => false, again: () => undefined, accepted: () => undefined },
  });
  const logged: LogEvent[] = [];
  const log = (event: LogEvent): void => void logged.push(event);
  const roles = assumedRoles({ hostName: 'web 1', clock: systemClock, log, host: () => host, reach });
  onTestFinished(() => {
    roles.close();
    host.close();
  });
  const whoIs = async (role: Parameters<typeof roles.as>[0]) =>
    (await (await roles.as(role).aws.sts()).send(new GetCallerIdentityCommand({}))).Arn;
  const assumed = () => sandbox.calls.list().filter(({ operation }) => operation === 'AssumeRole').length;
  return { sandbox, arn, roles, whoIs, assumed, logged };
}

test('a role is assumed once for all who ask for it, under the name of the host', async () => {
  const { arn, whoIs, assumed, logged } = await setup();
  const role = { roleArn: arn, externalId: 'x-1' };

  const arns = await Promise.all([whoIs(role), whoIs({ ...role }), whoIs(role)]);

  expect(new Set(arns)).toEqual(new Set(['arn:aws:sts::123456789012:assumed-role/Reader/gatehouse-web-1']));
  expect(assumed()).toBe(1);
  expect(logged).toMatchObject([
    { name: 'credentials.obtained', fields: { role: arn, source: 'assumed-role' } },
  ]);
});

test('a session that is named otherwise is another one', async () => {
  const { arn, whoIs, assumed } = await setup();
  const role = { roleArn: arn, externalId: 'x-1' };

  await whoIs(role);

  expect(await whoIs({ ...role, sessionName: 'reader' })).toMatch(/\/reader$/u);
  expect(assumed()).toBe(2);
});

test('a role that AWS does not give is an error that names it', async () => {
  const { arn, whoIs } = await setup();

  await expect(whoIs({ roleArn: arn, externalId: 'wrong' })).rejects.toMatchObject({
    code: 'CREDENTIALS_ROLE_REFUSED',
    details: { roleArn: arn },
  });
});

test('a role that was refused is asked for again at once when somebody says that it is mended', async () => {
  const { sandbox, arn, roles, whoIs, assumed } = await setup();
  const role = { roleArn: arn };
  const refused = await whoIs(role).catch(() => 'refused');
  sandbox.identities.createRole('Reader');

  const left = await whoIs(role).catch(() => 'left alone');
  await roles.retry(new AbortController().signal);

  expect([refused, left]).toEqual(['refused', 'left alone']);
  expect(await whoIs(role)).toContain('Reader');
  expect(assumed()).toBe(2);
});

test('a session that AWS revokes is assumed anew, for the call that met it too', async () => {
  const { sandbox, arn, roles, whoIs, assumed } = await setup();
  const role = { roleArn: arn, externalId: 'x-1' };
  await whoIs(role);
  sandbox.identities.expire(roles.as(role).credentials.state().accessKeyId);

  expect(await whoIs(role)).toContain('Reader');

  expect(assumed()).toBe(2);
});
