import { batchOperations } from './dynamodb/batches.ts';
import { itemOperations } from './dynamodb/items.ts';
import { policyOperations } from './dynamodb/policies.ts';
import { readOperations } from './dynamodb/reads.ts';
import { type DynamoDbState, newDynamoDbState, passTime } from './dynamodb/state.ts';
import { tableOperations } from './dynamodb/tables.ts';
import { transactionOperations } from './dynamodb/transactions.ts';
import type { JsonService, Operation } from './service.ts';

export type { DynamoDbState } from './dynamodb/state.ts';

const operations: Record<string, Operation<DynamoDbState>> = {
  ...tableOperations,
  ...policyOperations,
  ...itemOperations,
  ...readOperations,
  ...batchOperations,
  ...transactionOperations,
};

/**
 * Amazon DynamoDB: tables without indexes and streams, expressions, transactions, policies. Follows the DynamoDB API
 * reference and developer guide; messages are those seen from AWS where they are known. Every read is consistent,
 * what came before expressions is refused, and items whose time to live is over stay, as they may for days on AWS.
 */
export const dynamoDb: JsonService<DynamoDbState> = {
  signingName: 'dynamodb',
  jsonVersion: '1.0',
  targetPrefix: 'DynamoDB_20120810',
  newState: newDynamoDbState,
  operations: Object.fromEntries(
    Object.entries(operations).map(([name, operation]): [string, Operation<DynamoDbState>] => [
      name,
      (input, state, context) => {
        passTime(state, context.now);
        return operation(input, state, context);
      },
    ]),
  ),
};
