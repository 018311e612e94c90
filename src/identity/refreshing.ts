import type { Clock } from '../base/clock.ts';
import { asGatehouseError, type GatehouseError, reportOf } from '../base/errors.ts';
import { exitCode } from '../base/exit-code.ts';
import type { Log } from '../base/log-events.ts';
import { type Backoff, backoffMs } from '../base/retry.ts';
import type { CredentialSource, Credentials } from './credential-source.ts';
import { identityError } from './errors.ts';
import { identityEvent } from './log-events.ts';
import { singleFlight } from './single-flight.ts';

export interface RefreshingState {
  /** The source of the credentials in hand; absent before the first. */
  readonly source?: string;
  readonly accessKeyId?: string;
  /** Of the role session, where the source knows it. */
  readonly sessionName?: string;
  readonly expiration?: Date;
  /** When the credentials in hand were loaded. */
  readonly lastRenewed?: Date;
  /** They have expired, and are used on until then because their source has no newer ones. */
  readonly extendedUntil?: Date;
  /** They are keys without an end: a host should hold none. */
  readonly isLongTerm?: true;
  /** Set while loading fails. */
  readonly failing?: { readonly code: string; readonly since: Date; readonly attempts: number };
}

/** Credentials that stay good: kept, renewed early, and kept on to when renewal fails. */
export interface RefreshingCredentials {
  /**
   * The credentials in hand, or freshly loaded ones when there are none that have not expired. Between the attempts
   * of a failing source it answers the last failure at once instead of asking again.
   * @throws the source's error when none were ever loaded, else CREDENTIALS_EXPIRED with that error as its cause.
   */
  current(signal: AbortSignal): Promise<Credentials>;
  /**
   * Asks the source now, for when AWS denies the credentials in hand. Concurrent callers share one attempt, and within
   * seconds of a failed one its error is the answer. Whoever calls it sees to it that it is not often: `denials` does.
   * @throws the source's error.
   */
  renew(signal: AbortSignal): Promise<Credentials>;
  /** Asks a failing source now, however long it was to be left alone: for when somebody says that it is mended. */
  retry(signal: AbortSignal): Promise<void>;
  /** Renews until `signal` aborts, and then throws its reason; no other error ends it. */
  run(signal: AbortSignal): Promise<void>;
  state(): RefreshingState;
}

export interface RefreshingOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
  /**
   * Nobody calls `run`: who asks for credentials that are due has them renewed behind his back, and those nobody asks
   * for are left to expire.
   */
  readonly isOnDemand?: boolean;
}

/** Renewal is due somewhere in this part of a lifetime; the last sixth is left for trying again. */
const renewFrom = 2 / 3;
const renewUntil = 5 / 6;

/**
 * And no later than this before the end, where a lifetime is at least twice that: whoever is handed the credentials can
 * work with them for so long, and SDKs that renew a quarter of an hour ahead find others when they ask.
 */
const leftMsMin = 15 * 60_000;

/** Credentials that do not say when they expire are read again this often. */
const rereadAfterMs = 15 * 60_000;

/** No closer together than this, when a source hands out the same dying credentials again and again. */
const renewWaitMsMin = 5000;

/** Due times are looked at this often, so that a suspended machine or a corrected clock is noticed. */
const lookEveryMs = 60_000;

/** Another attempt when the source is out of reach: within seconds, then each minute. */
const unreachableBackoff = { floorMs: 1000, baseMs: 1000, capMs: 59_000 } as const;

/** When AWS answers with an error that may pass, such as too many requests: others wait for it as well. */
const troubledBackoff = { floorMs: 20_000, baseMs: 1000, capMs: 280_000 } as const;

/** When it refuses, or is misconfigured: somebody has to change something first. */
const refusedBackoff = { floorMs: 5 * 60_000, baseMs: 5 * 60_000, capMs: 25 * 60_000 } as const;

/** Extended credentials are asked for again from this part of their extension on. */
const extendedFrom = 1 / 3;

interface Held {
  readonly credentials: Credentials;
  readonly loadedAt: Date;
  readonly loadedAtMonotonic: number;
  /** Since `loadedAt`, on either clock. */
  readonly renewAfterMs: number;
}

interface Failing {
  readonly error: GatehouseError;
  readonly since: Date;
  readonly sinceMonotonic: number;
  readonly attempts: number;
  /** Monotonic, as is the next. */
  readonly attemptedAt: number;
  readonly nextAttemptAt: number;
}

