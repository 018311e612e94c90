import type { Clock } from '../base/clock.ts';
import type { CredentialsConfig } from './config.ts';
import { container } from './container.ts';
import type { CredentialSource } from './credential-source.ts';
import { environment } from './environment.ts';
import { identityError } from './errors.ts';
import { instanceRole } from './instance-role.ts';
import { profile } from './profile.ts';
import { type RunHelper, rolesAnywhereHelper, unconfiguredRolesAnywhere } from './roles-anywhere-helper.ts';
import type { SsoClientConfig } from './single-sign-on.ts';
import type { StsAccess } from './sts-access.ts';
import { webIdentity } from './web-identity.ts';

export interface SourceContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly runCommand: RunHelper;
  readonly clock: Clock;
  readonly sts: StsAccess;
  readonly ssoClientConfig: () => SsoClientConfig;
  /** Of sessions that nothing else names: what CloudTrail shows of this host. */
  readonly sessionName: string;
}

/**
 * The sources that `config` asks for, in the order they are to be asked: `chain` asks them.
 * @throws CREDENTIALS_SIGNER_MISSING, CREDENTIALS_NOT_CONFIGURED.
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
  if (config.rolesAnywhere === undefined) {
    throw identityError('CREDENTIALS_NOT_CONFIGURED', { section: 'credentials.rolesAnywhere' });
  }
  const { helper } = config.rolesAnywhere;
  if (helper === undefined) {
    throw identityError('CREDENTIALS_SIGNER_MISSING', { missing: 'credentials.rolesAnywhere.helper' });
  }
  return rolesAnywhereHelper(
    { ...config.rolesAnywhere, helper },
    context.runCommand,
    context.env,
    context.clock,
  );
}
