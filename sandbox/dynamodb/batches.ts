import {
  flag,
  list,
  map,
  read,
  required,
  structure,
  text,
  textMap,
  validationException,
} from '../constraints.ts';
import type { Operation } from '../service.ts';
import { authorizeTable } from './access.ts';
import { attributes, type Item, wireItem } from './attribute-value.ts';
import { parseProjection, projected } from './expression/projection.ts';
import { givenKey } from './keys.ts';
import { consumedCapacity, placeholdersOf } from './members.ts';
import { activeTable, type DynamoDbState, itemAt, placeOf, type TableRecord, tableArn } from './state.ts';
import { deleteOf, perform, putOf, type Write } from './writes.ts';

const getsMax = 100;
const writesMax = 25;

const batchGetShape = {
  RequestItems: required(
    map(
      structure({
        Keys: required(list(attributes(), { min: 1, max: getsMax })),
        ConsistentRead: flag(),
        ProjectionExpression: text(),
        ExpressionAttributeNames: textMap(),
      }),
      { min: 1, max: getsMax },
    ),
  ),
  ReturnConsumedCapacity: consumedCapacity,
};
const batchWriteShape = {
  RequestItems: required(
    map(
      list(
        structure({
          PutRequest: structure({ Item: required(attributes()) }),
          DeleteRequest: structure({ Key: required(attributes()) }),
        }),
        { min: 1, max: writesMax },
      ),
      { min: 1, max: writesMax },
    ),
  ),
  ReturnConsumedCapacity: consumedCapacity,
  ReturnItemCollectionMetrics: text({ oneOf: ['SIZE', 'NONE'] }),
};

export const batchOperations = {
  BatchGetItem(input, state, context) {
    const { RequestItems } = read(batchGetShape, input);
    assertCount('BatchGetItem', [...RequestItems.values()].flatMap(({ Keys }) => Keys).length, getsMax);
    const parts = [...RequestItems].map(([name, request]) => {
      const { ProjectionExpression, Keys } = request;
      const given = placeholdersOf(request, {}, ProjectionExpression);
      const paths =
        ProjectionExpression === undefined ? undefined : parseProjection(ProjectionExpression, given);
      given.assertAllUsed();
      authorizeTable('BatchGetItem', name, state, context, { keys: Keys });
      const table = activeTable(tableArn(name, context), state);
      const keys = Keys.map((key) => givenKey(key, table.key));
      assertDistinct(keys.map((key) => placeOf(table, key)));
      const items = keys.flatMap((key) => itemAt(table, key) ?? []);
      return [
        name,
        items.map((item) => wireItem(paths === undefined ? item : projected(item, paths))),
      ] as const;
    });
    return { Responses: Object.fromEntries(parts), UnprocessedKeys: {} };
  },

  BatchWriteItem(input, state, context) {
    const { RequestItems } = read(batchWriteShape, input);
    assertCount('BatchWriteItem', [...RequestItems.values()].flat().length, writesMax);
    const writes = [...RequestItems].flatMap(([name, requests]) => requests.map((one) => writeOf(name, one)));
    for (const name of RequestItems.keys()) {
      const keys = writes.filter(({ table }) => table === name).map(({ given }) => given);
      authorizeTable('BatchWriteItem', name, state, context, { keys });
    }
    const placed = writes.map((write): { write: Write; table: TableRecord; key: Item } => {
      const table = activeTable(tableArn(write.table, context), state);
      return { write, table, key: write.keyIn(table) };
    });
    assertDistinct(placed.map(({ table, key }) => placeOf(table, key)));
    for (const { write, table } of placed) perform(write, table);
    return { UnprocessedItems: {} };
  },
} as const satisfies Record<string, Operation<DynamoDbState>>;

function writeOf(
  TableName: string,
  request: {
    readonly PutRequest: { readonly Item: Item } | undefined;
    readonly DeleteRequest: { readonly Key: Item } | undefined;
  },
): Write {
  const { PutRequest, DeleteRequest } = request;
  if (PutRequest !== undefined && DeleteRequest === undefined) {
    return putOf({ TableName, Item: wireItem(PutRequest.Item) });
  }
  if (DeleteRequest !== undefined && PutRequest === undefined) {
    return deleteOf({ TableName, Key: wireItem(DeleteRequest.Key) });
  }
  throw validationException(
    'Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes',
  );
}

function assertCount(operation: string, count: number, max: number): void {
  if (count > max) throw validationException(`Too many items requested for the ${operation} call`);
}

function assertDistinct(places: readonly string[]): void {
  if (new Set(places).size !== places.length) {
    throw validationException('Provided list of item keys contains duplicates');
  }
}
