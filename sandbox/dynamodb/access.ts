import { authorize } from '../iam/authorize.ts';
import type { CallContext } from '../service.ts';
import { type AttributeValue, type Item, scalarText } from './attribute-value.ts';
import { type DynamoDbState, tableArn } from './state.ts';

/** What decides beside action and table: whose items, and how they are asked for. */
export interface ItemAccess {
  /** The keys, or items with their keys, that the call names; absent for one that names none. */
  readonly keys?: readonly Item[];
  readonly returnValues?: string | undefined;
  readonly select?: string | undefined;
  /** The operation that the action is part of, where they differ. */
  readonly enclosing?: string;
}

/**
 * Asks the caller's policies and the table's. Goes before the question whether there is such a table, as on AWS.
 * @throws AwsError AccessDeniedException
 */
export function authorizeTable(
  action: string,
  table: string,
  state: DynamoDbState,
  context: CallContext,
  { keys, returnValues, select, enclosing }: ItemAccess = {},
): void {
  const resource = tableArn(table, context);
  const record = state.tables.get(resource);
  const partition = record?.key.partition.name;
  // Of what names keys in the table's schema; a scan has none, and so no condition on them restrains it.
  const leading =
    keys === undefined || partition === undefined
      ? undefined
      : keys.flatMap((key) => texts(key.get(partition)));
  authorize(
    context,
    {
      action: `dynamodb:${action}`,
      resource,
      keys: {
        'dynamodb:LeadingKeys': leading,
        'dynamodb:ReturnValues': returnValues,
        'dynamodb:Select': select,
        'dynamodb:EnclosingOperation': enclosing,
      },
    },
    record?.policy?.document,
  );
}

function texts(value: AttributeValue | undefined): readonly string[] {
  return value === undefined ? [] : [scalarText(value)];
}
