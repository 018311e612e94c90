import { flag, read, required, text } from '../constraints.ts';
import { AwsError, type CallContext, type Operation } from '../service.ts';
import { keyIdentifier } from './members.ts';
import { type KmsState, keyById } from './state.ts';

/** The model's limits; `assertPolicy` checks the characters, and the quota on the size, which is smaller. */
export const policyText = text({ min: 1, max: 131_072, sensitive: true });

const policyName = { PolicyName: text({ min: 1, max: 128, pattern: /^\w+$/u }) };

export const policyOperations = {
  PutKeyPolicy(input, state, context) {
    const request = read(
      {
        KeyId: required(keyIdentifier),
        ...policyName,
        Policy: required(policyText),
        BypassPolicyLockoutSafetyCheck: flag(),
      },
      input,
    );
    const record = keyById(request.KeyId, state, context);
    assertDefaultPolicy(request.PolicyName);
    assertPolicy(request.Policy);
    record.policy = request.Policy;
    return undefined;
  },

  GetKeyPolicy(input, state, context) {
    const request = read({ KeyId: required(keyIdentifier), ...policyName }, input);
    const record = keyById(request.KeyId, state, context);
    assertDefaultPolicy(request.PolicyName);
    return { Policy: record.policy, PolicyName: 'default' };
  },
} as const satisfies Record<string, Operation<KmsState>>;

/** Key policy document size: 32 KB (KMS quotas). */
const policyBytesMax = 32_768;

/** @throws AwsError LimitExceededException or MalformedPolicyDocumentException */
export function assertPolicy(policy: string): void {
  if (Buffer.byteLength(policy) > policyBytesMax) {
    throw new AwsError('LimitExceededException', `The key policy is larger than ${policyBytesMax} bytes.`);
  }
  if (!/^[\t\n\r\u0020-\u00FF]+$/u.test(policy) || !isPolicyDocument(policy)) {
    throw new AwsError(
      'MalformedPolicyDocumentException',
      'The policy document is not syntactically or semantically correct.',
    );
  }
}

function isPolicyDocument(policy: string): boolean {
  try {
    const document: unknown = JSON.parse(policy);
    return typeof document === 'object' && document !== null && 'Statement' in document;
  } catch {
    return false;
  }
}

/** The policy of a key made without one: the account decides through IAM. */
export function defaultPolicy(context: CallContext): string {
  return JSON.stringify({
    Version: '2012-10-17',
    Id: 'key-default-1',
    Statement: [
      {
        Sid: 'Enable IAM User Permissions',
        Effect: 'Allow',
        Principal: { AWS: `arn:aws:iam::${context.caller.accountId}:root` },
        Action: 'kms:*',
        Resource: '*',
      },
    ],
  });
}

/** "The only valid value is default." */
function assertDefaultPolicy(name: string | undefined): void {
  if (name !== undefined && name !== 'default') {
    throw new AwsError('NotFoundException', 'No such policy exists');
  }
}
