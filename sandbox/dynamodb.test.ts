import { describe, expect, it } from 'vitest';
import { dynamoDb } from './dynamodb.ts';
import { AwsError, type Caller, type JsonObject } from './service.ts';
import { parseStateText, stateText } from './state-text.ts';

const account = '111122223333';
const region = 'eu-west-1';
const arn = `arn:aws:dynamodb:${region}:${account}:table/keys`;
const minuteMs = 60_000;

const administrator: Caller = {
  accountId: account,
  arn: `arn:aws:iam::${account}:user/operator`,
  userId: 'AIDA',
  accessKeyId: 'AKIA',
};

function host(name: string, ...statements: readonly object[]): Caller {
  return {
    accountId: account,
    arn: `arn:aws:sts::${account}:assumed-role/Host/${name}`,
    userId: `AROA:${name}`,
    accessKeyId: 'ASIA',
    roleArn: `arn:aws:iam::${account}:role/Host`,
    tags: new Map([['host', name]]),
    policies: statements.length === 0 ? [] : [policy(...statements)],
  };
}

const policy = (...Statement: readonly object[]): string =>
  JSON.stringify({ Version: '2012-10-17', Statement });

function setup() {
  let state = dynamoDb.newState();
  let now = new Date('2026-11-26T10:00:00Z');
  const callAs = (caller: Caller, name: string, input: JsonObject = {}): JsonObject => {
    const operation = dynamoDb.operations[name];
    if (operation === undefined) throw new TypeError(`no operation ${name}`);
    return operation(input, state, { caller, region, now, requestId: 'r' }) ?? {};
  };
  const refusalAs = (caller: Caller, name: string, input: JsonObject = {}): string => {
    try {
      callAs(caller, name, input);
    } catch (error) {
      if (error instanceof AwsError) return `${error.name}: ${error.message}`;
      throw error;
    }
    return 'nothing refused';
  };
  const call = (name: string, input?: JsonObject) => callAs(administrator, name, input);
  const create = (more: JsonObject = {}) =>
    call('CreateTable', {
      TableName: 'keys',
      AttributeDefinitions: [{ AttributeName: 'host', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'host', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
      ...more,
    });
  return {
    call,
    callAs,
    refusalAs,
    refusal: (name: string, input?: JsonObject) => refusalAs(administrator, name, input),
    create,
    created: () => {
      create();
      call('DescribeTable', { TableName: 'keys' });
    },
    pass: (ms: number) => {
      now = new Date(now.getTime() + ms);
    },
    /** What a sandbox does that is stopped and started with its state. */
    keep: () => {
      state = Object.assign(dynamoDb.newState(), parseStateText(stateText(state)));
    },
  };
}

const inOrder = (a: string, b: string): number => (a < b ? -1 : 1);

const item = (name: string, more: JsonObject = {}): JsonObject => ({ host: { S: name }, ...more });

const keySchema = (...names: string[]) => ({
  KeySchema: names.map((AttributeName, index) => ({
    AttributeName,
    KeyType: index === 0 ? 'HASH' : 'RANGE',
  })),
});

const putting = (name: string, more: JsonObject = {}) => ({
  Put: { TableName: 'keys', Item: item(name), ...more },
});
const under = (action: JsonObject) => ({ ClientRequestToken: 't', TransactItems: [action] });

const query = (name: string) => ({
  TableName: 'keys',
  KeyConditionExpression: 'host = :h',
  ExpressionAttributeValues: { ':h': { S: name } },
});

describe('tables', () => {
  it('a table is not there until somebody asked after it, or a minute went by', () => {
    const { create, call, refusal, pass } = setup();
    const put = { TableName: 'keys', Item: item('a') };

    expect(create()['TableDescription']).toMatchObject({ TableStatus: 'CREATING', TableArn: arn });
    expect(refusal('PutItem', put)).toBe('ResourceNotFoundException: Requested resource not found');
    expect(refusal('DeleteTable', { TableName: 'keys' })).toBe(
      'ResourceInUseException: Attempt to change a resource which is still in use: Table is being created: keys',
    );
    expect(call('DescribeTable', { TableName: 'keys' })['Table']).toMatchObject({ TableStatus: 'ACTIVE' });
    expect(refusal('PutItem', put)).toBe('nothing refused');

    create({ TableName: 'other' });
    pass(59_999);
    expect(refusal('PutItem', { ...put, TableName: 'other' })).toMatch(/^ResourceNotFoundException/u);
    pass(1);
    expect(refusal('PutItem', { ...put, TableName: 'other' })).toBe('nothing refused');
  });

  it('a deleted table is still in the way until it was seen to go', () => {
    const { created, create, call, refusal } = setup();
    created();

    call('DeleteTable', { TableName: 'keys' });

    expect(refusal('GetItem', { TableName: 'keys', Key: item('a') })).toMatch(/^ResourceNotFoundException/u);
    expect(() => create()).toThrow(/Table is being deleted: keys/u);
    expect(call('DescribeTable', { TableName: 'keys' })['Table']).toMatchObject({ TableStatus: 'DELETING' });
    expect(refusal('DescribeTable', { TableName: 'keys' })).toBe(
      'ResourceNotFoundException: Requested resource not found: Table: keys not found',
    );
  });

  it('tables are used by name or ARN, and listed by the page', () => {
    const { create, created, call } = setup();
    created();
    for (const TableName of ['a-1', 'b-2']) create({ TableName });

    call('PutItem', { TableName: arn, Item: item('a') });

    expect(call('GetItem', { TableName: 'keys', Key: item('a') })).toEqual({ Item: item('a') });
    expect(call('ListTables', { Limit: 2 })).toEqual({
      TableNames: ['a-1', 'b-2'],
      LastEvaluatedTableName: 'b-2',
    });
    expect(call('ListTables', { ExclusiveStartTableName: 'b-2' })).toEqual({ TableNames: ['keys'] });
  });

  it('what a table here cannot be is refused', () => {
    const { create } = setup();

    expect(() => create({ TableName: 'x' })).toThrow(/greater than or equal to 3/u);
    expect(() => create(keySchema('other'))).toThrow(/not defined in AttributeDefinitions. Keys: \[other\]/u);
    expect(() => create(keySchema('host', 'host'))).toThrow(/have the same name/u);
    expect(() => create({ BillingMode: 'PROVISIONED' })).toThrow(/must both be specified/u);
    expect(() => create({ ProvisionedThroughput: { ReadCapacityUnits: 1, WriteCapacityUnits: 1 } })).toThrow(
      /Neither ReadCapacityUnits nor WriteCapacityUnits/u,
    );
    expect(() => create({ GlobalSecondaryIndexes: [] })).toThrow(/have no GlobalSecondaryIndexes/u);
    expect(() =>
      create({
        AttributeDefinitions: [
          { AttributeName: 'host', AttributeType: 'S' },
          { AttributeName: 'more', AttributeType: 'S' },
        ],
      }),
    ).toThrow(/does not exactly match number of attributes/u);
  });

  it('what is wanted without expressions is refused rather than left out', () => {
    const { created, refusal } = setup();
    created();

    expect(refusal('PutItem', { TableName: 'keys', Item: item('a'), Expected: {} })).toMatch(/no Expected/u);
    expect(refusal('Query', { TableName: 'keys', KeyConditions: {} })).toMatch(/no KeyConditions/u);
  });

  it('tables and items outlive the sandbox in its state', () => {
    const { created, call, keep } = setup();
    created();
    call('PutItem', { TableName: 'keys', Item: item('a', { n: { N: '1' }, b: { B: 'AA==' } }) });

    keep();

    expect(call('Scan', { TableName: 'keys' })['Items']).toEqual([
      item('a', { n: { N: '1' }, b: { B: 'AA==' } }),
    ]);
  });

  it('tags are put on, listed and taken off', () => {
    const { created, call } = setup();
    created();

    call('TagResource', {
      ResourceArn: arn,
      Tags: [
        { Key: 'a', Value: '1' },
        { Key: 'b', Value: '2' },
      ],
    });
    call('UntagResource', { ResourceArn: arn, TagKeys: ['a'] });

    expect(call('ListTagsOfResource', { ResourceArn: arn })).toEqual({ Tags: [{ Key: 'b', Value: '2' }] });
  });
});

describe('transactions', () => {
  it('a token is remembered for ten minutes, and only where it was done', () => {
    const { created, call, refusal, pass } = setup();
    created();
    const failing = putting('a', { ConditionExpression: 'attribute_exists(host)' });

    expect(refusal('TransactWriteItems', under(failing))).toMatch(/\[ConditionalCheckFailed\]$/u);
    call('TransactWriteItems', under(putting('a')));
    expect(refusal('TransactWriteItems', under(putting('b')))).toMatch(
      /^IdempotentParameterMismatchException/u,
    );
    pass(10 * minuteMs + 1);
    expect(refusal('TransactWriteItems', under(putting('b')))).toBe('nothing refused');
  });

  it('what is wrong with one action cancels all, with its reason at its place', () => {
    const { created, refusal, call } = setup();
    created();
    const wrongKey = { Delete: { TableName: 'keys', Key: { other: { S: 'x' } } } };
    const tooLarge = putting('c', { Item: item('c', { filler: { S: 'x'.repeat(400 * 1024) } }) });

    expect(refusal('TransactWriteItems', { TransactItems: [putting('a'), wrongKey] })).toBe(
      'TransactionCanceledException: Transaction cancelled, please refer cancellation reasons for specific reasons [None, ValidationError]',
    );
    expect(refusal('TransactWriteItems', { TransactItems: [tooLarge] })).toMatch(
      /^ValidationException: Item size/u,
    );
    expect(
      refusal('TransactWriteItems', {
        TransactItems: [putting('a'), { Put: { ...putting('b').Put, TableName: 'none' } }],
      }),
    ).toMatch(/^ResourceNotFoundException/u);
    expect(call('Scan', { TableName: 'keys' })['Items']).toEqual([]);
  });

  it('all conditions see what was there before', () => {
    const { created, call } = setup();
    created();
    const isAbsent = { ConditionExpression: 'attribute_not_exists(host)' };

    call('TransactWriteItems', {
      TransactItems: [
        putting('a', isAbsent),
        { ConditionCheck: { TableName: 'keys', Key: item('b'), ...isAbsent } },
        {
          Update: {
            TableName: 'keys',
            Key: item('c'),
            UpdateExpression: 'ADD n :n',
            ExpressionAttributeValues: { ':n': { N: '1' } },
          },
        },
      ],
    });

    const found = call('Scan', { TableName: 'keys' })['Items'] as JsonObject[];
    expect(found.map((one) => (one['host'] as { S: string }).S).toSorted(inOrder)).toEqual(['a', 'c']);
  });
});

describe('reading', () => {
  it('a page ends at a megabyte of what was read, whatever the filter keeps', () => {
    const { created, call } = setup();
    created();
    for (const name of ['a', 'b', 'c', 'd']) {
      call('PutItem', { TableName: 'keys', Item: item(name, { filler: { S: 'x'.repeat(399 * 1024) } }) });
    }

    const page = call('Scan', { TableName: 'keys', FilterExpression: 'attribute_exists(absent)' });

    expect(page).toMatchObject({ Count: 0, ScannedCount: 2, Items: [] });
    expect(page['LastEvaluatedKey']).toBeDefined();
  });

  it('segments share a table between them', () => {
    const { created, call, refusal } = setup();
    created();
    const names = Array.from({ length: 20 }, (_, n) => `host-${n}`);
    for (const name of names) call('PutItem', { TableName: 'keys', Item: item(name) });

    const segments = [0, 1, 2].map(
      (Segment) => call('Scan', { TableName: 'keys', Segment, TotalSegments: 3 })['Items'] as JsonObject[],
    );

    expect(
      segments
        .flat()
        .map((one) => (one['host'] as { S: string }).S)
        .toSorted(inOrder),
    ).toEqual(names.toSorted(inOrder));
    expect(segments.every((segment) => segment.length < names.length)).toBe(true);
    expect(refusal('Scan', { TableName: 'keys', Segment: 3, TotalSegments: 3 })).toMatch(
      /must be less than/u,
    );
  });
});

describe('who may do what', () => {
  const own = {
    Effect: 'Allow',
    Action: ['dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:Query', 'dynamodb:BatchGetItem'],
    Resource: arn,
    Condition: { 'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': ['${aws:PrincipalTag/host}'] } },
  };

  it('leading keys keep a host to its own items, in every call that names keys', () => {
    const { created, callAs, refusalAs } = setup();
    created();
    const a = host('a', own);
    const both = { RequestItems: { keys: { Keys: [item('a'), item('b')] } } };
    const write = (name: string) => ({ TransactItems: [{ Put: { TableName: 'keys', Item: item(name) } }] });

    expect(callAs(a, 'PutItem', { TableName: 'keys', Item: item('a') })).toEqual({});
    expect(callAs(a, 'Query', query('a'))['Count']).toBe(1);
    expect(callAs(a, 'TransactWriteItems', write('a'))).toEqual({});
    const denied = /^AccessDeniedException: User: .* is not authorized to perform: dynamodb:/u;
    expect(refusalAs(a, 'GetItem', { TableName: 'keys', Key: item('b') })).toMatch(denied);
    expect(refusalAs(a, 'PutItem', { TableName: 'keys', Item: item('b') })).toMatch(denied);
    expect(refusalAs(a, 'Query', query('b'))).toMatch(denied);
    expect(refusalAs(a, 'BatchGetItem', both)).toMatch(denied);
    expect(refusalAs(a, 'TransactWriteItems', write('b'))).toMatch(denied);
    expect(refusalAs(a, 'Scan', { TableName: 'keys' })).toMatch(denied);
    expect(refusalAs(a, 'DeleteTable', { TableName: 'keys' })).toMatch(denied);
  });

  it('permission is asked for before the table', () => {
    const { refusalAs } = setup();

    expect(refusalAs(host('a'), 'DescribeTable', { TableName: 'none' })).toMatch(/^AccessDeniedException/u);
    expect(refusalAs(host('a'), 'ListTables')).toBe(
      `AccessDeniedException: User: arn:aws:sts::${account}:assumed-role/Host/a is not authorized to perform: dynamodb:ListTables on resource: * because no identity-based policy allows the dynamodb:ListTables action`,
    );
  });

  it('a table’s policy allows who has no policy, and denies who may do anything', () => {
    const { created, call, callAs, refusalAs, refusal } = setup();
    created();
    const resource = policy(
      { Effect: 'Allow', Principal: { AWS: host('a').roleArn }, Action: 'dynamodb:GetItem', Resource: arn },
      { Effect: 'Deny', Principal: '*', Action: 'dynamodb:DeleteItem', Resource: arn },
    );

    const { RevisionId } = call('PutResourcePolicy', { ResourceArn: arn, Policy: resource });

    expect(callAs(host('a'), 'GetItem', { TableName: 'keys', Key: item('a') })).toEqual({});
    expect(refusalAs(host('a'), 'PutItem', { TableName: 'keys', Item: item('a') })).toMatch(/^AccessDenied/u);
    expect(refusal('DeleteItem', { TableName: 'keys', Key: item('a') })).toMatch(
      /explicit deny in a resource-based policy$/u,
    );
    expect(call('GetResourcePolicy', { ResourceArn: arn })).toEqual({ Policy: resource, RevisionId });
    call('DeleteResourcePolicy', { ResourceArn: arn });
    expect(refusal('GetResourcePolicy', { ResourceArn: arn })).toMatch(/^PolicyNotFoundException/u);
  });

  it('a policy that is none, is out of date, or locks out its author is refused', () => {
    const { created, refusal } = setup();
    created();
    const put = (Policy: string, more: JsonObject = {}) =>
      refusal('PutResourcePolicy', { ResourceArn: arn, Policy, ...more });
    const allow = policy({ Effect: 'Allow', Principal: '*', Action: 'dynamodb:*', Resource: arn });

    expect(put('{}')).toMatch(/^ValidationException/u);
    expect(put(policy({ Effect: 'Allow', Action: '*', Resource: arn }))).toMatch(/^ValidationException/u);
    expect(put(policy({ Effect: 'Deny', Principal: '*', Action: '*', Resource: arn }))).toMatch(
      /takes from you/u,
    );
    expect(put(allow, { ExpectedRevisionId: 'other' })).toMatch(/^PolicyNotFoundException/u);
    expect(put(allow, { ExpectedRevisionId: 'NO_POLICY' })).toBe('nothing refused');
  });
});
