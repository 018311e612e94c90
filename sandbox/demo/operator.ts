import { CloudWatchLogsClient, GetLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs';
import { CreateAliasCommand, CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import {
  CreateSecretCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import type { Sandbox } from '../sandbox.ts';

/** The person with an administrator's keys, who acts through the official SDK. */
export interface Operator {
  /** What the operator's own shell has set. */
  readonly env: Readonly<Record<string, string>>;
  createKey(alias: string): Promise<void>;
  createSecret(name: string, value: string): Promise<void>;
  putSecret(name: string, value: string): Promise<void>;
  /** All messages of a stream, oldest first; none where the stream does not exist yet. */
  messages(logGroup: string, logStream: string): Promise<readonly string[]>;
  close(): void;
}

export function operatorOf(sandbox: Sandbox, endpoint: string): Operator {
  const { accessKeyId, secretAccessKey } = sandbox.identities.createUser('operator');
  const config = { endpoint, region: sandbox.region, credentials: { accessKeyId, secretAccessKey } };
  const kms = new KMSClient(config);
  const secretsManager = new SecretsManagerClient(config);
  const logs = new CloudWatchLogsClient(config);

  return {
    env: {
      AWS_REGION: sandbox.region,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
    },

    async createKey(alias) {
      const { KeyMetadata: key } = await kms.send(new CreateKeyCommand({}));
      await kms.send(new CreateAliasCommand({ AliasName: alias, TargetKeyId: key?.KeyId }));
    },
    async createSecret(name, value) {
      await secretsManager.send(new CreateSecretCommand({ Name: name, SecretString: value }));
    },
    async putSecret(name, value) {
      await secretsManager.send(new PutSecretValueCommand({ SecretId: name, SecretString: value }));
    },

    async messages(logGroupName, logStreamName) {
      const all: string[] = [];
      let nextToken: string | undefined;
      try {
        for (;;) {
          const page = await logs.send(
            new GetLogEventsCommand({ logGroupName, logStreamName, startFromHead: true, nextToken }),
          );
          all.push(...(page.events ?? []).map(({ message }) => message ?? ''));
          if (page.nextForwardToken === nextToken) return all;
          nextToken = page.nextForwardToken;
        }
      } catch (error) {
        if (error instanceof Error && error.name === 'ResourceNotFoundException') return [];
        throw error;
      }
    },

    close() {
      for (const client of [kms, secretsManager, logs]) client.destroy();
    },
  };
}
