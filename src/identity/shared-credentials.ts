import type { Credentials } from './credential-source.ts';

/** https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html */
const header = /^\[\s*(?<name>[^\]]*?)\s*\]\s*(?:[#;].*)?$/u;
const ownKey = /^(?:aws_access_key_id|aws_secret_access_key|aws_session_token)\s*=/iu;

/** What can be the name of a profile in that file. */
export const profileNamePattern = /^[^\s[\]#;'"\\][^[\]#;'"\\\n\r\t]{0,127}$/u;

/**
 * The text of a shared credentials file with these credentials in one profile. Everything else in it stays as it is:
 * other profiles, other keys of this one, comments, order, line ends.
 */
export function withProfile(text: string, profile: string, credentials: Credentials): string {
  const end = text.includes('\r\n') ? '\r\n' : '\n';
  const lines = text === '' ? [] : text.replace(/\r?\n$/u, '').split(/\r?\n/u);
  const kept: string[] = [];
  let isOurs = false;
  let isWritten = false;
  for (const line of lines) {
    const name = header.exec(line)?.groups?.['name'];
    if (name === undefined) {
      if (!(isOurs && ownKey.test(line))) kept.push(line);
      continue;
    }
    isOurs = name === profile;
    kept.push(line);
    // A profile that is there twice gets them once; both lose what they had.
    if (!isOurs || isWritten) continue;
    kept.push(...linesOf(credentials));
    isWritten = true;
  }
  if (!isWritten) {
    if (kept.length > 0 && kept.at(-1) !== '') kept.push('');
    kept.push(`[${profile}]`, ...linesOf(credentials));
  }
  return kept.join(end) + end;
}

function linesOf({ accessKeyId, secretAccessKey, sessionToken }: Credentials): readonly string[] {
  return [
    `aws_access_key_id = ${accessKeyId}`,
    `aws_secret_access_key = ${secretAccessKey.revealText()}`,
    ...(sessionToken === undefined ? [] : [`aws_session_token = ${sessionToken.revealText()}`]),
  ];
}
