import {
  type AttributeValue,
  BatchGetItemCommand,
  BatchWriteItemCommand,
  ConditionalCheckFailedException,
  CreateTableCommand,
  DeleteItemCommand,
  DeleteTableCommand,
  DescribeContinuousBackupsCommand,
  DescribeTableCommand,
  DescribeTimeToLiveCommand,
  GetItemCommand,
  PutItemCommand,
  type PutItemCommandInput,
  QueryCommand,
  type QueryCommandInput,
  ScanCommand,
  TransactGetItemsCommand,
  TransactionCanceledException,
  TransactWriteItemsCommand,
  type TransactWriteItemsCommandInput,
  UpdateContinuousBackupsCommand,
  UpdateItemCommand,
  type UpdateItemCommandInput,
  UpdateTableCommand,
  UpdateTimeToLiveCommand,
} from '@aws-sdk/client-dynamodb';
import { expect } from 'vitest';
import type { Bench, ContractCase } from './contract.ts';
import { accepted, message, outcome, refused } from './outcome.ts';

const reference = 'https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/';
const guide = 'https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/';
const validation = refused('ValidationException');
/** What comes of an answer that is a page about a failure of the server. */
const crashed = refused('SyntaxError', 500);
const conditionFailed = refused('ConditionalCheckFailedException');

type Item = Record<string, AttributeValue>;

const pollsMax = 1000;

/** Waits as AWS says to: by asking. */
async function newTable(bench: Bench): Promise<string> {
  const TableName = bench.unique('contract');
  await bench.dynamoDb.send(
    new CreateTableCommand({
      TableName,
      AttributeDefinitions: [
        { AttributeName: 'host', AttributeType: 'S' },
        { AttributeName: 'generation', AttributeType: 'N' },
      ],
      KeySchema: [
        { AttributeName: 'host', KeyType: 'HASH' },
        { AttributeName: 'generation', KeyType: 'RANGE' },
      ],
      BillingMode: 'PAY_PER_REQUEST',
    }),
  );
  for (let polls = 0; polls < pollsMax; polls += 1) {
    const { Table } = await bench.dynamoDb.send(new DescribeTableCommand({ TableName }));
    if (Table?.TableStatus === 'ACTIVE') return TableName;
  }
  throw new Error(`the table is not active after ${pollsMax} looks`);
}

const keyOf = (host: string, generation: number | string): Item => ({
  host: { S: host },
  generation: { N: String(generation) },
});

function table(bench: Bench, TableName: string) {
  const { dynamoDb } = bench;
  return {
    put: (Item: Item, more: Partial<PutItemCommandInput> = {}) =>
      dynamoDb.send(new PutItemCommand({ TableName, Item, ...more })),
    get: async (Key: Item, ProjectionExpression?: string) =>
      (
        await dynamoDb.send(
          new GetItemCommand({ TableName, Key, ConsistentRead: true, ProjectionExpression }),
        )
      ).Item,
    update: (Key: Item, more: Partial<UpdateItemCommandInput>) =>
      dynamoDb.send(new UpdateItemCommand({ TableName, Key, ...more })),
    query: (more: Partial<QueryCommandInput>) => dynamoDb.send(new QueryCommand({ TableName, ...more })),
    transact: (TransactItems: TransactWriteItemsCommandInput['TransactItems'], ClientRequestToken?: string) =>
      dynamoDb.send(new TransactWriteItemsCommand({ TransactItems, ClientRequestToken })),
    name: TableName,
  };
}

async function setup(bench: Bench) {
  return table(bench, await newTable(bench));
}

function generations(items: Item[] | undefined) {
  return items?.map((item) => item['generation']?.N);
}

/** The reasons of a cancelled transaction, one code for each action. */
async function reasons(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
    return accepted;
  } catch (error) {
    if (!(error instanceof TransactionCanceledException)) throw error;
    return error.CancellationReasons?.map(({ Code, Item }) => (Item === undefined ? Code : [Code, Item]));
  }
}

