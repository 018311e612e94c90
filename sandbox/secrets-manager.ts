import { policyOperations } from './secrets-manager/policies.ts';
import { secretOperations } from './secrets-manager/secrets.ts';
import {
  deleteDueSecrets,
  findSecret,
  newSecretArn,
  newSecretsManagerState,
  type SecretsManagerState,
} from './secrets-manager/state.ts';
import { valueOperations } from './secrets-manager/values.ts';
import type { CallContext, JsonObject, JsonService, Operation } from './service.ts';

export type { SecretsManagerState } from './secrets-manager/state.ts';

const operations: Record<string, Operation<SecretsManagerState>> = {
  ...secretOperations,
  ...valueOperations,
  ...policyOperations,
};

/**
 * AWS Secrets Manager. Follows its API reference; messages are those seen from AWS where they are known. Resource
 * policies and key ids are stored, not enforced; there is no rotation and no replication.
 */
export const secretsManager: JsonService<SecretsManagerState> = {
  signingName: 'secretsmanager',
  targetPrefix: 'secretsmanager',
  newState: newSecretsManagerState,
  resourceOf,
  operations: Object.fromEntries(
    Object.entries(operations).map(([name, operation]): [string, Operation<SecretsManagerState>] => [
      name,
      (input, state, context) => {
        deleteDueSecrets(state, context.now);
        return operation(input, state, context);
      },
    ]),
  ),
};

/** A secret that is not there has an ARN as well: what may not be read may not be asked about either. */
function resourceOf(
  _operation: string,
  { SecretId: id, Name: name }: JsonObject,
  state: SecretsManagerState,
  context: CallContext,
): string | undefined {
  if (typeof id !== 'string') return typeof name === 'string' ? newSecretArn(name, context) : undefined;
  try {
    return findSecret(id, state, context).arn;
  } catch {
    return id.startsWith('arn:') ? id : newSecretArn(id, context);
  }
}