/** Decorates one source, usually a chain. */
export function refreshing(source: CredentialSource, options: RefreshingOptions): RefreshingCredentials {
  const { clock, log, random = Math.random, isOnDemand = false } = options;
  let held: Held | undefined;
  let failing: Failing | undefined;
  let isExpiryLogged = false;
  const load = singleFlight(attempt);
  const unaborted = new AbortController().signal;

  async function attempt(signal: AbortSignal): Promise<Credentials> {
    let credentials: Credentials;
    try {
      credentials = await loaded(signal);
    } catch (error) {
      // Nobody waits any more: that says nothing about the source.
      if (!signal.aborted) fail(asGatehouseError(error));
      throw error;
    }
    hold(credentials);
    return credentials;
  }

  async function loaded(signal: AbortSignal): Promise<Credentials> {
    const credentials = await source.load(signal);
    if (credentials !== undefined) return preferred(credentials);
    throw identityError('CREDENTIALS_NOT_FOUND', { passedOver: [`${source.name}: ${source.absence}`] });
  }

  /** Nobody changes good credentials for expired ones. */
  function preferred(credentials: Credentials): Credentials {
    const { extendedUntil, expiration, source: name } = credentials;
    if (
      extendedUntil === undefined ||
      usable() === undefined ||
      held?.credentials.extendedUntil !== undefined
    ) {
      return credentials;
    }
    throw identityError('CREDENTIALS_HANDED_OUT_EXPIRED', {
      source: name,
      expiration: expiration?.toISOString(),
    });
  }

  function hold(credentials: Credentials): void {
    const before = held?.credentials;
    const now = clock.now();
    const isNew = before === undefined || !isSame(before, credentials);
    held = {
      credentials,
      loadedAt: now,
      loadedAtMonotonic: clock.monotonic(),
      renewAfterMs: renewAfterMs(credentials, now, random),
    };
    isExpiryLogged = false;
    if (isNew && credentials.extendedUntil === undefined)
      logHeld(before === undefined ? 'credentials.obtained' : 'credentials.renewed', credentials);
    noteExtension(before, credentials);
    if (failing === undefined) return;
    const { attempts, sinceMonotonic } = failing;
    failing = undefined;
    const failedForMs = Math.round(clock.monotonic() - sinceMonotonic);
    log(identityEvent('credentials.recovered', { source: credentials.source, attempts, failedForMs }));
  }

  function logHeld(name: 'credentials.obtained' | 'credentials.renewed', credentials: Credentials): void {
    const { accessKeyId, expiration, sessionToken } = credentials;
    const fields = { source: credentials.source, accessKeyId };
    log(identityEvent(name, { ...fields, expiration: expiration?.toISOString() }));
    if (sessionToken === undefined) log(identityEvent('credentials.long-term', fields));
  }

  function noteExtension(before: Credentials | undefined, credentials: Credentials): void {
    if (credentials.extendedUntil === undefined || before?.extendedUntil !== undefined) return;
    const { source: name, accessKeyId, expiration } = credentials;
    log(
      identityEvent('credentials.extended', {
        source: name,
        accessKeyId,
        expiration: expiration?.toISOString(),
      }),
    );
  }

  function fail(error: GatehouseError): void {
    const attempts = (failing?.attempts ?? 0) + 1;
    failing = {
      error,
      since: failing?.since ?? clock.now(),
      sinceMonotonic: failing?.sinceMonotonic ?? clock.monotonic(),
      attempts,
      attemptedAt: clock.monotonic(),
      nextAttemptAt: clock.monotonic() + retryWaitMs(error, attempts - 1, random),
    };
    if (attempts > 1) return;
    const usableUntil = held?.credentials.expiration?.toISOString();
    log(identityEvent('credentials.renewal-failed', { error: reportOf(error), usableUntil }));
  }

  /** How long until the source should be asked, in milliseconds; 0 when it is time. */
  function dueInMs(): number {
    if (failing !== undefined) return Math.max(0, failing.nextAttemptAt - clock.monotonic());
    if (held === undefined) return 0;
    const passedMs = Math.max(
      clock.monotonic() - held.loadedAtMonotonic,
      clock.now().getTime() - held.loadedAt.getTime(),
    );
    return Math.max(0, held.renewAfterMs - passedMs);
  }

  function usable(): Credentials | undefined {
    if (held === undefined) return undefined;
    const end = endOf(held.credentials);
    return end === undefined || end > clock.now() ? held.credentials : undefined;
  }

  function noteExpiry(): void {
    if (held === undefined || isExpiryLogged || usable() !== undefined) return;
    isExpiryLogged = true;
    const { source: name, expiration } = held.credentials;
    log(identityEvent('credentials.expired', { source: name, expiration: expiration?.toISOString() }));
  }

  function unusable(error: unknown): unknown {
    if (held === undefined) return error;
    const { source: name, expiration } = held.credentials;
    return identityError(
      'CREDENTIALS_EXPIRED',
      { source: name, expiration: expiration?.toISOString() },
      error,
    );
  }

  return {
    async current(signal) {
      signal.throwIfAborted();
      const credentials = usable();
      if (credentials !== undefined) {
        if (isOnDemand && dueInMs() === 0) load(unaborted).catch(() => undefined);
        return credentials;
      }
      if (failing !== undefined && dueInMs() > 0) throw unusable(failing.error);
      try {
        return await load(signal);
      } catch (error) {
        if (signal.aborted) throw error;
        throw unusable(error);
      }
    },

    async renew(signal) {
      signal.throwIfAborted();
      if (failing !== undefined && failing.attemptedAt > clock.monotonic() - renewWaitMsMin)
        throw failing.error;
      return load(signal);
    },

    async retry(signal) {
      if (failing !== undefined) await load(signal).catch(() => signal.throwIfAborted());
    },

    async run(signal) {
      for (;;) {
        signal.throwIfAborted();
        const waitMs = Math.min(dueInMs(), lookEveryMs, msToExpiry());
        // Whole milliseconds: what is less than one may be lost in the sum with a time, and never pass.
        if (waitMs > 0) await clock.sleep(Math.ceil(waitMs), signal);
        const isDue = dueInMs() === 0 || (failing === undefined && usable() === undefined);
        if (isDue) await load(signal).catch(() => signal.throwIfAborted());
        noteExpiry();
      }
    },

    state() {
      const now = held && {
        source: held.credentials.source,
        accessKeyId: held.credentials.accessKeyId,
        lastRenewed: held.loadedAt,
        ...(held.credentials.sessionName && { sessionName: held.credentials.sessionName }),
        ...(held.credentials.expiration && { expiration: held.credentials.expiration }),
        ...(held.credentials.extendedUntil && { extendedUntil: held.credentials.extendedUntil }),
        ...(held.credentials.sessionToken ? {} : { isLongTerm: true as const }),
      };
      const trouble = failing && {
        failing: { code: failing.error.code, since: failing.since, attempts: failing.attempts },
      };
      return { ...now, ...trouble };
    },
  };

  /** Of credentials that have not expired; Infinity otherwise. */
  function msToExpiry(): number {
    const credentials = usable();
    const end = credentials && endOf(credentials);
    return end === undefined ? Infinity : end.getTime() - clock.now().getTime();
  }
}

