import type { Clock } from '../../base/clock.ts';
import { Secret } from '../../base/secret.ts';
import type { FromWorker, PlainCredentials, Questions } from '../../events/channel.ts';
import type { Credentials } from '../../identity/credential-source.ts';
import type { AwsClientOptions } from '../aws/aws-client.ts';
import { briefly } from './briefly.ts';

/** How calls of the worker are signed. */
export type WorkerAccess = Pick<AwsClientOptions, 'credentials' | 'denials'>;

export interface WorkerAccessOptions {
  /** Answered by the main thread, which holds the credentials. */
  readonly asked: Questions<PlainCredentials>;
  readonly renewals: Questions<boolean>;
  readonly say: (message: FromWorker) => void;
  /** Told of each value before it is used: credentials are secrets, and are not shipped. */
  readonly learn: (name: string, value: Secret) => void;
  readonly clock: Pick<Clock, 'monotonic'>;
}

/** How long credentials are used without asking for them again. The main thread renews them long before they expire. */
const keptMs = 10_000;

/** What a redacted line calls credentials. No name of a secret has a space. */
function namesOf(roleOf: string | undefined) {
  const whose = roleOf === undefined ? '' : ` of ${roleOf}`;
  return { key: `AWS secret access key${whose}`, token: `AWS session token${whose}` };
}

export function credentialNames(roles: readonly (string | undefined)[]): string[] {
  return roles.flatMap((roleOf) => Object.values(namesOf(roleOf)));
}

/** The credentials of each role that sends events, which the main thread holds: the same access for the same role. */
export function workerAccess(options: WorkerAccessOptions): (roleOf: string | undefined) => WorkerAccess {
  const known = new Map<string | undefined, WorkerAccess>();
  return (roleOf) => {
    const access = known.get(roleOf) ?? accessUnder(roleOf, options);
    known.set(roleOf, access);
    return access;
  };
}

function accessUnder(
  roleOf: string | undefined,
  { asked, renewals, say, learn, clock }: WorkerAccessOptions,
): WorkerAccess {
  const names = namesOf(roleOf);
  let knownKey: string | undefined;
  /** It hears of success only after a denial, for there are many successes. */
  let denied: Parameters<WorkerAccess['denials']['again']>[0] | undefined;

  async function ask(): Promise<Credentials> {
    const credentials = wrapped(await asked.ask((id) => say({ kind: 'credentials-wanted', id, roleOf })));
    const { accessKeyId, secretAccessKey, sessionToken } = credentials;
    if (accessKeyId !== knownKey) {
      learn(names.key, secretAccessKey);
      if (sessionToken !== undefined) learn(names.token, sessionToken);
    }
    knownKey = accessKeyId;
    return credentials;
  }

  const held = briefly(ask, keptMs, clock);
  return {
    credentials: () => held.get(),
    denials: {
      renew(denial) {
        denied = denial;
        held.forget();
        return renewals.ask((id) => say({ kind: 'credentials-denied', id, denial, roleOf }));
      },
      again(denial) {
        denied = denial;
        say({ kind: 'credentials-denied-again', denial, roleOf });
      },
      accepted(service, accessKeyId) {
        const isOther = denied?.service !== service && denied?.accessKeyId === accessKeyId;
        if (denied === undefined || isOther) return;
        denied = undefined;
        say({ kind: 'credentials-accepted', service, accessKeyId, roleOf });
      },
    },
  };
}

function wrapped({ accessKeyId, secretAccessKey, sessionToken }: PlainCredentials): Credentials {
  return {
    accessKeyId,
    secretAccessKey: Secret.ofText(secretAccessKey),
    ...(sessionToken === undefined ? {} : { sessionToken: Secret.ofText(sessionToken) }),
    source: 'agent',
  };
}
