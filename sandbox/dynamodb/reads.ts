import { createHash } from 'node:crypto';
import { flag, integer, read, required, text, validationException } from '../constraints.ts';
import type { CallContext, JsonObject, Operation } from '../service.ts';
import { authorizeTable } from './access.ts';
import { attributes, compareValues, type Item, itemBytes, scalarText, wireItem } from './attribute-value.ts';
import { type Condition, type Operand, parseCondition } from './expression/condition.ts';
import { isTrueOf } from './expression/evaluate.ts';
import { parseKeyCondition } from './expression/key-condition.ts';
import type { Placeholders } from './expression/placeholders.ts';
import { parseProjection, projected } from './expression/projection.ts';
import type { Path } from './expression/syntax.ts';
import { givenKey, keyOfItem } from './keys.ts';
import {
  assertNoLegacy,
  consumedCapacity,
  expressionMembers,
  placeholdersOf,
  tableNameOrArn,
} from './members.ts';
import {
  activeTable,
  type DynamoDbState,
  itemsOf,
  keyAttributes,
  type TableRecord,
  tableArn,
} from './state.ts';

/** "A single Query operation can retrieve a maximum of 1 MB of data", before any filter. */
const pageBytesMax = 1024 * 1024;

const readShape = {
  TableName: required(tableNameOrArn),
  IndexName: text({ min: 3, max: 255 }),
  Select: text({
    oneOf: ['SPECIFIC_ATTRIBUTES', 'COUNT', 'ALL_ATTRIBUTES', 'ALL_PROJECTED_ATTRIBUTES'],
  }),
  Limit: integer({ min: 1 }),
  ConsistentRead: flag(),
  FilterExpression: text(),
  ProjectionExpression: text(),
  ExclusiveStartKey: attributes(),
  ReturnConsumedCapacity: consumedCapacity,
  ...expressionMembers,
};
const queryShape = { ...readShape, KeyConditionExpression: text(), ScanIndexForward: flag() };
const scanShape = {
  ...readShape,
  Segment: integer({ min: 0, max: 999_999 }),
  TotalSegments: integer({ min: 1, max: 1_000_000 }),
};

export const readOperations = {
  Query(input, state, context) {
    assertNoLegacy(input);
    const request = read(queryShape, input);
    const { KeyConditionExpression, FilterExpression, ProjectionExpression, Select } = request;
    const given = placeholdersOf(request, { FilterExpression, KeyConditionExpression }, ProjectionExpression);
    if (KeyConditionExpression === undefined) {
      throw validationException(
        'Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.',
      );
    }
    // The partition in the condition is needed to ask for permission; what is wrong with it is told after that.
    const record = state.tables.get(tableArn(request.TableName, context));
    const condition =
      record === undefined ? undefined : parseKeyCondition(KeyConditionExpression, record.key, given);
    const output = outputOf(request, given);
    const keys =
      record === undefined || condition === undefined
        ? []
        : [new Map([[record.key.partition.name, condition.partition]])];
    authorizeTable('Query', request.TableName, state, context, { keys, select: Select });
    const table = tableOf(request, state, context);
    if (condition === undefined) throw new TypeError('a table without a condition');
    if (output.filter !== undefined) assertNoKeys(output.filter, table);

    const start = request.ExclusiveStartKey && startKey(request.ExclusiveStartKey, table);
    const first = start?.get(table.key.partition.name);
    if (first !== undefined && compareValues(first, condition.partition) !== 0) {
      throw validationException(
        'The provided starting key is outside query boundaries based on provided conditions',
      );
    }
    const { sort } = table.key;
    const inOrder = sorted(itemsOf(table, condition.partition), table);
    const directed = request.ScanIndexForward === false ? inOrder.toReversed() : inOrder;
    const wanted = directed.filter((item) => {
      const value = sort === undefined ? undefined : item.get(sort.name);
      return value === undefined || condition.isWanted(value);
    });
    const direction = request.ScanIndexForward === false ? -1 : 1;
    const rest =
      start === undefined ? wanted : wanted.filter((item) => compareSort(item, start, table) * direction > 0);
    return answer(rest, request.Limit, output, table);
  },

  Scan(input, state, context) {
    assertNoLegacy(input);
    const request = read(scanShape, input);
    const { FilterExpression, ProjectionExpression, Segment, TotalSegments, Select } = request;
    const given = placeholdersOf(request, { FilterExpression }, ProjectionExpression);
    const output = outputOf(request, given);
    assertSegments(Segment, TotalSegments);
    authorizeTable('Scan', request.TableName, state, context, { select: Select });
    const table = tableOf(request, state, context);

    const order = (item: Item): string => hashOf(item, table);
    const all = [...table.partitions.values()]
      .flatMap((partition) => sorted([...partition.values()], table))
      .filter((item) => isInSegment(order(item), Segment, TotalSegments))
      .toSorted((a, b) => (order(a) < order(b) ? -1 : order(a) > order(b) ? 1 : 0));
    const start = request.ExclusiveStartKey && startKey(request.ExclusiveStartKey, table);
    const rest =
      start === undefined
        ? all
        : all.filter(
            (item) =>
              order(item) > order(start) ||
              (order(item) === order(start) && compareSort(item, start, table) > 0),
          );
    return answer(rest, request.Limit, output, table);
  },
} as const satisfies Record<string, Operation<DynamoDbState>>;

/** What of the items read is told. */
interface Output {
  readonly filter: Condition | undefined;
  readonly paths: readonly Path[] | undefined;
  readonly isCount: boolean;
}

