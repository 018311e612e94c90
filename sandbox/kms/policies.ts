import { flag, integer, read, required, text } from '../constraints.ts';
import { resourceStatements } from '../iam/policy-document.ts';
import { AwsError, type CallContext, type Operation } from '../service.ts';
import { authorizeKey, couldPutPolicy } from './access.ts';
import { invalidMarker, keyIdentifier, marker } from './members.ts';
import { type KeyRecord, type KmsState, keyById } from './state.ts';

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
    authorizeKey('PutKeyPolicy', record, state, context, {
      keys: bypassKey(request.BypassPolicyLockoutSafetyCheck),
    });
    assertDefaultPolicy(request.PolicyName);
    assertPolicy(request.Policy, context);
    if (request.BypassPolicyLockoutSafetyCheck !== true) {
      assertNoLockout(request.Policy, record, state, context);
    }
    record.policy = request.Policy;
    return undefined;
  },

  GetKeyPolicy(input, state, context) {
    const request = read({ KeyId: required(keyIdentifier), ...policyName }, input);
    const record = keyById(request.KeyId, state, context);
    authorizeKey('GetKeyPolicy', record, state, context);
    assertDefaultPolicy(request.PolicyName);
    return { Policy: record.policy, PolicyName: 'default' };
  },

  ListKeyPolicies(input, state, context) {
    const shape = { KeyId: required(keyIdentifier), Limit: integer({ min: 1, max: 1000 }), Marker: marker };
    const { KeyId, Marker } = read(shape, input);
    authorizeKey('ListKeyPolicies', keyById(KeyId, state, context), state, context);
    if (Marker !== undefined) throw invalidMarker();
    return { PolicyNames: ['default'], Truncated: false };
  },
} as const satisfies Record<string, Operation<KmsState>>;

/** Key policy document size: 32 KB (KMS quotas). */
const policyBytesMax = 32_768;

export function bypassKey(isBypassed: boolean | undefined): Record<string, string> {
  return { 'kms:BypassPolicyLockoutSafetyCheck': String(isBypassed ?? false) };
}

/** @throws AwsError MalformedPolicyDocumentException where the policy keeps its author from changing it again */
export function assertNoLockout(
  policy: string,
  record: KeyRecord,
  state: KmsState,
  context: CallContext,
): void {
  if (couldPutPolicy(policy, record, state, context)) return;
  throw new AwsError(
    'MalformedPolicyDocumentException',
    'The new key policy will not allow you to update the key policy in the future.',
  );
}

/** @throws AwsError LimitExceededException or MalformedPolicyDocumentException */
export function assertPolicy(policy: string, { isPrincipal = () => true }: CallContext): void {
  if (Buffer.byteLength(policy) > policyBytesMax) {
    throw new AwsError('LimitExceededException', `The key policy is larger than ${policyBytesMax} bytes.`);
  }
  const statements = /^[\t\n\r\u0020-\u00FF]+$/u.test(policy) ? resourceStatements(policy) : undefined;
  if (statements === undefined) {
    throw malformed('The policy document is not syntactically or semantically correct.');
  }
  const isPossible = statements
    .flatMap(({ principals }) => principals?.of ?? [])
    .every(({ type, name }) => type !== 'AWS' || isAccountOrAnybody(name) || isPrincipal(name));
  if (!isPossible) throw malformed('Policy contains a statement with one or more invalid principals.');
}

/** `*`, or an account by its number. */
function isAccountOrAnybody(name: string): boolean {
  return name === '*' || /^\d{12}$/u.test(name);
}

function malformed(message: string): AwsError {
  return new AwsError('MalformedPolicyDocumentException', message);
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
