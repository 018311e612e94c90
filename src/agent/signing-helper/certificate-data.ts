import { identityError } from '../../identity/errors.ts';
import { publicKeyOf } from '../../identity/roles-anywhere/certificate.ts';
import { type CertificateFiles, firstCertificateOf } from '../../identity/roles-anywhere/certified-key.ts';

/** What AWS's helper says of a certificate. */
export interface CertificateData {
  readonly keyType: 'RSA' | 'EC' | 'ML-DSA';
  /** DER, base64. */
  readonly certificateData: string;
  /** In decimal. */
  readonly serialNumber: string;
  readonly supportedAlgorithms: readonly string[];
}

/**
 * @throws CERTIFICATE_UNREADABLE, CERTIFICATE_INVALID, CERTIFICATE_KEY_UNSUPPORTED, PRIVATE_KEY_PASSWORD_…, PKCS11_…
 */
export async function certificateData(
  files: Omit<CertificateFiles, 'privateKey' | 'intermediates'>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<CertificateData> {
  const read = await firstCertificateOf(files, env);
  const { x509, serialNumber } = read;
  const type = publicKeyOf(read)?.asymmetricKeyType ?? 'unknown';
  const certificate = { certificateData: x509.raw.toString('base64'), serialNumber };
  if (type === 'rsa' || type === 'ec') {
    const keyType = type === 'rsa' ? 'RSA' : 'EC';
    const supportedAlgorithms = ['SHA256', 'SHA384', 'SHA512'].map((hash) => `${keyType}${hash}`);
    return { keyType, ...certificate, supportedAlgorithms };
  }
  if (!type.startsWith('ml-dsa-'))
    throw identityError('CERTIFICATE_KEY_UNSUPPORTED', { path: files.certificate, type });
  return { keyType: 'ML-DSA', ...certificate, supportedAlgorithms: ['MLDSA'] };
}
