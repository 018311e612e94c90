import { type KeyObject, X509Certificate } from 'node:crypto';
import { identityError } from '../errors.ts';
import { isAuthority, keyUsageOf } from './der.ts';

export interface Certificate {
  readonly x509: X509Certificate;
  /** In decimal, of any length, as a credential scope has it. */
  readonly serialNumber: string;
  readonly isAuthority: boolean;
  /** False where it has no keyUsage at all, too: AWS wants to see it. */
  readonly mayDigitallySign: boolean;
  /** Made with SHA-1 or MD5. */
  readonly isSignedWeakly: boolean;
}

/** More than any chain has; a bundle of all authorities of the world is no chain. */
const certificatesMax = 64;
const digitalSignatureBit = 0x80;

/**
 * The certificates of a file, in order: PEM with any text around it (AWS's console downloads a `.txt`), or one in DER.
 * @throws CERTIFICATE_INVALID; `path` is for its details.
 */
export function certificatesIn(bytes: Buffer, path: string): readonly [Certificate, ...Certificate[]] {
  const blocks = pemBlocks(bytes, /(?:X509 |TRUSTED )?CERTIFICATE/u);
  if (blocks.length > certificatesMax) {
    throw identityError('CERTIFICATE_INVALID', { path, certificates: blocks.length, certificatesMax });
  }
  const ders = blocks.length > 0 ? blocks.map(({ der }) => der) : [bytes];
  const [first, ...others] = ders.map((der) => certificateOf(der, path));
  if (first === undefined) throw identityError('CERTIFICATE_INVALID', { path });
  return [first, ...others];
}

export function certificateOf(der: Buffer, path: string): Certificate {
  let x509: X509Certificate;
  try {
    x509 = new X509Certificate(der);
  } catch (error) {
    throw identityError('CERTIFICATE_INVALID', { path }, error);
  }
  const wrong = misfitOf(x509);
  if (wrong !== undefined) throw identityError('CERTIFICATE_INVALID', { path, problem: wrong });
  return {
    x509,
    serialNumber: BigInt(`0x${x509.serialNumber}`).toString(),
    isAuthority: isAuthority(x509.raw),
    mayDigitallySign: ((keyUsageOf(x509.raw) ?? 0) & digitalSignatureBit) !== 0,
    isSignedWeakly: /sha-?1(?!\d)|md[245]/iu.test(x509.signatureAlgorithm ?? ''),
  };
}

/** What OpenSSL reads all the same, and nobody can go by. RFC 5280, 4.1.2.2 and 4.1.2.5. */
function misfitOf(x509: X509Certificate): string | undefined {
  if (!/^[0-9A-F]+$/u.test(x509.serialNumber)) return 'its serial number is negative';
  const ends = [x509.validFromDate, x509.validToDate];
  return ends.some((date) => Number.isNaN(date.getTime())) ? 'its validity is not made of times' : undefined;
}

/** Undefined for a key of a kind that OpenSSL does not know, or that is damaged. */
export function publicKeyOf({ x509 }: Certificate): KeyObject | undefined {
  try {
    return x509.publicKey;
  } catch {
    return undefined;
  }
}

/**
 * Those of `others` that lead away from `leaf`, each the issuer of the one before, without a self-signed root: AWS has
 * that as trust anchor. In what order they come, and what else is among them, is no matter.
 */
export function chainFrom(leaf: Certificate, others: readonly Certificate[]): readonly Certificate[] {
  const chain: Certificate[] = [];
  let last = leaf;
  for (;;) {
    const issuer = issuerOf(last, others);
    if (issuer === undefined || issuer === leaf || chain.includes(issuer) || isSelfSigned(issuer))
      return chain;
    chain.push(issuer);
    last = issuer;
  }
}

/** The one that issued this certificate. */
export function issuerOf(certificate: Certificate, others: readonly Certificate[]): Certificate | undefined {
  return others.find((other) => isIssuedBy(certificate, other));
}

function isSelfSigned(certificate: Certificate): boolean {
  return isIssuedBy(certificate, certificate);
}

function isIssuedBy({ x509 }: Certificate, issuer: Certificate): boolean {
  if (!x509.checkIssued(issuer.x509)) return false;
  const key = publicKeyOf(issuer);
  return key !== undefined && x509.verify(key);
}

export interface PemBlock {
  readonly label: string;
  /** With its BEGIN and END lines, where it has headers of its own (RFC 1421). */
  readonly text: string;
  readonly der: Buffer;
}

/** The PEM blocks of a file whose label is one of `labels`. */
export function pemBlocks(bytes: Buffer, labels: RegExp): PemBlock[] {
  const shape = new RegExp(
    `-----BEGIN (?<label>${labels.source})-----(?<inside>[^-]+(?:-[^-]+)*)-----END \\k<label>-----`,
    'gu',
  );
  return [...bytes.toString('latin1').matchAll(shape)].map(({ 0: text, groups }) => {
    const inside = groups?.['inside'] ?? '';
    // An encrypted key of old has headers before an empty line.
    const base64 = inside.slice(inside.lastIndexOf('\n\n') + 1);
    return { label: groups?.['label'] ?? '', text, der: Buffer.from(base64, 'base64') };
  });
}
