import {
  CreateSecretCommand,
  DeleteSecretCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { readingAnew } from '../../test/support/reading-anew.ts';
import { secretSourceContract } from './secret-source.contract.ts';
import { getSecretValue } from './secrets-manager.ts';

const never = new AbortController().signal;

async function setup() {
  const sandbox = createSandbox({ region: 'eu-west-1' });
  const listener = await sandbox.listen({ port: 0 });
  onTestFinished(() => listener.close());
  const credentials = sandbox.identities.createUser('reader');
  const client = new SecretsManagerClient({ region: 'eu-west-1', endpoint: listener.url, credentials });
  await client.send(new CreateSecretCommand({ Name: 'prod/database', SecretString: '{"port":5432}' }));
  return { client, source: readingAnew(async () => client) };
}

secretSourceContract('secretsManager over HTTP', async () => {
  const { client, source } = await setup();
  return {
    source,
    reference: { secretId: 'prod/database' },
    absent: { secretId: 'prod/absent' },
    put: async (value) => {
      await client.send(new PutSecretValueCommand({ SecretId: 'prod/database', SecretBinary: value }));
    },
  };
});

describe('what AWS has no error name of its own for', () => {
  it('a version that is not there is told from a secret that is not there', async () => {
    const { client } = await setup();

    await expect(
      getSecretValue(client, { secretId: 'prod/database', versionStage: 'NO_SUCH_STAGE' }, never),
    ).rejects.toMatchObject({ code: 'SECRET_VERSION_NOT_FOUND' });
    await expect(getSecretValue(client, { secretId: 'prod/absent' }, never)).rejects.toMatchObject({
      code: 'SECRET_NOT_FOUND',
    });
  });

  it('a secret on its way out is told from any other bad request', async () => {
    const { client } = await setup();
    await client.send(new DeleteSecretCommand({ SecretId: 'prod/database' }));

    await expect(getSecretValue(client, { secretId: 'prod/database' }, never)).rejects.toMatchObject({
      code: 'SECRET_DELETED',
    });
  });

  it('a field comes out in its own digits', async () => {
    const { source } = await setup();

    const { value } = await source.read({ secretId: 'prod/database', jsonField: 'port' }, never);

    expect(value.revealText()).toBe('5432');
  });
});
