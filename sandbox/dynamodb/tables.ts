import { randomUUID } from 'node:crypto';
import {
  epochSeconds,
  flag,
  integer,
  list,
  read,
  required,
  structure,
  text,
  validationException,
} from '../constraints.ts';
import { authorize } from '../iam/authorize.ts';
import { page } from '../page.ts';
import { AwsError, type CallContext, type JsonObject, type Operation } from '../service.ts';
import { addTags } from '../tags.ts';
import { authorizeTable } from './access.ts';
import { itemBytes } from './attribute-value.ts';
import { tableNameOrArn } from './members.ts';
import {
  type DynamoDbState,
  invalidParameter,
  type KeyAttribute,
  keyAttributes,
  notFound,
  settle,
  type TableKey,
  type TableRecord,
  tableArn,
  tableNamePattern,
} from './state.ts';

const dayMs = 24 * 60 * 60 * 1000;

const attributeName = text({ min: 1, max: 255 });
const newTableName = text({ min: 3, max: 255, pattern: tableNamePattern });
const onlyTable = { TableName: required(tableNameOrArn) };
const tagList = list(
  structure({ Key: required(text({ min: 1, max: 128 })), Value: required(text({ max: 256 })) }),
);
const billingMode = text({ oneOf: ['PROVISIONED', 'PAY_PER_REQUEST'] });
const throughput = structure({
  ReadCapacityUnits: required(integer({ min: 1 })),
  WriteCapacityUnits: required(integer({ min: 1 })),
});

const createShape = {
  TableName: required(newTableName),
  AttributeDefinitions: required(
    list(
      structure({
        AttributeName: required(attributeName),
        AttributeType: required(text({ oneOf: ['B', 'N', 'S'] })),
      }),
    ),
  ),
  KeySchema: required(
    list(
      structure({
        AttributeName: required(attributeName),
        KeyType: required(text({ oneOf: ['HASH', 'RANGE'] })),
      }),
      { min: 1, max: 2 },
    ),
  ),
  BillingMode: billingMode,
  ProvisionedThroughput: throughput,
  DeletionProtectionEnabled: flag(),
  Tags: tagList,
};

