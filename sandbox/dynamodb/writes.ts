import { read, required, text, validationException } from '../constraints.ts';
import { AwsError, type JsonObject } from '../service.ts';
import { attributes, type Item, itemBytes, wireItem } from './attribute-value.ts';
import { changed } from './expression/changes.ts';
import { type Condition, parseCondition } from './expression/condition.ts';
import { isTrueOf } from './expression/evaluate.ts';
import type { Placeholders } from './expression/placeholders.ts';
import type { Path } from './expression/syntax.ts';
import { parseUpdate } from './expression/update.ts';
import { givenKey, keyOfItem } from './keys.ts';
import { assertNoLegacy, expressionMembers, placeholdersOf, tableNameOrArn } from './members.ts';
import { invalidParameter, itemAt, keyAttributes, replaceItem, type TableRecord } from './state.ts';

/** "The maximum item size in DynamoDB is 400 KB, which includes both attribute name binary length and values". */
const itemBytesMax = 400 * 1024;

/** One write to one item, as a request asks for it; what depends on the table comes when that is known. */
export interface Write {
  readonly action: 'PutItem' | 'UpdateItem' | 'DeleteItem' | 'ConditionCheckItem';
  readonly table: string;
  /** The key, or an item that holds it, as it was given. */
  readonly given: Item;
  readonly returnsItemOnFailure: boolean;
  /** The paths that an update changes. */
  readonly paths: readonly Path[];
  /** The key of the item. @throws AwsError ValidationException */
  keyIn(table: TableRecord): Item;
  readonly condition: Condition | undefined;
  /** The item after this write. @throws AwsError ValidationException */
  after(before: Item | undefined, key: Item): Item | undefined;
}

/** What was and what is, where a write was done. */
export interface Written {
  readonly before: Item | undefined;
  readonly after: Item | undefined;
}

/** What a write comes to; nothing is changed yet. @throws AwsError ConditionalCheckFailedException, ValidationException */
export function prepared(write: Write, table: TableRecord): Written & { readonly key: Item } {
  const key = write.keyIn(table);
  const before = itemAt(table, key);
  if (write.condition !== undefined && !isTrueOf(write.condition, before ?? new Map())) {
    throw new AwsError(
      'ConditionalCheckFailedException',
      'The conditional request failed',
      400,
      write.returnsItemOnFailure && before !== undefined ? { Item: wireItem(before) } : {},
    );
  }
  return { key, before, after: write.after(before, key) };
}

export function perform(write: Write, table: TableRecord): Written {
  const { key, before, after } = prepared(write, table);
  replaceItem(table, key, after);
  return { before, after };
}

const conditional = {
  TableName: required(tableNameOrArn),
  ConditionExpression: text(),
  ReturnValuesOnConditionCheckFailure: text({ oneOf: ['ALL_OLD', 'NONE'] }),
  ...expressionMembers,
};
const putShape = { ...conditional, Item: required(attributes()) };
const keyShape = { ...conditional, Key: required(attributes()) };
const updateShape = { ...keyShape, UpdateExpression: text() };

/** @throws AwsError ValidationException */
export function putOf(input: JsonObject): Write {
  const request = readWrite(putShape, input);
  assertSize(request.Item, 'Item size has exceeded the maximum allowed size');
  return {
    ...common(request, conditionOf(request)),
    action: 'PutItem',
    given: request.Item,
    keyIn: ({ key }) => keyOfItem(request.Item, key),
    after: () => request.Item,
  };
}

/** @throws AwsError ValidationException */
export function deleteOf(input: JsonObject): Write {
  const request = readWrite(keyShape, input);
  return {
    ...common(request, conditionOf(request)),
    action: 'DeleteItem',
    given: request.Key,
    keyIn: ({ key }) => givenKey(request.Key, key),
    after: () => undefined,
  };
}

/** @throws AwsError ValidationException */
export function checkOf(input: JsonObject): Write {
  const request = readWrite({ ...keyShape, ConditionExpression: required(text()) }, input);
  return {
    ...common(request, conditionOf(request)),
    action: 'ConditionCheckItem',
    given: request.Key,
    keyIn: ({ key }) => givenKey(request.Key, key),
    after: (before) => before,
  };
}

/** @throws AwsError ValidationException */
export function updateOf(input: JsonObject): Write {
  const request = readWrite(updateShape, input);
  const { UpdateExpression, ConditionExpression } = request;
  const given = placeholdersOf(request, { UpdateExpression, ConditionExpression });
  const changes = UpdateExpression === undefined ? [] : parseUpdate(UpdateExpression, given);
  const condition = conditionWith(ConditionExpression, given);
  given.assertAllUsed();
  return {
    ...common(request, condition),
    action: 'UpdateItem',
    given: request.Key,
    paths: changes.map(({ path }) => path),
    keyIn({ key }) {
      const found = givenKey(request.Key, key);
      const part = keyAttributes(key).find(({ name }) => changes.some(({ path }) => path[0] === name));
      if (part === undefined) return found;
      throw invalidParameter(`Cannot update attribute ${part.name}. This attribute is part of the key`);
    },
    after(before, key) {
      const item = changed(before ?? key, changes);
      assertSize(item, 'Item size to update has exceeded the maximum allowed size');
      return item;
    },
  };
}

function readWrite<Shape extends Parameters<typeof read>[0]>(shape: Shape, input: JsonObject) {
  assertNoLegacy(input);
  return read(shape, input);
}

function common(
  request: { readonly TableName: string; readonly ReturnValuesOnConditionCheckFailure: string | undefined },
  condition: Condition | undefined,
) {
  return {
    table: request.TableName,
    condition,
    returnsItemOnFailure: request.ReturnValuesOnConditionCheckFailure === 'ALL_OLD',
    paths: [],
  };
}

function conditionOf(request: {
  readonly ConditionExpression: string | undefined;
  readonly ExpressionAttributeNames: ReadonlyMap<string, string> | undefined;
  readonly ExpressionAttributeValues: Item | undefined;
}): Condition | undefined {
  const { ConditionExpression } = request;
  const given = placeholdersOf(request, { ConditionExpression });
  const condition = conditionWith(ConditionExpression, given);
  given.assertAllUsed();
  return condition;
}

function conditionWith(expression: string | undefined, given: Placeholders): Condition | undefined {
  return expression === undefined ? undefined : parseCondition('ConditionExpression', expression, given);
}

function assertSize(item: Item, message: string): void {
  if (itemBytes(item) > itemBytesMax) throw validationException(message);
}
