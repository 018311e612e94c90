import {
  list,
  type Member,
  read,
  required,
  structure,
  text,
  textMap,
  validationException,
} from '../constraints.ts';
import { AwsError, type CallContext, type JsonObject, type Operation } from '../service.ts';
import { authorizeTable } from './access.ts';
import { attributes, type Item, itemBytes, wireItem } from './attribute-value.ts';
import { parseProjection, projected } from './expression/projection.ts';
import { givenKey } from './keys.ts';
import { consumedCapacity, placeholdersOf, tableNameOrArn } from './members.ts';
import {
  activeTable,
  type DynamoDbState,
  itemAt,
  placeOf,
  replaceItem,
  type TableRecord,
  tableArn,
} from './state.ts';
import { checkOf, deleteOf, prepared, putOf, updateOf, type Write } from './writes.ts';

/** "Up to 100 actions", "the aggregate size of the items cannot exceed 4 MB". */
const actionsMax = 100;
const bytesMax = 4 * 1024 * 1024;

/** An action as it came; its own reader takes it apart. */
const raw: Member<JsonObject> = {
  read: (json) => (json === undefined || !isObject(json) ? undefined : json),
};
const writers = { Put: putOf, Update: updateOf, Delete: deleteOf, ConditionCheck: checkOf } as const;

const writeShape = {
  ClientRequestToken: text({ min: 1, max: 36 }),
  TransactItems: required(
    list(structure({ Put: raw, Update: raw, Delete: raw, ConditionCheck: raw }), { min: 1, max: actionsMax }),
  ),
  ReturnConsumedCapacity: consumedCapacity,
  ReturnItemCollectionMetrics: text({ oneOf: ['SIZE', 'NONE'] }),
};
const getShape = {
  TransactItems: required(
    list(
      structure({
        Get: required(
          structure({
            TableName: required(tableNameOrArn),
            Key: required(attributes()),
            ProjectionExpression: text(),
            ExpressionAttributeNames: textMap(),
          }),
        ),
      }),
      { min: 1, max: actionsMax },
    ),
  ),
  ReturnConsumedCapacity: consumedCapacity,
};

export const transactionOperations = {
  TransactWriteItems(input, state, context) {
    const { TransactItems, ClientRequestToken } = read(writeShape, input);
    const writes = TransactItems.map(writeOf);
    for (const { action, table, given } of writes) {
      const enclosing = 'TransactWriteItems';
      authorizeTable(action, table, state, context, { keys: [given], enclosing });
    }
    const tables = writes.map(({ table }) => activeTable(tableArn(table, context), state));
    if (wasDone(ClientRequestToken, input, state, context)) return {};

    const outcomes = writes.map((write, index) => outcomeOf(() => prepared(write, at(tables, index))));
    assertDistinct(writes.flatMap((write, index) => placeIfKnown(write, at(tables, index))));
    const done = allOf(outcomes);
    const bytes = done.reduce((sum, { key, after }) => sum + itemBytes(after ?? key), 0);
    if (bytes > bytesMax) {
      throw validationException(
        'Collection size of items in transaction has exceeded the maximum allowed size',
      );
    }
    for (const [index, { key, after }] of done.entries()) replaceItem(at(tables, index), key, after);
    if (ClientRequestToken !== undefined) {
      const doneAt = context.now.getTime();
      state.transactions.set(tokenKey(ClientRequestToken, context), { request: requestText(input), doneAt });
    }
    return {};
  },

  TransactGetItems(input, state, context) {
    const { TransactItems } = read(getShape, input);
    const gets = TransactItems.map(({ Get: request }) => {
      const { ProjectionExpression } = request;
      const given = placeholdersOf(request, {}, ProjectionExpression);
      const paths =
        ProjectionExpression === undefined ? undefined : parseProjection(ProjectionExpression, given);
      given.assertAllUsed();
      const enclosing = 'TransactGetItems';
      authorizeTable('GetItem', request.TableName, state, context, { keys: [request.Key], enclosing });
      return { request, paths, table: activeTable(tableArn(request.TableName, context), state) };
    });
    const outcomes = gets.map(({ request, table }) =>
      outcomeOf(() => ({ key: givenKey(request.Key, table.key) })),
    );
    const found = allOf(outcomes);
    assertDistinct(found.map(({ key }, index) => placeOf(at(gets, index).table, key)));
    return {
      Responses: found.map(({ key }, index) => {
        const { table, paths } = at(gets, index);
        const item = itemAt(table, key);
        if (item === undefined) return {};
        return { Item: wireItem(paths === undefined ? item : projected(item, paths)) };
      }),
    };
  },
} as const satisfies Record<string, Operation<DynamoDbState>>;

