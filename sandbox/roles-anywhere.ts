import type { Cloud, Endpoint } from './endpoint.ts';
import { verdictOf } from './iam/evaluate.ts';
import { parsePolicy } from './iam/policy-document.ts';
import type { Identities, Role } from './identities.ts';
import { jsonRefusals } from './json-protocol.ts';
import { checkPath } from './roles-anywhere/certificate-path.ts';
import { controlAnswer, controlOperationOf, isControlPath } from './roles-anywhere/control.ts';
import type { Profile, RolesAnywhere, TrustAnchor } from './roles-anywhere/state.ts';
import { verifyX509Signature } from './roles-anywhere/x509-signature.ts';
import { AwsError, type RawRequest, type RawResponse } from './service.ts';
import { splitTarget } from './signature.ts';
import { isoSeconds } from './temporary-credentials.ts';

/**
 * IAM Roles Anywhere's CreateSession, in the query form and the JSON-body form; see control.ts for the rest.
 * Source: https://docs.aws.amazon.com/rolesanywhere/latest/userguide/authentication-create-session.html
 */
const path = '/sessions';
const service = 'rolesanywhere';
const durationSecondsMin = 900;
const durationSecondsMax = 43_200;
const sessionNamePattern = /^[\w+=,.@-]{2,64}$/u;
const arnNames = ['profileArn', 'roleArn', 'trustAnchorArn'] as const;

/** Coral appends where the error's shape is defined; clients cut it at the colon. */
const errorTypeSuffix = ':http://internal.amazon.com/coral/com.amazonaws.rolesanywhere/';

export function isRolesAnywherePath(target: string): boolean {
  return splitTarget(target).path === path || isControlPath(target);
}

export function rolesAnywhereEndpoint(rolesAnywhere: RolesAnywhere, cloud: Cloud): Endpoint {
  return {
    service,
    operationOf(request) {
      if (isControlPath(request.target)) return controlOperationOf(request);
      return request.method === 'POST' ? 'CreateSession' : 'unknown';
    },
    throttled: new AwsError('ThrottlingException', 'Rate exceeded', 429),

    refusal(reason, message) {
      const name = reason === 'signature-mismatch' ? 'AccessDeniedException' : jsonRefusals[reason];
      return new AwsError(name, message, 403);
    },

    answer(request, visit) {
      const { now, requestId } = visit;
      if (isControlPath(request.target)) {
        const { status, body } = controlAnswer(request, rolesAnywhere, cloud, visit);
        return answered(status, body, requestId);
      }
      if (request.method !== 'POST') throw new AwsError('UnknownOperationException', '', 404);
      const { leaf, chain } = verifyX509Signature(request, { service, region: cloud.region, now });
      const wanted = sessionRequestOf(request);
      const anchor = rolesAnywhere.trustAnchor(wanted.trustAnchorArn);
      const profile = rolesAnywhere.profile(wanted.profileArn);
      if (anchor?.arn !== wanted.trustAnchorArn) throw notFound('Trust anchor');
      if (profile?.arn !== wanted.profileArn) throw notFound('Profile');
      if (!anchor.enabled) throw denied('Trust anchor is disabled');
      if (!profile.enabled) throw denied('Profile is disabled');
      const authorities = rolesAnywhere.authoritiesOf(anchor);
      checkPath(leaf, chain, { authorities, revocations: rolesAnywhere.revocationsOf(anchor), now });

      const hexSerial = leaf.x509.serialNumber.toLowerCase();
      const { subject } = leaf.x509;
      const session = assumed(wanted, { anchor, profile, hexSerial, subject }, cloud.identities);
      const body = {
        credentialSet: [
          {
            assumedRoleUser: { arn: session.assumedRoleArn, assumedRoleId: session.assumedRoleId },
            credentials: {
              accessKeyId: session.accessKeyId,
              secretAccessKey: session.secretAccessKey,
              sessionToken: session.sessionToken,
              expiration: isoSeconds(session.expiration),
            },
            packedPolicySize: 0,
            roleArn: wanted.roleArn,
            sourceIdentity: attributeOf(subject, 'CN'),
          },
        ],
        subjectArn: `arn:aws:rolesanywhere:${cloud.region}:${cloud.accountId}:subject/${hexSerial}`,
      };
      return answered(201, body, requestId);
    },

    failure: (error, { requestId }) => ({
      status: error.status,
      headers: {
        'content-type': 'application/json',
        'x-amzn-requestid': requestId,
        'x-amzn-errortype': `${error.name}${errorTypeSuffix}`,
      },
      body: Buffer.from(JSON.stringify({ message: error.message, ...error.extra })),
    }),
  };
}

function answered(status: number, body: object, requestId: string): RawResponse {
  return {
    status,
    headers: { 'content-type': 'application/json', 'x-amzn-requestid': requestId },
    body: Buffer.from(JSON.stringify(body)),
  };
}

interface SessionRequest {
  readonly profileArn: string;
  readonly roleArn: string;
  readonly trustAnchorArn: string;
  readonly durationSeconds: number | undefined;
  readonly roleSessionName: string | undefined;
}

