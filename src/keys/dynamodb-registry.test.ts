import {
  CreateTableCommand,
  DescribeTableCommand,
  DynamoDBClient,
  PutItemCommand,
} from '@aws-sdk/client-dynamodb';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { type ScriptedAnswer, scriptedAws } from '../../test/support/scripted-aws.ts';
import { reportOf } from '../base/errors.ts';
import { dynamodbRegistry } from './dynamodb-registry.ts';
import type { RegistryEntry } from './registry.ts';

const never = new AbortController().signal;
const now = new Date('2026-01-02T03:04:05.006Z');
const later = (minutes: number) => new Date(now.getTime() + minutes * 60_000);

const entry: RegistryEntry = {
  generation: 1,
  state: 'current',
  bindingKeyArn: 'arn:aws:kms:eu-west-1:123456789012:key/1b5f2a3c-0d4e-4f6a-8b7c-9d0e1f2a3b4c',
  algorithm: 'SYMMETRIC_DEFAULT',
  fingerprint: 'a'.repeat(32),
  wrapped: Buffer.from('wrapped'),
  changedBy: 'arn:aws:iam::123456789012:user/operator',
  changedAt: now,
};

/** The sandbox with a table, whose keys may be wrong. */
async function setup(keys: readonly string[] = ['agent', 'item']) {
  const sandbox = createSandbox({ region: 'eu-west-1' });
  const listener = await sandbox.listen({ port: 0 });
  onTestFinished(() => listener.close());
  const credentials = sandbox.identities.createUser('operator');
  const client = new DynamoDBClient({ region: 'eu-west-1', endpoint: listener.url, credentials });
  onTestFinished(() => client.destroy());
  await client.send(
    new CreateTableCommand({
      TableName: 'gatehouse-keys',
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: keys.map((name) => ({ AttributeName: name, AttributeType: 'S' })),
      KeySchema: keys.map((name, index) => ({
        AttributeName: name,
        KeyType: index === 0 ? 'HASH' : 'RANGE',
      })),
    }),
  );
  // It is being made until it is asked for.
  await client.send(new DescribeTableCommand({ TableName: 'gatehouse-keys' }));
  await client.send(new DescribeTableCommand({ TableName: 'gatehouse-keys' }));
  const registry = dynamodbRegistry('gatehouse-keys', async () => client);
  return { registry, client };
}

describe('the registry', () => {
  it('gives back what was put into it, each host its own, by generation', async () => {
    const { registry } = await setup();
    const second = { ...entry, generation: 12, fingerprint: 'b'.repeat(32) };
    const first = { ...entry, generation: 2, state: 'retired' } as const;
    await registry.check(never);

    await registry.put('web-1', second, never);
    await registry.put('web-1', first, never);
    await registry.put('web-2', entry, never);

    expect(await registry.list('web-1', never)).toEqual([first, second]);
    expect(await registry.list('web-2', never)).toEqual([entry]);
    expect(await registry.list('web-3', never)).toEqual([]);
  });

  it('changes an entry of the same key, never to another key', async () => {
    const { registry } = await setup();
    await registry.put('web-1', entry, never);
    const rewrapped = { ...entry, state: 'retired', wrapped: Buffer.from('anew') } as const;

    await registry.put('web-1', rewrapped, never);

    await expect(registry.put('web-1', { ...entry, fingerprint: 'c' }, never)).rejects.toMatchObject({
      code: 'REGISTRY_DISAGREES',
      details: { agent: 'web-1', generation: 1 },
    });
    expect(await registry.list('web-1', never)).toEqual([rewrapped]);
  });

  it('leases a host to one at a time, and says to whom and until when', async () => {
    const { registry } = await setup();
    await registry.lease('web-1', { holder: 'one', until: later(10) }, now, never);

    await expect(
      registry.lease('web-1', { holder: 'other', until: later(20) }, later(9), never),
    ).rejects.toMatchObject({
      code: 'REGISTRY_LEASED',
      row: { exitCode: 75 },
      details: { holder: 'one', until: later(10).toISOString() },
    });
    await registry.lease('web-2', { holder: 'other', until: later(20) }, now, never);
    await registry.lease('web-1', { holder: 'one', until: later(30) }, later(9), never);
    await expect(
      registry.lease('web-1', { holder: 'other', until: later(40) }, later(11), never),
    ).rejects.toMatchObject({ code: 'REGISTRY_LEASED' });
  });

  it('leases anew what was given back, or what a holder that died left to run out', async () => {
    const { registry } = await setup();
    await registry.lease('web-1', { holder: 'one', until: later(10) }, now, never);
    await registry.release('web-1', 'one', never);
    await registry.lease('web-1', { holder: 'died', until: later(10) }, now, never);

    await registry.lease('web-1', { holder: 'other', until: later(30) }, later(11), never);
    await registry.release('web-1', 'died', never);

    await expect(
      registry.lease('web-1', { holder: 'third', until: later(30) }, later(12), never),
    ).rejects.toMatchObject({ details: { holder: 'other' } });
  });

  it.each([{ keys: ['agent'] }, { keys: ['item', 'agent'] }, { keys: ['agent', 'version'] }])(
    'is none with the keys $keys',
    async ({ keys }) => {
      const { registry } = await setup(keys);

      await expect(registry.check(never)).rejects.toMatchObject({ code: 'REGISTRY_TABLE_UNSUITABLE' });
    },
  );

  it('says what somebody else put there', async () => {
    const { registry, client } = await setup();
    const Item = { agent: { S: 'web-1' }, item: { S: 'generation#000000001' }, state: { S: 'current' } };
    await client.send(new PutItemCommand({ TableName: 'gatehouse-keys', Item }));

    await expect(registry.list('web-1', never)).rejects.toMatchObject({ code: 'REGISTRY_DAMAGED' });
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
