import type { Secret } from '../base/secret.ts';
import { identityError } from './errors.ts';

/** AWS credentials as one source handed them out. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: Secret;
  /** Absent only with long-term keys. */
  readonly sessionToken?: Secret;
  /** When AWS stops accepting them; absent when the source does not say. */
  readonly expiration?: Date;
  /**
   * The source says that they have expired and has no newer ones, as EC2 may in an outage: AWS may take them all the
   * same. They are to be used until then, and newer ones asked for before.
   */
  readonly extendedUntil?: Date;
  /** The account they belong to, 12 digits, where the source says it. */
  readonly accountId?: string;
  /** Of an assumed role, the name of this session, as CloudTrail has it; where the source knows it. */
  readonly sessionName?: string;
  /** The name of the source that loaded them. */
  readonly source: string;
}

/**
 * One way to get AWS credentials.
 *
 * `load` answers fresh credentials that have not expired (or say that they are extended), or `undefined` when this
 * source does not apply on this host: try the next. It throws when the source applies and failed, always one of this room's errors, and the
 * signal's reason when that aborts. It keeps no credentials between calls: `refreshing` does.
 */
export interface CredentialSource {
  /** As `credentials.source` spells it. */
  readonly name: string;
  /** Why `load` answers `undefined`, when it does: a fact about this host, no full stop. */
  readonly absence: string;
  load(signal: AbortSignal): Promise<Credentials | undefined>;
}

/** The same credentials. @throws CREDENTIALS_HANDED_OUT_EXPIRED when they have expired by `now`. */
export function unexpired(credentials: Credentials, now: Date): Credentials {
  const { expiration, source } = credentials;
  if (expiration !== undefined && expiration <= now) {
    throw identityError('CREDENTIALS_HANDED_OUT_EXPIRED', { source, expiration: expiration.toISOString() });
  }
  return credentials;
}
