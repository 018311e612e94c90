import { flag, read, required, text } from '../constraints.ts';
import { AwsError, type Operation } from '../service.ts';
import { secretId } from './members.ts';
import { activeSecret, type SecretsManagerState } from './state.ts';

export const policyOperations = {
  PutResourcePolicy(input, state, context) {
    const request = read(
      {
        SecretId: secretId,
        ResourcePolicy: required(text({ min: 1, max: 20_480, sensitive: true })),
        BlockPublicPolicy: flag(),
      },
      input,
    );
    const secret = activeSecret(request.SecretId, state, context);
    const statements = statementsOf(request.ResourcePolicy);
    if (request.BlockPublicPolicy === true && statements.some(isPublic)) {
      throw new AwsError(
        'PublicPolicyException',
        'You cannot attach a resource policy that allows broad access to the secret.',
      );
    }
    secret.policy = request.ResourcePolicy;
    return { ARN: secret.arn, Name: secret.name };
  },

  GetResourcePolicy(input, state, context) {
    const secret = activeSecret(read({ SecretId: secretId }, input).SecretId, state, context);
    return {
      ARN: secret.arn,
      Name: secret.name,
      ...(secret.policy !== undefined && { ResourcePolicy: secret.policy }),
    };
  },

  DeleteResourcePolicy(input, state, context) {
    const secret = activeSecret(read({ SecretId: secretId }, input).SecretId, state, context);
    delete secret.policy;
    return { ARN: secret.arn, Name: secret.name };
  },
} as const satisfies Record<string, Operation<SecretsManagerState>>;

/** @throws AwsError MalformedPolicyDocumentException */
function statementsOf(policy: string): readonly object[] {
  try {
    const document: unknown = JSON.parse(policy);
    if (typeof document === 'object' && document !== null && 'Statement' in document) {
      const statements: unknown[] = [document.Statement].flat();
      if (statements.every((statement) => typeof statement === 'object' && statement !== null)) {
        return statements;
      }
    }
  } catch {
    // Falls through to the one refusal.
  }
  throw new AwsError('MalformedPolicyDocumentException', 'This resource policy contains a syntax error.');
}

/** Allows everybody, and on no condition. */
function isPublic(statement: object): boolean {
  if (!('Effect' in statement) || statement.Effect !== 'Allow' || 'Condition' in statement) return false;
  const principal: unknown = 'Principal' in statement ? statement.Principal : undefined;
  const named: unknown =
    typeof principal === 'object' && principal !== null && 'AWS' in principal ? principal.AWS : principal;
  return [named].flat().includes('*');
}
