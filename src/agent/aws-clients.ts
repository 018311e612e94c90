import type { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import type { KMSClient } from '@aws-sdk/client-kms';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { STSClient } from '@aws-sdk/client-sts';
import { type AwsClientOptions, awsClientConfig, renewsExpired } from './aws-client.ts';

/** The AWS clients of this process, each loaded and made when it is first asked for. */
export interface AwsClients {
  kms(region?: string): Promise<KMSClient>;
  logs(): Promise<CloudWatchLogsClient>;
  secretsManager(): Promise<SecretsManagerClient>;
  sts(): Promise<STSClient>;
  /** Closes the connections of those that were made. */
  close(): void;
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
