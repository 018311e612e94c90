import { hash } from 'node:crypto';
import type { GatehouseError } from '../../base/errors.ts';
import { identityError } from '../errors.ts';
import type { CertifiedKey } from './certified-key.ts';

/** What a session is asked for with. */
export interface SessionRequest {
  readonly trustAnchorArn: string;
  readonly profileArn: string;
  readonly roleArn: string;
  readonly sessionDurationSeconds: number;
  /** AWS takes the certificate's serial number in hex where none is given. */
  readonly roleSessionName?: string | undefined;
}

export interface SignedRequest {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const service = 'rolesanywhere';

/**
 * CreateSession, signed with the certificate's key (SigV4-X509), as of `date`.
 * The ARNs go into the body: about the escaping of a `=` in the query AWS's text and AWS's own helper disagree.
 * https://docs.aws.amazon.com/rolesanywhere/latest/userguide/authentication-sign-process.html
 */
export async function signedSessionRequest(
  request: SessionRequest,
  { certificate, chain, key }: CertifiedKey,
  { endpoint, region, date }: { endpoint: URL; region: string; date: Date },
): Promise<SignedRequest> {
  const {
    profileArn,
    roleArn,
    trustAnchorArn,
    sessionDurationSeconds: durationSeconds,
    roleSessionName,
  } = request;
  const body = JSON.stringify({ durationSeconds, profileArn, roleArn, roleSessionName, trustAnchorArn });
  const amzDate = date.toISOString().replaceAll(/[-:]|\.\d{3}/gu, '');
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    host: endpoint.host,
    'x-amz-date': amzDate,
    'x-amz-x509': certificate.x509.raw.toString('base64'),
  };
  if (chain.length > 0) {
    headers['x-amz-x509-chain'] = chain.map(({ x509 }) => x509.raw.toString('base64')).join(',');
  }
  const names = Object.keys(headers);
  const signedNames = names.join(';');
  const path = `${endpoint.pathname.replace(/\/$/u, '')}/sessions`;
  const canonical = [
    'POST',
    path,
    '',
    ...names.map((name) => `${name}:${headers[name]}`),
    '',
    signedNames,
    hash('sha256', body, 'hex'),
  ].join('\n');
  const algorithm = algorithmOf(certificate.x509.publicKey.asymmetricKeyType);
  const scope = `${amzDate.slice(0, 8)}/${region}/${service}/aws4_request`;
  const toSign = [algorithm, amzDate, scope, hash('sha256', canonical, 'hex')].join('\n');
  const signature = await key.sign(Buffer.from(toSign));
  headers['authorization'] =
    `${algorithm} Credential=${certificate.serialNumber}/${scope}, SignedHeaders=${signedNames}, ` +
    `Signature=${signature.toString('hex')}`;
  return { url: new URL(path, endpoint), headers, body };
}

function algorithmOf(keyType: string | undefined): string {
  if (keyType === 'rsa') return 'AWS4-X509-RSA-SHA256';
  return keyType === 'ec' ? 'AWS4-X509-ECDSA-SHA256' : 'AWS4-X509-MLDSA';
}

export interface RolesAnywhereArn {
  readonly partition: string;
  readonly region: string;
}

const arnShape =
  /^arn:(?<partition>aws[a-z-]*):rolesanywhere:(?<region>[a-z0-9-]+):\d{12}:(?<kind>trust-anchor|profile)\/[\w-]+$/u;

/** IAM: a path of printable characters between slashes, then the name. */
const roleShape = /^arn:aws[a-z-]*:iam::\d{12}:role\/(?:[\x21-\x7e]{1,510}\/)?[\w+=,.@-]{1,64}$/u;
const sessionNameShape = /^[\w+=,.@-]{2,64}$/u;
const durationSecondsMin = 900;
const durationSecondsMax = 43_200;

/** Where a trust anchor or profile is; undefined for any other ARN. */
export function placeOf(arn: string, kind: 'trust-anchor' | 'profile'): RolesAnywhereArn | undefined {
  const { groups } = arnShape.exec(arn) ?? {};
  if (groups?.['kind'] !== kind) return undefined;
  return { partition: groups['partition'] ?? '', region: groups['region'] ?? '' };
}

/** Everything in a request that AWS would refuse, whatever certificate signs it. */
export function requestProblems(request: SessionRequest): GatehouseError[] {
  const { trustAnchorArn, profileArn, roleArn, sessionDurationSeconds, roleSessionName } = request;
  const anchor = placeOf(trustAnchorArn, 'trust-anchor');
  const profile = placeOf(profileArn, 'profile');
  const problems: GatehouseError[] = [];
  const invalidArn = (name: string, arn: string): void => {
    problems.push(identityError('ROLES_ANYWHERE_ARN_INVALID', { name, arn }));
  };
  if (anchor === undefined) invalidArn('trustAnchorArn', trustAnchorArn);
  if (profile === undefined) invalidArn('profileArn', profileArn);
  if (!roleShape.test(roleArn)) invalidArn('roleArn', roleArn);
  if (anchor !== undefined && profile !== undefined && anchor.region !== profile.region) {
    problems.push(
      identityError('ROLES_ANYWHERE_REGIONS_DIFFER', { trustAnchor: anchor.region, profile: profile.region }),
    );
  }
  const seconds = sessionDurationSeconds;
  if (!Number.isInteger(seconds) || seconds < durationSecondsMin || seconds > durationSecondsMax) {
    problems.push(identityError('ROLES_ANYWHERE_DURATION_INVALID', { seconds }));
  }
  if (roleSessionName !== undefined && !sessionNameShape.test(roleSessionName)) {
    problems.push(identityError('ROLES_ANYWHERE_SESSION_NAME_INVALID', { roleSessionName }));
  }
  return problems;
}