export const tableOperations = {
  CreateTable(input, state, context) {
    const request = read(createShape, input);
    assertPlain(input);
    const key = keyOf(request);
    const billing = billingOf(request.BillingMode, request.ProvisionedThroughput);
    authorizeTable('CreateTable', request.TableName, state, context);
    const arn = tableArn(request.TableName, context);
    const before = state.tables.get(arn);
    if (before !== undefined) {
      throw before.state === 'DELETING'
        ? inUse(`Attempt to change a resource which is still in use: Table is being deleted: ${before.name}`)
        : inUse(`Table already exists: ${before.name}`);
    }
    const now = context.now.getTime();
    const table: TableRecord = {
      arn,
      id: randomUUID(),
      name: request.TableName,
      key,
      createdAt: now,
      state: 'CREATING',
      changedAt: now,
      billing,
      isProtected: request.DeletionProtectionEnabled ?? false,
      tags: tagged(new Map(), request.Tags ?? []),
      partitions: new Map(),
    };
    state.tables.set(arn, table);
    return { TableDescription: description(table) };
  },

  DescribeTable(input, state, context) {
    const { TableName } = read(onlyTable, input);
    authorizeTable('DescribeTable', TableName, state, context);
    const wasDeleting = state.tables.get(tableArn(TableName, context))?.state === 'DELETING';
    const table = existing(TableName, state, context);
    settle(table, state);
    return { Table: description(table, wasDeleting ? 'DELETING' : table.state) };
  },

  ListTables(input, state, context) {
    const { Limit = 100, ExclusiveStartTableName } = read(
      { Limit: integer({ min: 1, max: 100 }), ExclusiveStartTableName: newTableName },
      input,
    );
    authorize(context, { action: 'dynamodb:ListTables', resource: '*' });
    const names = [...state.tables.values()]
      .filter((table) => table.arn === tableArn(table.name, context))
      .map(({ name }) => name)
      .toSorted();
    const after = names.filter(
      (name) => ExclusiveStartTableName === undefined || name > ExclusiveStartTableName,
    );
    const { items, next } = page(
      after,
      (name) => name,
      Limit,
      undefined,
      () => new TypeError('no token'),
    );
    return {
      TableNames: [...items],
      ...(next !== undefined && { LastEvaluatedTableName: items.at(-1) }),
    };
  },

  UpdateTable(input, state, context) {
    const request = read(
      {
        ...onlyTable,
        BillingMode: billingMode,
        ProvisionedThroughput: throughput,
        DeletionProtectionEnabled: flag(),
      },
      input,
    );
    assertPlain(input);
    authorizeTable('UpdateTable', request.TableName, state, context);
    const table = settled(request.TableName, state, context);
    const { BillingMode, ProvisionedThroughput, DeletionProtectionEnabled } = request;
    if (
      BillingMode === undefined &&
      ProvisionedThroughput === undefined &&
      DeletionProtectionEnabled === undefined
    ) {
      throw validationException(
        'At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required',
      );
    }
    if (BillingMode !== undefined || ProvisionedThroughput !== undefined) {
      table.billing = billingOf(BillingMode ?? table.billing.mode, ProvisionedThroughput);
    }
    table.isProtected = DeletionProtectionEnabled ?? table.isProtected;
    return { TableDescription: description(table, 'UPDATING') };
  },

  DeleteTable(input, state, context) {
    const { TableName } = read(onlyTable, input);
    authorizeTable('DeleteTable', TableName, state, context);
    const table = settled(TableName, state, context);
    if (table.isProtected) {
      throw validationException(
        `Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.`,
      );
    }
    table.state = 'DELETING';
    table.changedAt = context.now.getTime();
    return { TableDescription: description(table) };
  },

  UpdateTimeToLive(input, state, context) {
    const shape = structure({ Enabled: required(flag()), AttributeName: required(attributeName) });
    const { TableName, TimeToLiveSpecification: wanted } = read(
      { ...onlyTable, TimeToLiveSpecification: required(shape) },
      input,
    );
    authorizeTable('UpdateTimeToLive', TableName, state, context);
    const table = settled(TableName, state, context);
    const { timeToLive = { isEnabled: false, attribute: undefined } } = table;
    if (timeToLive.isEnabled === wanted.Enabled) {
      throw validationException(`TimeToLive is already ${wanted.Enabled ? 'enabled' : 'disabled'}`);
    }
    if (timeToLive.isEnabled && timeToLive.attribute !== wanted.AttributeName) {
      throw validationException(
        `TimeToLive is active on a different AttributeName: current AttributeName is ${timeToLive.attribute}`,
      );
    }
    table.timeToLive = { attribute: wanted.AttributeName, isEnabled: wanted.Enabled };
    return {
      TimeToLiveSpecification: { Enabled: wanted.Enabled, AttributeName: wanted.AttributeName },
    };
  },

  DescribeTimeToLive(input, state, context) {
    const { TableName } = read(onlyTable, input);
    authorizeTable('DescribeTimeToLive', TableName, state, context);
    const { timeToLive } = existing(TableName, state, context);
    return {
      TimeToLiveDescription:
        timeToLive?.isEnabled === true
          ? { TimeToLiveStatus: 'ENABLED', AttributeName: timeToLive.attribute }
          : { TimeToLiveStatus: 'DISABLED' },
    };
  },

  UpdateContinuousBackups(input, state, context) {
    const specification = structure({
      PointInTimeRecoveryEnabled: required(flag()),
      RecoveryPeriodInDays: integer({ min: 1, max: 35 }),
    });
    const { TableName, PointInTimeRecoverySpecification: wanted } = read(
      { ...onlyTable, PointInTimeRecoverySpecification: required(specification) },
      input,
    );
    authorizeTable('UpdateContinuousBackups', TableName, state, context);
    const table = backedUp(TableName, state, context);
    if (wanted.PointInTimeRecoveryEnabled) {
      const since = table.pointInTimeRecovery?.since ?? context.now.getTime();
      table.pointInTimeRecovery = { since, days: wanted.RecoveryPeriodInDays ?? 35 };
    } else {
      delete table.pointInTimeRecovery;
    }
    return { ContinuousBackupsDescription: backups(table, context) };
  },

  DescribeContinuousBackups(input, state, context) {
    const { TableName } = read(onlyTable, input);
    authorizeTable('DescribeContinuousBackups', TableName, state, context);
    return { ContinuousBackupsDescription: backups(backedUp(TableName, state, context), context) };
  },

  TagResource(input, state, context) {
    const { ResourceArn, Tags } = read(
      { ResourceArn: required(text({ min: 1, max: 1283 })), Tags: required(tagList) },
      input,
    );
    authorizeTable('TagResource', ResourceArn, state, context);
    tagged(settled(ResourceArn, state, context).tags, Tags);
    return undefined;
  },

  UntagResource(input, state, context) {
    const { ResourceArn, TagKeys } = read(
      {
        ResourceArn: required(text({ min: 1, max: 1283 })),
        TagKeys: required(list(text({ min: 1, max: 128 }))),
      },
      input,
    );
    authorizeTable('UntagResource', ResourceArn, state, context);
    const { tags } = settled(ResourceArn, state, context);
    for (const key of TagKeys) tags.delete(key);
    return undefined;
  },

  ListTagsOfResource(input, state, context) {
    const { ResourceArn } = read({ ResourceArn: required(text({ min: 1, max: 1283 })) }, input);
    authorizeTable('ListTagsOfResource', ResourceArn, state, context);
    const { tags } = existing(ResourceArn, state, context);
    return { Tags: [...tags].map(([Key, Value]) => ({ Key, Value })) };
  },
} as const satisfies Record<string, Operation<DynamoDbState>>;