function outputOf(
  request: {
    readonly FilterExpression: string | undefined;
    readonly ProjectionExpression: string | undefined;
    readonly Select: string | undefined;
    readonly IndexName: string | undefined;
  },
  given: Placeholders,
): Output {
  const { FilterExpression, ProjectionExpression, Select } = request;
  const filter =
    FilterExpression === undefined ? undefined : parseCondition('FilterExpression', FilterExpression, given);
  const paths = ProjectionExpression === undefined ? undefined : parseProjection(ProjectionExpression, given);
  // A query of a table that is not there is refused for that alone.
  given.assertAllUsed();
  if (paths !== undefined && Select !== undefined && Select !== 'SPECIFIC_ATTRIBUTES') {
    const what = Select === 'COUNT' ? 'only the Count' : Select;
    throw validationException(`Cannot specify the ProjectionExpression when choosing to get ${what}`);
  }
  if (paths === undefined && Select === 'SPECIFIC_ATTRIBUTES') {
    throw validationException(
      'Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES',
    );
  }
  if (Select === 'ALL_PROJECTED_ATTRIBUTES') {
    throw validationException('ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName');
  }
  return { filter, paths, isCount: Select === 'COUNT' };
}

function tableOf(
  request: { readonly TableName: string; readonly IndexName: string | undefined },
  state: DynamoDbState,
  context: CallContext,
): TableRecord {
  const table = activeTable(tableArn(request.TableName, context), state);
  if (request.IndexName !== undefined) {
    throw validationException(`The table does not have the specified index: ${request.IndexName}`);
  }
  return table;
}

/** One page: as many items as the limit and the size of a page allow, then those of them that pass the filter. */
function answer(
  items: readonly Item[],
  limit: number | undefined,
  output: Output,
  table: TableRecord,
): JsonObject {
  const { filter, paths, isCount } = output;
  const seen: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    if (seen.length === limit) break;
    bytes += itemBytes(item);
    if (bytes > pageBytesMax && seen.length > 0) break;
    seen.push(item);
  }
  const last = seen.at(-1);
  // A page that its limit ended has a key to go on from, whether or not anything comes after it.
  const isMore = last !== undefined && (seen.length < items.length || seen.length === limit);
  const found = filter === undefined ? seen : seen.filter((item) => isTrueOf(filter, item));
  return {
    ...(!isCount && {
      Items: found.map((item) => wireItem(paths === undefined ? item : projected(item, paths))),
    }),
    Count: found.length,
    ScannedCount: seen.length,
    ...(isMore && { LastEvaluatedKey: wireItem(keyOfItem(last, table.key)) }),
  };
}

function startKey(given: Item, table: TableRecord): Item {
  try {
    return givenKey(given, table.key);
  } catch {
    throw validationException(
      'The provided starting key is invalid: The provided key element does not match the schema',
    );
  }
}

function sorted(items: readonly Item[], table: TableRecord): readonly Item[] {
  return items.toSorted((a, b) => compareSort(a, b, table));
}

function compareSort(a: Item, b: Item, { key: { sort } }: TableRecord): number {
  if (sort === undefined) return 0;
  const [left, right] = [a.get(sort.name), b.get(sort.name)];
  return left === undefined || right === undefined ? 0 : (compareValues(left, right) ?? 0);
}

/** Partitions come in the order of a hash, so that nobody takes it for an order. */
function hashOf(item: Item, { key: { partition } }: TableRecord): string {
  return createHash('sha256')
    .update(scalarText(item.get(partition.name)))
    .digest('hex');
}

function isInSegment(hash: string, segment: number | undefined, total: number | undefined): boolean {
  if (segment === undefined || total === undefined) return true;
  return Number.parseInt(hash.slice(0, 12), 16) % total === segment;
}

function assertSegments(segment: number | undefined, total: number | undefined): void {
  if (segment === undefined && total === undefined) return;
  if (total === undefined) {
    throw validationException(
      'The TotalSegments parameter is required but was not present in the request when Segment parameter is present',
    );
  }
  if (segment === undefined) {
    throw validationException(
      'The Segment parameter is required but was not present in the request when parameter TotalSegments is present',
    );
  }
  if (segment >= total) {
    throw validationException(
      `The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: ${segment} is not less than TotalSegments: ${total}`,
    );
  }
}

function assertNoKeys(filter: Condition, table: TableRecord): void {
  const used = headsOf(filter);
  const key = keyAttributes(table.key).find(({ name }) => used.includes(name));
  if (key === undefined) return;
  throw validationException(
    `Filter Expression can only contain non-primary key attributes: Primary key attribute: ${key.name}`,
  );
}

/** The top-level attributes that a condition looks at. */
function headsOf(condition: Condition): readonly string[] {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return [...headsOf(condition.left), ...headsOf(condition.right)];
    case 'not':
      return headsOf(condition.of);
    case 'compare':
      return [condition.left, condition.right].flatMap(headOf);
    case 'between':
      return [condition.operand, condition.low, condition.high].flatMap(headOf);
    case 'in':
      return [condition.operand, ...condition.among].flatMap(headOf);
    case 'begins-with':
    case 'contains':
      return [condition.operand, condition.wanted].flatMap(headOf);
    case 'exists':
    case 'not-exists':
    case 'is-type':
      break;
  }
  return [condition.path[0]];
}

function headOf(operand: Operand): readonly string[] {
  if (operand.kind === 'path') return [operand.path[0]];
  return operand.kind === 'size' ? headOf(operand.of) : [];
}
