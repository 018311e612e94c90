import { callerIdentity } from '../identity/caller.ts';
import { bootstrapOf, openHost } from './host.ts';
import type { Launch } from './launch.ts';

/** Who this host is in AWS, and how it came to be. */
export interface Whoami {
  /** The credential source that answered. */
  readonly source: string;
  readonly arn: string;
  readonly account: string;
  readonly role?: string;
  readonly sessionName?: string;
  /** When the credentials expire, ISO 8601; absent for long-term keys. */
  readonly expiration?: string;
  /** Sources that were asked before and did not apply, each with why. */
  readonly notApplied: readonly { readonly source: string; readonly why: string }[];
}

/** Loads credentials and asks STS whose they are. @throws CREDENTIALS_…, CALLER_… and CONFIG_… */
export async function whoami(launch: Launch, signal: AbortSignal): Promise<Whoami> {
  const host = openHost(launch, bootstrapOf(launch));
  try {
    const credentials = await host.credentials.current(signal);
    const caller = await callerIdentity(await host.aws.sts(), signal);
    return {
      source: credentials.source,
      arn: caller.arn,
      account: caller.accountId,
      ...(caller.roleName === undefined ? {} : { role: caller.roleName }),
      ...(caller.sessionName === undefined ? {} : { sessionName: caller.sessionName }),
      ...(credentials.expiration === undefined ? {} : { expiration: credentials.expiration.toISOString() }),
      notApplied: host.chain.passedOver.map(({ name, reason }) => ({ source: name, why: reason })),
    };
  } finally {
    host.aws.close();
  }
}
