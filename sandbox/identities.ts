import { randomBytes, randomInt } from 'node:crypto';
import { administratorAccess } from './iam/authorize.ts';
import { createOpenIdProviders, type OpenIdProvider, type OpenIdProviders } from './iam/open-id-providers.ts';
import { parsePolicy } from './iam/policy-document.ts';
import { AwsError, type Caller } from './service.ts';

export interface User {
  readonly userName: string;
  readonly userId: string;
  readonly arn: string;
  /** Attached policies, as JSON; undefined for one who may do anything. */
  readonly policies?: readonly string[] | undefined;
  readonly tags?: ReadonlyMap<string, string> | undefined;
}

export interface Role {
  readonly roleName: string;
  readonly roleId: string;
  readonly arn: string;
  /** What AssumeRole may ask for at most, in seconds; AWS's default is 3600. */
  readonly maxSessionSeconds: number;
  /** Who may assume it: a policy document. */
  readonly trustPolicy: string;
  /** Attached policies, as JSON; undefined for one that may do anything. */
  readonly policies?: readonly string[] | undefined;
  /** By name, what PutRolePolicy put there, beside those. */
  readonly inlinePolicies: ReadonlyMap<string, string>;
  readonly tags?: ReadonlyMap<string, string> | undefined;
}

/** One access key and what it proves. Temporary keys have a session token and an expiration. */
export interface AccessKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
  /** Milliseconds since the epoch; long-term keys have none. */
  readonly expiresAt: number | undefined;
  /** Milliseconds since the epoch; of temporary keys. */
  readonly issuedAt?: number | undefined;
  readonly principalArn: string;
  readonly principalId: string;
  /** The role of a session; undefined for a user's key. */
  readonly roleArn: string | undefined;
  /** What the session may do at most, a policy document; undefined where nothing narrows it. */
  readonly sessionPolicy?: string | undefined;
}

/** Temporary credentials as STS hands them out. */
export interface SessionCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiration: Date;
  readonly assumedRoleArn: string;
  readonly assumedRoleId: string;
}

export interface LongTermCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface SessionRequest {
  /** Name or ARN of a role that exists. */
  readonly role: string;
  readonly sessionName: string;
  readonly durationSeconds: number;
  readonly sessionPolicy?: string | undefined;
}

export interface RoleOptions {
  readonly maxSessionSeconds?: number | undefined;
  /** A policy document; without one the account trusts itself. */
  readonly trustPolicy?: string | undefined;
  /** Without a trust policy: what whoever assumes the role must give. */
  readonly externalId?: string | undefined;
  readonly policies?: readonly string[] | undefined;
  readonly tags?: ReadonlyMap<string, string> | undefined;
}

/** What a user may do, and how policies know it. */
export type UserOptions = Pick<RoleOptions, 'policies' | 'tags'>;

export interface IdentitiesSnapshot {
  readonly users: readonly User[];
  readonly roles: readonly Role[];
  readonly keys: readonly AccessKey[];
  readonly openIdProviders?: readonly OpenIdProvider[];
}

export interface Identities {
  /** Makes the user unless it exists, and a new long-term key for it. Throws AwsError for a policy that is none. */
  createUser(userName: string, options?: UserOptions): User & LongTermCredentials;
  /** Makes the role, or changes it. Throws AwsError for a policy that is none. */
  createRole(roleName: string, options?: RoleOptions): Role;
  /** @param role name or ARN */
  role(role: string): Role | undefined;
  /** In the place of those that the role has. Its sessions have them from now on. */
  setInlinePolicies(roleName: string, policies: ReadonlyMap<string, string>): void;
  /** Its sessions may do nothing from now on. */
  removeRole(roleName: string): void;
  /** Credentials of a role session that verify until they expire. Checks no limit but that the role exists. */
  issueSession(request: SessionRequest): SessionCredentials;
  readonly find: (accessKeyId: string) => AccessKey | undefined;
  caller(key: AccessKey): Caller;
  /** Whether an ARN is of this account, a user or role that is here, or of another account. */
  readonly isPrincipal: (arn: string) => boolean;
  /** Makes temporary credentials expired from now on: one key's, or everybody's. Says how many that changed. */
  expire(accessKeyId?: string): number;
  /** Forgets a key, as when it is deleted in IAM. */
  remove(accessKeyId: string): void;
  readonly openIdProviders: OpenIdProviders;
  snapshot(): IdentitiesSnapshot;
  restore(snapshot: IdentitiesSnapshot): void;
}