/** What tables on AWS may have beside, and these here may not. */
const furtherMembers = [
  'GlobalSecondaryIndexes',
  'LocalSecondaryIndexes',
  'GlobalSecondaryIndexUpdates',
  'StreamSpecification',
  'SSESpecification',
  'ReplicaUpdates',
  'GlobalTableWitnessUpdates',
  'OnDemandThroughput',
  'WarmThroughput',
  'ResourcePolicy',
];

/** @throws AwsError for what the sandbox would have to leave out of a table */
function assertPlain(input: JsonObject): void {
  const given = furtherMembers.find((name) => Object.hasOwn(input, name));
  if (given === undefined) return;
  throw new AwsError('UnsupportedOperationException', `Tables of the sandbox have no ${given}.`);
}

function keyOf(request: {
  readonly KeySchema: readonly { readonly AttributeName: string; readonly KeyType: string }[];
  readonly AttributeDefinitions: readonly {
    readonly AttributeName: string;
    readonly AttributeType: string;
  }[];
}): TableKey {
  const [first, second] = request.KeySchema;
  if (first?.KeyType !== 'HASH') {
    throw validationException('Invalid KeySchema: The first KeySchemaElement is not a HASH key type');
  }
  if (second !== undefined && second.KeyType !== 'RANGE') {
    throw validationException('Invalid KeySchema: The second KeySchemaElement is not a RANGE key type');
  }
  if (first.AttributeName === second?.AttributeName) {
    throw validationException(
      'Both the Hash Key and the Range Key element in the KeySchema have the same name',
    );
  }
  const types = new Map(request.AttributeDefinitions.map((one) => [one.AttributeName, one.AttributeType]));
  if (types.size !== request.AttributeDefinitions.length) {
    throw invalidParameter('Duplicate AttributeName in AttributeDefinitions.');
  }
  const attribute = ({ AttributeName: name }: { readonly AttributeName: string }): KeyAttribute => {
    const type = types.get(name);
    if (type === 'S' || type === 'N' || type === 'B') return { name, type };
    throw invalidParameter(
      `Some index key attributes are not defined in AttributeDefinitions. Keys: [${name}], AttributeDefinitions: [${[...types.keys()].join(', ')}]`,
    );
  };
  const key = { partition: attribute(first), sort: second === undefined ? undefined : attribute(second) };
  if (types.size !== request.KeySchema.length) {
    throw invalidParameter(
      'Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions',
    );
  }
  return key;
}

