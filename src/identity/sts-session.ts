import { Secret } from '../base/secret.ts';
import type { Credentials } from './credential-source.ts';
import { identityError } from './errors.ts';
import { roleOf } from './role-session.ts';

/** The part of an answer of AWS STS that holds a session of a role. */
interface StsReply {
  readonly Credentials?:
    | {
        readonly AccessKeyId: string | undefined;
        readonly SecretAccessKey: string | undefined;
        readonly SessionToken: string | undefined;
        readonly Expiration: Date | undefined;
      }
    | undefined;
  readonly AssumedRoleUser?: { readonly Arn: string | undefined } | undefined;
}

/** The session that AWS STS answered with. @throws CREDENTIALS_DOCUMENT_INVALID when it is not whole. */
export function stsSession(
  { Credentials: given, AssumedRoleUser: user }: StsReply,
  facts: { readonly operation: string; readonly roleArn: string },
  source: string,
): Credentials {
  const { AccessKeyId: accessKeyId, SecretAccessKey, SessionToken, Expiration: expiration } = given ?? {};
  if (!accessKeyId || !SecretAccessKey || !SessionToken || expiration === undefined) {
    throw identityError('CREDENTIALS_DOCUMENT_INVALID', facts);
  }
  const arn = user?.Arn ?? '';
  const accountId = arn.split(':')[4];
  const { sessionName } = roleOf(arn);
  return {
    accessKeyId,
    secretAccessKey: Secret.ofText(SecretAccessKey),
    sessionToken: Secret.ofText(SessionToken),
    expiration,
    ...(accountId ? { accountId } : {}),
    ...(sessionName === undefined ? {} : { sessionName }),
    source,
  };
}