/** How many access keys are kept; beyond it the oldest temporary one is forgotten. */
export const accessKeysMax = 10_000;

/** The users, roles and access keys of the one account this cloud has. */
export function createIdentities(accountId: string, now: () => Date): Identities {
  const users = new Map<string, User>();
  const roles = new Map<string, Role>();
  const keys = new Map<string, AccessKey>();
  const openIdProviders = createOpenIdProviders(accountId);

  const remember = (key: AccessKey): void => {
    if (keys.size >= accessKeysMax) {
      const oldest = keys.values().find((other) => other.sessionToken !== undefined);
      if (oldest === undefined) throw new RangeError(`more than ${accessKeysMax} access keys`);
      keys.delete(oldest.accessKeyId);
    }
    keys.set(key.accessKeyId, key);
  };

  const findRole = (role: string): Role | undefined =>
    roles.get(role) ?? roles.values().find((other) => other.arn === role);

  return {
    createUser(userName, options = {}) {
      assertPolicies(options.policies);
      const user = users.get(userName) ?? {
        userName,
        userId: uniqueId('AIDA'),
        arn: `arn:aws:iam::${accountId}:user/${userName}`,
        policies: options.policies,
        tags: options.tags,
      };
      users.set(userName, user);
      const long = { accessKeyId: uniqueId('AKIA'), secretAccessKey: secretAccessKey() };
      remember({
        ...long,
        sessionToken: undefined,
        expiresAt: undefined,
        principalArn: user.arn,
        principalId: user.userId,
        roleArn: undefined,
      });
      return { ...user, ...long };
    },

    createRole(roleName, options = {}) {
      assertPolicies(options.policies);
      const role: Role = {
        roleName,
        roleId: roles.get(roleName)?.roleId ?? uniqueId('AROA'),
        arn: `arn:aws:iam::${accountId}:role/${roleName}`,
        maxSessionSeconds: options.maxSessionSeconds ?? 3600,
        trustPolicy: options.trustPolicy ?? trustOfAccount(accountId, options.externalId),
        policies: options.policies,
        inlinePolicies: roles.get(roleName)?.inlinePolicies ?? new Map(),
        tags: options.tags,
      };
      parsePolicy(role.trustPolicy, 'trust');
      roles.set(roleName, role);
      return role;
    },

    role: findRole,

    setInlinePolicies(roleName, inlinePolicies) {
      const role = roles.get(roleName);
      if (role !== undefined) roles.set(roleName, { ...role, inlinePolicies });
    },

    removeRole(roleName) {
      roles.delete(roleName);
    },

    issueSession({ role: nameOrArn, sessionName, durationSeconds, sessionPolicy }) {
      const role = findRole(nameOrArn);
      if (role === undefined)
        throw new AwsError('NoSuchEntity', `The role ${nameOrArn} cannot be found.`, 404);
      const issuedAt = now().getTime();
      const expiration = new Date(issuedAt + durationSeconds * 1000);
      // AWS says expirations in whole seconds.
      expiration.setUTCMilliseconds(0);
      const session = {
        accessKeyId: uniqueId('ASIA'),
        secretAccessKey: secretAccessKey(),
        sessionToken: `IQoJb3JpZ2luX2Vj${randomBytes(240).toString('base64')}`,
      };
      const assumedRoleArn = `arn:aws:sts::${accountId}:assumed-role/${role.roleName}/${sessionName}`;
      const assumedRoleId = `${role.roleId}:${sessionName}`;
      remember({
        ...session,
        expiresAt: expiration.getTime(),
        issuedAt,
        principalArn: assumedRoleArn,
        principalId: assumedRoleId,
        roleArn: role.arn,
        sessionPolicy,
      });
      return { ...session, expiration, assumedRoleArn, assumedRoleId };
    },

    find: (accessKeyId) => keys.get(accessKeyId),

    caller({ principalArn, principalId, accessKeyId, roleArn, sessionPolicy, issuedAt }) {
      const who = { accountId, arn: principalArn, userId: principalId, accessKeyId };
      if (roleArn === undefined) {
        const { policies, tags } = users.values().find(({ arn }) => arn === principalArn) ?? {};
        return { ...who, policies, tags };
      }
      const role = findRole(roleArn);
      return {
        ...who,
        roleArn,
        policies: role === undefined ? [] : policiesOf(role),
        sessionPolicy,
        tags: role?.tags,
        issuedAt: issuedAt === undefined ? undefined : new Date(issuedAt),
      };
    },

    isPrincipal(arn) {
      const [, account, resource = ''] = /^arn:aws:(?:iam|sts)::(\d{12}):(.+)$/u.exec(arn) ?? [];
      if (account !== accountId) return account !== undefined;
      const [, kind, name = ''] =
        /^(root|user|role|assumed-role)(?:\/(?:.*\/)?([^/]+))?$/u.exec(resource) ?? [];
      if (kind === 'assumed-role') return roles.has(resource.split('/')[1] ?? '');
      return kind === 'root' || (kind === 'user' ? users : roles).has(name);
    },

    expire(accessKeyId) {
      const at = now().getTime();
      const alive = [...keys.values()].filter(
        (key) =>
          key.expiresAt !== undefined &&
          key.expiresAt > at &&
          (accessKeyId === undefined || key.accessKeyId === accessKeyId),
      );
      for (const key of alive) keys.set(key.accessKeyId, { ...key, expiresAt: at });
      return alive.length;
    },

    remove(accessKeyId) {
      keys.delete(accessKeyId);
    },

    openIdProviders,

    snapshot: () => ({
      users: [...users.values()],
      roles: [...roles.values()],
      keys: [...keys.values()],
      openIdProviders: openIdProviders.list(),
    }),

    restore(snapshot) {
      for (const user of snapshot.users) users.set(user.userName, user);
      for (const role of snapshot.roles) roles.set(role.roleName, role);
      for (const key of snapshot.keys) remember(key);
      openIdProviders.restore(snapshot.openIdProviders ?? []);
    },
  };
}

