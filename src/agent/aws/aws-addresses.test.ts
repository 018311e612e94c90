import { CloudWatchLogsClient, DescribeLogGroupsCommand } from '@aws-sdk/client-cloudwatch-logs';
import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { KMSClient, ListKeysCommand } from '@aws-sdk/client-kms';
import { ListSecretsCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { expect, test } from 'vitest';
import { proxy } from '../../../test/support/proxy.ts';
import { Secret } from '../../base/secret.ts';
import { awsClientConfig } from './aws-client.ts';
import type { AwsServiceName, Environment } from './aws-reach.ts';

const fips = { AWS_USE_FIPS_ENDPOINT: 'true' };
const dualstack = { AWS_USE_DUALSTACK_ENDPOINT: 'true' };

const credentials = async () => ({
  accessKeyId: 'AKIA',
  secretAccessKey: Secret.ofText('secret'),
  source: 'test',
});

/** One call of a client made as the agent makes it; it never answers, for the proxy leads to nowhere. */
function call(service: AwsServiceName, region: string, env: Environment): Promise<unknown> {
  const config = { ...awsClientConfig(service, { env, region, credentials }), maxAttempts: 1 };
  switch (service) {
    case 'KMS':
      return new KMSClient(config).send(new ListKeysCommand({}));
    case 'STS':
      return new STSClient(config).send(new GetCallerIdentityCommand({}));
    case 'DYNAMODB':
      return new DynamoDBClient(config).send(new ListTablesCommand({}));
    case 'CLOUDWATCH_LOGS':
      return new CloudWatchLogsClient(config).send(new DescribeLogGroupsCommand({}));
    default:
      return new SecretsManagerClient(config).send(new ListSecretsCommand({}));
  }
}

test.each([
  ['KMS', 'eu-west-1', {}, 'kms.eu-west-1.amazonaws.com'],
  ['KMS', 'us-east-1', fips, 'kms-fips.us-east-1.amazonaws.com'],
  ['KMS', 'us-gov-west-1', fips, 'kms-fips.us-gov-west-1.amazonaws.com'],
  ['KMS', 'cn-north-1', {}, 'kms.cn-north-1.amazonaws.com.cn'],
  ['KMS', 'eu-west-1', dualstack, 'kms.eu-west-1.api.aws'],
  ['STS', 'eu-west-1', {}, 'sts.eu-west-1.amazonaws.com'],
  ['STS', 'us-east-1', fips, 'sts-fips.us-east-1.amazonaws.com'],
  ['STS', 'us-gov-west-1', fips, 'sts.us-gov-west-1.amazonaws.com'],
  ['STS', 'cn-northwest-1', {}, 'sts.cn-northwest-1.amazonaws.com.cn'],
  ['DYNAMODB', 'us-east-1', fips, 'dynamodb-fips.us-east-1.amazonaws.com'],
  ['DYNAMODB', 'cn-north-1', {}, 'dynamodb.cn-north-1.amazonaws.com.cn'],
  ['CLOUDWATCH_LOGS', 'us-east-1', fips, 'logs-fips.us-east-1.amazonaws.com'],
  ['CLOUDWATCH_LOGS', 'us-gov-east-1', fips, 'logs.us-gov-east-1.amazonaws.com'],
  ['CLOUDWATCH_LOGS', 'cn-north-1', {}, 'logs.cn-north-1.amazonaws.com.cn'],
  ['CLOUDWATCH_LOGS', 'eu-west-1', dualstack, 'logs.eu-west-1.api.aws'],
  // AWS's rules: the usual addresses of Secrets Manager have IPv6 too, and are the dual stack ones.
  ['SECRETS_MANAGER', 'us-east-1', { ...fips, ...dualstack }, 'secretsmanager-fips.us-east-1.amazonaws.com'],
  ['SECRETS_MANAGER', 'us-gov-west-1', fips, 'secretsmanager-fips.us-gov-west-1.amazonaws.com'],
  ['SECRETS_MANAGER', 'cn-north-1', dualstack, 'secretsmanager.cn-north-1.amazonaws.com.cn'],
] as const)('%s in %s, %j, is asked at %s', async (service, region, env, host) => {
  const { url, tunnels } = await proxy();

  await call(service, region, { ...env, HTTPS_PROXY: url }).catch(() => undefined);

  expect(tunnels).toEqual([`${host}:443`]);
});
