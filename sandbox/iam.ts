import { parsePolicy } from './iam/policy-document.ts';
import type { QueryOperation, QueryService } from './query-protocol.ts';
import { AwsError } from './service.ts';

/** Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html */
const createRole: QueryOperation = (parameters, { now }, { identities }) => {
  const roleName = required(parameters, 'RoleName');
  const trustPolicy = required(parameters, 'AssumeRolePolicyDocument');
  const seconds = Number(parameters.get('MaxSessionDuration') ?? '3600');
  if (!/^[\w+=,.@-]{1,64}$/u.test(roleName)) throw new AwsError('ValidationError', 'RoleName is not valid');
  if (!(seconds >= 3600 && seconds <= 43_200)) {
    throw new AwsError('ValidationError', 'MaxSessionDuration must be 3600 to 43200');
  }
  if (parameters.has('Path')) throw new AwsError('ValidationError', 'Roles have no path here');
  if (identities.role(roleName) !== undefined) {
    throw new AwsError('EntityAlreadyExists', `Role with name ${roleName} already exists.`, 409);
  }
  parsePolicy(trustPolicy, 'trust');
  const role = identities.createRole(roleName, { trustPolicy, maxSessionSeconds: seconds });
  return {
    Role: {
      Path: '/',
      RoleName: roleName,
      RoleId: role.roleId,
      Arn: role.arn,
      CreateDate: now.toISOString(),
      AssumeRolePolicyDocument: encodeURIComponent(trustPolicy),
      MaxSessionDuration: String(seconds),
    },
  };
};

/**
 * As far as setting a host up needs it. At AWS it is one for a whole partition, and signed for us-east-1; an SDK that is
 * told an endpoint signs for its own region instead, and nobody comes here without one.
 */
export const iam: QueryService = {
  signingName: 'iam',
  version: '2010-05-08',
  xmlNamespace: 'https://iam.amazonaws.com/doc/2010-05-08/',
  operations: { CreateRole: createRole },
  unsigned: {},
};

function required(parameters: URLSearchParams, name: string): string {
  const value = parameters.get(name);
  if (value !== null && value !== '') return value;
  throw new AwsError(
    'ValidationError',
    `Value at '${name}' failed to satisfy constraint: Member must not be null`,
  );
}