/** How long after loading renewal is due, in milliseconds. */
export function renewAfterMs(credentials: Credentials, now: Date, random: () => number): number {
  const end = endOf(credentials);
  if (end === undefined) return rereadAfterMs;
  const lifetimeMs = end.getTime() - now.getTime();
  const [from, until] = renewalPart(lifetimeMs, credentials.extendedUntil !== undefined);
  const part = from + random() * (until - from);
  return Math.max(renewWaitMsMin, lifetimeMs * part);
}

/** The part of a lifetime in which renewal is due. */
function renewalPart(lifetimeMs: number, isExtended: boolean): readonly [from: number, until: number] {
  if (isExtended) return [extendedFrom, renewFrom];
  if (lifetimeMs < 2 * leftMsMin) return [renewFrom, renewUntil];
  const until = Math.min(renewUntil, 1 - leftMsMin / lifetimeMs);
  return [until > renewFrom ? renewFrom : until * (renewFrom / renewUntil), until];
}

/** How long after failure number `attempt`, counted from 0, the source is asked again, in milliseconds. */
export function retryWaitMs(error: GatehouseError, attempt: number, random: () => number): number {
  const backoff = backoffAfter(error);
  return backoff.floorMs + backoffMs(attempt, backoff, random);
}

function backoffAfter({ row }: GatehouseError): Backoff & { readonly floorMs: number } {
  if (!row.retry) return refusedBackoff;
  return row.exitCode === exitCode.unavailable ? unreachableBackoff : troubledBackoff;
}

/** Until when they are good for use. */
function endOf({ expiration, extendedUntil }: Credentials): Date | undefined {
  return extendedUntil ?? expiration;
}

function isSame(one: Credentials, other: Credentials): boolean {
  return one.accessKeyId === other.accessKeyId && one.expiration?.getTime() === other.expiration?.getTime();
}