interface SessionGrounds {
  readonly anchor: TrustAnchor;
  readonly profile: Profile;
  readonly hexSerial: string;
  readonly subject: string;
}

function assumed(
  { roleArn, durationSeconds, roleSessionName }: SessionRequest,
  by: SessionGrounds,
  identities: Identities,
) {
  const { profile, hexSerial } = by;
  if (roleSessionName !== undefined && !profile.acceptRoleSessionName) {
    throw denied('Not authorized to set roleSessionName.');
  }
  const role = identities.role(roleArn);
  if (role?.arn !== roleArn || !profile.roleArns.includes(roleArn) || !isTrusted(role, by)) {
    throw denied(`Unable to assume role for ${roleArn}`);
  }
  const seconds = Math.min(durationSeconds ?? profile.durationSeconds, profile.durationSeconds);
  if (seconds > role.maxSessionSeconds) {
    throw invalid('The requested DurationSeconds exceeds the MaxSessionDuration set for this role.');
  }
  return identities.issueSession({
    role: roleArn,
    sessionName: roleSessionName ?? hexSerial,
    durationSeconds: seconds,
  });
}

/** The ARNs come in the query or in the body, all in one place. */
function sessionRequestOf(request: RawRequest): SessionRequest {
  const body = bodyOf(request.body);
  const { query } = splitTarget(request.target);
  const parameters = new URLSearchParams(query.replaceAll('+', '%2B'));
  const [profileArn, roleArn, trustAnchorArn] = arnNames.map((name) =>
    required(name, query === '' ? body[name] : parameters.get(name)),
  );
  return {
    profileArn: arn(profileArn, 'profileArn', /^arn:aws[\w-]*:rolesanywhere:[\w-]+:\d{12}:profile\/.+$/u),
    roleArn: arn(roleArn, 'roleArn', /^arn:aws[\w-]*:iam::\d{12}:role\/.+$/u),
    trustAnchorArn: arn(
      trustAnchorArn,
      'trustAnchorArn',
      /^arn:aws[\w-]*:rolesanywhere:[\w-]+:\d{12}:trust-anchor\/.+$/u,
    ),
    durationSeconds: durationOf(body['durationSeconds']),
    roleSessionName: sessionNameOf(body['roleSessionName']),
  };
}

function bodyOf(bytes: Buffer): Readonly<Record<string, unknown>> {
  if (bytes.length === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw invalid('The request body is not valid JSON');
  }
  if (!isStructure(value)) throw invalid('The request body is not a JSON object');
  return value;
}

function isStructure(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function required(name: string, value: unknown): string {
  if (typeof value === 'string' && value !== '') return value;
  throw invalid(
    `1 validation error detected: Value at '${name}' failed to satisfy constraint: Member must not be null`,
  );
}

function arn(value: string | undefined, name: string, shape: RegExp): string {
  if (value !== undefined && shape.test(value)) return value;
  throw invalid(
    `1 validation error detected: Value '${value}' at '${name}' failed to satisfy constraint: Member must satisfy regular expression pattern: ${shape.source}`,
  );
}

function durationOf(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  const isWhole = typeof value === 'number' && Number.isInteger(value);
  if (isWhole && value >= durationSecondsMin && value <= durationSecondsMax) return value;
  throw invalid(
    `1 validation error detected: Value '${JSON.stringify(value)}' at 'durationSeconds' failed to satisfy constraint: Member must have value between ${durationSecondsMin} and ${durationSecondsMax}`,
  );
}

function sessionNameOf(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string' && sessionNamePattern.test(value)) return value;
  throw invalid(
    "1 validation error detected: Value at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*",
  );
}

/** The service assumes the role, tags the session with what the certificate says, and sets its source identity. */
const sessionActions = ['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity'] as const;

function isTrusted(role: Role, { anchor, subject }: SessionGrounds): boolean {
  const statements = parsePolicy(role.trustPolicy, 'trust');
  const asker = { accountId: '', arns: [], others: { Service: ['rolesanywhere.amazonaws.com'] } };
  const attributes = ['CN', 'OU', 'O', 'C', 'ST', 'L'].flatMap((name): [string, readonly string[]][] => {
    const value = attributeOf(subject, name);
    return value === '' ? [] : [[`aws:principaltag/x509subject/${name.toLowerCase()}`, [value]]];
  });
  const keys = new Map([...attributes, ['aws:sourcearn', [anchor.arn]]]);
  return sessionActions.every(
    (action) => verdictOf(statements, { action, resource: role.arn, keys }, asker) === 'allowed',
  );
}

function attributeOf(subject: string, name: string): string {
  const line = subject.split('\n').find((each) => each.startsWith(`${name}=`));
  return line?.slice(name.length + 1) ?? '';
}

function notFound(what: string): AwsError {
  return new AwsError('ResourceNotFoundException', `${what} not found`, 404);
}

function denied(message: string): AwsError {
  return new AwsError('AccessDeniedException', message, 403);
}

function invalid(message: string): AwsError {
  return new AwsError('ValidationException', message);
}
