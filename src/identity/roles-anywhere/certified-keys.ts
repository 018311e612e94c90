import { type GatehouseError, reportOf } from '../../base/errors.ts';
import type { Log } from '../../base/log-events.ts';
import { identityEvent } from '../log-events.ts';
import { type CertificateFiles, type CertifiedKey, readCertifiedKey } from './certified-key.ts';

/** A certificate and its key, read again each time, and good all the time. */
export interface CertifiedKeys {
  /**
   * What the files hold now; while they hold nothing good (in the middle of a rotation), what they held before, until
   * that expires. @throws the first problem of the files when there is nothing to go on with
   */
  current(now: Date): Promise<CertifiedKey>;
}

export interface CertifiedKeysOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log?: Log | undefined;
  /** Told of a key that others may read, or write, which is refused otherwise. */
  readonly onExposedKey?: ((problem: GatehouseError) => void) | undefined;
}

export function certifiedKeys(
  files: CertificateFiles,
  { env, log, onExposedKey }: CertifiedKeysOptions,
): CertifiedKeys {
  let held: CertifiedKey | undefined;
  let saidOf: string | undefined;

  const blocking = (problems: readonly GatehouseError[]): GatehouseError | undefined => {
    for (const problem of problems) {
      if (problem.code !== 'PRIVATE_KEY_EXPOSED' || onExposedKey === undefined) return problem;
      onExposedKey(problem);
    }
    return undefined;
  };

  return {
    async current(now) {
      const { certified, problems } = await readCertifiedKey(files, env, now);
      const problem = blocking(problems);
      if (problem !== undefined) {
        // A login that is repeated brings a token closer to locking itself.
        const isFinal = problem.code === 'PKCS11_PIN_REFUSED';
        if (isFinal || held === undefined || held.certificate.x509.validToDate < now) throw problem;
        if (saidOf !== problem.code) {
          log?.(identityEvent('certificate.files-unusable', { error: reportOf(problem) }));
        }
        saidOf = problem.code;
        return held;
      }
      if (certified === undefined) throw new TypeError('nothing was read and nothing was wrong');
      saidOf = undefined;
      held = certified;
      return certified;
    },
  };
}
