import type { Cloud, Visit } from '../endpoint.ts';
import { type AccessRequest, authorize } from '../iam/authorize.ts';
import { AwsError, type JsonObject, type RawRequest } from '../service.ts';
import { splitTarget, verifySignature } from '../signature.ts';
import { type Crl, type Profile, type RolesAnywhere, readableCrl, type TrustAnchor } from './state.ts';

/**
 * What an administrator does to Roles Anywhere, as far as setting a host up and taking it away needs it: trust anchors,
 * profiles, revocation lists. Source: https://docs.aws.amazon.com/rolesanywhere/latest/APIReference/API_Operations.html
 */

type Members = Readonly<Record<string, unknown>>;
interface Answer {
  readonly status: 200 | 201;
  readonly body: JsonObject;
}

/** What an operation is given: the whole service, its input, and what its path names. */
interface Call {
  readonly all: RolesAnywhere;
  readonly body: Members;
  readonly id: string;
  /** @throws AwsError AccessDeniedException where the caller's policies do not allow the operation */
  readonly assertMay: (resource: string, action?: string, keys?: AccessRequest['keys']) => void;
}
type Operation = (call: Call) => Answer;

/** `METHOD /path/{id}/verb` → name and work. */
const operations: Readonly<Record<string, readonly [name: string, work: Operation]>> = {
  'POST /trustanchors': ['CreateTrustAnchor', createTrustAnchor],
  'GET /trustanchor/{id}': ['GetTrustAnchor', onAnchor(() => undefined)],
  'POST /trustanchor/{id}/enable': ['EnableTrustAnchor', onAnchor(enabled)],
  'POST /trustanchor/{id}/disable': ['DisableTrustAnchor', onAnchor(disabled)],
  'DELETE /trustanchor/{id}': ['DeleteTrustAnchor', onAnchor(removed)],
  'POST /profiles': ['CreateProfile', createProfile],
  'GET /profile/{id}': ['GetProfile', onProfile(() => undefined)],
  'POST /profile/{id}/enable': ['EnableProfile', onProfile(enabled)],
  'POST /profile/{id}/disable': ['DisableProfile', onProfile(disabled)],
  'DELETE /profile/{id}': ['DeleteProfile', onProfile(removed)],
  'POST /crls': ['ImportCrl', importCrl],
  'GET /crls': ['ListCrls', listCrls],
  'GET /crl/{id}': ['GetCrl', onCrl(() => undefined)],
  'PATCH /crl/{id}': ['UpdateCrl', onCrl(updated)],
  'POST /crl/{id}/enable': ['EnableCrl', onCrl(enabled)],
  'POST /crl/{id}/disable': ['DisableCrl', onCrl(disabled)],
  'DELETE /crl/{id}': ['DeleteCrl', onCrl(removed)],
};

const paths =
  /^\/(?:trustanchors|profiles|crls)$|^\/(?:trustanchor|profile|crl)\/[^/]+(?:\/(?:enable|disable))?$/u;

export function isControlPath(target: string): boolean {
  return paths.test(splitTarget(target).path);
}

export function controlOperationOf(request: RawRequest): string {
  return operations[routeOf(request).key]?.[0] ?? 'unknown';
}

const accessDenied = { name: 'AccessDeniedException', status: 403 };

/** @throws AwsError, SignatureRefusal */
export function controlAnswer(
  request: RawRequest,
  rolesAnywhere: RolesAnywhere,
  { region, identities }: Cloud,
  visit: Visit,
): Answer {
  const { now } = visit;
  const signer = { service: 'rolesanywhere', region, now, findKey: identities.find };
  const caller = identities.caller(verifySignature(request, signer));
  const { key, id } = routeOf(request);
  const [name, work] = operations[key] ?? [];
  if (work === undefined) throw new AwsError('UnknownOperationException', '', 404);
  return work({
    all: rolesAnywhere,
    body: membersOf(request.body),
    id,
    assertMay(resource, action = `rolesanywhere:${name}`, keys = {}) {
      authorize({ caller, region, ...visit }, { action, resource, keys }, undefined, accessDenied);
    },
  });
}

function routeOf({ method, target }: RawRequest): { key: string; id: string } {
  const [, kind = '', id, verb] = splitTarget(target).path.split('/');
  const path = [kind, ...(id === undefined ? [] : ['{id}']), ...(verb === undefined ? [] : [verb])];
  return { key: `${method} /${path.join('/')}`, id: decodeURIComponent(id ?? '') };
}

/** What is done to one that is there, before it is answered as it is then; a removed one as it was. */
type Change = (one: { readonly id: string; enabled: boolean }, call: Call) => void;

function enabled(one: { enabled: boolean }): void {
  one.enabled = true;
}

function disabled(one: { enabled: boolean }): void {
  one.enabled = false;
}

function removed({ id }: { readonly id: string }, { all }: Call): void {
  all.remove(id);
}

