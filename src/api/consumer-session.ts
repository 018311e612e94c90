/** What a session of IAM Roles Anywhere is asked for with: the flags of `credential-process` that decide what one gets. */
export interface SessionRequest {
  readonly trustAnchorArn: string;
  readonly profileArn: string;
  readonly roleArn: string;
  /** Path of the certificate. */
  readonly certificate: string;
  readonly sessionName?: string | undefined;
  readonly durationSeconds: number;
}

/** Where the credentials are asked for. Given a session in the query, they are answered only if they are of just that. */
export const credentialsPath = '/credentials';

/** A session as the query of a request, and as it is compared: every part counts, one that is not there too. */
export function sessionQuery(session: SessionRequest): string {
  const { sessionName, durationSeconds, ...rest } = session;
  const parts = { ...rest, sessionName: sessionName ?? '', durationSeconds: String(durationSeconds) };
  return new URLSearchParams(parts).toString();
}
