import { parsePolicy } from '../iam/policy-document.ts';
import type { Identities, Role, SessionCredentials } from '../identities.ts';
import type { QueryResult } from '../query-protocol.ts';
import { AwsError } from '../service.ts';

/** Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html */
const durationSecondsMin = 900;
const durationSecondsMax = 43_200;
const policyCharactersMax = 2048;
const sessionNamePattern = /^[\w+=,.@-]{2,64}$/u;

export function required(parameters: URLSearchParams, name: string, member: string): string {
  const value = parameters.get(name);
  if (value === null || value === '') {
    throw new AwsError(
      'ValidationError',
      `1 validation error detected: Value null at '${member}' failed to satisfy constraint: Member must not be null`,
    );
  }
  return value;
}

export function invalid(member: string, value: string, constraint: string): AwsError {
  return new AwsError(
    'ValidationError',
    `1 validation error detected: Value '${value}' at '${member}' failed to satisfy constraint: Member must ${constraint}`,
  );
}

export function sessionNameOf(parameters: URLSearchParams): string {
  const name = required(parameters, 'RoleSessionName', 'roleSessionName');
  if (sessionNamePattern.test(name)) return name;
  throw invalid('roleSessionName', name, 'satisfy regular expression pattern: [\\w+=,.@-]*');
}

/** The role that `arn` names, if there is one. @throws AwsError ValidationError where it names none at all */
export function roleOf(arn: string, identities: Identities): Role | undefined {
  if (arn.length < 20) throw invalid('roleArn', arn, 'have length greater than or equal to 20');
  if (!/^arn:[\w-]+:iam::\d{12}:role\/.+$/u.test(arn)) {
    throw new AwsError('ValidationError', `${arn} is invalid`);
  }
  return identities.role(arn);
}

export function durationOf(parameters: URLSearchParams): number {
  const text = parameters.get('DurationSeconds');
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

/** What this cloud does not do, such as managed policies, would else be taken and have no effect. */
export function refuseUnsupported(parameters: URLSearchParams, supported: readonly string[]): void {
  for (const name of parameters.keys()) {
    if (name === 'Action' || name === 'Version' || supported.includes(name)) continue;
    throw new AwsError('NotImplemented', `the sandbox does not support ${name}`, 501);
  }
}

export function sessionPolicyOf(policy: string | null): string | undefined {
  if (policy === null) return undefined;
  if (policy.length > policyCharactersMax) {
    throw invalid('policy', policy, `have length less than or equal to ${policyCharactersMax}`);
  }
  if (!/^[\t\n\r\u0020-\u00FF]+$/u.test(policy)) {
    throw invalid(
      'policy',
      policy,
      'satisfy regular expression pattern: [\\u0009\\u000A\\u000D\\u0020-\\u00FF]+',
    );
  }
  parsePolicy(policy, 'session');
  return policy;
}

/** How much of the space for packed policies is used, in percent. How AWS packs it is not documented. */
export function packedSize(policy: string): string {
  return String(Math.max(1, Math.ceil((policy.length / policyCharactersMax) * 100)));
}

/** A session as every operation that gives one answers it. */
export function sessionMembers(session: SessionCredentials): QueryResult {
  return {
    AssumedRoleUser: { AssumedRoleId: session.assumedRoleId, Arn: session.assumedRoleArn },
    Credentials: {
      AccessKeyId: session.accessKeyId,
      SecretAccessKey: session.secretAccessKey,
      SessionToken: session.sessionToken,
      Expiration: session.expiration.toISOString().replace('.000Z', 'Z'),
    },
  };
}
