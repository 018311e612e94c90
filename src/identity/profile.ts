import type { Clock } from '../base/clock.ts';
import { Secret } from '../base/secret.ts';
import { container } from './container.ts';
import { credentialProcess } from './credential-process.ts';
import { type CredentialSource, type Credentials, unexpired } from './credential-source.ts';
import { environment } from './environment.ts';
import { identityError } from './errors.ts';
import { instanceRole } from './instance-role.ts';
import { type Profile, type ProfileFiles, profileFiles, readProfiles } from './profile-files.ts';
import { type Base, invalid, leadsAnywhere, type NamedSource, type Plan, planOf } from './profile-plan.ts';
import type { RunHelper } from './roles-anywhere-helper.ts';
import { type SsoClientConfig, signedOn } from './single-sign-on.ts';
import type { StsAccess } from './sts-access.ts';
import { exchangeToken } from './web-identity.ts';

type Env = Readonly<Record<string, string | undefined>>;
type Loaded = Omit<Credentials, 'source'>;

/** What a profile may lead to, and how to get there. */
export interface ProfileContext {
  readonly env: Env;
  readonly clock: Clock;
  readonly runCommand: RunHelper;
  readonly sts: StsAccess;
  ssoClientConfig(): SsoClientConfig;
  /** Of sessions whose profile names none. */
  readonly sessionName: string;
}

const name = 'profile';

/** Where a profile does not say how long a session lasts: AWS's own default, and its most for a chain. */
const durationSeconds = 3600;

/** What `credential_source` may say. */
const namedSources: Readonly<Record<NamedSource, (context: ProfileContext) => CredentialSource>> = {
  Environment: ({ env, clock }) => environment(env, clock),
  EcsContainer: ({ env, clock }) => container(env, clock),
  Ec2InstanceMetadata: ({ env, clock }) => instanceRole(env, clock, { required: true }),
};

/**
 * Credentials that an AWS profile leads to: keys, a `credential_process`, a web identity, single sign-on, or a chain
 * of roles over any of these or over the environment, the container or the instance (`credential_source`).
 * `AWS_PROFILE` names it; else it is `default`, which need not exist.
 *
 * Not the SDK's `fromIni`: that runs `credential_process` in a shell with our whole environment and no time limit, and
 * follows `credential_source` with providers that read process.env and may ask version 1 of the metadata service. The
 * files are read by the SDK's parser, and single sign-on is the SDK's.
 */
export function profile(context: ProfileContext): CredentialSource {
  const { env, clock } = context;
  let absence = 'it was not asked yet';
  return {
    name,
    get absence() {
      return absence;
    },

    async load(signal) {
      signal.throwIfAborted();
      const chosen = env['AWS_PROFILE'] || undefined;
      const files = profileFiles(env);
      const reading = await readProfiles(files);
      signal.throwIfAborted();
      const wanted = chosen ?? 'default';
      const profiles = 'profiles' in reading ? reading.profiles : new Map<string, Profile>();
      const found = profiles.get(wanted);
      if (found === undefined && chosen !== undefined) {
        throw identityError('CREDENTIALS_PROFILE_MISSING', { profile: chosen, ...files });
      }
      if (found === undefined || !leadsAnywhere(found)) {
        absence = 'absence' in reading ? reading.absence : `the profile ${wanted} names no credentials`;
        return undefined;
      }
      const loaded = await follow(planOf(wanted, profiles), { ...context, files }, signal);
      return unexpired({ ...loaded, source: name }, clock.now());
    },
  };
}

type Following = ProfileContext & { readonly files: ProfileFiles };

async function follow({ base, roles }: Plan, context: Following, signal: AbortSignal): Promise<Loaded> {
  let loaded = await baseCredentials(base, context, signal);
  if (roles.length === 0) return loaded;
  // Loaded only for a profile that has roles: it brings the client of STS along.
  const { assumedRole } = await import('./assumed-role.ts');
  for (const role of roles) {
    const client = await context.sts({ ...loaded, source: name });
    const { sessionName } = context;
    const assumed = assumedRole({ sessionName, durationSeconds, ...role }, async () => client, context.clock);
    try {
      loaded = (await assumed.load(signal)) ?? loaded;
    } finally {
      client.destroy();
    }
  }
  return loaded;
}

async function baseCredentials(base: Base, context: Following, signal: AbortSignal): Promise<Loaded> {
  const { sessionName, sts, files } = context;
  if (base.kind === 'keys') return keysOf(base.profile, base.keys);
  if (base.kind === 'process') return credentialProcess(base, context, signal);
  if (base.kind === 'web-identity') return exchangeToken({ sessionName, ...base }, sts, name, signal);
  if (base.kind === 'single-sign-on') return signedOn(base.profile, files, context.ssoClientConfig(), signal);
  const source = namedSources[base.source](context);
  const loaded = await source.load(signal);
  if (loaded !== undefined) return loaded;
  throw invalid(base.profile, `credential_source ${base.source} does not apply: ${source.absence}`);
}

function keysOf(named: string, keys: Profile): Loaded {
  const { aws_access_key_id: accessKeyId = '', aws_secret_access_key: secret = '' } = keys;
  const { aws_session_token: sessionToken, aws_account_id: accountId } = keys;
  const texts = {
    aws_access_key_id: accessKeyId,
    aws_secret_access_key: secret,
    aws_session_token: sessionToken,
  };
  for (const [key, text] of Object.entries(texts)) {
    if (text !== undefined && /[\s\0]/u.test(text)) throw invalid(named, `${key} holds white space`);
  }
  return {
    accessKeyId,
    secretAccessKey: Secret.ofText(secret),
    ...(sessionToken === undefined ? {} : { sessionToken: Secret.ofText(sessionToken) }),
    ...(accountId === undefined ? {} : { accountId }),
  };
}
