import { createPrivateKey, type KeyObject, webcrypto } from 'node:crypto';
import type * as X509 from '@peculiar/x509';
import { loadX509 } from '../../sandbox/x509.ts';

/** Certificates made in memory for tests, good ones and every kind of bad one. */

export const keyKinds = ['rsa-2048', 'rsa-3072', 'rsa-4096', 'ec-p256', 'ec-p384', 'ec-p521'] as const;
/** As far as OpenSSL carries them. */
export const experimentalKeyKinds = ['ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87'] as const;
export type KeyKind = (typeof keyKinds | typeof experimentalKeyKinds)[number] | 'rsa-1024';

export interface CertificateOptions {
  readonly key?: KeyKind;
  /** Hash of the issuer's signature. */
  readonly hash?: 'SHA-1' | 'SHA-256' | 'SHA-384' | 'SHA-512';
  /** Hex, leading zeros kept. */
  readonly serialNumber?: string;
  readonly subject?: string;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Undefined leaves the extension out. */
  readonly isCa?: boolean | undefined;
  readonly pathLength?: number;
  readonly usage?: readonly ('digitalSignature' | 'keyEncipherment' | 'keyCertSign' | 'cRLSign')[];
  /** A key made before, for a certificate that is renewed without a new one. */
  readonly keys?: CryptoKeyPair;
}

export interface Issued {
  readonly pem: string;
  readonly der: Buffer;
  readonly keys: CryptoKeyPair;
  readonly privateKey: KeyObject;
  /** PKCS#8 PEM. */
  readonly keyPem: string;
}

export interface Authority extends Issued {
  issue(options?: CertificateOptions): Promise<Issued>;
  /** An authority below this one. */
  authority(options?: CertificateOptions): Promise<Authority>;
  /** A revocation list in PEM. */
  crl(serialNumbers: readonly string[]): Promise<string>;
}

type CryptoKeyPair = webcrypto.CryptoKeyPair;

const rsa = (modulusLength: number) => ({
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength,
  publicExponent: Uint8Array.of(1, 0, 1),
  hash: 'SHA-256',
});
const algorithms: Readonly<
  Record<KeyKind, webcrypto.RsaHashedKeyGenParams | webcrypto.EcKeyGenParams | webcrypto.Algorithm>
> = {
  'ml-dsa-44': { name: 'ML-DSA-44' },
  'ml-dsa-65': { name: 'ML-DSA-65' },
  'ml-dsa-87': { name: 'ML-DSA-87' },
  'rsa-1024': rsa(1024),
  'rsa-2048': rsa(2048),
  'rsa-3072': rsa(3072),
  'rsa-4096': rsa(4096),
  'ec-p256': { name: 'ECDSA', namedCurve: 'P-256' },
  'ec-p384': { name: 'ECDSA', namedCurve: 'P-384' },
  'ec-p521': { name: 'ECDSA', namedCurve: 'P-521' },
};

const dayMs = 86_400_000;
let serials = 0x1000;

/** A root. */
export async function authority(options: CertificateOptions = {}): Promise<Authority> {
  return authorityOf(
    { subject: 'CN=Test root', isCa: true, usage: ['keyCertSign', 'cRLSign'], ...options },
    undefined,
  );
}

async function authorityOf(options: CertificateOptions, issuer: Issued | undefined): Promise<Authority> {
  const own = await issued(options, issuer);
  return {
    ...own,
    issue: (below = {}) =>
      issued({ subject: 'CN=web-1', isCa: false, usage: ['digitalSignature'], ...below }, own),
    authority: (below = {}) =>
      authorityOf(
        { subject: 'CN=Test intermediate', isCa: true, usage: ['keyCertSign', 'cRLSign'], ...below },
        own,
      ),

    async crl(serialNumbers) {
      const x509 = await loadX509();
      const list = await x509.X509CrlGenerator.create({
        issuer: new x509.X509Certificate(own.der).subject,
        thisUpdate: new Date(Date.now() - dayMs),
        nextUpdate: new Date(Date.now() + dayMs),
        entries: serialNumbers.map((serialNumber) => ({ serialNumber, revocationDate: new Date() })),
        signingAlgorithm: signingAlgorithm(own.keys, 'SHA-256'),
        signingKey: own.keys.privateKey,
      });
      // The label of RFC 7468, which OpenSSL writes too.
      return x509.PemConverter.encode(list.rawData, 'X509 CRL');
    },
  };
}

async function issued(options: CertificateOptions, issuer: Issued | undefined): Promise<Issued> {
  const x509 = await loadX509();
  const { key = 'ec-p256', hash = 'SHA-256', isCa, usage } = options;
  const keys = options.keys ?? (await newKeys(key));
  const signer = issuer ?? { keys, der: undefined };
  serials += 1;
  const subject = options.subject ?? 'CN=web-1';
  const extensions: X509.Extension[] = [];
  if (isCa !== undefined) {
    extensions.push(new x509.BasicConstraintsExtension(isCa, options.pathLength, true));
  }
  if (usage !== undefined) {
    const flags = usage.reduce((sum, name) => sum | x509.KeyUsageFlags[name], 0);
    extensions.push(new x509.KeyUsagesExtension(flags, true));
  }
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: options.serialNumber ?? serials.toString(16).padStart(6, '0'),
    subject,
    issuer: signer.der === undefined ? subject : new x509.X509Certificate(signer.der).subject,
    notBefore: options.notBefore ?? new Date(Date.now() - dayMs),
    notAfter: options.notAfter ?? new Date(Date.now() + 90 * dayMs),
    signingAlgorithm: signingAlgorithm(signer.keys, hash),
    publicKey: keys.publicKey,
    signingKey: await signingKey(signer.keys, hash),
    extensions,
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  return {
    pem: `${certificate.toString('pem')}\n`,
    der: Buffer.from(certificate.rawData),
    keys,
    privateKey,
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
}

/** Making RSA keys takes a second or two: one of each size does for a test file, as nothing depends on which it is. */
const made = new Map<KeyKind, CryptoKeyPair>();

async function newKeys(kind: KeyKind): Promise<CryptoKeyPair> {
  const kept = made.get(kind);
  if (kept !== undefined) return kept;
  const keys = await webcrypto.subtle.generateKey(algorithms[kind], true, ['sign', 'verify']);
  if (!('privateKey' in keys)) throw new TypeError(`${kind} is no kind of key pair`);
  if (kind.startsWith('rsa')) made.set(kind, keys);
  return keys;
}

function signingAlgorithm({ privateKey }: CryptoKeyPair, hash: string) {
  return { name: privateKey.algorithm.name, hash };
}

/** Web Crypto ties an RSA key to one hash. */
async function signingKey({ privateKey }: CryptoKeyPair, hash: string) {
  if (privateKey.algorithm.name === 'ECDSA') return privateKey;
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', privateKey);
  const algorithm = { name: privateKey.algorithm.name, hash };
  return webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign']);
}
