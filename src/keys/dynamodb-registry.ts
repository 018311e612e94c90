import type { AttributeValue, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { awsErrorCode } from '../base/aws-error.ts';
import { GatehouseError } from '../base/errors.ts';
import { keysError } from './errors.ts';
import type { GenerationState } from './ledger.ts';
import { type Registry, type RegistryEntry, requireTableName } from './registry.ts';

type RegistryCode = Parameters<typeof keysError>[0];

/** https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html */
const codes: Readonly<Record<string, RegistryCode>> = {
  ResourceNotFoundException: 'REGISTRY_TABLE_MISSING',
  AccessDeniedException: 'REGISTRY_DENIED',
  ProvisionedThroughputExceededException: 'REGISTRY_THROTTLED',
  ThrottlingException: 'REGISTRY_THROTTLED',
  RequestLimitExceeded: 'REGISTRY_THROTTLED',
  InternalServerError: 'REGISTRY_UNREACHABLE',
  ServiceUnavailable: 'REGISTRY_UNREACHABLE',
  UnrecognizedClientException: 'REGISTRY_CREDENTIALS_REFUSED',
  ExpiredTokenException: 'REGISTRY_CREDENTIALS_REFUSED',
  InvalidSignatureException: 'REGISTRY_CREDENTIALS_REFUSED',
  IncompleteSignatureException: 'REGISTRY_CREDENTIALS_REFUSED',
  MissingAuthenticationTokenException: 'REGISTRY_CREDENTIALS_REFUSED',
};

const others = { unreachable: 'REGISTRY_UNREACHABLE', refused: 'REGISTRY_REQUEST_REFUSED' } as const;

/**
 * The keys of the table. The partition is the host's name, so that a policy on `dynamodb:LeadingKeys` keeps each host
 * to its own.
 */
const partitionKey = 'agent';
const sortKey = 'item';
const leaseItem = 'lease';
const generationPrefix = 'generation#';
const generationItem = (generation: number): string =>
  `${generationPrefix}${String(generation).padStart(9, '0')}`;

const pagesMax = 100;

type Item = Readonly<Record<string, AttributeValue>>;

/** The registry in a DynamoDB table. `connect` gives the client, the same one each time. */
export function dynamodbRegistry(
  table: string,
  connect: () => Promise<Pick<DynamoDBClient, 'send'>>,
): Registry {
  requireTableName(table);
  async function translated<T>(action: string, signal: AbortSignal, call: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    try {
      return await call();
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (error instanceof GatehouseError || isConditionFailed(error)) throw error;
      throw keysError(awsErrorCode(error, codes, others), { action, table }, error);
    }
  }

  return {
    table,

    async check(signal) {
      const { DescribeTableCommand } = await import('@aws-sdk/client-dynamodb');
      const { Table: found } = await translated('dynamodb:DescribeTable', signal, async () =>
        (await connect()).send(new DescribeTableCommand({ TableName: table }), { abortSignal: signal }),
      );
      const typeOf = (name: string) =>
        found?.AttributeDefinitions?.find(({ AttributeName }) => AttributeName === name)?.AttributeType;
      const keys = (found?.KeySchema ?? []).map(
        ({ AttributeName, KeyType }) => `${KeyType} ${AttributeName}`,
      );
      const isRight =
        keys.length === 2 &&
        keys.includes(`HASH ${partitionKey}`) &&
        keys.includes(`RANGE ${sortKey}`) &&
        typeOf(partitionKey) === 'S' &&
        typeOf(sortKey) === 'S';
      if (!isRight) throw keysError('REGISTRY_TABLE_UNSUITABLE', { table, keys });
      if (found?.TableStatus !== 'ACTIVE' && found?.TableStatus !== 'UPDATING') {
        throw keysError('REGISTRY_TABLE_UNSUITABLE', { table, status: found?.TableStatus });
      }
    },

    async list(agentName, signal) {
      const { QueryCommand } = await import('@aws-sdk/client-dynamodb');
      const entries: RegistryEntry[] = [];
      let from: Record<string, AttributeValue> | undefined;
      for (let page = 0; page < pagesMax; page += 1) {
        const query = new QueryCommand({
          TableName: table,
          ConsistentRead: true,
          KeyConditionExpression: '#agent = :agent AND begins_with(#item, :prefix)',
          ExpressionAttributeNames: { '#agent': partitionKey, '#item': sortKey },
          ExpressionAttributeValues: { ':agent': { S: agentName }, ':prefix': { S: generationPrefix } },
          ...(from === undefined ? {} : { ExclusiveStartKey: from }),
        });
        const answer = await translated('dynamodb:Query', signal, async () =>
          (await connect()).send(query, { abortSignal: signal }),
        );
        entries.push(...(answer.Items ?? []).map((item) => entryOf(item, table)));
        from = answer.LastEvaluatedKey;
        if (from === undefined) return entries;
      }
      throw keysError('REGISTRY_DAMAGED', { table, problem: 'too many entries' });
    },

    async put(agentName, entry, signal) {
      const { PutItemCommand } = await import('@aws-sdk/client-dynamodb');
      const put = new PutItemCommand({
        TableName: table,
        Item: { ...keyOf(agentName, generationItem(entry.generation)), ...itemOf(entry) },
        ConditionExpression: 'attribute_not_exists(#item) OR #fingerprint = :fingerprint',
        ExpressionAttributeNames: { '#item': sortKey, '#fingerprint': 'fingerprint' },
        ExpressionAttributeValues: { ':fingerprint': { S: entry.fingerprint } },
      });
      try {
        await translated('dynamodb:PutItem', signal, async () =>
          (await connect()).send(put, { abortSignal: signal }),
        );
      } catch (error) {
        if (!isConditionFailed(error)) throw error;
        throw keysError('REGISTRY_DISAGREES', { table, agent: agentName, generation: entry.generation });
      }
    },

    async lease(agentName, { holder, until }, now, signal) {
      const { PutItemCommand } = await import('@aws-sdk/client-dynamodb');
      const put = new PutItemCommand({
        TableName: table,
        Item: {
          ...keyOf(agentName, leaseItem),
          holder: { S: holder },
          until: { N: String(until.getTime()) },
        },
        ConditionExpression: 'attribute_not_exists(#item) OR #until < :now OR #holder = :holder',
        ExpressionAttributeNames: { '#item': sortKey, '#until': 'until', '#holder': 'holder' },
        ExpressionAttributeValues: { ':now': { N: String(now.getTime()) }, ':holder': { S: holder } },
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      });
      try {
        await translated('dynamodb:PutItem', signal, async () =>
          (await connect()).send(put, { abortSignal: signal }),
        );
      } catch (error) {
        if (!isConditionFailed(error)) throw error;
        throw keysError('REGISTRY_LEASED', { table, agent: agentName, ...leaseDetails(error.Item) });
      }
    },

    async release(agentName, holder, signal) {
      const { DeleteItemCommand } = await import('@aws-sdk/client-dynamodb');
      const remove = new DeleteItemCommand({
        TableName: table,
        Key: keyOf(agentName, leaseItem),
        ConditionExpression: '#holder = :holder',
        ExpressionAttributeNames: { '#holder': 'holder' },
        ExpressionAttributeValues: { ':holder': { S: holder } },
      });
      try {
        await translated('dynamodb:DeleteItem', signal, async () =>
          (await connect()).send(remove, { abortSignal: signal }),
        );
      } catch (error) {
        // It ran out, and another took it.
        if (!isConditionFailed(error)) throw error;
      }
    },
  };
}

function keyOf(agentName: string, item: string) {
  return { [partitionKey]: { S: agentName }, [sortKey]: { S: item } };
}

function itemOf(entry: RegistryEntry): Item {
  return {
    state: { S: entry.state },
    bindingKeyArn: { S: entry.bindingKeyArn },
    algorithm: { S: entry.algorithm },
    fingerprint: { S: entry.fingerprint },
    wrapped: { B: entry.wrapped },
    changedBy: { S: entry.changedBy },
    changedAt: { S: entry.changedAt.toISOString() },
  };
}

function entryOf(item: Item, table: string): RegistryEntry {
  const text = (name: string): string => {
    const value = item[name]?.S;
    if (value === undefined) throw keysError('REGISTRY_DAMAGED', { table, attribute: name });
    return value;
  };
  const wrapped = item['wrapped']?.B;
  if (wrapped === undefined) throw keysError('REGISTRY_DAMAGED', { table, attribute: 'wrapped' });
  const generation = Number(text(sortKey).slice(generationPrefix.length));
  if (!Number.isSafeInteger(generation) || generation < 1) {
    throw keysError('REGISTRY_DAMAGED', { table, attribute: sortKey });
  }
  return {
    generation,
    state: stateOf(text('state'), table),
    bindingKeyArn: text('bindingKeyArn'),
    algorithm: text('algorithm'),
    fingerprint: text('fingerprint'),
    wrapped: Buffer.from(wrapped),
    changedBy: text('changedBy'),
    changedAt: new Date(text('changedAt')),
  };
}

function stateOf(text: string, table: string): GenerationState {
  if (text === 'next' || text === 'current' || text === 'retired' || text === 'abandoned') return text;
  throw keysError('REGISTRY_DAMAGED', { table, attribute: 'state' });
}

function leaseDetails(item: Item | undefined) {
  const until = Number(item?.['until']?.N);
  return {
    holder: item?.['holder']?.S,
    until: Number.isFinite(until) ? new Date(until).toISOString() : undefined,
  };
}

interface ConditionFailed extends Error {
  /** What is there instead, where it was asked for. */
  readonly Item?: Item;
}

function isConditionFailed(error: unknown): error is ConditionFailed {
  return error instanceof Error && error.name === 'ConditionalCheckFailedException';
}
