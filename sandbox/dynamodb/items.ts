import { flag, read, required, text, textMap, validationException } from '../constraints.ts';
import type { CallContext, JsonObject, Operation } from '../service.ts';
import { authorizeTable } from './access.ts';
import { attributes, type Item, wireItem } from './attribute-value.ts';
import { parseProjection, projected } from './expression/projection.ts';
import { givenKey } from './keys.ts';
import { assertNoLegacy, consumedCapacity, placeholdersOf, tableNameOrArn } from './members.ts';
import { activeTable, type DynamoDbState, itemAt, tableArn } from './state.ts';
import { deleteOf, perform, putOf, updateOf, type Write, type Written } from './writes.ts';

const returnValues = text({ oneOf: ['ALL_NEW', 'UPDATED_OLD', 'ALL_OLD', 'NONE', 'UPDATED_NEW'] });
const alwaysThere = {
  ReturnValues: returnValues,
  ReturnConsumedCapacity: consumedCapacity,
  ReturnItemCollectionMetrics: text({ oneOf: ['SIZE', 'NONE'] }),
};

const getShape = {
  TableName: required(tableNameOrArn),
  Key: required(attributes()),
  ConsistentRead: flag(),
  ProjectionExpression: text(),
  ExpressionAttributeNames: textMap(),
  ReturnConsumedCapacity: consumedCapacity,
};

export const itemOperations = {
  GetItem(input, state, context) {
    assertNoLegacy(input);
    const request = read(getShape, input);
    const { ProjectionExpression } = request;
    const given = placeholdersOf(request, {}, ProjectionExpression);
    const paths =
      ProjectionExpression === undefined ? undefined : parseProjection(ProjectionExpression, given);
    given.assertAllUsed();
    authorizeTable('GetItem', request.TableName, state, context, { keys: [request.Key] });
    const table = activeTable(tableArn(request.TableName, context), state);
    const item = itemAt(table, givenKey(request.Key, table.key));
    if (item === undefined) return {};
    return { Item: wireItem(paths === undefined ? item : projected(item, paths)) };
  },

  PutItem(input, state, context) {
    const wanted = oldValues(input);
    const { before } = done(putOf(input), wanted, state, context);
    return wanted === 'ALL_OLD' ? attributesOf(before) : {};
  },

  DeleteItem(input, state, context) {
    const wanted = oldValues(input);
    const { before } = done(deleteOf(input), wanted, state, context);
    return wanted === 'ALL_OLD' ? attributesOf(before) : {};
  },

  UpdateItem(input, state, context) {
    const wanted = read(alwaysThere, input).ReturnValues;
    const write = updateOf(input);
    const { before, after } = done(write, wanted, state, context);
    if (wanted === 'ALL_OLD') return attributesOf(before);
    if (wanted === 'ALL_NEW') return attributesOf(after);
    if (wanted === 'UPDATED_OLD') return attributesOf(before && projected(before, write.paths));
    if (wanted === 'UPDATED_NEW') return attributesOf(after && projected(after, write.paths));
    return {};
  },
} as const satisfies Record<string, Operation<DynamoDbState>>;

function done(write: Write, wanted: string | undefined, state: DynamoDbState, context: CallContext): Written {
  authorizeTable(write.action, write.table, state, context, { keys: [write.given], returnValues: wanted });
  return perform(write, activeTable(tableArn(write.table, context), state));
}

/** What a put or a deletion returns: it has no values before and after of its own. */
function oldValues(input: JsonObject): string | undefined {
  const { ReturnValues: wanted } = read(alwaysThere, input);
  if (wanted === undefined || wanted === 'NONE' || wanted === 'ALL_OLD') return wanted;
  throw validationException('ReturnValues can only be ALL_OLD or NONE');
}

/** An answer has no `Attributes` where there are none. */
function attributesOf(item: Item | undefined): JsonObject {
  return item === undefined || item.size === 0 ? {} : { Attributes: wireItem(item) };
}
