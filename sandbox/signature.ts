import { createHmac, hash } from 'node:crypto';
import { equalInConstantTime } from './constant-time.ts';
import type { AccessKey } from './identities.ts';
import type { RawRequest } from './service.ts';

/**
 * Verification of AWS Signature Version 4 from the raw request, with code of its own: what signs is the AWS SDK.
 * Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
 */

/** Why a request was refused, whatever the service's protocol calls it. */
export type RefusalReason =
  | 'missing-authentication'
  | 'incomplete-signature'
  | 'unknown-access-key'
  | 'expired-token'
  | 'signature-mismatch';

export class SignatureRefusal extends Error {
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason, message: string) {
    super(message);
    this.name = 'SignatureRefusal';
    this.reason = reason;
  }
}

export interface SignatureExpectation {
  readonly service: string;
  readonly region: string;
  /** The service's own clock. */
  readonly now: Date;
  findKey(accessKeyId: string): AccessKey | undefined;
}

interface Authorization {
  readonly algorithm: string;
  /** The first part of the credential: an access key id, or a certificate's serial number. */
  readonly signer: string;
  readonly scope: readonly [date: string, region: string, service: string, terminator: string];
  readonly signedHeaders: readonly string[];
  readonly signature: string;
}

const algorithm = 'AWS4-HMAC-SHA256';
const terminator = 'aws4_request';
const skewMinutesMax = 5;
const incorrect =
  'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.';
const invalidToken = 'The security token included in the request is invalid.';

/**
 * The key that signed this request.
 * @throws SignatureRefusal
 */
export function verifySignature(request: RawRequest, expected: SignatureExpectation): AccessKey {
  const { headers, authorization, toSign, bodyHash } = signedParts(request, [algorithm], expected);
  const key = expected.findKey(authorization.signer);
  if (key === undefined) throw new SignatureRefusal('unknown-access-key', invalidToken);
  checkToken(key, headers.get('x-amz-security-token'), expected.now);

  const statedHash = headers.get('x-amz-content-sha256');
  if (statedHash !== undefined && statedHash !== bodyHash) throw mismatch();

  const calculated = createHmac('sha256', signingKey(key.secretAccessKey, authorization.scope))
    .update(toSign)
    .digest('hex');
  if (!equalInConstantTime(calculated, authorization.signature)) throw mismatch();
  return key;
}

/** What a signed request says of its signature, all but the signature itself found to be in order. */
export interface SignedParts {
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
  readonly authorization: Authorization;
  /** The text that the signature is of. */
  readonly toSign: string;
  /** SHA-256 of the body, hex. */
  readonly bodyHash: string;
}

/**
 * Takes a request's signature apart and checks scope, clock and which headers are signed.
 * @throws SignatureRefusal
 */
export function signedParts(
  request: RawRequest,
  algorithms: readonly string[],
  expected: Pick<SignatureExpectation, 'service' | 'region' | 'now'>,
): SignedParts {
  const headers = joinedHeaders(request.headers);
  const authorization = parseAuthorization(headers.get('authorization'), algorithms);
  const date = signingDate(headers);
  checkScope(authorization, date, expected);
  checkDate(date, expected.now);
  checkSignedHeaders(authorization.signedHeaders, headers);
  const bodyHash = hash('sha256', request.body, 'hex');
  const toSign = [
    authorization.algorithm,
    date,
    authorization.scope.join('/'),
    hash('sha256', canonicalRequest(request, authorization.signedHeaders, bodyHash), 'hex'),
  ].join('\n');
  return { headers, authorization, toSign, bodyHash };
}

/** The access key id a request claims, without any proof; for the record of calls. */
export function claimedAccessKeyId(request: RawRequest): string | undefined {
  const value = request.headers.find(([name]) => name.toLowerCase() === 'authorization')?.[1];
  return value === undefined ? undefined : /Credential=([^/,\s]{1,128})\//u.exec(value)?.[1];
}

