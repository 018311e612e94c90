import type { CertificateFiles } from '../identity/roles-anywhere/certified-key.ts';

/** A certificate's serial number beside the name of a session. */
export interface CertificateSerial {
  /** Hexadecimal, lower case, without leading zeros. */
  readonly serialNumber: string;
  /** Whether the session is named after it, as Roles Anywhere does where nothing else was asked for. */
  readonly isSessionName: boolean;
  /** Its key is of a kind that was never tried against AWS, ML-DSA; absent for any other. */
  readonly isExperimental?: true;
}

/** Of the certificate that is signed with. Undefined where its file cannot be read as a certificate now: whoever uses it says what is wrong with it. */
export async function certificateSerial(
  files: CertificateFiles,
  env: Readonly<Record<string, string | undefined>>,
  sessionName: string | undefined,
): Promise<CertificateSerial | undefined> {
  try {
    const { certificateInUse } = await import('../identity/roles-anywhere/certified-key.ts');
    const { publicKeyOf } = await import('../identity/roles-anywhere/certificate.ts');
    const certificate = await certificateInUse(files, env);
    const { x509 } = certificate;
    const serialNumber = bare(x509.serialNumber);
    const isSessionName = sessionName !== undefined && bare(sessionName) === serialNumber;
    const isExperimental = publicKeyOf(certificate)?.asymmetricKeyType?.startsWith('ml-dsa-') === true;
    return { serialNumber, isSessionName, ...(isExperimental ? { isExperimental } : {}) };
  } catch {
    return undefined;
  }
}

function bare(hexadecimal: string): string {
  return hexadecimal.toLowerCase().replace(/^0+(?=.)/u, '');
}
