import { X509Certificate } from 'node:crypto';
import { asn1 } from './asn1.ts';

/** What the rules of Roles Anywhere look at in a certificate. */
export interface Certificate {
  readonly x509: X509Certificate;
  readonly isVersion3: boolean;
  /** Of basicConstraints; undefined where there are none. */
  readonly isCa: boolean | undefined;
  readonly pathLength: number | undefined;
  /** Undefined where the certificate does not limit the use of its key. */
  readonly keyUsage:
    | { readonly digitalSignature: boolean; readonly keyCertSign: boolean; readonly crlSign: boolean }
    | undefined;
  readonly isSignedWithSha2: boolean;
  readonly hasSubject: boolean;
}

/** Undefined for bytes that are no certificate. */
export function certificateOf(der: Buffer): Certificate | undefined {
  try {
    return read(der);
  } catch {
    return undefined;
  }
}

function read(der: Buffer): Certificate {
  const { schema, x509: asn } = asn1();
  const { tbsCertificate: signed, signatureAlgorithm } = schema.AsnConvert.parse(der, asn.Certificate);
  const extension = (id: string): ArrayBuffer | undefined =>
    signed.extensions?.find(({ extnID }) => extnID === id)?.extnValue.buffer;
  const basic = extension(asn.id_ce_basicConstraints);
  const constraints = basic && schema.AsnConvert.parse(basic, asn.BasicConstraints);
  const usage = extension(asn.id_ce_keyUsage);
  const bits = usage && schema.AsnConvert.parse(usage, asn.KeyUsage).toNumber();
  const may = (flag: number): boolean => bits !== undefined && (bits & flag) !== 0;
  return {
    x509: new X509Certificate(der),
    isVersion3: signed.version === asn.Version.v3,
    isCa: constraints?.cA,
    pathLength: constraints?.pathLenConstraint,
    keyUsage:
      bits === undefined
        ? undefined
        : {
            digitalSignature: may(asn.KeyUsageFlags.digitalSignature),
            keyCertSign: may(asn.KeyUsageFlags.keyCertSign),
            crlSign: may(asn.KeyUsageFlags.cRLSign),
          },
    isSignedWithSha2: sha2Signatures.has(signatureAlgorithm.algorithm),
    hasSubject: signed.subject.length > 0,
  };
}

/** RFC 4055, RFC 5758, RFC 9881: with SHA-256, SHA-384 or SHA-512, or without a hash of its own choice. */
const sha2Signatures: ReadonlySet<string> = new Set([
  '1.2.840.113549.1.1.11',
  '1.2.840.113549.1.1.12',
  '1.2.840.113549.1.1.13',
  '1.2.840.10045.4.3.2',
  '1.2.840.10045.4.3.3',
  '1.2.840.10045.4.3.4',
  '2.16.840.1.101.3.4.3.17',
  '2.16.840.1.101.3.4.3.18',
  '2.16.840.1.101.3.4.3.19',
]);

/** The certificates of a PEM text, in order. */
export function certificatesInPem(pem: string): Buffer[] {
  const blocks = pem.matchAll(/-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/gu);
  return [...blocks].map(([, base64 = '']) => Buffer.from(base64, 'base64'));
}
