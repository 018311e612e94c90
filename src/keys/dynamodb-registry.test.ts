import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  CreateTableCommand,
  DescribeTableCommand,
  DynamoDBClient,
  PutItemCommand,
} from '@aws-sdk/client-dynamodb';
import dynalite from 'dynalite';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { type ScriptedAnswer, scriptedAws } from '../../test/support/scripted-aws.ts';
import { reportOf } from '../base/errors.ts';
import { dynamodbRegistry } from './dynamodb-registry.ts';
import { registryContract } from './registry.contract.ts';

const never = new AbortController().signal;

/** A registry in a new table, whose keys may be wrong, of whatever is at this endpoint. */
async function registryAt(
  endpoint: string,
  credentials: { accessKeyId: string; secretAccessKey: string },
  keys: readonly string[] = ['agent', 'item'],
) {
  const client = new DynamoDBClient({ region: 'eu-west-1', endpoint, credentials });
  onTestFinished(() => client.destroy());
  const TableName = `keys-${randomUUID()}`;
  await client.send(
    new CreateTableCommand({
      TableName,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: keys.map((name) => ({ AttributeName: name, AttributeType: 'S' })),
      KeySchema: keys.map((name, index) => ({
        AttributeName: name,
        KeyType: index === 0 ? 'HASH' : 'RANGE',
      })),
    }),
  );
  // It is being made until it is asked for.
  await client.send(new DescribeTableCommand({ TableName }));
  await client.send(new DescribeTableCommand({ TableName }));
  return { client, table: TableName, registry: dynamodbRegistry(TableName, async () => client) };
}

async function setup(keys?: readonly string[]) {
  const sandbox = createSandbox({ region: 'eu-west-1' });
  const listener = await sandbox.listen({ port: 0 });
  onTestFinished(() => listener.close());
  return { sandbox, ...(await registryAt(listener.url, sandbox.identities.createUser('operator'), keys)) };
}

registryContract('DynamoDB, as the sandbox has it,', async () => (await setup()).registry);

async function inDynalite() {
  const server = dynalite({ createTableMs: 0, deleteTableMs: 0 });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no address');
  const credentials = { accessKeyId: 'AKIADYNALITE', secretAccessKey: 'dynalite' };
  return (await registryAt(`http://127.0.0.1:${address.port}`, credentials)).registry;
}

// It knows no ReturnValuesOnConditionCheckFailure.
registryContract('DynamoDB, as dynalite has it,', inDynalite, { saysWho: false });

describe('the registry in DynamoDB', () => {
  it('raises any number of versions with two calls, and with one where nothing rises', async () => {
    const { registry, sandbox } = await setup();
    const versions = new Map(Array.from({ length: 1_000 }, (_each, n) => [`secret-${n}`, 2] as const));
    sandbox.calls.clear();

    await registry.raise('web-1', versions, never);
    const first = sandbox.calls.count({ service: 'dynamodb' });
    await registry.raise('web-1', versions, never);

    expect(first).toBe(2);
    expect(sandbox.calls.count({ service: 'dynamodb' })).toBe(3);
  });

  it.each([{ keys: ['agent'] }, { keys: ['item', 'agent'] }, { keys: ['agent', 'version'] }])(
    'is none with the keys $keys',
    async ({ keys }) => {
      const { registry } = await setup(keys);

      await expect(registry.check(never)).rejects.toMatchObject({ code: 'REGISTRY_TABLE_UNSUITABLE' });
    },
  );

  it('says what somebody else put there', async () => {
    const { registry, client, table } = await setup();
    const agent = { S: 'web-1' };
    for (const Item of [
      { agent, item: { S: 'generation#000000001' }, state: { S: 'current' } },
      { agent, item: { S: 'seen#000' }, versions: { M: { one: { N: '1' } } } },
      { agent, item: { S: 'seen#001' }, revision: { N: '1' }, versions: { M: { one: { S: 'one' } } } },
    ]) {
      await client.send(new PutItemCommand({ TableName: table, Item }));
    }

    await expect(registry.list('web-1', never)).rejects.toMatchObject({ code: 'REGISTRY_DAMAGED' });
    await expect(registry.seen('web-1', never)).rejects.toMatchObject({ code: 'REGISTRY_DAMAGED' });
  });

  it.each(['ab', 'a b', 'arn:aws:dynamodb:eu-west-1:123456789012:table/x'])(
    'is not looked for under the name %s',
    (table) => {
      expect(() => dynamodbRegistry(table, () => Promise.reject(new Error('asked')))).toThrow(
        expect.objectContaining({ code: 'REGISTRY_TABLE_NAME_INVALID' }),
      );
    },
  );
});

describe('failures of DynamoDB', () => {
  it.each<[ScriptedAnswer, string, boolean]>([
    [{ error: 'ResourceNotFoundException' }, 'REGISTRY_TABLE_MISSING', false],
    [{ error: 'AccessDeniedException' }, 'REGISTRY_DENIED', false],
    [{ error: 'ThrottlingException' }, 'REGISTRY_THROTTLED', true],
    [{ error: 'ExpiredTokenException' }, 'REGISTRY_CREDENTIALS_REFUSED', true],
    [{ error: 'ValidationException' }, 'REGISTRY_REQUEST_REFUSED', false],
    [{ error: 'InternalServerError', status: 500 }, 'REGISTRY_UNREACHABLE', true],
    [{ error: 'BadGateway', status: 502 }, 'REGISTRY_UNREACHABLE', true],
    [{ cut: 'ECONNREFUSED' }, 'REGISTRY_UNREACHABLE', true],
  ])('%o is %s', async (answer, code, retry) => {
    const { options } = scriptedAws(() => answer);
    const registry = dynamodbRegistry('gatehouse-keys', async () => new DynamoDBClient(options));

    const failure: unknown = await registry.list('web-1', never).catch((error: unknown) => error);

    expect(reportOf(failure)).toMatchObject({
      code,
      retry,
      details: { action: 'dynamodb:Query', table: 'gatehouse-keys' },
    });
    expect(JSON.stringify(reportOf(failure))).not.toContain('upstream text');
  });
});