const readBack = {
  ...keyOf('host', 1),
  text: { S: 'äöü' },
  empty: { S: '' },
  small: { N: '-0.001' },
  bytes: '00ff',
  flag: { BOOL: false },
  none: { NULL: true },
  list: { L: [{ S: 'a' }, { N: '1' }] },
  map: { M: { inner: { S: 'b' } } },
  texts: ['x', 'y'],
};

const updated = {
  ...keyOf('host', 1),
  tally: { N: '1.25' },
  made: { S: 'new' },
  kept: { S: 'g' },
  deep: { M: { core: { S: 'new' } } },
  more: { L: [{ S: 'd' }, { S: 'a' }, { S: 'b' }, { S: 'c' }] },
  steps: { L: [{ S: 'b' }] },
  places: { SS: ['y'] },
  fresh: { N: '0.5' },
};

const noTransactions = (sees: unknown) => ({
  sees,
  because: 'it has no transactions',
  documentation: `${reference}API_TransactWriteItems.html`,
});
const unknownOperation = refused('UnknownOperationException');

export const dynamoDbCases: readonly ContractCase[] = [
  {
    name: 'a new table says its key, how it is paid for and that it is there',
    async run(bench) {
      const TableName = await newTable(bench);
      const { Table } = await bench.dynamoDb.send(new DescribeTableCommand({ TableName }));
      const { KeySchema, BillingModeSummary, TableStatus, ItemCount } = Table ?? {};
      return { KeySchema, mode: BillingModeSummary?.BillingMode, TableStatus, ItemCount };
    },
    expected: {
      KeySchema: [
        { AttributeName: 'host', KeyType: 'HASH' },
        { AttributeName: 'generation', KeyType: 'RANGE' },
      ],
      mode: 'PAY_PER_REQUEST',
      TableStatus: 'ACTIVE',
      ItemCount: 0,
    },
  },
  {
    name: 'a table is made once, and what is not there is not found',
    async run(bench) {
      const TableName = await newTable(bench);
      const again = new CreateTableCommand({
        TableName,
        AttributeDefinitions: [{ AttributeName: 'a', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'a', KeyType: 'HASH' }],
        BillingMode: 'PAY_PER_REQUEST',
      });
      const missing = bench.unique('missing');
      return {
        again: await outcome(bench.dynamoDb.send(again)),
        described: await outcome(bench.dynamoDb.send(new DescribeTableCommand({ TableName: missing }))),
        deleted: await outcome(bench.dynamoDb.send(new DeleteTableCommand({ TableName: missing }))),
        read: await message(table(bench, missing).get(keyOf('a', 1))),
      };
    },
    expected: {
      again: refused('ResourceInUseException'),
      described: refused('ResourceNotFoundException'),
      deleted: refused('ResourceNotFoundException'),
      read: 'Requested resource not found',
    },
  },
  {
    name: 'a protected table is not deleted until it is protected no more',
    async run(bench) {
      const TableName = await newTable(bench);
      const protect = (DeletionProtectionEnabled: boolean) =>
        bench.dynamoDb.send(new UpdateTableCommand({ TableName, DeletionProtectionEnabled }));
      const remove = () => outcome(bench.dynamoDb.send(new DeleteTableCommand({ TableName })));
      await protect(true);
      const kept = await remove();
      await protect(false);
      return { kept, removed: await remove() };
    },
    expected: { kept: validation, removed: accepted },
    dynalite: {
      sees: validation,
      because: 'it does not know the protection of tables',
      documentation: `${reference}API_UpdateTable.html`,
    },
  },
  {
    name: 'time to live is off, then on, and not on twice',
    async run(bench) {
      const TableName = await newTable(bench);
      const status = async () =>
        (await bench.dynamoDb.send(new DescribeTimeToLiveCommand({ TableName }))).TimeToLiveDescription;
      const enable = () =>
        bench.dynamoDb.send(
          new UpdateTimeToLiveCommand({
            TableName,
            TimeToLiveSpecification: { Enabled: true, AttributeName: 'expires' },
          }),
        );
      const before = await status();
      await enable();
      return { before, after: await status(), again: await outcome(enable()) };
    },
    expected: {
      before: { TimeToLiveStatus: 'DISABLED' },
      after: { TimeToLiveStatus: 'ENABLED', AttributeName: 'expires' },
      again: validation,
    },
    moto: {
      sees: {
        before: { TimeToLiveStatus: 'DISABLED' },
        after: { TimeToLiveStatus: 'ENABLED', AttributeName: 'expires' },
        again: accepted,
      },
      because: 'it turns on again what is on',
      documentation: `${reference}API_UpdateTimeToLive.html`,
    },
    dynalite: {
      sees: unknownOperation,
      because: 'it does not change it',
      documentation: `${reference}API_UpdateTimeToLive.html`,
    },
  },
  {
    name: 'point-in-time recovery is off, then on',
    async run(bench) {
      const TableName = await newTable(bench);
      const status = async () => {
        const reply = await bench.dynamoDb.send(new DescribeContinuousBackupsCommand({ TableName }));
        return reply.ContinuousBackupsDescription?.PointInTimeRecoveryDescription?.PointInTimeRecoveryStatus;
      };
      const before = await status();
      await bench.dynamoDb.send(
        new UpdateContinuousBackupsCommand({
          TableName,
          PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
        }),
      );
      return [before, await status()];
    },
    expected: ['DISABLED', 'ENABLED'],
    dynalite: {
      sees: unknownOperation,
      because: 'it has no backups',
      documentation: `${reference}API_DescribeContinuousBackups.html`,
    },
  },
  {
    name: 'what was put is read, every type of value in DynamoDB’s own form',
    async run(bench) {
      const { put, get } = await setup(bench);
      const item: Item = {
        ...keyOf('host', '01.0'),
        text: { S: 'äöü' },
        empty: { S: '' },
        small: { N: '-0.0001e1' },
        bytes: { B: Buffer.from([0, 255]) },
        flag: { BOOL: false },
        none: { NULL: true },
        list: { L: [{ S: 'a' }, { N: '1' }] },
        map: { M: { inner: { S: 'b' } } },
        texts: { SS: ['x', 'y'] },
      };
      await put(item);
      const read = await get(keyOf('host', 1));
      return {
        ...read,
        bytes: Buffer.from(read?.['bytes']?.B ?? []).toString('hex'),
        texts: read?.['texts']?.SS?.toSorted(),
      };
    },
    expected: readBack,
    moto: {
      sees: { ...readBack, generation: { N: '01.0' }, small: { N: '-0.0001e1' } },
      because: 'it gives numbers back as they were written',
      documentation: `${guide}HowItWorks.NamingRulesDataTypes.html`,
    },
  },
  {
    name: 'a put on the condition that nothing is there is done once',
    async run(bench) {
      const { put, get } = await setup(bench);
      const create = (by: string) =>
        outcome(
          put(
            { ...keyOf('host', 1), holder: { S: by } },
            { ConditionExpression: 'attribute_not_exists(host)' },
          ),
        );
      return [await create('one'), await create('two'), (await get(keyOf('host', 1)))?.['holder']];
    },
    expected: [accepted, conditionFailed, { S: 'one' }],
  },
  {
    name: 'a condition that failed tells what is there, where that was asked for',
    async run(bench) {
      const { put } = await setup(bench);
      await put({ ...keyOf('host', 1), holder: { S: 'one' } });
      const attempt = async (told: 'ALL_OLD' | 'NONE') => {
        try {
          return await put(keyOf('host', 1), {
            ConditionExpression: 'holder = :me',
            ExpressionAttributeValues: { ':me': { S: 'two' } },
            ReturnValuesOnConditionCheckFailure: told,
          });
        } catch (error) {
          if (error instanceof ConditionalCheckFailedException) return error.Item?.['holder'];
          throw error;
        }
      };
      return [await attempt('ALL_OLD'), await attempt('NONE')];
    },
    expected: [{ S: 'one' }, undefined],
    dynalite: {
      sees: [undefined, undefined],
      because: 'it does not return the item',
      documentation: `${reference}API_PutItem.html`,
    },
  },
  {
    name: 'a lease is taken over when it is over, and not before',
    async run(bench) {
      const { put, update, get } = await setup(bench);
      await put({ ...keyOf('host', 0), holder: { S: 'one' }, until: { N: '100' } });
      const take = (now: number) =>
        outcome(
          update(keyOf('host', 0), {
            UpdateExpression: 'SET holder = :me, #until = :until ADD takes :one',
            ConditionExpression: 'attribute_not_exists(holder) OR #until < :now OR holder = :me',
            ExpressionAttributeNames: { '#until': 'until' },
            ExpressionAttributeValues: {
              ':me': { S: 'two' },
              ':until': { N: '200' },
              ':now': { N: String(now) },
              ':one': { N: '1' },
            },
          }),
        );
      return [await take(100), await take(101), await take(0), await get(keyOf('host', 0))];
    },
    expected: [
      conditionFailed,
      accepted,
      accepted,
      { ...keyOf('host', 0), holder: { S: 'two' }, until: { N: '200' }, takes: { N: '2' } },
    ],
  },
  {
    name: 'an update says the values before and after, of all attributes or of those it changed',
    async run(bench) {
      const { update } = await setup(bench);
      const set = async (value: string, ReturnValues: UpdateItemCommandInput['ReturnValues']) => {
        const reply = await update(keyOf('host', 1), {
          UpdateExpression: 'SET phase = :p',
          ExpressionAttributeValues: { ':p': { S: value } },
          ReturnValues,
        });
        return reply.Attributes;
      };
      return [
        await set('first', 'UPDATED_OLD'),
        await set('second', 'ALL_OLD'),
        await set('third', 'UPDATED_NEW'),
        await set('fourth', 'ALL_NEW'),
      ];
    },
    expected: [
      undefined,
      { ...keyOf('host', 1), phase: { S: 'first' } },
      { phase: { S: 'third' } },
      { ...keyOf('host', 1), phase: { S: 'fourth' } },
    ],
  },
  {
    name: 'update expressions compute, append, default, remove and take out of sets',
    async run(bench) {
      const { put, update, get } = await setup(bench);
      await put({
        ...keyOf('host', 1),
        tally: { N: '1.75' },
        steps: { L: [{ S: 'a' }, { S: 'b' }, { S: 'c' }] },
        more: { L: [{ S: 'd' }] },
        places: { SS: ['x', 'y'] },
        gone: { S: 'g' },
        deep: { M: { core: { N: '1' } } },
      });
      await update(keyOf('host', 1), {
        UpdateExpression:
          'SET tally = tally - :half, made = if_not_exists(made, :new), kept = if_not_exists(gone, :new), deep.core = :new, more = list_append(more, steps) REMOVE gone, steps[0], steps[2] DELETE places :x ADD fresh :half',
        ExpressionAttributeValues: {
          ':half': { N: '0.5' },
          ':new': { S: 'new' },
          ':x': { SS: ['x'] },
        },
      });
      return get(keyOf('host', 1));
    },
    expected: updated,
    dynalite: {
      sees: { ...updated, steps: { L: [{ S: 'b' }, { S: 'c' }] } },
      because: 'it takes elements out one after the other',
      documentation: `${guide}Expressions.UpdateExpressions.html`,
    },
  },
  {
    name: 'conditions compare, look for, measure and combine',
    async run(bench) {
      const { put } = await setup(bench);
      const item: Item = {
        ...keyOf('host', 1),
        words: { S: 'gatehouse' },
        n: { N: '10' },
        places: { SS: ['a', 'b'] },
        steps: { L: [{ S: 'x' }] },
        deep: { M: { core: { N: '2' } } },
      };
      await put(item);
      const values: Item = {
        ':gate': { S: 'gate' },
        ':a': { S: 'a' },
        ':two': { N: '2' },
        ':nine': { N: '9' },
        ':eleven': { N: '11' },
        ':set': { S: 'SS' },
        ':x': { S: 'x' },
      };
      const isTrue = async (ConditionExpression: string) => {
        const used = Object.entries(values).filter(([name]) =>
          new RegExp(`${name}\\b`, 'u').test(ConditionExpression),
        );
        const call = put(item, {
          ConditionExpression,
          ...(used.length > 0 && { ExpressionAttributeValues: Object.fromEntries(used) }),
        });
        return [ConditionExpression, await outcome(call)] as const;
      };
      const conditions = [
        'begins_with(words, :gate)',
        'contains(places, :a) AND NOT contains(places, :x)',
        'n BETWEEN :nine AND :eleven',
        'n IN (:two, :nine)',
        'size(places) = :two',
        'size(absent) = :two',
        'deep.core = :two AND steps[0] = :x',
        'steps[1] = :x',
        'attribute_type(places, :set)',
        'attribute_exists(deep.core) AND attribute_not_exists(deep.another)',
        'n > :two OR n = :x AND n = :a',
        'absent <> :x',
        'NOT absent = :x',
        'n < :x',
        ':two < n',
        '(n = :a OR n > :two) AND (words = :gate OR words > :gate)',
      ];
      const results = await Promise.all(conditions.map(isTrue));
      return results.filter(([, result]) => result !== accepted);
    },
    expected: ['n IN (:two, :nine)', 'size(absent) = :two', 'steps[1] = :x', 'n < :x'].map((condition) => [
      condition,
      conditionFailed,
    ]),
    moto: {
      sees: expect.arrayContaining([
        ['n IN (:two, :nine)', conditionFailed],
        ['n < :x', crashed],
        ['size(absent) = :two', crashed],
      ]),
      because: 'it breaks down where there is nothing to measure or to order',
      documentation: `${guide}Expressions.OperatorsAndFunctions.html`,
    },
  },
  {
    name: 'what is not well formed, or says too much or too little, is refused in AWS’s words',
    async run(bench) {
      const { update } = await setup(bench);
      const said = (more: Partial<UpdateItemCommandInput>) => message(update(keyOf('host', 1), more));
      const value = { ExpressionAttributeValues: { ':v': { S: 'v' } } };
      return {
        reserved: await said({
          UpdateExpression: 'SET #s = :v, status = :v',
          ...value,
          ExpressionAttributeNames: { '#s': 's' },
        }),
        'no value': await said({ UpdateExpression: 'SET a = :other', ...value }),
        'no name': await said({ UpdateExpression: 'SET #a = :v', ...value }),
        'a value too many': await said({ UpdateExpression: 'REMOVE a', ...value }),
        'a name too many': await said({
          UpdateExpression: 'SET a = :v',
          ExpressionAttributeNames: { '#a': 'a' },
          ...value,
        }),
        'no expression': await said({ ConditionExpression: '' }),
        overlap: await said({ UpdateExpression: 'SET a = :v, a.b = :v', ...value }),
        twice: await said({ UpdateExpression: 'SET a = :v SET b = :v', ...value }),
        'a key': await said({ UpdateExpression: 'SET host = :v', ...value }),
        'no path': await said({ UpdateExpression: 'SET a.b.c = :v', ...value }),
        'no attribute': await said({ UpdateExpression: 'SET a = b' }),
        'a wrong type': await said({ UpdateExpression: 'SET a = :v + :v', ...value }),
        unknown: await said({ ConditionExpression: 'is_there(a)' }),
        operands: await said({ ConditionExpression: 'attribute_exists(a, b)' }),
      };
    },
    expected: {
      reserved: 'Invalid UpdateExpression: Attribute name is a reserved keyword; reserved keyword: status',
      'no value':
        'Invalid UpdateExpression: An expression attribute value used in expression is not defined; attribute value: :other',
      'no name':
        'Invalid UpdateExpression: An expression attribute name used in the document path is not defined; attribute name: #a',
      'a value too many': 'Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}',
      'a name too many': 'Value provided in ExpressionAttributeNames unused in expressions: keys: {#a}',
      'no expression': 'Invalid ConditionExpression: The expression can not be empty;',
      overlap:
        'Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]',
      twice: 'Invalid UpdateExpression: The "SET" section can only be used once in an update expression;',
      'a key':
        'One or more parameter values were invalid: Cannot update attribute host. This attribute is part of the key',
      'no path': 'The document path provided in the update expression is invalid for update',
      'no attribute': 'The provided expression refers to an attribute that does not exist in the item',
      'a wrong type':
        'Invalid UpdateExpression: Incorrect operand type for operator or function; operator or function: +, operand type: S',
      unknown: 'Invalid ConditionExpression: Invalid function name; function: is_there',
      operands:
        'Invalid ConditionExpression: Incorrect number of operands for operator or function; operator or function: attribute_exists, number of operands: 2',
    },
    moto: {
      sees: expect.objectContaining({
        reserved: 'Invalid UpdateExpression: Attribute name is a reserved keyword; reserved keyword: status',
        'a value too many':
          '1 validation error detected: Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}',
        'no expression': expect.stringContaining('is not valid JSON'),
        'a wrong type': 'An operand in the update expression has an incorrect data type',
        unknown: expect.stringContaining('is not valid JSON'),
      }),
      because: 'it counts some refusals, finds types out late, and breaks down at the rest',
      documentation: `${guide}Expressions.UpdateExpressions.html`,
    },
  },
  {
    name: 'keys are whole, of their type, not empty and not too long; items are at most 400 KB',
    async run(bench) {
      const { put, get } = await setup(bench);
      const long = 'x'.repeat(2049);
      const rest = 400 * 1024 - 'host'.length - 1 - 'generation'.length - 2 - 'filler'.length;
      return {
        missing: await message(put({ host: { S: 'a' } })),
        type: await message(put({ host: { N: '1' }, generation: { N: '1' } })),
        empty: await outcome(put(keyOf('', 1))),
        long: await outcome(put(keyOf(long, 1))),
        'too much': await message(get({ ...keyOf('a', 1), more: { S: 'x' } })),
        'too little': await message(get({ host: { S: 'a' } })),
        full: await outcome(put({ ...keyOf('a', 1), filler: { S: 'x'.repeat(rest) } })),
        'over full': await message(put({ ...keyOf('a', 1), filler: { S: 'x'.repeat(rest + 1) } })),
      };
    },
    expected: {
      missing: 'One or more parameter values were invalid: Missing the key generation in the item',
      type: 'One or more parameter values were invalid: Type mismatch for key host expected: S actual: N',
      empty: validation,
      long: validation,
      'too much': 'The provided key element does not match the schema',
      'too little': 'The provided key element does not match the schema',
      full: accepted,
      'over full': 'Item size has exceeded the maximum allowed size',
    },
    moto: {
      sees: expect.objectContaining({ full: validation, 'too little': 'Validation Exception' }),
      because: 'it counts the JSON of an item, and words one refusal otherwise',
      documentation: `${guide}CapacityUnitCalculations.html`,
    },
  },
  {
    name: 'a query gives a partition in the order of its sort key, by the page and from either end',
    async run(bench) {
      const { put, query } = await setup(bench);
      for (const generation of [10, 9, -1, 2.5]) {
        await put({ ...keyOf('host', generation), phase: { S: generation > 5 ? 'late' : 'early' } });
      }
      await put(keyOf('other', 1));
      const condition = {
        KeyConditionExpression: 'host = :a',
        ExpressionAttributeValues: { ':a': { S: 'host' } },
      };
      const first = await query({ ...condition, Limit: 3 });
      const second = await query({ ...condition, Limit: 3, ExclusiveStartKey: first.LastEvaluatedKey });
      const newest = await query({ ...condition, ScanIndexForward: false, Limit: 1 });
      const filtered = await query({
        KeyConditionExpression: 'host = :a AND generation > :g',
        FilterExpression: 'phase = :p',
        ProjectionExpression: 'generation',
        ExpressionAttributeValues: { ':a': { S: 'host' }, ':g': { N: '0' }, ':p': { S: 'late' } },
      });
      return {
        first: generations(first.Items),
        second: [generations(second.Items), second.LastEvaluatedKey],
        newest: generations(newest.Items),
        filtered: [filtered.Items, filtered.Count, filtered.ScannedCount],
      };
    },
    expected: {
      first: ['-1', '2.5', '9'],
      second: [['10'], undefined],
      newest: ['10'],
      filtered: [[{ generation: { N: '9' } }, { generation: { N: '10' } }], 2, 3],
    },
  },
  {
    name: 'a query names its partition, and a filter no key',
    async run(bench) {
      const { query } = await setup(bench);
      const said = (KeyConditionExpression: string, more: Partial<QueryCommandInput> = {}) =>
        message(
          query({
            KeyConditionExpression,
            ExpressionAttributeValues: { ':a': { S: 'host' }, ':g': { N: '0' } },
            ...more,
          }),
        );
      const one = { ExpressionAttributeValues: { ':a': { S: 'host' } } };
      return {
        'no partition': await said('generation = :g', { ExpressionAttributeValues: { ':g': { N: '0' } } }),
        either: await said('host = :a OR generation = :g'),
        type: await said('host = :a AND generation = :a', one),
        order: await said('host > :a', one),
        filter: await said('host = :a', { FilterExpression: 'generation > :g' }),
      };
    },
    expected: {
      'no partition': 'Query condition missed key schema element: host',
      either: 'Invalid operator used in KeyConditionExpression: OR',
      type: 'One or more parameter values were invalid: Condition parameter type does not match schema type',
      order: 'Query key condition not supported',
      filter:
        'Filter Expression can only contain non-primary key attributes: Primary key attribute: generation',
    },
    moto: {
      sees: expect.objectContaining({
        either: expect.stringContaining('is not valid JSON'),
        type: accepted,
        filter: accepted,
      }),
      because: 'it breaks down at OR, and checks neither types nor filters',
      documentation: `${reference}API_Query.html`,
    },
  },
  {
    name: 'a scan finds everything, page after page',
    async run(bench) {
      const { put, name } = await setup(bench);
      for (const host of ['a', 'b', 'c', 'd', 'e']) await put(keyOf(host, 1));
      const found: string[] = [];
      let from: Item | undefined;
      do {
        const page = await bench.dynamoDb.send(
          new ScanCommand({ TableName: name, Limit: 2, ExclusiveStartKey: from }),
        );
        found.push(...(page.Items ?? []).map((item) => item['host']?.S ?? ''));
        from = page.LastEvaluatedKey;
      } while (from !== undefined);
      return found.toSorted((a, b) => (a < b ? -1 : 1));
    },
    expected: ['a', 'b', 'c', 'd', 'e'],
  },
  {
    name: 'batches write and read, and name each item once',
    async run(bench) {
      const { put, name } = await setup(bench);
      await put(keyOf('old', 1));
      const write = (...requests: { put?: Item; remove?: Item }[]) =>
        bench.dynamoDb.send(
          new BatchWriteItemCommand({
            RequestItems: {
              [name]: requests.map((one) =>
                one.put === undefined
                  ? { DeleteRequest: { Key: one.remove } }
                  : { PutRequest: { Item: one.put } },
              ),
            },
          }),
        );
      await write({ put: keyOf('new', 1) }, { put: keyOf('new', 2) }, { remove: keyOf('old', 1) });
      const Keys = [keyOf('new', 1), keyOf('new', 2), keyOf('old', 1)];
      const { Responses } = await bench.dynamoDb.send(
        new BatchGetItemCommand({ RequestItems: { [name]: { Keys } } }),
      );
      return {
        found: Responses?.[name]?.map((item) => `${item['host']?.S} ${item['generation']?.N}`).toSorted(),
        twice: await outcome(write({ put: keyOf('new', 1) }, { remove: keyOf('new', 1) })),
      };
    },
    expected: { found: ['new 1', 'new 2'], twice: validation },
    moto: {
      sees: { found: ['new 1', 'new 2'], twice: accepted },
      because: 'it takes an item twice',
      documentation: `${reference}API_BatchWriteItem.html`,
    },
  },
  {
    name: 'a transaction does all or nothing, and says which condition failed',
    async run(bench) {
      const { put, transact, get, name: TableName } = await setup(bench);
      await put({ ...keyOf('host', 1), phase: { S: 'current' } });
      const create = {
        Put: { TableName, Item: keyOf('host', 2), ConditionExpression: 'attribute_not_exists(host)' },
      };
      const retire = (from: string) => ({
        Update: {
          TableName,
          Key: keyOf('host', 1),
          UpdateExpression: 'SET phase = :retired',
          ConditionExpression: 'phase = :from',
          ExpressionAttributeValues: { ':retired': { S: 'retired' }, ':from': { S: from } },
          ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const,
        },
      });
      const failed = await reasons(transact([create, retire('other')]));
      const nothing = await get(keyOf('host', 2));
      const done = await reasons(transact([create, retire('current')]));
      const { Responses } = await bench.dynamoDb.send(
        new TransactGetItemsCommand({
          TransactItems: [1, 2, 3].map((generation) => ({
            Get: { TableName, Key: keyOf('host', generation) },
          })),
        }),
      );
      return { failed, nothing, done, after: Responses?.map(({ Item }) => Item) };
    },
    expected: {
      failed: ['None', ['ConditionalCheckFailed', { ...keyOf('host', 1), phase: { S: 'current' } }]],
      nothing: undefined,
      done: accepted,
      after: [{ ...keyOf('host', 1), phase: { S: 'retired' } }, keyOf('host', 2), undefined],
    },
    dynalite: noTransactions(unknownOperation),
  },
  {
    name: 'a transaction names each item once, and one thing to do with it',
    async run(bench) {
      const { transact, name: TableName } = await setup(bench);
      const Delete = { TableName, Key: keyOf('host', 1) };
      const ConditionCheck = { ...Delete, ConditionExpression: 'attribute_exists(host)' };
      return {
        twice: await message(transact([{ Delete }, { ConditionCheck }])),
        both: await outcome(transact([{ Delete, ConditionCheck }])),
        none: await outcome(transact([])),
        '101': await outcome(
          transact(Array.from({ length: 101 }, (_, n) => ({ Delete: { TableName, Key: keyOf('a', n) } }))),
        ),
      };
    },
    expected: {
      twice: 'Transaction request cannot include multiple operations on one item',
      both: validation,
      none: validation,
      '101': validation,
    },
    dynalite: noTransactions({
      twice: 'UnknownError',
      both: unknownOperation,
      none: unknownOperation,
      '101': unknownOperation,
    }),
    moto: {
      sees: expect.objectContaining({ none: accepted }),
      because: 'it takes a transaction of nothing',
      documentation: `${reference}API_TransactWriteItems.html`,
    },
  },
  {
    name: 'a transaction under a token is done once, and another under the same token is refused',
    async run(bench) {
      const { transact, get, name: TableName } = await setup(bench);
      const token = bench.unique('token');
      const add = (amount: string) =>
        transact(
          [
            {
              Update: {
                TableName,
                Key: keyOf('host', 1),
                UpdateExpression: 'ADD tally :n',
                ExpressionAttributeValues: { ':n': { N: amount } },
              },
            },
          ],
          token,
        );
      await add('1');
      await add('1');
      return { other: await outcome(add('2')), tally: (await get(keyOf('host', 1)))?.['tally'] };
    },
    expected: { other: refused('IdempotentParameterMismatchException'), tally: { N: '1' } },
    dynalite: noTransactions(unknownOperation),
    moto: {
      sees: { other: accepted, tally: { N: '4' } },
      because: 'it does not know tokens',
      documentation: `${reference}API_TransactWriteItems.html`,
    },
  },
  {
    name: 'a deletion under a condition says what it deleted, and of nothing is no error',
    async run(bench) {
      const { put, name: TableName } = await setup(bench);
      const item = { ...keyOf('host', 1), holder: { S: 'one' } };
      await put(item);
      const remove = (holder: string) =>
        bench.dynamoDb.send(
          new DeleteItemCommand({
            TableName,
            Key: keyOf('host', 1),
            ConditionExpression: 'holder = :h',
            ExpressionAttributeValues: { ':h': { S: holder } },
            ReturnValues: 'ALL_OLD',
          }),
        );
      return [
        await outcome(remove('two')),
        (await remove('one')).Attributes,
        await outcome(bench.dynamoDb.send(new DeleteItemCommand({ TableName, Key: keyOf('host', 1) }))),
      ];
    },
    expected: [conditionFailed, { ...keyOf('host', 1), holder: { S: 'one' } }, accepted],
  },
];
