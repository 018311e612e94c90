import { type ConditionKeys, conditionsHold, substituted } from './condition.ts';
import { isArnLike, isLike } from './operators.ts';
import type { Principal, Statement } from './policy-document.ts';

/** Who asks, as policies name principals. */
export interface Asker {
  readonly accountId: string;
  /** The ARNs that mean this caller: the user's, or the session's and its role's. */
  readonly arns: readonly string[];
  /** Who it is where it is nobody of AWS: `Federated` or `Service` → its names. */
  readonly others?: Readonly<Record<string, readonly string[]>>;
}

/** One action on one resource. */
export interface Access {
  /** `dynamodb:GetItem` */
  readonly action: string;
  /** An ARN, or `*` where there is none, or where it cannot be told: allowed by `*` alone, denied by every denial. */
  readonly resource: string;
  readonly keys: ConditionKeys;
}

/**
 * What policies say of an access. `allowed` is for the caller itself, `delegated` only to the caller's account, whose
 * own policies then decide.
 */
export type Verdict = 'denied' | 'allowed' | 'delegated' | 'silent';

/** The verdict of identity policies, or, given an asker, of one resource's policy. */
export function verdictOf(statements: readonly Statement[], access: Access, asker?: Asker): Verdict {
  let verdict: Verdict = 'silent';
  for (const statement of statements) {
    const reach = asker === undefined ? 'direct' : reachOf(statement, asker);
    if (reach === 'none' || !isAbout(statement, access)) continue;
    if (statement.effect === 'Deny') return 'denied';
    if (reach === 'direct') verdict = 'allowed';
    else if (verdict === 'silent') verdict = 'delegated';
  }
  return verdict;
}

function isAbout(statement: Statement, access: Access): boolean {
  const { actions, conditions } = statement;
  const isAction = actions.of.some((one) => isLike(access.action.toLowerCase(), one.toLowerCase()));
  return (
    isAction !== actions.isExcluding && isOn(statement, access) && conditionsHold(conditions, access.keys)
  );
}

function isOn({ effect, resources }: Statement, { resource, keys }: Access): boolean {
  if (resources === undefined) return true;
  if (resource === '*') return effect === 'Deny' || (!resources.isExcluding && resources.of.includes('*'));
  const isNamed = resources.of.some((one) => {
    const pattern = substituted(one, keys, true);
    return pattern !== undefined && (pattern === '*' || isArnLike(resource, pattern));
  });
  return isNamed !== resources.isExcluding;
}

function reachOf({ principals }: Statement, asker: Asker): 'none' | 'direct' | 'account' {
  if (principals === undefined) return 'none';
  const reaches = principals.of.map((principal) => reachOfOne(principal, asker));
  if (principals.isExcluding) return reaches.every((reach) => reach === 'none') ? 'direct' : 'none';
  if (reaches.includes('direct')) return 'direct';
  return reaches.includes('account') ? 'account' : 'none';
}

function reachOfOne(
  { type, name }: Principal,
  { accountId, arns, others = {} }: Asker,
): 'none' | 'direct' | 'account' {
  if (type !== 'AWS') return others[type]?.includes(name) === true ? 'direct' : 'none';
  if (name === '*' || arns.includes(name)) return 'direct';
  return name === accountId || name === `arn:aws:iam::${accountId}:root` ? 'account' : 'none';
}
