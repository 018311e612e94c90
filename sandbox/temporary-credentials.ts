import type { Identities, SessionCredentials } from './identities.ts';

/** How a machine or a task gets credentials of its role, and how long they live. */
export interface RoleCredentials {
  /** The role's name; undefined where none is attached. Change it at will. */
  role: string | undefined;
  /** Lifetime of what is issued from now on, in seconds. */
  credentialSeconds: number;
  /** While true the last credentials are handed out again, even expired, as AWS may do in an outage. */
  frozen: boolean;
}

/**
 * The credentials to hand out now: the last ones again until a quarter of their life is left, as AWS renews well
 * before the end.
 */
export function renewedEarly(identities: Identities, source: RoleCredentials, sessionName: string) {
  let last: { role: string; issued: Date; credentials: SessionCredentials } | undefined;

  return (role: string, now: Date): { issued: Date; credentials: SessionCredentials } => {
    if (last?.role === role) {
      const left = (identities.find(last.credentials.accessKeyId)?.expiresAt ?? 0) - now.getTime();
      const life = last.credentials.expiration.getTime() - last.issued.getTime();
      if (source.frozen || left > life / 4) return last;
    }
    const { credentialSeconds: durationSeconds } = source;
    const credentials = identities.issueSession({ role, sessionName, durationSeconds });
    last = { role, issued: now, credentials };
    return last;
  };
}

/** `2026-11-22T12:00:00Z` */
export function isoSeconds(date: Date): string {
  return date.toISOString().replace(/\.\d{3}Z$/u, 'Z');
}
