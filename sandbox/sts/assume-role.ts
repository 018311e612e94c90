import type { AccessKey, Role } from '../identities.ts';
import { evaluate, parsePolicy } from '../policy.ts';
import type { QueryOperation } from '../query-protocol.ts';
import { AwsError, type Caller } from '../service.ts';
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
export const assumeRole: QueryOperation = (parameters, { caller }, { identities, accountId }) => {
  refuseUnsupported(parameters, ['RoleArn', 'RoleSessionName', 'ExternalId', 'Policy', 'DurationSeconds']);
  const roleArn = required(parameters, 'RoleArn', 'roleArn');
  const sessionName = sessionNameOf(parameters);
  const externalId = externalIdOf(parameters.get('ExternalId'));
  const sessionPolicy = sessionPolicyOf(parameters.get('Policy'));
  const durationSeconds = durationOf(parameters);

  const key = identities.find(caller.accessKeyId);
  const role = roleOf(roleArn, identities);
  if (role === undefined || !isTrusted(role, principalsOf(caller, key, accountId), externalId)) {
    throw notAuthorized(caller, roleArn);
  }
  if (key?.roleArn !== undefined && durationSeconds > chainedSecondsMax) {
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

function isTrusted(role: Role, principals: readonly string[], externalId: string | undefined): boolean {
  const request = {
    action: 'sts:AssumeRole',
    resource: role.arn,
    principals: { AWS: principals },
    context: { 'sts:externalid': externalId },
  };
  return evaluate(parsePolicy(role.trustPolicy, 'trust'), request) === 'allowed';
}

/** How a trust policy may name the caller: its account, itself, and of a session its role. */
function principalsOf(caller: Caller, key: AccessKey | undefined, accountId: string): readonly string[] {
  const role = key?.roleArn === undefined ? [] : [key.roleArn];
  return [caller.arn, ...role, caller.accountId, `arn:aws:iam::${accountId}:root`];
}

function notAuthorized(caller: Caller, roleArn: string): AwsError {
  const message = `User: ${caller.arn} is not authorized to perform: sts:AssumeRole on resource: ${roleArn}`;
  return new AwsError('AccessDenied', message, 403);
}

function externalIdOf(externalId: string | null): string | undefined {
  if (externalId === null) return undefined;
  if (externalIdPattern.test(externalId)) return externalId;
  throw invalid('externalId', externalId, 'satisfy regular expression pattern: [\\w+=,.@:\\/-]*');
}
