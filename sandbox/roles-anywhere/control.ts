import type { Cloud } from '../endpoint.ts';
import { AwsError, type JsonObject, type RawRequest } from '../service.ts';
import { splitTarget, verifySignature } from '../signature.ts';
import type { Profile, RolesAnywhere, TrustAnchor } from './state.ts';

/**
 * What an administrator does to Roles Anywhere, as far as setting a host up needs it: trust anchors, profiles,
 * revocation lists. Source: https://docs.aws.amazon.com/rolesanywhere/latest/APIReference/API_Operations.html
 */

type Members = Readonly<Record<string, unknown>>;
interface Answer {
  readonly status: 200 | 201;
  readonly body: JsonObject;
}
type Operation = (rolesAnywhere: RolesAnywhere, body: Members, id: string) => Answer;

/** `METHOD /path/{id}/verb` → name and work. */
const operations: Readonly<Record<string, readonly [name: string, work: Operation]>> = {
  'POST /trustanchors': ['CreateTrustAnchor', createTrustAnchor],
  'GET /trustanchor/{id}': ['GetTrustAnchor', (all, _body, id) => anchorOf(all, id)],
  'POST /trustanchor/{id}/enable': ['EnableTrustAnchor', (all, _body, id) => anchorOf(all, id, true)],
  'POST /trustanchor/{id}/disable': ['DisableTrustAnchor', (all, _body, id) => anchorOf(all, id, false)],
  'POST /profiles': ['CreateProfile', createProfile],
  'GET /profile/{id}': ['GetProfile', (all, _body, id) => profileOf(all, id)],
  'POST /profile/{id}/enable': ['EnableProfile', (all, _body, id) => profileOf(all, id, true)],
  'POST /profile/{id}/disable': ['DisableProfile', (all, _body, id) => profileOf(all, id, false)],
  'POST /crls': ['ImportCrl', importCrl],
};

const paths =
  /^\/(?:trustanchors|profiles|crls)$|^\/(?:trustanchor|profile)\/[^/]+(?:\/(?:enable|disable))?$/u;

export function isControlPath(target: string): boolean {
  return paths.test(splitTarget(target).path);
}

export function controlOperationOf(request: RawRequest): string {
  return operations[routeOf(request).key]?.[0] ?? 'unknown';
}

/** @throws AwsError, SignatureRefusal */
export function controlAnswer(
  request: RawRequest,
  rolesAnywhere: RolesAnywhere,
  cloud: Cloud,
  now: Date,
): Answer {
  const { region, identities } = cloud;
  verifySignature(request, { service: 'rolesanywhere', region, now, findKey: identities.find });
  const { key, id } = routeOf(request);
  const [, work] = operations[key] ?? [];
  if (work === undefined) throw new AwsError('UnknownOperationException', '', 404);
  return work(rolesAnywhere, membersOf(request.body), id);
}

function routeOf({ method, target }: RawRequest): { key: string; id: string } {
  const [, kind = '', id, verb] = splitTarget(target).path.split('/');
  const path = [kind, ...(id === undefined ? [] : ['{id}']), ...(verb === undefined ? [] : [verb])];
  return { key: `${method} /${path.join('/')}`, id: decodeURIComponent(id ?? '') };
}

function createTrustAnchor(rolesAnywhere: RolesAnywhere, body: Members): Answer {
  const source = structure(body['source'], 'source');
  if (source['sourceType'] !== 'CERTIFICATE_BUNDLE')
    throw invalid('Only CERTIFICATE_BUNDLE is a source here');
  const data = structure(source['sourceData'], 'source.sourceData');
  const certificates = text(data['x509CertificateData'], 'source.sourceData.x509CertificateData');
  const anchor = rolesAnywhere.createTrustAnchor({ name: text(body['name'], 'name'), certificates });
  anchor.enabled = body['enabled'] === true;
  return { status: 201, body: { trustAnchor: described(anchor) } };
}

function anchorOf(rolesAnywhere: RolesAnywhere, id: string, enabled?: boolean): Answer {
  const anchor = rolesAnywhere.trustAnchor(id);
  if (anchor === undefined) throw new AwsError('ResourceNotFoundException', 'No such trust anchor', 404);
  if (enabled !== undefined) anchor.enabled = enabled;
  return { status: 200, body: { trustAnchor: described(anchor) } };
}

function described({ id, arn, name, enabled, certificates }: TrustAnchor): JsonObject {
  return {
    trustAnchorId: id,
    trustAnchorArn: arn,
    name,
    enabled,
    source: { sourceType: 'CERTIFICATE_BUNDLE', sourceData: { x509CertificateData: certificates } },
  };
}

function createProfile(rolesAnywhere: RolesAnywhere, body: Members): Answer {
  const { roleArns, durationSeconds, acceptRoleSessionName, enabled } = body;
  if (!Array.isArray(roleArns)) throw invalid('roleArns must not be null');
  const profile = rolesAnywhere.createProfile({
    name: text(body['name'], 'name'),
    roleArns: roleArns.map((arn) => text(arn, 'roleArns')),
    ...(typeof durationSeconds === 'number' ? { durationSeconds } : {}),
    acceptRoleSessionName: acceptRoleSessionName === true,
  });
  profile.enabled = enabled === true;
  return { status: 201, body: { profile: describedProfile(profile) } };
}

function profileOf(rolesAnywhere: RolesAnywhere, id: string, enabled?: boolean): Answer {
  const profile = rolesAnywhere.profile(id);
  if (profile === undefined) throw new AwsError('ResourceNotFoundException', 'No such profile', 404);
  if (enabled !== undefined) profile.enabled = enabled;
  return { status: 200, body: { profile: describedProfile(profile) } };
}

function describedProfile(profile: Profile): JsonObject {
  const { id, arn, name, enabled, roleArns, durationSeconds, acceptRoleSessionName } = profile;
  return { profileId: id, profileArn: arn, name, enabled, roleArns, durationSeconds, acceptRoleSessionName };
}

function importCrl(rolesAnywhere: RolesAnywhere, body: Members): Answer {
  const trustAnchorArn = text(body['trustAnchorArn'], 'trustAnchorArn');
  const crl = Buffer.from(text(body['crlData'], 'crlData'), 'base64');
  const { id } = rolesAnywhere.importCrl({ trustAnchorArn, crl });
  const isEnabled = body['enabled'] === true;
  if (!isEnabled) rolesAnywhere.disableCrl(id);
  const crlDetail = { crlId: id, name: text(body['name'], 'name'), enabled: isEnabled, trustAnchorArn };
  return { status: 201, body: { crl: crlDetail } };
}

function membersOf(body: Buffer): Members {
  if (body.length === 0) return {};
  try {
    return structure(JSON.parse(body.toString('utf8')), 'body');
  } catch (error) {
    throw error instanceof AwsError ? error : invalid('The request body is not valid JSON');
  }
}

function structure(value: unknown, name: string): Members {
  if (isStructure(value)) return value;
  throw invalid(`Value at '${name}' failed to satisfy constraint: Member must not be null`);
}

function isStructure(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw invalid(`Value at '${name}' failed to satisfy constraint: Member must not be null`);
}

function invalid(message: string): AwsError {
  return new AwsError('ValidationException', message);
}
