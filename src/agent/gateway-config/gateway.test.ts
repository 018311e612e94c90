import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createSandbox } from '../../../sandbox/sandbox.ts';
import { systemClock } from '../../base/clock.ts';
import { bootstrapOf, openHost } from '../host.ts';
import type { Launch } from '../launch.ts';
import { readGateway } from './gateway.ts';

const { signal } = new AbortController();
const gateway = { version: 1, schedules: { refreshSecretsCron: '0 * * * *' } };

/** A host in a sandbox whose Secrets Manager has this value as `prod/web`, of no other stage than AWSCURRENT. */
async function setup(value: string | Uint8Array | undefined, env: Record<string, string> = {}) {
  const sandbox = createSandbox();
  const listener = await sandbox.listen();
  onTestFinished(() => listener.close());
  const { accessKeyId, secretAccessKey } = sandbox.identities.createUser('host');
  const aws = {
    endpoint: listener.url,
    region: sandbox.region,
    credentials: { accessKeyId, secretAccessKey },
  };
  if (value !== undefined) {
    const client = new SecretsManagerClient(aws);
    onTestFinished(() => client.destroy());
    const content = typeof value === 'string' ? { SecretString: value } : { SecretBinary: value };
    await client.send(new CreateSecretCommand({ Name: 'prod/web', ...content }));
  }
  const launch: Launch = {
    flags: {},
    env: {
      AWS_ENDPOINT_URL: listener.url,
      AWS_REGION: sandbox.region,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      ...env,
    },
    clock: systemClock,
    version: '0.0.0',
    logForm: 'json',
    writeLog: () => undefined,
  };
  const host = openHost(launch, bootstrapOf(launch));
  onTestFinished(() => host.aws.close());
  return { sandbox, read: () => readGateway(host, 'prod/web', signal) };
}

describe('the gateway config', () => {
  const text = JSON.stringify(gateway);
  test.each([
    ['plain JSON', text],
    ['base64 of it', Buffer.from(text).toString('base64')],
    ['bytes', Buffer.from(text)],
  ])('is read as %s, with defaults filled in and the version it has', async (_form, value) => {
    const { read } = await setup(value);

    const { config, versionId } = await read();

    expect(config).toMatchObject({ ...gateway, secrets: {}, deliveries: [] });
    expect(versionId).toMatch(/^[0-9a-f-]{36}$/u);
  });

  test.each([
    ['GATEWAY_CONFIG_INVALID', '{"version": 1, "secrets": []}'],
    ['GATEWAY_CONFIG_NOT_JSON', '{"version": 1'],
    ['GATEWAY_CONFIG_VERSION_UNKNOWN', '{"version": 2}'],
    ['SECRET_NOT_FOUND', undefined],
  ])('that is none is %s', async (code, value) => {
    const { read } = await setup(value);

    await expect(read()).rejects.toMatchObject({ code, row: { exitCode: 78 } });
  });

  test('stays within the limits of this host', async () => {
    const deliveries = [{ secret: 'a', file: '/etc/cron.d/a' }];
    const secrets = { a: { secretsManager: { secretId: 'a' } } };
    const { read } = await setup(JSON.stringify({ ...gateway, secrets, deliveries }));

    await expect(read()).rejects.toMatchObject({
      code: 'GATEWAY_CONFIG_INVALID',
      details: { problems: [{ path: 'deliveries[0].file' }] },
    });
  });

  test('is the version of the stage that the bootstrap config names', async () => {
    const { read } = await setup(text, { GATEHOUSE_GATEWAY_CONFIG_VERSION_STAGE: 'AWSPENDING' });

    await expect(read()).rejects.toMatchObject({ code: 'SECRET_VERSION_NOT_FOUND' });
  });

  test('that cannot be fetched is told apart from one that is wrong', async () => {
    const { sandbox, read } = await setup(text);
    const effect = { kind: 'error', name: 'AccessDeniedException', status: 400 } as const;
    sandbox.faults.add({ service: 'secretsmanager', effect });

    await expect(read()).rejects.toMatchObject({ code: 'SECRET_DENIED', row: { exitCode: 77 } });
  });
});
