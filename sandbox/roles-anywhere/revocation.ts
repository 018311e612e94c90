import { createPublicKey, verify, type X509Certificate } from 'node:crypto';
import { asn1 } from './asn1.ts';

/** A certificate revocation list, as ImportCrl takes it. */
export interface RevocationList {
  /** Serial numbers, as BigInt's own decimal text. */
  readonly serialNumbers: ReadonlySet<string>;
  isIssuedBy(authority: X509Certificate): boolean;
}

/** Undefined for what is no revocation list, in PEM or DER. */
export function revocationListOf(data: Buffer): RevocationList | undefined {
  try {
    return read(data);
  } catch {
    return undefined;
  }
}

/** RFC 5280, 5.1. */
function read(data: Buffer): RevocationList {
  const { schema, x509: asn } = asn1();
  const pem = /-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]+)-----END X509 CRL-----/u.exec(
    data.toString('latin1'),
  );
  const der = pem === null ? data : Buffer.from(pem[1] ?? '', 'base64');
  const list = schema.AsnConvert.parse(der, asn.CertificateList);
  const { revokedCertificates = [], issuer } = list.tbsCertList;
  const signed = Buffer.from(list.tbsCertListRaw ?? new ArrayBuffer(0));
  const issuerDer = Buffer.from(schema.AsnConvert.serialize(issuer));
  const hash = hashes[list.signatureAlgorithm.algorithm];
  return {
    serialNumbers: new Set(
      revokedCertificates.map(({ userCertificate }) => decimal(Buffer.from(userCertificate))),
    ),
    isIssuedBy(authority) {
      const { subject } = schema.AsnConvert.parse(authority.raw, asn.Certificate).tbsCertificate;
      if (!Buffer.from(schema.AsnConvert.serialize(subject)).equals(issuerDer) || hash === undefined)
        return false;
      const key = createPublicKey(authority.publicKey.export({ type: 'spki', format: 'pem' }));
      return verify(hash, signed, key, Buffer.from(list.signature));
    },
  };
}

const hashes: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
};

function decimal(integer: Buffer): string {
  return BigInt(`0x${integer.toString('hex') || '0'}`).toString();
}
