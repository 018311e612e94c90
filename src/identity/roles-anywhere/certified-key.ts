import { join, resolve } from 'node:path';
import { GatehouseError } from '../../base/errors.ts';
import { Secret } from '../../base/secret.ts';
import { identityError } from '../errors.ts';
import {
  type Certificate,
  certificateOf,
  certificatesIn,
  chainFrom,
  issuerOf,
  publicKeyOf,
} from './certificate.ts';
import { type IdentityFile, problemOf, readIdentityFile } from './identity-file.ts';
import type { Pkcs12, Pkcs12Problem } from './pkcs12.ts';
import { privateKeyIn, type SigningKey, signingKey } from './private-key.ts';
import { unlessRefused } from './refused-pins.ts';
import { shownUri } from './token-uri.ts';

/** A certificate with what proves it and what leads to its authority. */
export interface CertifiedKey {
  readonly certificate: Certificate;
  /** Each the issuer of the one before it, beginning with the certificate's. */
  readonly chain: readonly Certificate[];
  readonly key: SigningKey;
}

export interface PrivateKeyFile {
  readonly privateKey: string;
  /** A file, or the name of a systemd credential. For a token it is the PIN. */
  readonly privateKeyPassword?: string | undefined;
  /** Of a key or certificate that is a `pkcs11:` URI. */
  readonly pkcs11Module?: string | undefined;
}

/** Where certificate and key are. */
export interface CertificateFiles extends PrivateKeyFile {
  readonly certificate: string;
  readonly intermediates?: string | undefined;
}

export interface CertifiedKeyReading {
  /** Undefined where a file could not be read or understood. */
  readonly certified: CertifiedKey | undefined;
  /** Everything that AWS would refuse, or that a host should not have, in the order in which to mend it. */
  readonly problems: readonly GatehouseError[];
}

type Env = Readonly<Record<string, string | undefined>>;

/** AWS's quota on the depth of a chain. */
const chainMax = 5;

/** Others may neither read nor write a key, and its group may not write it. */
const exposingBits = 0o026;

/** Reads certificate and key, and checks them as AWS will. What is wrong is in the answer: all of it, and none thrown. */
export async function readCertifiedKey(
  files: CertificateFiles,
  env: Env,
  now: Date,
): Promise<CertifiedKeyReading> {
  const problems: GatehouseError[] = [];
  const attempt = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof GatehouseError)) throw error;
      // Certificate and key may be one file.
      const isKnown = problems.some(
        ({ code, details }) => code === error.code && details['path'] === error.details['path'],
      );
      if (!isKnown) problems.push(error);
      return undefined;
    }
  };
  const password = await attempt(async () => readPassword(files.privateKeyPassword, env));
  problems.push(...(password?.problems ?? []));
  const found = await attempt(() => certificatesAt(files.certificate, files, password?.secret));
  const { intermediates } = files;
  const others =
    intermediates === undefined
      ? []
      : await attempt(() => certificatesAt(intermediates, files, password?.secret));
  // Without the password that is configured there is nothing to say of the key.
  const opened = password && (await attempt(() => keyAt(files, password.secret, env)));
  password?.secret?.dispose();
  const key = opened?.key;
  problems.push(...(opened?.problems ?? []));

  if (found === undefined) return { certified: undefined, problems };
  const own = key && found.find((each) => key.isKeyOf(each));
  const certificate = own ?? found[0];
  if (key !== undefined && own === undefined) {
    problems.push(
      identityError('CERTIFICATE_KEY_MISMATCH', {
        certificate: files.certificate,
        privateKey: files.privateKey,
      }),
    );
  }
  problems.push(...certificateProblems(certificate, files.certificate, now));
  const candidates = [...found, ...(others ?? [])].filter((each) => each !== certificate);
  const chain = chainFrom(certificate, candidates);
  problems.push(...chainProblems(certificate, candidates, chain, files, now));
  return { certified: key && { certificate, chain, key }, problems };
}

type Unreadable = `${'CERTIFICATE' | 'PRIVATE_KEY' | 'PRIVATE_KEY_PASSWORD'}_UNREADABLE`;

