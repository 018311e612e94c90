import { randomUUID } from 'node:crypto';
import { flag, read, required, text, validationException } from '../constraints.ts';
import { accessOf, askerOf } from '../iam/authorize.ts';
import { verdictOf } from '../iam/evaluate.ts';
import { resourceStatements } from '../iam/policy-document.ts';
import { AwsError, type CallContext, type Operation } from '../service.ts';
import { authorizeTable } from './access.ts';
import { type DynamoDbState, notFound, type TableRecord, tableArn } from './state.ts';

/** "The maximum size supported for a resource-based policy document is 20 KB." */
const policyBytesMax = 20 * 1024;

const onlyResource = { ResourceArn: required(text({ min: 1, max: 1283 })) };
const revision = text({ min: 1, max: 255 });

export const policyOperations = {
  PutResourcePolicy(input, state, context) {
    const request = read(
      {
        ...onlyResource,
        Policy: required(text({ min: 1, max: policyBytesMax, inBytes: true, sensitive: true })),
        ExpectedRevisionId: revision,
        ConfirmRemoveSelfResourceAccess: flag(),
      },
      input,
    );
    authorizeTable('PutResourcePolicy', request.ResourceArn, state, context);
    const table = tableOf(request.ResourceArn, state, context);
    assertRevision(table, request.ExpectedRevisionId);
    assertPolicy(request.Policy, table, context);
    table.policy = { document: request.Policy, revision: randomUUID() };
    return { RevisionId: table.policy.revision };
  },

  GetResourcePolicy(input, state, context) {
    const { ResourceArn } = read(onlyResource, input);
    authorizeTable('GetResourcePolicy', ResourceArn, state, context);
    const { policy } = tableOf(ResourceArn, state, context);
    if (policy === undefined) throw noPolicy(ResourceArn);
    return { Policy: policy.document, RevisionId: policy.revision };
  },

  DeleteResourcePolicy(input, state, context) {
    const request = read({ ...onlyResource, ExpectedRevisionId: revision }, input);
    authorizeTable('DeleteResourcePolicy', request.ResourceArn, state, context);
    const table = tableOf(request.ResourceArn, state, context);
    assertRevision(table, request.ExpectedRevisionId);
    const { policy } = table;
    delete table.policy;
    return policy === undefined ? {} : { RevisionId: policy.revision };
  },
} as const satisfies Record<string, Operation<DynamoDbState>>;

function tableOf(arn: string, state: DynamoDbState, context: CallContext): TableRecord {
  const table = state.tables.get(tableArn(arn, context));
  if (table !== undefined) return table;
  throw notFound(`Requested resource not found: Table: ${arn.split('/').at(-1) ?? ''} not found`);
}

/** `NO_POLICY` is the revision of a table that has none. */
function assertRevision({ policy }: TableRecord, expected: string | undefined): void {
  if (expected === undefined || expected === (policy?.revision ?? 'NO_POLICY')) return;
  throw new AwsError(
    'PolicyNotFoundException',
    'Resource-based policy not found for the provided RevisionId.',
  );
}

function assertPolicy(policy: string, { arn }: TableRecord, context: CallContext): void {
  const statements = resourceStatements(policy);
  if (statements === undefined) {
    throw validationException('Resource-based policy validation failed: the policy is not valid');
  }
  const change = accessOf(context, { action: 'dynamodb:PutResourcePolicy', resource: arn });
  if (verdictOf(statements, change, askerOf(context)) === 'denied') {
    throw validationException(
      'Resource-based policy validation failed: it takes from you the permission to change it, which needs a confirmation that the sandbox has not',
    );
  }
}

function noPolicy(arn: string): AwsError {
  return new AwsError(
    'PolicyNotFoundException',
    `Resource-based policy not found for the provided ResourceArn: ${arn}`,
  );
}
