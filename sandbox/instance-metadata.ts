import { randomBytes } from 'node:crypto';
import { type Endpoint, header, type Visit } from './endpoint.ts';
import type { Identities } from './identities.ts';
import { AwsError, type RawRequest, type RawResponse } from './service.ts';
import { splitTarget } from './signature.ts';
import { isoSeconds, type RoleCredentials, renewedEarly } from './temporary-credentials.ts';

/** The EC2 instance this cloud pretends to be. `role` undefined: an instance without a role. */
export interface Instance extends RoleCredentials {
  readonly instanceId: string;
  readonly availabilityZone: string;
}

/** Session tokens of IMDSv2 that are remembered; beyond it the oldest is forgotten. */
export const metadataTokensMax = 10_000;

const tokenSecondsMax = 21_600;
const tokenPath = '/latest/api/token';
const rolesPath = '/latest/meta-data/iam/security-credentials';

export function newInstance(region: string, role: string): Instance {
  return {
    instanceId: `i-${randomBytes(9).toString('hex').slice(1)}`,
    availabilityZone: `${region}a`,
    role,
    credentialSeconds: 21_600,
    frozen: false,
  };
}

/**
 * EC2's instance metadata, version 2 only.
 * Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
 */
export function instanceMetadata(
  instance: Instance,
  accountId: string,
  region: string,
  identities: Identities,
): Endpoint {
  const tokens = new Map<string, number>();
  const credentialsOf = renewedEarly(identities, instance, instance.instanceId);

  const issueToken = (request: RawRequest, now: Date): RawResponse => {
    if (header(request, 'x-forwarded-for') !== undefined) throw refused(403, 'Forbidden');
    const ttl = header(request, 'x-aws-ec2-metadata-token-ttl-seconds') ?? '';
    const seconds = Number(ttl);
    if (!/^\d{1,5}$/u.test(ttl) || seconds < 1 || seconds > tokenSecondsMax) {
      throw refused(400, 'Bad Request');
    }
    const oldest = tokens.keys().next();
    if (tokens.size >= metadataTokensMax && oldest.done !== true) tokens.delete(oldest.value);
    const token = randomBytes(40).toString('base64');
    tokens.set(token, now.getTime() + seconds * 1000);
    return text(token, { 'x-aws-ec2-metadata-token-ttl-seconds': ttl });
  };

  const checkToken = (request: RawRequest, now: Date): void => {
    const expiresAt = tokens.get(header(request, 'x-aws-ec2-metadata-token') ?? '');
    if (expiresAt === undefined || expiresAt <= now.getTime()) throw refused(401, 'Unauthorized');
  };

  const roleDocument = (role: string, now: Date): string => {
    const { issued, credentials } = credentialsOf(role, now);
    return JSON.stringify(
      {
        Code: 'Success',
        LastUpdated: isoSeconds(issued),
        Type: 'AWS-HMAC',
        AccessKeyId: credentials.accessKeyId,
        SecretAccessKey: credentials.secretAccessKey,
        Token: credentials.sessionToken,
        Expiration: isoSeconds(credentials.expiration),
      },
      undefined,
      2,
    );
  };

  /** The documents by path; a path that is only a prefix of others is a listing. */
  const documents = (now: Date): ReadonlyMap<string, () => string> => {
    const { instanceId, availabilityZone, role } = instance;
    const constant: Readonly<Record<string, string>> = {
      'meta-data/ami-id': 'ami-0123456789abcdef0',
      'meta-data/hostname': 'ip-10-0-0-10.ec2.internal',
      'meta-data/instance-id': instanceId,
      'meta-data/instance-type': 't3.small',
      'meta-data/local-hostname': 'ip-10-0-0-10.ec2.internal',
      'meta-data/local-ipv4': '10.0.0.10',
      'meta-data/placement/availability-zone': availabilityZone,
      'meta-data/placement/region': region,
      'meta-data/services/domain': 'amazonaws.com',
      'meta-data/services/partition': 'aws',
      'dynamic/instance-identity/document': identityDocument(instance, accountId, region),
    };
    const all = new Map(Object.entries(constant).map(([path, value]) => [`/latest/${path}`, () => value]));
    if (role !== undefined) all.set(`${rolesPath}/${role}`, () => roleDocument(role, now));
    return all;
  };

  const answerMetadata = (request: RawRequest, now: Date): RawResponse => {
    if (request.method !== 'GET' && request.method !== 'HEAD') throw refused(405, 'Method Not Allowed');
    checkToken(request, now);
    const path = pathOf(request);
    const all = documents(now);
    const document = all.get(path);
    if (document !== undefined) {
      const type = path.startsWith('/latest/dynamic/') ? 'application/json' : 'text/plain';
      return text(document(), { 'content-type': type });
    }
    const listed = listing(path, [...all.keys()]);
    if (listed.length === 0) throw refused(404, 'Not Found');
    return text(listed.join('\n'));
  };

  return {
    service: 'ec2-metadata',
    throttled: refused(503, 'Service Unavailable'),
    refusal: (_reason, message) => refused(401, message),

    operationOf(request) {
      const path = pathOf(request);
      if (path === tokenPath) return 'GetToken';
      if (path === rolesPath) return 'ListRoles';
      if (path.startsWith(`${rolesPath}/`)) return 'GetRoleCredentials';
      if (path === '/latest/dynamic/instance-identity/document') return 'GetIdentityDocument';
      return 'GetMetadata';
    },

    answer(request, { now }) {
      if (pathOf(request) !== tokenPath) return answerMetadata(request, now);
      if (request.method === 'PUT') return issueToken(request, now);
      throw refused(405, 'Method Not Allowed');
    },

    failure: metadataFailure,
  };
}