function read(code: Unreadable, path: string): IdentityFile {
  try {
    return readIdentityFile(path);
  } catch (error) {
    throw identityError(code, { path, problem: problemOf(error) }, error);
  }
}

/**
 * The certificate of a file, or of a token; of several the first.
 * @throws CERTIFICATE_UNREADABLE, CERTIFICATE_INVALID, PRIVATE_KEY_PASSWORD_…, PKCS11_…
 */
export async function firstCertificateOf(
  files: Omit<CertificateFiles, 'privateKey' | 'intermediates'>,
  env: Env,
): Promise<Certificate> {
  const { secret } = readPassword(files.privateKeyPassword, env);
  try {
    const [first] = await certificatesAt(files.certificate, files, secret);
    return first;
  } finally {
    secret?.dispose();
  }
}

/**
 * The certificate that is signed with: of several the one that the key is of. For a key that cannot be read without
 * asking a token, the first that is no authority's.
 * @throws CERTIFICATE_…, PRIVATE_KEY_PASSWORD_…, PKCS11_…
 */
export async function certificateInUse(files: CertificateFiles, env: Env): Promise<Certificate> {
  const { secret } = readPassword(files.privateKeyPassword, env);
  try {
    const found = await certificatesAt(files.certificate, files, secret);
    if (found.length === 1) return found[0];
    const key = isToken(files.privateKey) ? undefined : await fileKey(files, secret, env);
    if (key === undefined) return found.find((each) => !each.isAuthority) ?? found[0];
    const own = found.find((each) => key.isKeyOf(each));
    if (own !== undefined) return own;
    const { certificate, privateKey } = files;
    throw identityError('CERTIFICATE_KEY_MISMATCH', { certificate, privateKey });
  } finally {
    secret?.dispose();
  }
}

/** Undefined for one that a helper may be able to read. */
async function fileKey(files: PrivateKeyFile, password: Secret | undefined, env: Env) {
  return keyAt(files, password, env).then(
    ({ key }) => key,
    () => undefined,
  );
}

/** A private key, and what is wrong with how it is kept. @throws PRIVATE_KEY_… */
export async function readPrivateKey(file: PrivateKeyFile, env: Env): Promise<OpenedKey> {
  const { secret, problems } = readPassword(file.privateKeyPassword, env);
  try {
    const opened = await keyAt(file, secret, env);
    return { key: opened.key, problems: [...opened.problems, ...problems] };
  } finally {
    secret?.dispose();
  }
}

interface OpenedKey {
  readonly key: SigningKey;
  readonly problems: readonly GatehouseError[];
}

async function certificatesAt(
  path: string,
  { pkcs11Module }: Pick<PrivateKeyFile, 'pkcs11Module'>,
  password: Secret | undefined,
): Promise<readonly [Certificate, ...Certificate[]]> {
  if (isToken(path)) {
    const { tokenCertificates } = await import('./pkcs11.ts');
    return certificatesOf(
      inToken(path, () => tokenCertificates({ uri: path, module: pkcs11Module })),
      path,
    );
  }
  const { bytes } = read('CERTIFICATE_UNREADABLE', path);
  if (!isPkcs12(bytes)) return certificatesIn(bytes, path);
  const { certificates } = await pkcs12(bytes, path, password, 'CERTIFICATE_INVALID');
  return certificatesOf(certificates, path);
}

function certificatesOf(ders: readonly Buffer[], path: string): readonly [Certificate, ...Certificate[]] {
  const [first, ...others] = ders.map((der) => certificateOf(der, path));
  if (first === undefined) throw identityError('CERTIFICATE_INVALID', { path, certificates: 0 });
  return [first, ...others];
}

