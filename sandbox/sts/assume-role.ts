import { accessOf, askerOf, assertSessionAllows, denied, identityStatements } from '../iam/authorize.ts';
import { verdictOf } from '../iam/evaluate.ts';
import { parsePolicy } from '../iam/policy-document.ts';
import type { Role } from '../identities.ts';
import type { QueryOperation } from '../query-protocol.ts';
import { AwsError, type CallContext } from '../service.ts';
import {
  durationOf,
  invalid,
  packedSize,
  refuseUnsupported,
  required,
  roleOf,
  sessionMembers,
  sessionNameOf,
  sessionPolicyOf,
} from './members.ts';

const chainedSecondsMax = 3600;
const externalIdPattern = /^[\w+=,.@:/-]{2,1224}$/u;

/** Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html */
export const assumeRole: QueryOperation = (parameters, context, { identities }) => {
  refuseUnsupported(parameters, ['RoleArn', 'RoleSessionName', 'ExternalId', 'Policy', 'DurationSeconds']);
  const roleArn = required(parameters, 'RoleArn', 'roleArn');
  const sessionName = sessionNameOf(parameters);
  const externalId = externalIdOf(parameters.get('ExternalId'));
  const sessionPolicy = sessionPolicyOf(parameters.get('Policy'));
  const durationSeconds = durationOf(parameters);

  const role = roleOf(roleArn, identities);
  assertMayAssume(role, roleArn, externalId, context);
  if (context.caller.roleArn !== undefined && durationSeconds > chainedSecondsMax) {
    throw new AwsError(
      'ValidationError',
      'The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining',
    );
  }
  if (durationSeconds > role.maxSessionSeconds) {
    throw new AwsError(
      'ValidationError',
      'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.',
    );
  }

  const session = identities.issueSession({ role: roleArn, sessionName, durationSeconds, sessionPolicy });
  return {
    ...sessionMembers(session),
    ...(sessionPolicy === undefined ? {} : { PackedPolicySize: packedSize(sessionPolicy) }),
  };
};

const refusal = { name: 'AccessDenied', status: 403 };

/**
 * Whom the role's trust policy names may assume it; where that leaves it to the account, whom IAM allows. A role that
 * is not there is refused in the same words.
 */
function assertMayAssume(
  role: Role | undefined,
  roleArn: string,
  externalId: string | undefined,
  context: CallContext,
): asserts role is Role {
  const request = { action: 'sts:AssumeRole', resource: roleArn, keys: { 'sts:ExternalId': externalId } };
  const access = accessOf(context, request);
  assertSessionAllows(context, request, access, refusal);
  const trusted =
    role === undefined
      ? 'silent'
      : verdictOf(parsePolicy(role.trustPolicy, 'trust'), access, askerOf(context));
  const own = verdictOf(identityStatements(context), access);
  if (own !== 'denied' && (trusted === 'allowed' || (trusted === 'delegated' && own === 'allowed'))) return;
  throw denied(context, request, '', refusal);
}

function externalIdOf(externalId: string | null): string | undefined {
  if (externalId === null) return undefined;
  if (externalIdPattern.test(externalId)) return externalId;
  throw invalid('externalId', externalId, 'satisfy regular expression pattern: [\\w+=,.@:\\/-]*');
}
