import type { Clock } from '../base/clock.ts';
import { asGatehouseError, type GatehouseError, reportOf } from '../base/errors.ts';
import type { Log } from '../base/log-events.ts';
import { identityError } from './errors.ts';
import { identityEvent } from './log-events.ts';
import { type RefreshingCredentials, retryWaitMs } from './refreshing.ts';
import { singleFlight } from './single-flight.ts';

/** A call that AWS denied because of the credentials that signed it. */
export interface Denial {
  /** As the SDK names it: `Secrets Manager`. */
  readonly service: string;
  readonly awsError: string;
  /** Of the credentials that signed it. */
  readonly accessKeyId: string;
  /**
   * It may be a permission as well: a session is revoked by a policy that denies what was issued before a time. Newer
   * credentials then help, and where they do not, nothing is wrong with them.
   */
  readonly mayBePermission: boolean;
}

export interface DeniedState {
  readonly service: string;
  readonly awsError: string;
  readonly since: Date;
}

/**
 * What is done about credentials that AWS denies though they should still be good: newer ones are asked for, once; if
 * those are denied too, or the source refuses to give any, that is a state of its own. Denied is not unreachable.
 */
export interface Denials {
  /**
   * Answers whether there are newer credentials, so that the call is worth repeating. While denied, the source is
   * asked again at the pace of a source that refuses.
   * @throws the source's error, and the signal's reason when it aborts.
   */
  renew(denial: Denial, signal: AbortSignal): Promise<boolean>;
  /** The repeated call was denied as well. */
  again(denial: Denial): void;
  /** A call of this service went through, signed with this key. */
  accepted(service: string, accessKeyId: string | undefined): void;
  /** The source may be asked again at the next denial: for when somebody says that it is mended. */
  retry(): void;
  state(): DeniedState | undefined;
}

export interface DenialsOptions {
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly log: Log;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
}

/** Only to tell how long to leave a source alone that gave what AWS does not take. */
const refusal = identityError('CREDENTIALS_REFUSED');

/** At least so far apart, even when each of them helps for a moment. */
const renewWaitMsMin = 5000;

/** How long a denial that newer credentials did not help against is taken for one of permissions. */
const permissionMs = 6 * 3_600_000;

export function denials(
  credentials: Pick<RefreshingCredentials, 'renew' | 'state'>,
  { clock, log, random = Math.random }: DenialsOptions,
): Denials {
  let denied: (DeniedState & { readonly sinceMonotonic: number; readonly accessKeyId: string }) | undefined;
  let renewals = 0;
  /** Monotonic, both: no early renewal before. */
  let notBefore = -Infinity;
  let permissionNotBefore = -Infinity;
  let current: Denial | undefined;
  const renewed = singleFlight(renewedEarly);

  async function renewedEarly(signal: AbortSignal): Promise<boolean> {
    if (current === undefined) return false;
    const denial = current;
    const { service, awsError } = denial;
    log(identityEvent('credentials.renewed-early', { service, awsError }));
    try {
      const { accessKeyId } = await credentials.renew(signal);
      notBefore = Math.max(notBefore, clock.monotonic() + renewWaitMsMin);
      if (accessKeyId !== denial.accessKeyId) return true;
    } catch (thrown) {
      signal.throwIfAborted();
      const error = asGatehouseError(thrown);
      leaveAlone(error);
      if (!error.row.retry) enter(denial, error);
      throw thrown;
    }
    noHelp(denial);
    return false;
  }

  function noHelp(denial: Denial): void {
    if (denial.mayBePermission) {
      permissionNotBefore = clock.monotonic() + permissionMs;
      return;
    }
    leaveAlone(refusal);
    enter(denial);
  }

  function leaveAlone(error: GatehouseError): void {
    notBefore = clock.monotonic() + retryWaitMs(error, renewals, random);
    renewals += 1;
  }

  function allow(): void {
    renewals = 0;
    notBefore = -Infinity;
    permissionNotBefore = -Infinity;
  }

  function enter({ service, awsError, accessKeyId }: Denial, error?: GatehouseError): void {
    if (denied !== undefined) {
      denied = { ...denied, accessKeyId };
      return;
    }
    denied = { service, awsError, accessKeyId, since: clock.now(), sinceMonotonic: clock.monotonic() };
    log(identityEvent('credentials.denied', { service, awsError, error: error && reportOf(error) }));
  }

  return {
    async renew(denial, signal) {
      signal.throwIfAborted();
      // Renewed since the call was signed, whoever asked for it.
      if (credentials.state().accessKeyId !== denial.accessKeyId) return true;
      const earliest = denial.mayBePermission ? Math.max(notBefore, permissionNotBefore) : notBefore;
      if (clock.monotonic() < earliest) return false;
      current = denial;
      return renewed(signal);
    },

    again: noHelp,

    accepted(service, accessKeyId) {
      if (denied === undefined) return;
      // The service that denied may not be called again; that newer credentials are good any other tells.
      const isNewer = accessKeyId !== undefined && accessKeyId !== denied.accessKeyId;
      if (denied.service !== service && !isNewer) return;
      const deniedForMs = Math.round(clock.monotonic() - denied.sinceMonotonic);
      denied = undefined;
      allow();
      log(identityEvent('credentials.accepted', { service, deniedForMs }));
    },

    retry: allow,

    state() {
      if (denied === undefined) return undefined;
      const { service, awsError, since } = denied;
      return { service, awsError, since };
    },
  };
}
