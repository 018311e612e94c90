import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';

/** A certificate's serial number beside the name of a session. */
export interface CertificateSerial {
  /** Hexadecimal, lower case, without leading zeros. */
  readonly serialNumber: string;
  /** Whether the session is named after it, as Roles Anywhere does where nothing else was asked for. */
  readonly isSessionName: boolean;
}

/** Undefined where the file cannot be read as a certificate now: whoever uses it says what is wrong with it. */
export async function certificateSerial(
  file: string,
  sessionName: string | undefined,
): Promise<CertificateSerial | undefined> {
  try {
    const serialNumber = bare(new X509Certificate(await readFile(file)).serialNumber);
    return { serialNumber, isSessionName: sessionName !== undefined && bare(sessionName) === serialNumber };
  } catch {
    return undefined;
  }
}

function bare(hexadecimal: string): string {
  return hexadecimal.toLowerCase().replace(/^0+(?=.)/u, '');
}
