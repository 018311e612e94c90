import { verdictOf } from '../iam/evaluate.ts';
import { parsePolicy } from '../iam/policy-document.ts';
import type { Role } from '../identities.ts';
import type { UnsignedOperation } from '../query-protocol.ts';
import { AwsError } from '../service.ts';
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
import { type WebIdentity, webIdentityOf } from './web-identity-token.ts';

const tokenCharactersMin = 4;
const tokenCharactersMax = 20_000;

/**
 * A session for whoever holds a token of an OpenID Connect provider. Nobody signs: the token is the proof.
 * Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
 */
export const assumeRoleWithWebIdentity: UnsignedOperation = (parameters, { now }, { identities }) => {
  refuseUnsupported(parameters, [
    'RoleArn',
    'RoleSessionName',
    'WebIdentityToken',
    'Policy',
    'DurationSeconds',
  ]);
  const roleArn = required(parameters, 'RoleArn', 'roleArn');
  const sessionName = sessionNameOf(parameters);
  const token = tokenOf(parameters);
  const sessionPolicy = sessionPolicyOf(parameters.get('Policy'));
  const durationSeconds = durationOf(parameters);
  const role = roleOf(roleArn, identities);

  const identity = webIdentityOf(token, identities.openIdProviders, now);
  if (role === undefined || !isTrusted(role, identity)) {
    throw new AwsError('AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity', 403);
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
    SubjectFromWebIdentityToken: identity.subject,
    Provider: identity.provider.arn,
    Audience: identity.audience,
    ...(sessionPolicy === undefined ? {} : { PackedPolicySize: packedSize(sessionPolicy) }),
  };
};

/** Condition keys of a web identity begin with the provider's address: `example.com/id:sub`. */
function isTrusted(role: Role, { provider, subject, audience }: WebIdentity): boolean {
  const prefix = provider.url.slice('https://'.length).toLowerCase();
  const access = {
    action: 'sts:AssumeRoleWithWebIdentity',
    resource: role.arn,
    keys: new Map([
      [`${prefix}:sub`, [subject]],
      [`${prefix}:aud`, [audience]],
    ]),
  };
  const asker = { accountId: '', arns: [], others: { Federated: [provider.arn] } };
  return verdictOf(parsePolicy(role.trustPolicy, 'trust'), access, asker) === 'allowed';
}

function tokenOf(parameters: URLSearchParams): string {
  const token = required(parameters, 'WebIdentityToken', 'webIdentityToken');
  // AWS does not repeat it either.
  if (token.length < tokenCharactersMin) {
    throw invalid('webIdentityToken', '***', `have length greater than or equal to ${tokenCharactersMin}`);
  }
  if (token.length > tokenCharactersMax) {
    throw invalid('webIdentityToken', '***', `have length less than or equal to ${tokenCharactersMax}`);
  }
  return token;
}
