import type { QueryOperation, QueryResult, QueryService } from './query-protocol.ts';
import { AwsError } from './service.ts';

/** Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html */
const durationSecondsMin = 900;
const durationSecondsMax = 43_200;
const chainedSecondsMax = 3600;
const sessionNamePattern = /^[\w+=,.@-]{2,64}$/u;
const externalIdPattern = /^[\w+=,.@:/-]{2,1224}$/u;
const policyCharactersMax = 2048;

const getCallerIdentity: QueryOperation = (_parameters, { caller }): QueryResult => ({
  Arn: caller.arn,
  UserId: caller.userId,
  Account: caller.accountId,
});

const assumeRole: QueryOperation = (parameters, { caller }, { identities }) => {
  const roleArn = required(parameters, 'RoleArn', 'roleArn');
  const sessionName = required(parameters, 'RoleSessionName', 'roleSessionName');
  if (!sessionNamePattern.test(sessionName)) {
    throw invalid('roleSessionName', sessionName, 'satisfy regular expression pattern: [\\w+=,.@-]*');
  }
  if (roleArn.length < 20) {
    throw invalid('roleArn', roleArn, 'have length greater than or equal to 20');
  }
  if (!/^arn:[\w-]+:iam::\d{12}:role\/.+$/u.test(roleArn)) {
    throw new AwsError('ValidationError', `${roleArn} is invalid`);
  }
  const externalId = parameters.get('ExternalId') ?? undefined;
  if (externalId !== undefined && !externalIdPattern.test(externalId)) {
    throw invalid('externalId', externalId, 'satisfy regular expression pattern: [\\w+=,.@:\\/-]*');
  }
  checkPolicy(parameters.get('Policy'));
  const durationSeconds = durationOf(parameters.get('DurationSeconds'));

  const role = identities.role(roleArn);
  if (role === undefined || (role.externalId !== undefined && role.externalId !== externalId)) {
    throw new AwsError(
      'AccessDenied',
      `User: ${caller.arn} is not authorized to perform: sts:AssumeRole on resource: ${roleArn}`,
      403,
    );
  }
  const chained = identities.find(caller.accessKeyId)?.roleArn !== undefined;
  if (chained && durationSeconds > chainedSecondsMax) {
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

  const session = identities.issueSession({ role: roleArn, sessionName, durationSeconds });
  return {
    AssumedRoleUser: { AssumedRoleId: session.assumedRoleId, Arn: session.assumedRoleArn },
    Credentials: {
      AccessKeyId: session.accessKeyId,
      SecretAccessKey: session.secretAccessKey,
      SessionToken: session.sessionToken,
      Expiration: session.expiration.toISOString().replace('.000Z', 'Z'),
    },
  };
};

export const sts: QueryService = {
  signingName: 'sts',
  version: '2011-06-15',
  xmlNamespace: 'https://sts.amazonaws.com/doc/2011-06-15/',
  operations: { GetCallerIdentity: getCallerIdentity, AssumeRole: assumeRole },
};

function durationOf(text: string | null): number {
  if (text === null) return 3600;
  if (!/^\d{1,9}$/u.test(text)) throw new AwsError('MalformedInput', `${text} is not an integer`);
  const seconds = Number(text);
  if (seconds < durationSecondsMin) {
    throw invalid('durationSeconds', text, `have value greater than or equal to ${durationSecondsMin}`);
  }
  if (seconds > durationSecondsMax) {
    throw invalid('durationSeconds', text, `have value less than or equal to ${durationSecondsMax}`);
  }
  return seconds;
}

function checkPolicy(policy: string | null): void {
  if (policy === null) return;
  if (policy.length > policyCharactersMax) {
    throw invalid('policy', policy, `have length less than or equal to ${policyCharactersMax}`);
  }
  try {
    JSON.parse(policy);
  } catch {
    throw new AwsError('MalformedPolicyDocument', 'This policy contains invalid Json');
  }
}

function required(parameters: URLSearchParams, name: string, member: string): string {
  const value = parameters.get(name);
  if (value === null || value === '') {
    throw new AwsError(
      'ValidationError',
      `1 validation error detected: Value null at '${member}' failed to satisfy constraint: Member must not be null`,
    );
  }
  return value;
}

function invalid(member: string, value: string, constraint: string): AwsError {
  return new AwsError(
    'ValidationError',
    `1 validation error detected: Value '${value}' at '${member}' failed to satisfy constraint: Member must ${constraint}`,
  );
}
