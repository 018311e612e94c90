import { authorize } from './iam/authorize.ts';
import { parsePolicy } from './iam/policy-document.ts';
import type { Identities, Role } from './identities.ts';
import type { QueryOperation, QueryResult, QueryService } from './query-protocol.ts';
import { AwsError, type CallContext } from './service.ts';

const accessDenied = { name: 'AccessDenied', status: 403 };
const roleNamePattern = /^[\w+=,.@-]{1,64}$/u;
const policyNamePattern = /^[\w+=,.@-]{1,128}$/u;

/** Characters of all inline policies of a role, without white space. "IAM and AWS STS quotas" */
const inlineCharactersMax = 10_240;

/** Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html */
const createRole: QueryOperation = (parameters, context, { identities, accountId }) => {
  const roleName = required(parameters, 'RoleName');
  const trustPolicy = required(parameters, 'AssumeRolePolicyDocument');
  const seconds = Number(parameters.get('MaxSessionDuration') ?? '3600');
  assertMay(context, 'CreateRole', `arn:aws:iam::${accountId}:role/${roleName}`);
  if (!roleNamePattern.test(roleName)) throw new AwsError('ValidationError', 'RoleName is not valid');
  if (!(seconds >= 3600 && seconds <= 43_200)) {
    throw new AwsError('ValidationError', 'MaxSessionDuration must be 3600 to 43200');
  }
  if (parameters.has('Path')) throw new AwsError('ValidationError', 'Roles have no path here');
  if (identities.role(roleName) !== undefined) {
    throw new AwsError('EntityAlreadyExists', `Role with name ${roleName} already exists.`, 409);
  }
  parsePolicy(trustPolicy, 'trust');
  // Nothing is attached to it yet, so it may do nothing.
  const role = identities.createRole(roleName, { trustPolicy, maxSessionSeconds: seconds, policies: [] });
  return { Role: { ...described(role), CreateDate: context.now.toISOString() } };
};

/** Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html */
const getRole: QueryOperation = (parameters, context, { identities }) => {
  const role = roleIn(parameters, identities, context, 'GetRole');
  return { Role: described(role) };
};

/** Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html */
const deleteRole: QueryOperation = (parameters, context, { identities }) => {
  const role = roleIn(parameters, identities, context, 'DeleteRole');
  if (role.inlinePolicies.size > 0 || (role.policies ?? []).length > 0) {
    throw new AwsError('DeleteConflict', 'Cannot delete entity, must delete policies first.', 409);
  }
  identities.removeRole(role.roleName);
  return {};
};

/** Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePolicy.html */
const putRolePolicy: QueryOperation = (parameters, context, { identities }) => {
  const role = roleIn(parameters, identities, context, 'PutRolePolicy');
  const name = policyNameIn(parameters);
  const document = required(parameters, 'PolicyDocument');
  parsePolicy(document, 'identity');
  const after = new Map([...role.inlinePolicies, [name, document]]);
  const characters = [...after.values()].join('').replaceAll(/\s/gu, '').length;
  if (characters > inlineCharactersMax) {
    throw new AwsError(
      'LimitExceeded',
      `Maximum policy size of ${inlineCharactersMax} bytes exceeded for role ${role.roleName}`,
      409,
    );
  }
  identities.setInlinePolicies(role.roleName, after);
  return {};
};

/** Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRolePolicy.html */
const getRolePolicy: QueryOperation = (parameters, context, { identities }) => {
  const role = roleIn(parameters, identities, context, 'GetRolePolicy');
  const [name, document] = inlineIn(parameters, role);
  return { RoleName: role.roleName, PolicyName: name, PolicyDocument: encodeURIComponent(document) };
};

/** Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRolePolicy.html */
const deleteRolePolicy: QueryOperation = (parameters, context, { identities }) => {
  const role = roleIn(parameters, identities, context, 'DeleteRolePolicy');
  const [removed] = inlineIn(parameters, role);
  const rest = [...role.inlinePolicies].filter(([name]) => name !== removed);
  identities.setInlinePolicies(role.roleName, new Map(rest));
  return {};
};

/** Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListRolePolicies.html */
const listRolePolicies: QueryOperation = (parameters, context, { identities }) => {
  const role = roleIn(parameters, identities, context, 'ListRolePolicies');
  return { PolicyNames: [...role.inlinePolicies.keys()], IsTruncated: 'false' };
};

/** Empty: managed policies, and what attaches them, are not here. What a role was made with has no name. */
const listAttachedRolePolicies: QueryOperation = (parameters, context, { identities }) => {
  roleIn(parameters, identities, context, 'ListAttachedRolePolicies');
  return { AttachedPolicies: [], IsTruncated: 'false' };
};

/**
 * As far as setting a host up and taking it away needs it. At AWS it is one for a whole partition, and signed for
 * us-east-1; an SDK that is told an endpoint signs for its own region instead, and nobody comes here without one.
 */
export const iam: QueryService = {
  signingName: 'iam',
  version: '2010-05-08',
  xmlNamespace: 'https://iam.amazonaws.com/doc/2010-05-08/',
  operations: {
    CreateRole: createRole,
    GetRole: getRole,
    DeleteRole: deleteRole,
    PutRolePolicy: putRolePolicy,
    GetRolePolicy: getRolePolicy,
    DeleteRolePolicy: deleteRolePolicy,
    ListRolePolicies: listRolePolicies,
    ListAttachedRolePolicies: listAttachedRolePolicies,
  },
  unsigned: {},
};

function described({ roleName, roleId, arn, trustPolicy, maxSessionSeconds }: Role): QueryResult {
  return {
    Path: '/',
    RoleName: roleName,
    RoleId: roleId,
    Arn: arn,
    AssumeRolePolicyDocument: encodeURIComponent(trustPolicy),
    MaxSessionDuration: String(maxSessionSeconds),
  };
}

/** The role that a call is about, if the caller may make that call. */
function roleIn(
  parameters: URLSearchParams,
  identities: Identities,
  context: CallContext,
  operation: string,
): Role {
  const roleName = required(parameters, 'RoleName');
  assertMay(context, operation, `arn:aws:iam::${context.caller.accountId}:role/${roleName}`);
  const role = identities.role(roleName);
  if (role?.roleName === roleName) return role;
  throw new AwsError('NoSuchEntity', `The role with name ${roleName} cannot be found.`, 404);
}

function inlineIn(parameters: URLSearchParams, { inlinePolicies }: Role): [name: string, document: string] {
  const name = policyNameIn(parameters);
  const document = inlinePolicies.get(name);
  if (document !== undefined) return [name, document];
  throw new AwsError('NoSuchEntity', `The role policy with name ${name} cannot be found.`, 404);
}

function policyNameIn(parameters: URLSearchParams): string {
  const name = required(parameters, 'PolicyName');
  if (policyNamePattern.test(name)) return name;
  throw new AwsError(
    'ValidationError',
    'The specified value for policyName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-',
  );
}

function assertMay(context: CallContext, operation: string, resource: string): void {
  authorize(context, { action: `iam:${operation}`, resource }, undefined, accessDenied);
}

function required(parameters: URLSearchParams, name: string): string {
  const value = parameters.get(name);
  if (value !== null && value !== '') return value;
  throw new AwsError(
    'ValidationError',
    `Value at '${name}' failed to satisfy constraint: Member must not be null`,
  );
}
