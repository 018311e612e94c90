import type { X509Certificate } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { asGatehouseError, type GatehouseError, reportOf } from '../base/errors.ts';
import type { Log } from '../base/log-events.ts';
import { identityError } from './errors.ts';
import { identityEvent } from './log-events.ts';
import type { Certificate } from './roles-anywhere/certificate.ts';
import { type CertificateFiles, certificateInUse } from './roles-anywhere/certified-key.ts';
import type { RunHelper } from './roles-anywhere-helper.ts';

/** The certificate in its file, as it was when it was last looked at. */
export interface CertificateState {
  readonly path: string;
  /** In decimal. */
  readonly serialNumber: string;
  readonly expires: Date;
  /** Set while `renewCommand` fails. */
  readonly renewalFailing?: { readonly code: string; readonly since: Date; readonly attempts: number };
}

/** Watches over a certificate's life: says when it ends and has it renewed in time. Whoever signs reads it himself. */
export interface CertificateWatch {
  /** Until `signal` aborts, and then throws its reason; no other error ends it. */
  run(signal: AbortSignal): Promise<void>;
  /** Undefined before the file could be read for the first time. */
  state(): CertificateState | undefined;
}

export interface WatchedCertificate extends CertificateFiles {
  /** A program and its arguments that put a new certificate into the file. */
  readonly renewCommand?: readonly string[] | undefined;
}

export interface CertificateWatchOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: Log;
  readonly run: RunHelper;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
}

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

/** The file is small, and reading it costs less than being told of changes. */
const lookEveryMs = minuteMs;

/** Ahead of expiry, in days, as long as the certificate lives more than twice as long. */
const warningDays = [30, 7, 1] as const;

/** Renewal is due with a third of the life left, as CAs advise, and up to a quarter of that third later. */
const renewalPart = 1 / 3;
const renewalJitter = 1 / 4;

const renewalRetryMsMin = minuteMs;
const renewalRetryMsMax = 6 * 60 * minuteMs;
const renewalTimeoutMs = 5 * minuteMs;
const outputBytesMax = 64 * 1024;

export function certificateWatch(
  files: WatchedCertificate,
  { env, clock, log, run, random = Math.random }: CertificateWatchOptions,
): CertificateWatch {
  const { certificate: path, renewCommand } = files;
  let seen: { x509: X509Certificate; serialNumber: string; renewAt: number } | undefined;
  /** The thresholds passed so far, 0 being expiry itself: what was said is not said again. */
  let said = Infinity;
  let failing: CertificateState['renewalFailing'];
  let retryAt = 0;

  async function look(): Promise<void> {
    const found = await read(files, env);
    if (found === undefined) return;
    const { x509, serialNumber } = found;
    if (seen?.x509.fingerprint256 === x509.fingerprint256) return;
    const isFirst = seen === undefined;
    const [from, to] = [x509.validFromDate.getTime(), x509.validToDate.getTime()];
    const lateMs = (to - from) * renewalPart;
    seen = { x509, serialNumber, renewAt: to - lateMs * (1 - renewalJitter * random()) };
    said = Infinity;
    retryAt = 0;
    if (!isFirst) {
      log(
        identityEvent('certificate.replaced', {
          path,
          serialNumber,
          expires: x509.validToDate.toISOString(),
        }),
      );
    }
  }

  function warn(): void {
    if (seen === undefined) return;
    const { x509, serialNumber } = seen;
    const leftMs = x509.validToDate.getTime() - clock.now().getTime();
    const fields = { path, serialNumber, expires: x509.validToDate.toISOString() };
    if (leftMs <= 0) {
      if (said > 0) log(identityEvent('certificate.expired', fields));
      said = 0;
      return;
    }
    const passed = thresholdsOf(x509).filter((days) => leftMs <= days * dayMs);
    const nearest = Math.min(...passed);
    if (nearest >= said) return;
    said = nearest;
    const daysLeft = Math.floor(leftMs / dayMs);
    log(identityEvent('certificate.expires-soon', { ...fields, daysLeft }));
  }

  async function renew(signal: AbortSignal): Promise<void> {
    const now = clock.now().getTime();
    if (renewCommand === undefined || seen === undefined || now < seen.renewAt || now < retryAt) return;
    const before = seen.x509.fingerprint256;
    try {
      await runRenewal(renewCommand, signal);
      await look();
      if (seen.x509.fingerprint256 === before) {
        throw identityError('CERTIFICATE_NOT_RENEWED', { path, command: renewCommand[0] });
      }
      failing = undefined;
      log(
        identityEvent('certificate.renewed', {
          path,
          serialNumber: seen.serialNumber,
          command: renewCommand[0],
        }),
      );
    } catch (error) {
      signal.throwIfAborted();
      fail(asGatehouseError(error), seen.x509);
    }
  }

  async function runRenewal(argv: readonly string[], signal: AbortSignal): Promise<void> {
    const limits = { timeoutMs: renewalTimeoutMs, outputBytesMax, env: {} };
    const [command = ''] = argv;
    const { exitCode, stdout, stderr } = await run(argv, limits, signal).catch((error: unknown) => {
      throw identityError('CERTIFICATE_RENEWAL_FAILED', { command }, error);
    });
    stdout.fill(0);
    stderr.dispose();
    if (exitCode !== 0) throw identityError('CERTIFICATE_RENEWAL_FAILED', { command, exitCode });
  }

  function fail(error: GatehouseError, { validToDate }: X509Certificate): void {
    const now = clock.now();
    const leftMs = validToDate.getTime() - now.getTime();
    const waitMs = Math.min(Math.max(leftMs / 8, renewalRetryMsMin), renewalRetryMsMax);
    retryAt = now.getTime() + waitMs * (0.75 + random() / 2);
    failing = { code: error.code, since: failing?.since ?? now, attempts: (failing?.attempts ?? 0) + 1 };
    if (failing.attempts === 1) log(identityEvent('certificate.renewal-failed', { error: reportOf(error) }));
  }

  return {
    async run(signal) {
      for (;;) {
        signal.throwIfAborted();
        await look();
        warn();
        await renew(signal);
        await clock.sleep(lookEveryMs, signal);
      }
    },

    state() {
      if (seen === undefined) return undefined;
      const { x509, serialNumber } = seen;
      const trouble = failing === undefined ? {} : { renewalFailing: failing };
      return { path, serialNumber, expires: x509.validToDate, ...trouble };
    },
  };
}

/** A certificate that cannot be read just now is looked at again; what is wrong is said where it is used. */
async function read(
  files: CertificateFiles,
  env: CertificateWatchOptions['env'],
): Promise<Certificate | undefined> {
  try {
    return await certificateInUse(files, env);
  } catch {
    return undefined;
  }
}

/** One that lives for days or hours is warned of once, with a quarter of its life left. */
function thresholdsOf({ validFromDate, validToDate }: X509Certificate): readonly number[] {
  const lifeDays = (validToDate.getTime() - validFromDate.getTime()) / dayMs;
  const usual = warningDays.filter((days) => lifeDays > 2 * days);
  return usual.length > 0 ? usual : [lifeDays / 4];
}