/** Whether a request is one for instance metadata. */
export function isMetadataPath(target: string): boolean {
  return /^\/(?:latest|\d{4}-\d{2}-\d{2})\//u.test(target);
}

/** The path without its last slash: clients ask for both forms. Every dated version is answered as the latest. */
function pathOf(request: RawRequest): string {
  const { path } = splitTarget(request.target);
  return path.replace(/^\/\d{4}-\d{2}-\d{2}\//u, '/latest/').replace(/\/$/u, '');
}

function listing(path: string, paths: readonly string[]): string[] {
  const prefix = `${path}/`;
  const children = paths
    .filter((other) => other.startsWith(prefix))
    .map((other) => {
      const rest = other.slice(prefix.length);
      const slash = rest.indexOf('/');
      return slash === -1 ? rest : rest.slice(0, slash + 1);
    });
  return [...new Set(children)].toSorted();
}

function identityDocument(instance: Instance, accountId: string, region: string): string {
  const document = {
    accountId,
    architecture: 'x86_64',
    availabilityZone: instance.availabilityZone,
    billingProducts: null,
    devpayProductCodes: null,
    marketplaceProductCodes: null,
    imageId: 'ami-0123456789abcdef0',
    instanceId: instance.instanceId,
    instanceType: 't3.small',
    kernelId: null,
    pendingTime: '2026-01-01T00:00:00Z',
    privateIp: '10.0.0.10',
    ramdiskId: null,
    region,
    version: '2017-09-30',
  };
  return JSON.stringify(document, undefined, 2);
}

function text(body: string, headers: Readonly<Record<string, string>> = {}): RawResponse {
  return {
    status: 200,
    headers: { 'content-type': 'text/plain', server: 'EC2ws', ...headers },
    body: Buffer.from(body),
  };
}

function refused(status: number, title: string): AwsError {
  return new AwsError(title, title, status);
}

function metadataFailure(error: AwsError, _visit: Visit): RawResponse {
  const title = `${error.status} - ${error.name}`;
  const body = `<html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>\n`;
  const allow = error.status === 405 ? { allow: 'OPTIONS, GET, HEAD, PUT' } : {};
  return {
    status: error.status,
    headers: { 'content-type': 'text/html', server: 'EC2ws', ...allow },
    body: Buffer.from(body),
  };
}
