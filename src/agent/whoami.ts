import { asGatehouseError, type ErrorReport, type GatehouseError, reportOf } from '../base/errors.ts';
import { type Caller, callerIdentity, unexpectedCaller } from '../identity/caller.ts';
import type { Credentials } from '../identity/credential-source.ts';
import { identityError } from '../identity/errors.ts';
import { type CertificateSerial, certificateSerial } from './certificate-serial.ts';
import { agentError } from './errors.ts';
import { bootstrapOf, type Host, openHost } from './host.ts';
import type { Launch } from './launch.ts';
import { type NotApplied, notApplied } from './not-applied.ts';

/** Who this host is in AWS, and how it came to be. */
export interface Whoami {
  /** The credential source that answered. */
  readonly source: string;
  readonly arn: string;
  readonly account: string;
  readonly role?: string;
  readonly sessionName?: string;
  /** Under Roles Anywhere: whether the session is named after the certificate, as it is unless named otherwise. */
  readonly certificate?: CertificateSerial;
  /** When the credentials expire, ISO 8601; absent for long-term keys. */
  readonly expiration?: string;
  /** Sources that were asked before and did not apply, each with why. */
  readonly notApplied: readonly NotApplied[];
  /** What works, and should not be so. */
  readonly warnings: readonly ErrorReport[];
}

/** What all identity checks came to. */
export interface IdentityCheck {
  /** Absent when that could not be found out. */
  readonly who?: Whoami;
  /** All that is wrong, the most fundamental first. */
  readonly problems: readonly ErrorReport[];
  /** That of the first problem; 0 without any. */
  readonly exitCode: number;
}

/** Loads credentials and asks STS whose they are. @throws CREDENTIALS_… and CONFIG_… */
export async function whoami(launch: Launch, signal: AbortSignal): Promise<Whoami> {
  const host = openHost(launch, bootstrapOf(launch));
  try {
    const { who, caller } = await identify(host, signal);
    const unexpected = unexpectedCaller(caller, host.bootstrap.config.credentials);
    if (unexpected === undefined) return who;
    return { ...who, warnings: [...who.warnings, reportOf(unexpected)] };
  } finally {
    host.aws.close();
  }
}

/** Runs every check there is and stops at none. @throws CONFIG_…: without a config there is nothing to check. */
export async function checkIdentity(launch: Launch, signal: AbortSignal): Promise<IdentityCheck> {
  const host = openHost(launch, bootstrapOf(launch));
  const found = await certificateProblems(host);
  let who: Whoami | undefined;
  try {
    const identified = await identify(host, signal);
    who = identified.who;
    const unexpected = unexpectedCaller(identified.caller, host.bootstrap.config.credentials);
    if (unexpected !== undefined) found.push(unexpected);
  } catch (error) {
    signal.throwIfAborted();
    const failure = asGatehouseError(error);
    // What the source met first is among what the certificate's own checks have found.
    if (!found.some(({ code }) => code === failure.code)) found.push(failure);
  } finally {
    host.aws.close();
  }
  return {
    ...(who === undefined ? {} : { who }),
    problems: found.map(reportOf),
    exitCode: found[0]?.row.exitCode ?? 0,
  };
}

/** What is wrong with the certificate and its key, where Roles Anywhere is configured and may be asked. */
async function certificateProblems({ bootstrap, launch }: Host): Promise<GatehouseError[]> {
  const { source, rolesAnywhere } = bootstrap.config.credentials;
  if (rolesAnywhere === undefined || (source !== 'auto' && source !== 'roles-anywhere')) return [];
  const { rolesAnywhereProblems } = await import('../identity/roles-anywhere/roles-anywhere.ts');
  return [...(await rolesAnywhereProblems(rolesAnywhere, launch))];
}

async function identify(host: Host, signal: AbortSignal): Promise<{ who: Whoami; caller: Caller }> {
  const credentials = await host.credentials.current(signal);
  const caller = await callerIdentity(await host.aws.sts(), signal);
  const { rolesAnywhere } = host.bootstrap.config.credentials;
  const certificate =
    credentials.source === 'roles-anywhere' && rolesAnywhere !== undefined
      ? await certificateSerial(rolesAnywhere, host.launch.env, caller.sessionName)
      : undefined;
  const who = {
    source: credentials.source,
    arn: caller.arn,
    account: caller.accountId,
    ...(caller.roleName === undefined ? {} : { role: caller.roleName }),
    ...(caller.sessionName === undefined ? {} : { sessionName: caller.sessionName }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(credentials.expiration === undefined ? {} : { expiration: credentials.expiration.toISOString() }),
    notApplied: notApplied(host.chain),
    warnings: warningsOf(host, credentials, certificate).map(reportOf),
  };
  return { who, caller };
}

function warningsOf(
  { clockSkew }: Host,
  credentials: Credentials,
  certificate: CertificateSerial | undefined,
): GatehouseError[] {
  const { source, sessionToken, extendedUntil, expiration } = credentials;
  const seconds = clockSkew.seconds();
  return [
    ...(sessionToken === undefined ? [identityError('CREDENTIALS_LONG_TERM', { source })] : []),
    ...(extendedUntil === undefined
      ? []
      : [identityError('CREDENTIALS_HANDED_OUT_EXPIRED', { source, expiration: expiration?.toISOString() })]),
    ...(certificate?.isExperimental === true ? [identityError('CERTIFICATE_KEY_EXPERIMENTAL')] : []),
    ...(seconds === 0 ? [] : [agentError('CLOCK_SKEWED', { secondsBehindAws: seconds })]),
  ];
}