async function keyAt(file: PrivateKeyFile, password: Secret | undefined, env: Env): Promise<OpenedKey> {
  const path = file.privateKey;
  if (isToken(path)) return { key: await tokenKey(file, password, env), problems: [] };
  const { bytes, mode } = read('PRIVATE_KEY_UNREADABLE', path);
  try {
    const problems = exposure(path, mode);
    if (!isPkcs12(bytes)) return { key: privateKeyIn(bytes, path, password), problems };
    const [key] = (await pkcs12(bytes, path, password, 'PRIVATE_KEY_INVALID')).keys;
    if (key === undefined) throw identityError('PRIVATE_KEY_INVALID', { path, keys: 0 });
    return { key: signingKey(key, path), problems };
  } finally {
    bytes.fill(0);
  }
}

function isToken(path: string): boolean {
  return path.startsWith('pkcs11:');
}

/** What is signed to find out whose key it is: no message that means anything to anybody. */
const probe = Buffer.from('gatehouse: is this the key of the certificate?');

/** A key that never leaves its token. The PIN is read again for each signature rather than kept. */
async function tokenKey(file: PrivateKeyFile, pin: Secret | undefined, env: Env): Promise<SigningKey> {
  const { isSignatureOf, tokenSignature } = await import('./pkcs11.ts');
  const uri = file.privateKey;
  const signed = (bytes: Buffer, hash: 'sha256' | 'sha384' | 'sha512', by: Secret | undefined): Buffer =>
    unlessRefused(uri, by, () =>
      inToken(uri, () => tokenSignature({ uri, module: file.pkcs11Module }, by?.revealText(), bytes, hash)),
    );
  const proof = signed(probe, 'sha256', pin);
  return {
    isKeyOf: ({ x509 }) => isSignatureOf(x509.raw, probe, 'sha256', proof),
    async sign(bytes, hash = 'sha256') {
      const { secret } = readPassword(file.privateKeyPassword, env);
      try {
        return signed(bytes, hash, secret);
      } finally {
        secret?.dispose();
      }
    },
  };
}

function inToken<T>(uri: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    // By its code: in dist/ that class is in a file of its own, and this one knows it by name only.
    const name =
      ['UNAVAILABLE', 'URI_INVALID', 'NOT_FOUND', 'PIN_REFUSED'].find((each) => each === code) ?? 'FAILED';
    throw identityError(tokenErrors[name] ?? 'PKCS11_FAILED', { uri: shownUri(uri) }, error);
  }
}

const tokenErrors: Readonly<Record<string, Parameters<typeof identityError>[0]>> = {
  UNAVAILABLE: 'PKCS11_UNAVAILABLE',
  URI_INVALID: 'PKCS11_URI_INVALID',
  NOT_FOUND: 'PKCS11_NOT_FOUND',
  PIN_REFUSED: 'PKCS11_PIN_REFUSED',
};

/** PFX begins with its version, 3. RFC 7292, 4. */
function isPkcs12(bytes: Buffer): boolean {
  return /^30(?:80|[0-7].|81..|82.{4}|83.{6})020103/u.test(bytes.subarray(0, 8).toString('hex'));
}

async function pkcs12(
  bytes: Buffer,
  path: string,
  password: Secret | undefined,
  invalid: 'CERTIFICATE_INVALID' | 'PRIVATE_KEY_INVALID',
): Promise<Pkcs12> {
  const { openPkcs12 } = await import('./pkcs12.ts');
  try {
    return openPkcs12(bytes, password?.revealBytes());
  } catch (error) {
    const codes = {
      INVALID: invalid,
      PASSWORD_MISSING: 'PRIVATE_KEY_PASSWORD_MISSING',
      PASSWORD_WRONG: 'PRIVATE_KEY_PASSWORD_WRONG',
      ENCRYPTION_UNSUPPORTED: 'PRIVATE_KEY_ENCRYPTION_UNSUPPORTED',
    } as const;
    throw identityError(codes[problemCodeOf(error)], { path }, error);
  }
}

/** By its code: in dist/ that class is in a file of its own, and this one knows it by name only. */
function problemCodeOf(error: unknown): Pkcs12Problem {
  if (error instanceof Error && 'code' in error) {
    const { code } = error;
    if (code === 'PASSWORD_MISSING' || code === 'PASSWORD_WRONG' || code === 'ENCRYPTION_UNSUPPORTED')
      return code;
  }
  return 'INVALID';
}

