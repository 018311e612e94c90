import {
  CloudWatchLogsClient,
  CreateLogGroupCommand,
  CreateLogStreamCommand,
  GetLogEventsCommand,
  PutLogEventsCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import { CreateKeyCommand, DecryptCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms';
import {
  CreateSecretCommand,
  GetSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createSandbox, type Sandbox } from './sandbox.ts';
import { bodyBytesMax } from './server.ts';

async function setup(sandbox: Sandbox = createSandbox()) {
  const { url, close } = await sandbox.listen();
  onTestFinished(close);
  const credentials = sandbox.identities.createUser('alice');
  const config = { endpoint: url, region: 'eu-west-1', credentials, maxAttempts: 1 };
  return {
    sandbox,
    url,
    config,
    kms: new KMSClient(config),
    logs: new CloudWatchLogsClient(config),
    secrets: new SecretsManagerClient(config),
  };
}

const group = { logGroupName: '/app', logStreamName: 'one' };

describe('a sandbox', () => {
  it('hands its whole state over in a snapshot', async () => {
    const { sandbox, kms, logs, secrets, config } = await setup();
    const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
    const { CiphertextBlob } = await kms.send(
      new EncryptCommand({ KeyId: KeyMetadata?.KeyId, Plaintext: Buffer.from('plain') }),
    );
    await secrets.send(new CreateSecretCommand({ Name: 'text', SecretString: 'hidden' }));
    await secrets.send(new CreateSecretCommand({ Name: 'bytes', SecretBinary: Buffer.from([0, 255]) }));
    await logs.send(new CreateLogGroupCommand(group));
    await logs.send(new CreateLogStreamCommand(group));
    const event = { timestamp: Date.now(), message: 'hello' };
    await logs.send(new PutLogEventsCommand({ ...group, logEvents: [event] }));

    const other = createSandbox();
    other.restore(sandbox.snapshot());
    const again = await setup(other);
    const asBefore = { ...config, endpoint: again.url };

    const opened = await new KMSClient(asBefore).send(new DecryptCommand({ CiphertextBlob }));
    expect(Buffer.from(opened.Plaintext ?? []).toString()).toBe('plain');
    const text = await again.secrets.send(new GetSecretValueCommand({ SecretId: 'text' }));
    expect(text.SecretString).toBe('hidden');
    const bytes = await again.secrets.send(new GetSecretValueCommand({ SecretId: 'bytes' }));
    expect([...(bytes.SecretBinary ?? [])]).toEqual([0, 255]);
    const { events } = await again.logs.send(new GetLogEventsCommand({ ...group, startFromHead: true }));
    expect(events?.map(({ message }) => message)).toEqual(['hello']);
    expect([...sandbox.defects, ...other.defects]).toEqual([]);
  });

  it('takes no snapshot that is damaged or of another account or region', () => {
    const snapshot = createSandbox().snapshot();

    const damaged = expect.objectContaining({ code: 'SANDBOX_STATE_DAMAGED' });
    expect(() => createSandbox().restore(snapshot.slice(1))).toThrow(damaged);
    expect(() => createSandbox().restore('{}')).toThrow(damaged);
    expect(() => createSandbox().restore('null')).toThrow(damaged);
    expect(() => createSandbox({ accountId: '210987654321' }).restore(snapshot)).toThrow(damaged);
    expect(() => createSandbox({ region: 'eu-north-1' }).restore(snapshot)).toThrow(damaged);
    expect(() => createSandbox().restore(snapshot)).not.toThrow();
  });

  it('records who called what and how it ended', async () => {
    const { sandbox, secrets, config } = await setup();

    await expect(secrets.send(new GetSecretValueCommand({ SecretId: 'none' }))).rejects.toThrow(
      /find the specified secret/u,
    );

    expect(sandbox.calls.list()).toEqual([
      {
        time: expect.any(Date),
        service: 'secretsmanager',
        operation: 'GetSecretValue',
        accessKeyId: config.credentials.accessKeyId,
        status: 400,
        outcome: 'answered',
      },
    ]);
    expect(sandbox.calls.count({ service: 'kms' })).toBe(0);
    expect(sandbox.calls.count({ service: 'secretsmanager', status: 400 })).toBe(1);
  });

  it('refuses a body larger than it holds', async () => {
    const { sandbox, url } = await setup();

    const { status } = await fetch(url, { method: 'POST', body: Buffer.alloc(bodyBytesMax + 1) });

    expect(status).toBe(413);
    expect(sandbox.calls.count()).toBe(0);
  });
});
