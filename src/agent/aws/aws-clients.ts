import type { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { KMSClient } from '@aws-sdk/client-kms';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { STSClient } from '@aws-sdk/client-sts';
import type { Credentials } from '../../identity/credential-source.ts';
import { type AwsClientOptions, awsClientConfig, refusesPlainHttp, renewsExpired } from './aws-client.ts';

/** The AWS clients of this process, each loaded and made when it is first asked for. */
export interface AwsClients {
  dynamodb(): Promise<DynamoDBClient>;
  kms(region?: string): Promise<KMSClient>;
  logs(): Promise<CloudWatchLogsClient>;
  secretsManager(): Promise<SecretsManagerClient>;
  sts(): Promise<STSClient>;
  /** Closes the connections of those that were made. */
  close(): void;
}

/**
 * A client of AWS STS for one call, signed with these credentials, or not at all without any: it neither asks for the
 * host's own credentials nor renews them, for it is what those are got with.
 */
export async function stsFor(
  credentials: Credentials | undefined,
  { env, region }: Pick<AwsClientOptions, 'env' | 'region'>,
): Promise<STSClient> {
  const { STSClient: Client } = await import('@aws-sdk/client-sts');
  const given = async (): Promise<Credentials> => {
    if (credentials === undefined) throw new TypeError('this client does not sign');
    return credentials;
  };
  return refusesPlainHttp(new Client(awsClientConfig('STS', { env, region, credentials: given })));
}

interface Closable {
  destroy(): void;
}

export function awsClients(options: AwsClientOptions): AwsClients {
  const made: Promise<Closable>[] = [];

  /** One client for each region that is asked for. */
  const perRegion = <Client extends Closable>(make: (region: string) => Promise<Client>) => {
    const clients = new Map<string, Promise<Client>>();
    return (region: string): Promise<Client> => {
      const known = clients.get(region);
      if (known !== undefined) return known;
      const client = make(region);
      clients.set(region, client);
      made.push(client);
      return client;
    };
  };

  const dynamodb = perRegion(async () => {
    const { DynamoDBClient: Client } = await import('@aws-sdk/client-dynamodb');
    return renewsExpired(new Client(awsClientConfig('DYNAMODB', options)), options);
  });
  const kms = perRegion(async (region) => {
    const { KMSClient: Client } = await import('@aws-sdk/client-kms');
    return renewsExpired(new Client(awsClientConfig('KMS', { ...options, region })), options);
  });
  const logs = perRegion(async () => {
    const { CloudWatchLogsClient: Client } = await import('@aws-sdk/client-cloudwatch-logs');
    return renewsExpired(new Client(awsClientConfig('CLOUDWATCH_LOGS', options)), options);
  });
  const secretsManager = perRegion(async () => {
    const { SecretsManagerClient: Client } = await import('@aws-sdk/client-secrets-manager');
    return renewsExpired(new Client(awsClientConfig('SECRETS_MANAGER', options)), options);
  });
  const sts = perRegion(async () => {
    const { STSClient: Client } = await import('@aws-sdk/client-sts');
    return renewsExpired(new Client(awsClientConfig('STS', options)), options);
  });

  return {
    dynamodb: () => dynamodb(options.region),
    kms: (region = options.region) => kms(region),
    logs: () => logs(options.region),
    secretsManager: () => secretsManager(options.region),
    sts: () => sts(options.region),
    close() {
      for (const client of made) {
        client.then(
          (ready) => ready.destroy(),
          () => undefined,
        );
      }
    },
  };
}
