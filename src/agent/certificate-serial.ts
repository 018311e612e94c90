import type { CertificateFiles } from '../identity/roles-anywhere/certified-key.ts';

/** A certificate's serial number beside the name of a session. */
export interface CertificateSerial {
  /** Hexadecimal, lower case, without leading zeros. */
  readonly serialNumber: string;
  /** Whether the session is named after it, as Roles Anywhere does where nothing else was asked for. */
  readonly isSessionName: boolean;
}

/** Of the certificate that is signed with. Undefined where its file cannot be read as a certificate now: whoever uses it says what is wrong with it. */
export async function certificateSerial(
  files: CertificateFiles,
  env: Readonly<Record<string, string | undefined>>,
  sessionName: string | undefined,
): Promise<CertificateSerial | undefined> {
  try {
    const { certificateInUse } = await import('../identity/roles-anywhere/certified-key.ts');
    const serialNumber = bare((await certificateInUse(files, env)).x509.serialNumber);
    return { serialNumber, isSessionName: sessionName !== undefined && bare(sessionName) === serialNumber };
  } catch {
    return undefined;
  }
}

function bare(hexadecimal: string): string {
  return hexadecimal.toLowerCase().replace(/^0+(?=.)/u, '');
}
