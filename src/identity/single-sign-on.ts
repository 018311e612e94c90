import { Secret } from '../base/secret.ts';
import type { Credentials } from './credential-source.ts';
import { identityError } from './errors.ts';
import type { ProfileFiles } from './profile-files.ts';

/** How the SDK's own clients of the sign-in services are to reach them. */
export type SsoClientConfig = Readonly<Record<string, unknown>>;

/**
 * Credentials of a profile whose owner signed in with `aws sso login` or `aws login`: the SDK's own provider reads
 * the tokens in `~/.aws` and renews them. People's laptops, that is; a host has no one who signs in.
 * @throws CREDENTIALS_SSO_FAILED, whatever it was: the provider makes one class of all its errors.
 */
export async function signedOn(
  profile: string,
  { config: configFilepath, credentials: filepath }: ProfileFiles,
  clientConfig: SsoClientConfig,
  signal: AbortSignal,
): Promise<Omit<Credentials, 'source'>> {
  const { fromIni } = await import('@aws-sdk/credential-provider-ini');
  const provide = fromIni({ profile, configFilepath, filepath, ignoreCache: true, clientConfig });
  const loaded = await provide().catch((error: unknown) => {
    signal.throwIfAborted();
    throw identityError('CREDENTIALS_SSO_FAILED', { profile }, error);
  });
  signal.throwIfAborted();
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = loaded;
  return {
    accessKeyId,
    secretAccessKey: Secret.ofText(secretAccessKey),
    ...(sessionToken === undefined ? {} : { sessionToken: Secret.ofText(sessionToken) }),
    ...(expiration === undefined ? {} : { expiration }),
  };
}
