import { type ConditionKeys, conditionsHold, isArnLike, isLike, substituted } from './condition.ts';
import type { Principal, Statement } from './policy-document.ts';

/** Who asks, as policies name principals. */
export interface Asker {
  readonly accountId: string;
  /** The ARNs that mean this caller: the user's, or the session's and its role's. */
  readonly arns: readonly string[];
}

/** One action on one resource. */
export interface Access {
  /** `dynamodb:GetItem` */
  readonly action: string;
  /** An ARN, or `*` for what has none. */
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

function isAbout({ actions, resources, conditions }: Statement, { action, resource, keys }: Access): boolean {
  const isAction = actions.of.some((one) => isLike(action.toLowerCase(), one.toLowerCase()));
  if (isAction === actions.isExcluding) return false;
  if (resources !== undefined && resource !== '*') {
    const isResource = resources.of.some((one) => {
      const pattern = substituted(one, keys, true);
      return pattern !== undefined && (pattern === '*' || isArnLike(resource, pattern));
    });
    if (isResource === resources.isExcluding) return false;
  }
  // What has no resource of its own is allowed by `*` alone.
  if (resources !== undefined && resource === '*' && !resources.isExcluding && !resources.of.includes('*')) {
    return false;
  }
  return conditionsHold(conditions, keys);
}

function reachOf({ principals }: Statement, asker: Asker): 'none' | 'direct' | 'account' {
  if (principals === undefined) return 'none';
  const reaches = principals.of.map((principal) => reachOfOne(principal, asker));
  if (principals.isExcluding) return reaches.every((reach) => reach === 'none') ? 'direct' : 'none';
  if (reaches.includes('direct')) return 'direct';
  return reaches.includes('account') ? 'account' : 'none';
}

function reachOfOne({ type, name }: Principal, { accountId, arns }: Asker): 'none' | 'direct' | 'account' {
  if (type !== 'AWS') return 'none';
  if (name === '*' || arns.includes(name)) return 'direct';
  return name === accountId || name === `arn:aws:iam::${accountId}:root` ? 'account' : 'none';
}