/** The first line of the file; nothing where none is configured. */
function readPassword(
  place: string | undefined,
  env: Env,
): { secret: Secret | undefined; problems: readonly GatehouseError[] } {
  if (place === undefined) return { secret: undefined, problems: [] };
  const path = place.includes('/')
    ? resolve(place)
    : join(env['CREDENTIALS_DIRECTORY'] ?? '/run/credentials', place);
  const { bytes, mode } = read('PRIVATE_KEY_PASSWORD_UNREADABLE', path);
  const end = bytes.findIndex((byte) => byte === 0x0a || byte === 0x0d);
  const secret = Secret.ofBytes(end === -1 ? bytes : bytes.subarray(0, end));
  bytes.fill(0);
  return { secret, problems: exposure(path, mode) };
}

function exposure(path: string, mode: number): GatehouseError[] {
  if ((mode & exposingBits) === 0) return [];
  return [identityError('PRIVATE_KEY_EXPOSED', { path, mode: mode.toString(8).padStart(4, '0') })];
}

/** https://docs.aws.amazon.com/rolesanywhere/latest/userguide/trust-model.html */
function certificateProblems(certificate: Certificate, path: string, now: Date): GatehouseError[] {
  const { mayDigitallySign, isSignedWeakly } = certificate;
  return [
    ...validityProblems(certificate, path, now),
    ...(certificate.isAuthority ? [identityError('CERTIFICATE_IS_CA', { path })] : []),
    ...(mayDigitallySign ? [] : [identityError('CERTIFICATE_CANNOT_SIGN', { path })]),
    ...(isSignedWeakly ? [signedWeakly(certificate, path)] : []),
    ...keyProblems(certificate, path),
  ];
}

function validityProblems({ x509 }: Certificate, path: string, now: Date): GatehouseError[] {
  const clock = now.toISOString();
  if (now < x509.validFromDate) {
    const validFrom = x509.validFromDate.toISOString();
    return [identityError('CERTIFICATE_NOT_YET_VALID', { path, validFrom, clock })];
  }
  if (now > x509.validToDate) {
    return [identityError('CERTIFICATE_EXPIRED', { path, expired: x509.validToDate.toISOString(), clock })];
  }
  return [];
}

function keyProblems(certificate: Certificate, path: string): GatehouseError[] {
  const { asymmetricKeyType: type = 'unknown', asymmetricKeyDetails: details = {} } =
    publicKeyOf(certificate) ?? {};
  const { modulusLength: bits = 0, namedCurve: curve = '' } = details;
  const isGood =
    (type === 'rsa' && bits >= 2048 && bits <= 4096) ||
    (type === 'ec' && ['prime256v1', 'secp384r1', 'secp521r1'].includes(curve)) ||
    type.startsWith('ml-dsa-');
  if (isGood) return [];
  return [
    identityError('CERTIFICATE_KEY_UNSUPPORTED', {
      path,
      type,
      ...(type === 'rsa' ? { bits } : {}),
      ...(type === 'ec' ? { curve } : {}),
    }),
  ];
}

function chainProblems(
  certificate: Certificate,
  candidates: readonly Certificate[],
  chain: readonly Certificate[],
  files: CertificateFiles,
  now: Date,
): GatehouseError[] {
  const path = files.intermediates ?? files.certificate;
  if (chain.length > chainMax) {
    return [identityError('CERTIFICATE_CHAIN_TOO_LONG', { path, certificates: chain.length, chainMax })];
  }
  if (candidates.length > 0 && issuerOf(certificate, candidates) === undefined) {
    const issuer = certificate.x509.issuer.replaceAll('\n', ', ');
    return [identityError('CERTIFICATE_CHAIN_BROKEN', { path, issuer })];
  }
  return chain.flatMap((each) => [
    ...validityProblems(each, path, now),
    ...(each.isSignedWeakly ? [signedWeakly(each, path)] : []),
  ]);
}

function signedWeakly({ x509 }: Certificate, path: string): GatehouseError {
  return identityError('CERTIFICATE_SIGNED_WEAKLY', { path, algorithm: x509.signatureAlgorithm });
}
