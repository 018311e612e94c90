import {
  CreateAliasCommand,
  CreateKeyCommand,
  DisableKeyCommand,
  KMSClient,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { onTestFinished } from 'vitest';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { awsKms } from './aws-kms.ts';
import { kmsContract } from './kms.contract.ts';

kmsContract('awsKms, of the sandbox', async () => {
  const sandbox = createSandbox();
  const listener = await sandbox.listen();
  onTestFinished(() => listener.close());
  const { accessKeyId, secretAccessKey } = sandbox.identities.createUser('operator');
  const client = new KMSClient({
    region: sandbox.region,
    endpoint: listener.url,
    credentials: { accessKeyId, secretAccessKey },
  });
  onTestFinished(() => client.destroy());
  return {
    kms: awsKms(async () => client),
    async addKey({ alias, rsa } = {}) {
      const spec =
        rsa === undefined ? ({} as const) : ({ KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' } as const);
      const { KeyMetadata: key } = await client.send(new CreateKeyCommand(spec));
      const keyArn = key?.Arn ?? '';
      if (alias !== undefined) {
        await client.send(new CreateAliasCommand({ AliasName: alias, TargetKeyId: keyArn }));
      }
      return keyArn;
    },
    async putInto(state, KeyId) {
      if (state === 'Disabled') await client.send(new DisableKeyCommand({ KeyId }));
      else await client.send(new ScheduleKeyDeletionCommand({ KeyId }));
    },
  };
});