/** Of who may do anything all the same, unless something is denied. */
function policiesOf({ policies, inlinePolicies }: Role): readonly string[] | undefined {
  if (inlinePolicies.size === 0) return policies;
  return [...(policies ?? [administratorAccess]), ...inlinePolicies.values()];
}

/** As the console makes it for another account: everybody there whom IAM allows it, on condition of the external id. */
function trustOfAccount(accountId: string, externalId: string | undefined): string {
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { AWS: `arn:aws:iam::${accountId}:root` },
        Action: 'sts:AssumeRole',
        ...(externalId === undefined
          ? {}
          : { Condition: { StringEquals: { 'sts:ExternalId': externalId } } }),
      },
    ],
  });
}

function assertPolicies(policies: readonly string[] = []): void {
  for (const policy of policies) parsePolicy(policy, 'identity');
}

const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** A prefix that says the kind, as IAM's identifiers have it: 20 characters of an access key, 21 of a principal. */
function uniqueId(prefix: 'AKIA' | 'ASIA' | 'AIDA' | 'AROA'): string {
  const length = prefix === 'AKIA' || prefix === 'ASIA' ? 16 : 17;
  return prefix + Array.from({ length }, () => base32[randomInt(base32.length)]).join('');
}

function secretAccessKey(): string {
  return randomBytes(30).toString('base64');
}
