import type { GatehouseError } from '../base/errors.ts';
import type { RoleToAssume } from './assumed-role.ts';
import { identityError } from './errors.ts';
import type { Profile } from './profile-files.ts';

/** Roles assumed one with the other; each costs a call, and AWS caps all but the first at an hour. */
const rolesMax = 8;

/** How to get a profile's credentials: those of `base`, then each role in order. */
export interface Plan {
  readonly base: Base;
  readonly roles: readonly ProfileRole[];
}

/** A role with what the profile says of it. */
type ProfileRole = Pick<RoleToAssume, 'roleArn' | 'externalId'> &
  Partial<Pick<RoleToAssume, 'sessionName' | 'durationSeconds'>>;

export type Base =
  | { readonly kind: 'keys'; readonly profile: string; readonly keys: Profile }
  | { readonly kind: 'process'; readonly profile: string; readonly line: string }
  | {
      readonly kind: 'web-identity';
      readonly tokenFile: string;
      readonly roleArn: string;
      readonly sessionName?: string;
    }
  | { readonly kind: 'named'; readonly profile: string; readonly source: NamedSource }
  | { readonly kind: 'single-sign-on'; readonly profile: string };

/** What `credential_source` may say. */
const namedSources = ['Environment', 'EcsContainer', 'Ec2InstanceMetadata'] as const;
export type NamedSource = (typeof namedSources)[number];

/** Whether a profile says anything about credentials: many are there for a region only. */
export function leadsAnywhere(profile: Profile): boolean {
  return ['role_arn', 'aws_access_key_id', 'credential_process', 'web_identity_token_file', ...ssoKeys].some(
    (key) => profile[key] !== undefined,
  );
}

const ssoKeys = ['sso_session', 'sso_start_url', 'login_session'] as const;

/** Follows `source_profile` to the profile that has credentials of its own. @throws CREDENTIALS_PROFILE_INVALID */
export function planOf(start: string, profiles: ReadonlyMap<string, Profile>): Plan {
  const roles: ProfileRole[] = [];
  const visited = new Set<string>();
  let at = start;
  for (;;) {
    const here = profiles.get(at);
    if (here === undefined) throw invalid(start, `source_profile ${at} does not exist`);
    // A profile may be its own source: then it has keys, and a role to use them for.
    const isSource = visited.size > 0;
    if (!isAssumed(here) || (isSource && hasKeys(here)))
      return { base: baseOf(at, here), roles: roles.toReversed() };
    if (visited.has(at)) throw invalid(start, `source_profile leads back to ${at}`);
    if (visited.size === rolesMax) throw invalid(start, `more than ${rolesMax} roles in a row`);
    visited.add(at);
    roles.push(roleOf(at, here));

    const { source_profile: next, credential_source: source } = here;
    if (next !== undefined && source !== undefined) {
      throw invalid(at, 'source_profile and credential_source exclude each other');
    }
    if (source !== undefined) return { base: namedBase(at, source), roles: roles.toReversed() };
    if (next === undefined) throw invalid(at, 'role_arn needs source_profile or credential_source');
    at = next;
  }
}

/** A web identity has a role as well, but assumes nothing with other credentials. */
function isAssumed(profile: Profile): boolean {
  return profile['role_arn'] !== undefined && profile['web_identity_token_file'] === undefined;
}

function hasKeys(profile: Profile): boolean {
  return profile['aws_access_key_id'] !== undefined && profile['aws_secret_access_key'] !== undefined;
}

function roleOf(name: string, profile: Profile): ProfileRole {
  const { role_arn: roleArn = '', external_id: externalId, mfa_serial: mfaSerial } = profile;
  if (mfaSerial !== undefined) {
    throw invalid(name, 'mfa_serial asks for a one-time code, and nobody is there to type it');
  }
  const duration = profile['duration_seconds'];
  if (duration !== undefined && !/^\d{3,5}$/u.test(duration)) {
    throw invalid(name, 'duration_seconds is not a number of seconds');
  }
  const sessionName = profile['role_session_name'];
  return {
    roleArn,
    ...(sessionName === undefined ? {} : { sessionName }),
    ...(externalId === undefined ? {} : { externalId }),
    ...(duration === undefined ? {} : { durationSeconds: Number(duration) }),
  };
}

function baseOf(name: string, profile: Profile): Base {
  const { credential_process: line, web_identity_token_file: tokenFile, role_arn: roleArn } = profile;
  const sessionName = profile['role_session_name'];
  if (hasKeys(profile)) return { kind: 'keys', profile: name, keys: profile };
  if (profile['aws_access_key_id'] !== undefined) {
    throw invalid(name, 'aws_access_key_id needs aws_secret_access_key');
  }
  if (tokenFile !== undefined) {
    if (roleArn === undefined) throw invalid(name, 'web_identity_token_file needs role_arn');
    return {
      kind: 'web-identity',
      tokenFile,
      roleArn,
      ...(sessionName === undefined ? {} : { sessionName }),
    };
  }
  if (line !== undefined) return { kind: 'process', profile: name, line };
  if (ssoKeys.some((key) => profile[key] !== undefined)) return { kind: 'single-sign-on', profile: name };
  throw invalid(name, 'it names no credentials');
}

function namedBase(profile: string, source: string): Base {
  const named = namedSources.find((each) => each === source);
  if (named !== undefined) return { kind: 'named', profile, source: named };
  throw invalid(profile, `credential_source is none of ${namedSources.join(', ')}`);
}

export function invalid(profile: string, problem: string): GatehouseError {
  return identityError('CREDENTIALS_PROFILE_INVALID', { profile, problem });
}
