import type { Clock } from '../base/clock.ts';
import { Secret } from '../base/secret.ts';
import { type CredentialSource, unexpired } from './credential-source.ts';
import { identityError } from './errors.ts';

/** Credentials from the variables that every AWS SDK knows. One without the other is an error, not an absence. */
export function environment(
  env: Readonly<Record<string, string | undefined>>,
  clock: Pick<Clock, 'now'>,
): CredentialSource {
  const name = 'environment';
  return {
    name,
    absence: 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set',

    async load(signal) {
      signal.throwIfAborted();
      if (!env['AWS_ACCESS_KEY_ID'] && !env['AWS_SECRET_ACCESS_KEY']) return undefined;

      const sessionToken = env['AWS_SESSION_TOKEN'];
      const expiration = env['AWS_CREDENTIAL_EXPIRATION'];
      const accountId = env['AWS_ACCOUNT_ID'];
      const credentials = {
        accessKeyId: required(env, 'AWS_ACCESS_KEY_ID'),
        secretAccessKey: Secret.ofText(required(env, 'AWS_SECRET_ACCESS_KEY')),
        ...(sessionToken ? { sessionToken: Secret.ofText(required(env, 'AWS_SESSION_TOKEN')) } : {}),
        ...(expiration ? { expiration: dateOf('AWS_CREDENTIAL_EXPIRATION', expiration) } : {}),
        ...(accountId ? { accountId } : {}),
        source: name,
      };
      return unexpired(credentials, clock.now());
    },
  };
}

function required(env: Readonly<Record<string, string | undefined>>, variable: string): string {
  const value = env[variable];
  if (!value) throw identityError('CREDENTIALS_ENVIRONMENT_INVALID', { variable, problem: 'is not set' });
  // A trailing newline is the usual accident, and otherwise shows only as a signature that does not match.
  if (/[\s\0]/u.test(value)) {
    throw identityError('CREDENTIALS_ENVIRONMENT_INVALID', { variable, problem: 'holds white space' });
  }
  return value;
}

function dateOf(variable: string, value: string): Date {
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) {
    throw identityError('CREDENTIALS_ENVIRONMENT_INVALID', { variable, problem: 'is not an ISO 8601 time' });
  }
  return date;
}