function createTrustAnchor({ all, body, assertMay }: Call): Answer {
  assertMay('*');
  const source = structure(body['source'], 'source');
  if (source['sourceType'] !== 'CERTIFICATE_BUNDLE')
    throw invalid('Only CERTIFICATE_BUNDLE is a source here');
  const data = structure(source['sourceData'], 'source.sourceData');
  const certificates = text(data['x509CertificateData'], 'source.sourceData.x509CertificateData');
  const anchor = all.createTrustAnchor({ name: text(body['name'], 'name'), certificates });
  anchor.enabled = body['enabled'] === true;
  return { status: 201, body: { trustAnchor: described(anchor) } };
}

function onAnchor(change: Change): Operation {
  return (call) => {
    const anchor = call.all.trustAnchor(call.id);
    call.assertMay(anchor?.arn ?? '*');
    if (anchor === undefined) throw notFound('trust anchor');
    change(anchor, call);
    return { status: 200, body: { trustAnchor: described(anchor) } };
  };
}

function described({ id, arn, name, enabled: isEnabled, certificates }: TrustAnchor): JsonObject {
  return {
    trustAnchorId: id,
    trustAnchorArn: arn,
    name,
    enabled: isEnabled,
    source: { sourceType: 'CERTIFICATE_BUNDLE', sourceData: { x509CertificateData: certificates } },
  };
}

function createProfile({ all, body, assertMay }: Call): Answer {
  const { roleArns: given, durationSeconds, acceptRoleSessionName, enabled: isEnabled } = body;
  assertMay('*');
  if (!Array.isArray(given)) throw invalid('roleArns must not be null');
  const roleArns = given.map((arn) => text(arn, 'roleArns'));
  // Who may make a profile must not get at roles by it that he may not give away.
  const keys = { 'iam:PassedToService': 'rolesanywhere.amazonaws.com' };
  for (const roleArn of roleArns) assertMay(roleArn, 'iam:PassRole', keys);
  const profile = all.createProfile({
    name: text(body['name'], 'name'),
    roleArns,
    ...(typeof durationSeconds === 'number' ? { durationSeconds } : {}),
    acceptRoleSessionName: acceptRoleSessionName === true,
  });
  profile.enabled = isEnabled === true;
  return { status: 201, body: { profile: describedProfile(profile) } };
}

function onProfile(change: Change): Operation {
  return (call) => {
    const profile = call.all.profile(call.id);
    call.assertMay(profile?.arn ?? '*');
    if (profile === undefined) throw notFound('profile');
    change(profile, call);
    return { status: 200, body: { profile: describedProfile(profile) } };
  };
}

function describedProfile(profile: Profile): JsonObject {
  const { id, arn, name, enabled: isEnabled, roleArns, durationSeconds, acceptRoleSessionName } = profile;
  return {
    profileId: id,
    profileArn: arn,
    name,
    enabled: isEnabled,
    roleArns,
    durationSeconds,
    acceptRoleSessionName,
  };
}

function importCrl({ all, body, assertMay }: Call): Answer {
  assertMay('*');
  const trustAnchorArn = text(body['trustAnchorArn'], 'trustAnchorArn');
  const imported = all.importCrl({ name: text(body['name'], 'name'), trustAnchorArn, crl: crlIn(body) });
  imported.enabled = body['enabled'] === true;
  return { status: 201, body: { crl: describedCrl(imported) } };
}

function listCrls({ all, assertMay }: Call): Answer {
  assertMay('*');
  return { status: 200, body: { crls: all.crls().map(describedCrl) } };
}

function onCrl(change: (crl: Crl, call: Call) => void): Operation {
  return (call) => {
    const crl = call.all.crl(call.id);
    call.assertMay(crl === undefined ? '*' : arnOfCrl(crl));
    if (crl === undefined) throw notFound('CRL');
    change(crl, call);
    return { status: 200, body: { crl: describedCrl(crl) } };
  };
}

function updated(crl: Crl, { body }: Call): void {
  if (body['crlData'] !== undefined) crl.data = readableCrl(crlIn(body));
}

function crlIn(body: Members): Buffer {
  return Buffer.from(text(body['crlData'], 'crlData'), 'base64');
}

function describedCrl(crl: Crl): JsonObject {
  const { id, name, enabled: isEnabled, trustAnchorArn, data } = crl;
  return {
    crlId: id,
    crlArn: arnOfCrl(crl),
    name,
    enabled: isEnabled,
    trustAnchorArn,
    crlData: data.toString('base64'),
  };
}

/** Of the account and region of its trust anchor. */
function arnOfCrl({ id, trustAnchorArn }: Crl): string {
  return `${trustAnchorArn.slice(0, trustAnchorArn.lastIndexOf(':'))}:crl/${id}`;
}

function notFound(what: string): AwsError {
  return new AwsError('ResourceNotFoundException', `No such ${what}`, 404);
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
