import { text, textMap, validationException } from '../constraints.ts';
import type { JsonObject } from '../service.ts';
import type { Item } from './attribute-value.ts';
import { attributes } from './attribute-value.ts';
import { type Placeholders, placeholders } from './expression/placeholders.ts';

/** Members that many DynamoDB operations share. Where a table is only used, its ARN will do. */
export const tableNameOrArn = text({ min: 1, max: 1024 });
export const expressionMembers = {
  ExpressionAttributeNames: textMap(),
  ExpressionAttributeValues: attributes(),
};
export const consumedCapacity = text({ oneOf: ['INDEXES', 'TOTAL', 'NONE'] });

/** What came before expressions. AWS still takes it; here it is refused rather than misunderstood. */
const legacy = [
  'Expected',
  'AttributeUpdates',
  'ConditionalOperator',
  'AttributesToGet',
  'KeyConditions',
  'QueryFilter',
  'ScanFilter',
];

/** @throws AwsError ValidationException */
export function assertNoLegacy(input: JsonObject): void {
  const used = legacy.find((name) => Object.hasOwn(input, name));
  if (used !== undefined) throw validationException(`The sandbox has no ${used}: use expressions.`);
}

/**
 * The placeholders of a request. Values may be given with one of the expressions that can use them only.
 * @throws AwsError ValidationException
 */
export function placeholdersOf(
  request: {
    readonly ExpressionAttributeNames: ReadonlyMap<string, string> | undefined;
    readonly ExpressionAttributeValues?: Item | undefined;
  },
  withValues: Readonly<Record<string, string | undefined>>,
  projection?: string,
): Placeholders {
  const { ExpressionAttributeNames: names, ExpressionAttributeValues: values } = request;
  const hasExpression = Object.values(withValues).some((expression) => expression !== undefined);
  if (names !== undefined && !hasExpression && projection === undefined) {
    throw validationException('ExpressionAttributeNames can only be specified when using expressions');
  }
  if (values !== undefined && !hasExpression) {
    const expressions = Object.keys(withValues);
    throw validationException(
      `ExpressionAttributeValues can only be specified when using expressions: ${expressions.join(' and ')} ${expressions.length > 1 ? 'are' : 'is'} null`,
    );
  }
  return placeholders(names, values);
}