function writeOf(action: Readonly<Record<keyof typeof writers, JsonObject | undefined>>): Write {
  const given = (['Put', 'Update', 'Delete', 'ConditionCheck'] as const).flatMap((kind) => {
    const input = action[kind];
    return input === undefined ? [] : [{ kind, input }];
  });
  const [only, more] = given;
  if (only === undefined || more !== undefined) {
    throw validationException('TransactItems can only contain one of Check, Put, Update or Delete');
  }
  return writers[only.kind](only.input);
}

/** What would come of one action, or why it cancels the transaction. */
function outcomeOf<Result>(work: () => Result): Result | AwsError {
  try {
    return work();
  } catch (error) {
    if (error instanceof AwsError) return error;
    throw error;
  }
}

/** What came of all actions. @throws AwsError TransactionCanceledException with a reason for each, in their order */
function allOf<Result>(outcomes: readonly (Result | AwsError)[]): readonly Result[] {
  const results = outcomes.filter((outcome): outcome is Result => !(outcome instanceof AwsError));
  if (results.length === outcomes.length) return results;
  const reasons = outcomes.map((outcome) =>
    outcome instanceof AwsError
      ? { Code: reasonCode(outcome), Message: outcome.message, ...outcome.extra }
      : { Code: 'None' },
  );
  throw new AwsError(
    'TransactionCanceledException',
    `Transaction cancelled, please refer cancellation reasons for specific reasons [${reasons.map(({ Code }) => Code).join(', ')}]`,
    400,
    { CancellationReasons: reasons },
  );
}

function reasonCode({ name }: AwsError): string {
  return name === 'ConditionalCheckFailedException' ? 'ConditionalCheckFailed' : 'ValidationError';
}

function placeIfKnown(write: Write, table: TableRecord): readonly string[] {
  const key = outcomeOf<Item>(() => write.keyIn(table));
  return key instanceof AwsError ? [] : [placeOf(table, key)];
}

function assertDistinct(places: readonly string[]): void {
  if (new Set(places).size !== places.length) {
    throw validationException('Transaction request cannot include multiple operations on one item');
  }
}

/** Whether this very request was done under its token already. @throws AwsError IdempotentParameterMismatchException */
function wasDone(
  token: string | undefined,
  input: JsonObject,
  state: DynamoDbState,
  context: CallContext,
): boolean {
  const before = token === undefined ? undefined : state.transactions.get(tokenKey(token, context));
  if (before === undefined) return false;
  if (before.request === requestText(input)) return true;
  throw new AwsError(
    'IdempotentParameterMismatchException',
    'Request parameters do not match those used in the previous call with the same client request token',
  );
}

function tokenKey(token: string, { caller, region }: CallContext): string {
  return JSON.stringify([caller.accountId, region, token]);
}

/** What is asked for, without what only changes how the answer looks. */
function requestText({ TransactItems }: JsonObject): string {
  return JSON.stringify(TransactItems);
}

function at<Of>(list_: readonly Of[], index: number): Of {
  const value = list_[index];
  if (value === undefined) throw new RangeError(`nothing at ${index}`);
  return value;
}

function isObject(json: unknown): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
