import type { AttributeValue, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { awsErrorCode } from '../base/aws-error.ts';
import { GatehouseError } from '../base/errors.ts';
import { keysError } from './errors.ts';
import type { GenerationState, Seen } from './ledger.ts';
import { type Registry, type RegistryEntry, raised, requireTableName } from './registry.ts';

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

const seenPrefix = 'seen#';
const seenItem = (page: number): string => `${seenPrefix}${String(page).padStart(3, '0')}`;
/** An item has at most 400 KiB; a name at most 128 bytes, and its version a dozen. */
const namesPerPage = 2_000;
/** Times that somebody else wrote the same page first, one after the other. */
const racesMax = 10;

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

  /** Every item of a host that begins so, as it is now. */
  async function itemsOf(agentName: string, prefix: string, signal: AbortSignal): Promise<Item[]> {
    const { QueryCommand } = await import('@aws-sdk/client-dynamodb');
    const items: Item[] = [];
    let from: Record<string, AttributeValue> | undefined;
    for (let page = 0; page < pagesMax; page += 1) {
      const query = new QueryCommand({
        TableName: table,
        ConsistentRead: true,
        KeyConditionExpression: '#agent = :agent AND begins_with(#item, :prefix)',
        ExpressionAttributeNames: { '#agent': partitionKey, '#item': sortKey },
        ExpressionAttributeValues: { ':agent': { S: agentName }, ':prefix': { S: prefix } },
        ...(from === undefined ? {} : { ExclusiveStartKey: from }),
      });
      const answer = await translated('dynamodb:Query', signal, async () =>
        (await connect()).send(query, { abortSignal: signal }),
      );
      items.push(...(answer.Items ?? []));
      from = answer.LastEvaluatedKey;
      if (from === undefined) return items;
    }
    throw keysError('REGISTRY_DAMAGED', { table, problem: 'too many entries' });
  }

  const seenPages = async (agentName: string, signal: AbortSignal): Promise<SeenPage[]> =>
    (await itemsOf(agentName, seenPrefix, signal)).map((item) => seenPageOf(item, table));

  /** Writes a page, unless somebody else did since it was read: then nothing is done, and the answer is false. */
  async function writePage(agentName: string, page: SeenPage, signal: AbortSignal): Promise<boolean> {
    const { PutItemCommand } = await import('@aws-sdk/client-dynamodb');
    const put = new PutItemCommand({
      TableName: table,
      Item: {
        ...keyOf(agentName, page.item),
        revision: { N: String(page.revision + 1) },
        versions: {
          M: Object.fromEntries([...page.versions].map(([name, seen]) => [name, seenValue(seen)])),
        },
      },
      ConditionExpression: page.revision === 0 ? 'attribute_not_exists(#item)' : '#revision = :revision',
      ExpressionAttributeNames: page.revision === 0 ? { '#item': sortKey } : { '#revision': 'revision' },
      ...(page.revision === 0
        ? {}
        : { ExpressionAttributeValues: { ':revision': { N: String(page.revision) } } }),
    });
    try {
      await translated('dynamodb:PutItem', signal, async () =>
        (await connect()).send(put, { abortSignal: signal }),
      );
      return true;
    } catch (error) {
      if (isConditionFailed(error)) return false;
      throw error;
    }
  }

  /** Changes pages as they are now: reads them, has them changed, writes those that were; again where another came first. */
  async function changePages<T>(
    agentName: string,
    change: (pages: SeenPage[]) => { readonly changed: readonly SeenPage[]; readonly result: T },
    signal: AbortSignal,
  ): Promise<T> {
    for (let race = 0; race < racesMax; race += 1) {
      const { changed, result } = change(await seenPages(agentName, signal));
      const written = [];
      for (const page of changed) written.push(await writePage(agentName, page, signal));
      if (written.every(Boolean)) return result;
    }
    throw keysError('REGISTRY_CONTENDED', { table, agent: agentName });
  }

  return {
    table,

    async seen(agentName, signal) {
      const all = new Map<string, Seen>();
      for (const { versions } of await seenPages(agentName, signal)) {
        for (const [name, seen] of versions) all.set(name, seen);
      }
      return all;
    },

    raise: (agentName, versions, signal) =>
      changePages(
        agentName,
        (pages) => ({ changed: raisedPages(pages, versions), result: undefined }),
        signal,
      ),

    allowOlder: (agentName, name, signal) =>
      changePages(
        agentName,
        (pages) => {
          const page = pages.find(({ versions }) => versions.has(name));
          const { version = 0, loweredFrom } = page?.versions.get(name) ?? {};
          if (page === undefined || version === 0) return { changed: [], result: loweredFrom };
          page.versions.set(name, { version: 0, loweredFrom: version });
          return { changed: [page], result: version };
        },
        signal,
      ),

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

    list: async (agentName, signal) =>
      (await itemsOf(agentName, generationPrefix, signal)).map((item) => entryOf(item, table)),

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

/** Versions of some secrets, in one item: a host has few, and they are read and raised together. */
interface SeenPage {
  readonly item: string;
  /** Times it was written; 0 before it is there. */
  readonly revision: number;
  readonly versions: Map<string, Seen>;
}

/** Raises versions where their names are, or where there is room, and says which pages that changed. */
function raisedPages(pages: SeenPage[], versions: ReadonlyMap<string, number>): SeenPage[] {
  const changed = new Set<SeenPage>();
  for (const [name, version] of versions) {
    const page =
      pages.find((each) => each.versions.has(name)) ??
      pages.find((each) => each.versions.size < namesPerPage) ??
      addedPage(pages);
    const before = page.versions.get(name);
    const after = raised(before, version);
    if (before?.version === after.version) continue;
    page.versions.set(name, after);
    changed.add(page);
  }
  return [...changed];
}

function addedPage(pages: SeenPage[]): SeenPage {
  const page = { item: seenItem(pages.length), revision: 0, versions: new Map<string, Seen>() };
  pages.push(page);
  return page;
}

/** A version as a number; one that an operator lowered as what it was, negative. */
function seenValue({ version, loweredFrom }: Seen): AttributeValue {
  return { N: String(version === 0 ? -(loweredFrom ?? 0) : version) };
}

function seenPageOf(item: Item, table: string): SeenPage {
  const revision = Number(item['revision']?.N);
  const found = Object.entries(item['versions']?.M ?? {});
  const versions = new Map(found.map(([name, { N }]) => [name, Number(N)] as const));
  if (![revision, ...versions.values()].every(Number.isSafeInteger)) {
    throw keysError('REGISTRY_DAMAGED', { table, attribute: 'versions' });
  }
  return {
    item: item[sortKey]?.S ?? '',
    revision,
    versions: new Map([...versions].map(([name, value]) => [name, seenOf(value)])),
  };
}

function seenOf(value: number): Seen {
  return value < 0 ? { version: 0, loweredFrom: -value } : { version: value };
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
