import { randomUUID } from 'node:crypto';
import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { KMSClient } from '@aws-sdk/client-kms';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { STSClient } from '@aws-sdk/client-sts';
import { dynamoDbCases } from './dynamodb-cases.ts';
import { kmsCases } from './kms-cases.ts';
import { logsCases } from './logs-cases.ts';
import { secretsManagerCases } from './secrets-manager-cases.ts';
import { stsCases } from './sts-cases.ts';

/** Something that says it is AWS. */
export interface Target {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
  /** A role that the credentials may assume. */
  readonly roleArn: string;
}

/** What a case works with: plain clients of the SDK that try once, and names nobody else uses. */
export interface Bench {
  readonly target: Target;
  readonly secretsManager: SecretsManagerClient;
  readonly kms: KMSClient;
  readonly logs: CloudWatchLogsClient;
  readonly dynamoDb: DynamoDBClient;
  readonly sts: STSClient;
  unique(prefix: string): string;
}

/** Where a peer does not do what AWS documents. */
export interface Deviation {
  /** What the peer does instead, as `run` sees it; of what it throws, name and status. */
  readonly sees: unknown;
  readonly because: string;
  /** Where AWS documents what the case expects. */
  readonly documentation: string;
}

/** One fact about AWS. */
export interface ContractCase {
  readonly name: string;
  /** Makes the calls and returns what they came to, with nothing in it that differs from run to run. */
  run(bench: Bench): Promise<unknown>;
  /** What AWS documents; asymmetric matchers allowed. */
  readonly expected: unknown;
  readonly moto?: Deviation;
  readonly dynalite?: Deviation;
}

export type PeerName = 'moto' | 'dynalite';

export const contract: Readonly<Record<string, readonly ContractCase[]>> = {
  'Secrets Manager': secretsManagerCases,
  KMS: kmsCases,
  'CloudWatch Logs': logsCases,
  STS: stsCases,
  DynamoDB: dynamoDbCases,
};

/** The rows of a test per case: vitest shortens a title that it takes from an object. */
export function titled(cases: readonly ContractCase[]): [title: string, fact: ContractCase][] {
  return cases.map((fact) => [fact.name, fact]);
}

/** The rows of a test per case in which a peer deviates. */
export function deviating(
  cases: readonly ContractCase[],
  peer: PeerName,
): [title: string, because: string, fact: ContractCase, deviation: Deviation][] {
  return cases.flatMap((fact): [string, string, ContractCase, Deviation][] => {
    const deviation = fact[peer];
    return deviation === undefined ? [] : [[fact.name, deviation.because, fact, deviation]];
  });
}

export function createBench(target: Target): Bench & { close(): void } {
  const { endpoint, region, credentials } = target;
  const configuration = { endpoint, region, credentials, maxAttempts: 1 };
  const clients = {
    secretsManager: new SecretsManagerClient(configuration),
    kms: new KMSClient(configuration),
    logs: new CloudWatchLogsClient(configuration),
    sts: new STSClient(configuration),
    dynamoDb: new DynamoDBClient(configuration),
  };
  return {
    target,
    ...clients,
    unique: (prefix) => `${prefix}-${randomUUID().slice(0, 8)}`,
    close() {
      for (const client of Object.values(clients)) client.destroy();
    },
  };
}
