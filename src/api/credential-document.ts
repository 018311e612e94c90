import type { Secret } from '../base/secret.ts';

/** Temporary credentials on their way to a consumer. */
export interface HandedCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: Secret;
  readonly sessionToken: Secret;
  readonly expiration: Date;
  /** When we got them. */
  readonly lastUpdated: Date;
  /** 12 digits, where it is known. */
  readonly accountId?: string | undefined;
}

/** As ECS and EKS Pod Identity give them. Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html */
export function containerDocument(credentials: HandedCredentials): object {
  const { accessKeyId, secretAccessKey, sessionToken, expiration, accountId } = credentials;
  return {
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey.revealText(),
    Token: sessionToken.revealText(),
    Expiration: isoSeconds(expiration),
    ...(accountId === undefined ? {} : { AccountId: accountId }),
  };
}

/** As EC2 gives them. Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html */
export function metadataDocument(credentials: HandedCredentials): object {
  const { accessKeyId, secretAccessKey, sessionToken, expiration, lastUpdated } = credentials;
  return {
    Code: 'Success',
    LastUpdated: isoSeconds(lastUpdated),
    Type: 'AWS-HMAC',
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey.revealText(),
    Token: sessionToken.revealText(),
    Expiration: isoSeconds(expiration),
  };
}

/** As a credential_process prints them. Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html */
export function processDocument(credentials: HandedCredentials): object {
  const { accessKeyId, secretAccessKey, sessionToken, expiration, accountId } = credentials;
  return {
    Version: 1,
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey.revealText(),
    SessionToken: sessionToken.revealText(),
    Expiration: isoSeconds(expiration),
    ...(accountId === undefined ? {} : { AccountId: accountId }),
  };
}

/** Of times that are handed out again and again: there is nothing secret about them. */
const texts = new WeakMap<Date, string>();

/** Without a fraction, as AWS writes it and some SDKs insist on; cut off, so it is never later than it is. */
function isoSeconds(time: Date): string {
  const known = texts.get(time);
  if (known !== undefined) return known;
  const text = time.toISOString().replace(/\.\d{3}Z$/u, 'Z');
  texts.set(time, text);
  return text;
}