function billingOf(
  mode: string | undefined,
  given: { readonly ReadCapacityUnits: number; readonly WriteCapacityUnits: number } | undefined,
): TableRecord['billing'] {
  if (mode === 'PAY_PER_REQUEST') {
    if (given === undefined) return { mode };
    throw invalidParameter(
      'Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST',
    );
  }
  if (given === undefined) {
    throw invalidParameter(
      'ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED',
    );
  }
  return { mode: 'PROVISIONED', read: given.ReadCapacityUnits, write: given.WriteCapacityUnits };
}

/** @throws AwsError ResourceNotFoundException */
function existing(nameOrArn: string, state: DynamoDbState, context: CallContext): TableRecord {
  const table = state.tables.get(tableArn(nameOrArn, context));
  if (table !== undefined) return table;
  throw notFound(`Requested resource not found: Table: ${nameOrArn.split('/').at(-1) ?? ''} not found`);
}

/** A table that is neither coming nor going. @throws AwsError ResourceNotFoundException or ResourceInUseException */
function settled(nameOrArn: string, state: DynamoDbState, context: CallContext): TableRecord {
  const table = existing(nameOrArn, state, context);
  if (table.state === 'ACTIVE') return table;
  const going = table.state === 'CREATING' ? 'created' : 'deleted';
  throw inUse(`Attempt to change a resource which is still in use: Table is being ${going}: ${table.name}`);
}

/** Backups have a name of their own for a table that is not there. */
function backedUp(nameOrArn: string, state: DynamoDbState, context: CallContext): TableRecord {
  const table = state.tables.get(tableArn(nameOrArn, context));
  if (table?.state === 'ACTIVE') return table;
  throw new AwsError('TableNotFoundException', `Table not found: ${nameOrArn}`);
}

function backups(table: TableRecord, { now }: CallContext): JsonObject {
  const { pointInTimeRecovery } = table;
  return {
    ContinuousBackupsStatus: 'ENABLED',
    PointInTimeRecoveryDescription:
      pointInTimeRecovery === undefined
        ? { PointInTimeRecoveryStatus: 'DISABLED' }
        : {
            PointInTimeRecoveryStatus: 'ENABLED',
            RecoveryPeriodInDays: pointInTimeRecovery.days,
            EarliestRestorableDateTime: epochSeconds(
              new Date(Math.max(pointInTimeRecovery.since, now.getTime() - pointInTimeRecovery.days * dayMs)),
            ),
            LatestRestorableDateTime: epochSeconds(now),
          },
  };
}

function description(table: TableRecord, status: string = table.state): JsonObject {
  const items = [...table.partitions.values()].flatMap((partition) => Array.from(partition.values()));
  const { billing } = table;
  return {
    TableName: table.name,
    TableArn: table.arn,
    TableId: table.id,
    TableStatus: status,
    CreationDateTime: epochSeconds(new Date(table.createdAt)),
    AttributeDefinitions: keyAttributes(table.key).map(({ name, type }) => ({
      AttributeName: name,
      AttributeType: type,
    })),
    KeySchema: keyAttributes(table.key).map(({ name }, index) => ({
      AttributeName: name,
      KeyType: index === 0 ? 'HASH' : 'RANGE',
    })),
    ProvisionedThroughput: {
      NumberOfDecreasesToday: 0,
      ReadCapacityUnits: billing.mode === 'PROVISIONED' ? billing.read : 0,
      WriteCapacityUnits: billing.mode === 'PROVISIONED' ? billing.write : 0,
    },
    ...(billing.mode === 'PAY_PER_REQUEST' && { BillingModeSummary: { BillingMode: billing.mode } }),
    ItemCount: items.length,
    TableSizeBytes: items.reduce((sum, item) => sum + itemBytes(item), 0),
    DeletionProtectionEnabled: table.isProtected,
  };
}

function tagged(
  tags: Map<string, string>,
  added: readonly { readonly Key: string; readonly Value: string }[],
): Map<string, string> {
  return addTags(
    tags,
    added.map(({ Key, Value }) => [Key, Value] as const),
    (_what, message) => validationException(message),
  );
}

function inUse(message: string): AwsError {
  return new AwsError('ResourceInUseException', message);
}
