import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log-events.ts';
import type { CredentialsConfig, RolesAnywhereConfig } from './config.ts';
import { container } from './container.ts';
import type { CredentialSource } from './credential-source.ts';
import { environment } from './environment.ts';
import { identityError } from './errors.ts';
import { instanceRole } from './instance-role.ts';
import { profile } from './profile.ts';
import type { RolesAnywhereContext } from './roles-anywhere/roles-anywhere.ts';
import { type RunHelper, rolesAnywhereHelper, unconfiguredRolesAnywhere } from './roles-anywhere-helper.ts';
import type { SsoClientConfig } from './single-sign-on.ts';
import type { StsAccess } from './sts-access.ts';
import { webIdentity } from './web-identity.ts';

export interface SourceContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly runCommand: RunHelper;
  readonly clock: Clock;
  readonly log: Log;
  readonly sts: StsAccess;
  readonly ssoClientConfig: () => SsoClientConfig;
  /** Of sessions that nothing else names: what CloudTrail shows of this host. */
  readonly sessionName: string;
  /** How IAM Roles Anywhere is asked; called only where it is. */
  rolesAnywhere(): Pick<RolesAnywhereContext, 'endpoint' | 'post' | 'serverTime'>;
}

/**
 * The sources that `config` asks for, in the order they are to be asked: `chain` asks them.
 * @throws CREDENTIALS_NOT_CONFIGURED.
 */
export function credentialSources(config: CredentialsConfig, context: SourceContext): CredentialSource[] {
  const { env, clock, sts, sessionName } = context;
  const sources: Record<CredentialsConfig['source'], () => CredentialSource[]> = {
    auto: () => [
      environment(env, clock),
      profile(context),
      webIdentity(env, clock, sts, sessionName),
      config.rolesAnywhere === undefined ? unconfiguredRolesAnywhere : rolesAnywhere(config, context),
      container(env, clock),
      instanceRole(env, clock, { required: false }),
    ],
    environment: () => [environment(env, clock)],
    profile: () => [profile(context)],
    'web-identity': () => [webIdentity(env, clock, sts, sessionName)],
    'roles-anywhere': () => [rolesAnywhere(config, context)],
    container: () => [container(env, clock)],
    'instance-role': () => [instanceRole(env, clock, { required: true })],
  };
  return sources[config.source]();
}

function rolesAnywhere(config: CredentialsConfig, context: SourceContext): CredentialSource {
  const { rolesAnywhere: identity } = config;
  if (identity === undefined) {
    throw identityError('CREDENTIALS_NOT_CONFIGURED', { section: 'credentials.rolesAnywhere' });
  }
  const { helper } = identity;
  const { env, clock, runCommand } = context;
  return helper === undefined
    ? ownSigner(identity, context)
    : rolesAnywhereHelper({ ...identity, helper }, runCommand, env, clock);
}

/** Loaded when it is first asked: most hosts never do. */
function ownSigner(identity: RolesAnywhereConfig, context: SourceContext): CredentialSource {
  let source: CredentialSource | undefined;
  return {
    name: 'roles-anywhere',
    absence: 'it always applies',
    async load(signal) {
      signal.throwIfAborted();
      if (source === undefined) {
        const { rolesAnywhere: signer } = await import('./roles-anywhere/roles-anywhere.ts');
        source = signer(identity, { ...context, ...context.rolesAnywhere() });
      }
      return source.load(signal);
    },
  };
}