/** The text whose hash is signed. */
export function canonicalRequest(
  request: RawRequest,
  signedHeaders: readonly string[],
  bodyHash: string,
): string {
  const headers = joinedHeaders(request.headers);
  const names = signedHeaders.toSorted();
  const { path, query } = splitTarget(request.target);
  return [
    request.method,
    canonicalPath(path),
    canonicalQuery(query),
    ...names.map((name) => `${name}:${headers.get(name) ?? ''}`),
    '',
    names.join(';'),
    bodyHash,
  ].join('\n');
}

/** The path normalised, then encoded once more than it came: every service but S3 wants that. */
export function canonicalPath(path: string): string {
  const segments: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '' || segment === '.') continue;
    if (segment === '..') segments.pop();
    else segments.push(encode(segment));
  }
  const end = segments.length > 0 && path.endsWith('/') ? '/' : '';
  return `/${segments.join('/')}${end}`;
}

/** Parameters decoded, encoded in the one canonical way, sorted by name and then by value. */
export function canonicalQuery(query: string): string {
  return query
    .split('&')
    .filter((parameter) => parameter !== '')
    .map((parameter): readonly [name: string, value: string] => {
      const equals = parameter.indexOf('=');
      if (equals === -1) return [recode(parameter), ''];
      return [recode(parameter.slice(0, equals)), recode(parameter.slice(equals + 1))];
    })
    .toSorted(([name, value], [otherName, otherValue]) =>
      name === otherName ? compare(value, otherValue) : compare(name, otherName),
    )
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

export function splitTarget(target: string): { path: string; query: string } {
  const mark = target.indexOf('?');
  return mark === -1
    ? { path: target, query: '' }
    : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

/** Lower-case names; repeated ones joined by commas; outer spaces gone, inner runs of them made one. */
function joinedHeaders(headers: RawRequest['headers']): Map<string, string> {
  const joined = new Map<string, string>();
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    const trimmed = value.trim().replaceAll(/[ \t]+/gu, ' ');
    const before = joined.get(lower);
    joined.set(lower, before === undefined ? trimmed : `${before},${trimmed}`);
  }
  return joined;
}

function parseAuthorization(header: string | undefined, algorithms: readonly string[]): Authorization {
  if (header === undefined || header === '') {
    throw new SignatureRefusal('missing-authentication', 'Missing Authentication Token');
  }
  const [scheme = '', ...rest] = header.split(' ');
  if (!algorithms.includes(scheme)) throw incomplete(`Unsupported AWS 'algorithm': '${scheme}'.`);

  const parameters = new Map<string, string>();
  for (const part of rest.join(' ').split(',')) {
    const equals = part.indexOf('=');
    if (equals === -1) {
      throw incomplete(
        `'${part.trim()}' not a valid key=value pair (missing equal-sign) in Authorization header: '${header}'.`,
      );
    }
    const name = part.slice(0, equals).trim();
    if (parameters.has(name)) throw incomplete(`Authorization header has '${name}' twice.`);
    parameters.set(name, part.slice(equals + 1).trim());
  }
  const absent = ['Credential', 'Signature', 'SignedHeaders'].filter((name) => !parameters.get(name));
  if (absent.length > 0) {
    const said = absent.map((name) => `Authorization header requires '${name}' parameter.`);
    throw incomplete(`${said.join(' ')} Authorization=${header}`);
  }

  const credential = parameters.get('Credential') ?? '';
  const [signer = '', date, region, service, end, ...more] = credential.split('/');
  if (
    date === undefined ||
    region === undefined ||
    service === undefined ||
    end === undefined ||
    more.length > 0
  ) {
    throw incomplete(
      `Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '${credential}'`,
    );
  }
  return {
    algorithm: scheme,
    signer,
    scope: [date, region, service, end],
    signedHeaders: (parameters.get('SignedHeaders') ?? '').split(';'),
    signature: parameters.get('Signature') ?? '',
  };
}

/** The request's date in ISO 8601 basic form, from `X-Amz-Date` or else `Date`. */
function signingDate(headers: ReadonlyMap<string, string>): string {
  const stated = headers.get('x-amz-date') ?? headers.get('date');
  if (stated === undefined) {
    throw incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  }
  if (!Number.isNaN(timeOf(stated))) return stated;
  const time = headers.has('x-amz-date') ? Number.NaN : Date.parse(stated);
  if (Number.isNaN(time)) {
    throw incomplete(`Date must be in ISO-8601 'basic format'. Got '${stated}'.`);
  }
  return basicFormat(time);
}

function checkScope(
  { scope }: Authorization,
  date: string,
  expected: Pick<SignatureExpectation, 'service' | 'region'>,
): void {
  const [scopeDate, region, service, end] = scope;
  if (region !== expected.region) throw mismatch('Credential should be scoped to a valid region. ');
  if (service !== expected.service) {
    throw mismatch(`Credential should be scoped to correct service: '${expected.service}'. `);
  }
  if (end !== terminator) {
    throw mismatch(`Credential should be scoped with a valid terminator: '${terminator}', not '${end}'. `);
  }
  if (scopeDate !== date.slice(0, 8)) {
    throw mismatch(
      `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${scopeDate}' != '${date.slice(0, 8)}', from '${date}'.`,
    );
  }
}

function checkDate(date: string, now: Date): void {
  const marginMs = skewMinutesMax * 60_000;
  const time = timeOf(date);
  const ours = basicFormat(now.getTime());
  if (time < now.getTime() - marginMs) {
    const limit = basicFormat(now.getTime() - marginMs);
    throw mismatch(
      `Signature expired: ${date} is now earlier than ${limit} (${ours} - ${skewMinutesMax} min.)`,
    );
  }
  if (time > now.getTime() + marginMs) {
    const limit = basicFormat(now.getTime() + marginMs);
    throw mismatch(
      `Signature not yet current: ${date} is still later than ${limit} (${ours} + ${skewMinutesMax} min.)`,
    );
  }
}

function checkSignedHeaders(signed: readonly string[], headers: ReadonlyMap<string, string>): void {
  const required = ['host', ...[...headers.keys()].filter((name) => name.startsWith('x-amz-'))];
  const unsigned = required.find((name) => !signed.includes(name));
  if (unsigned !== undefined) {
    throw mismatch(`'${unsigned}' must be a 'SignedHeader' in the AWS Authorization.`);
  }
  if (signed.some((name) => !headers.has(name))) throw mismatch();
}

function checkToken(key: AccessKey, token: string | undefined, now: Date): void {
  if (key.sessionToken === undefined) {
    if (token !== undefined) throw new SignatureRefusal('unknown-access-key', invalidToken);
    return;
  }
  if (token === undefined || !equalInConstantTime(key.sessionToken, token)) {
    throw new SignatureRefusal('unknown-access-key', invalidToken);
  }
  if (key.expiresAt !== undefined && key.expiresAt <= now.getTime()) {
    throw new SignatureRefusal('expired-token', 'The security token included in the request is expired');
  }
}

interface CachedKey {
  readonly secret: string;
  readonly scope: string;
  readonly key: Buffer;
}

// Deriving costs four HMACs, and a client signs every request of a day with the same key.
let lastKey: CachedKey | undefined;

function signingKey(secret: string, scope: Authorization['scope']): Buffer {
  const joined = scope.join('/');
  if (lastKey?.secret === secret && lastKey.scope === joined) return lastKey.key;
  let key: Buffer = Buffer.from(`AWS4${secret}`);
  for (const part of scope) key = createHmac('sha256', key).update(part).digest();
  lastKey = { secret, scope: joined, key };
  return key;
}

const basicDate = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/u;

function timeOf(date: string): number {
  return basicDate.test(date) ? Date.parse(date.replace(basicDate, '$1-$2-$3T$4:$5:$6Z')) : Number.NaN;
}

/** `20261122T120000Z` */
function basicFormat(time: number): string {
  return new Date(time).toISOString().replaceAll(/[-:]|\.\d{3}/gu, '');
}

function recode(text: string): string {
  const escaped = text.replaceAll(/%(?![0-9A-Fa-f]{2})/gu, '%25');
  try {
    return encode(decodeURIComponent(escaped));
  } catch {
    // Escapes that are no UTF-8 stay as they came.
    return escaped;
  }
}

function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/gu,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function incomplete(message: string): SignatureRefusal {
  return new SignatureRefusal('incomplete-signature', message);
}

function mismatch(message: string = incorrect): SignatureRefusal {
  return new SignatureRefusal('signature-mismatch', message);
}
