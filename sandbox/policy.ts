import { z } from 'zod';
import { AwsError } from './service.ts';

/**
 * Policy documents of IAM as far as this cloud needs them: who may assume a role, and what a session may do at most.
 * Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
 */

/** What a policy is asked about. */
export interface PolicyRequest {
  /** `sts:AssumeRole`. */
  readonly action: string;
  /** ARN of what the action is on. Where it is not known, only `*` allows it and every denial counts. */
  readonly resource: string | undefined;
  /** How a trust policy may name the caller: `AWS` → its ARNs and account, `Service` → its name. */
  readonly principals?: Readonly<Record<string, readonly string[]>>;
  /** Condition keys with their values, by lower-case name: `sts:externalid`. */
  readonly context: Readonly<Record<string, string | undefined>>;
}

const oneOrMore = z
  .union([z.string(), z.array(z.string()).min(1)])
  .transform((value) => (typeof value === 'string' ? [value] : value));
const conditionValue = z
  .union([z.string(), z.boolean(), z.number()])
  .transform(String)
  .or(z.array(z.union([z.string(), z.boolean(), z.number()]).transform(String)).min(1))
  .transform((value) => (typeof value === 'string' ? [value] : value));

const statement = z.strictObject({
  Sid: z.string().optional(),
  Effect: z.enum(['Allow', 'Deny']),
  Principal: z.union([z.literal('*'), z.record(z.string(), oneOrMore)]).optional(),
  Action: oneOrMore.optional(),
  NotAction: oneOrMore.optional(),
  Resource: oneOrMore.optional(),
  NotResource: oneOrMore.optional(),
  Condition: z.record(z.string(), z.record(z.string(), conditionValue)).optional(),
});
const policyDocument = z.strictObject({
  Version: z.enum(['2008-10-17', '2012-10-17']).optional(),
  Id: z.string().optional(),
  Statement: z.union([statement.transform((only) => [only]), z.array(statement).min(1)]),
});

type Statement = z.infer<typeof statement>;

/** A document found well formed. */
export interface Policy {
  readonly statements: readonly Statement[];
}

/** Trust policies name principals and no resource; session policies the other way round. */
export type PolicyKind = 'trust' | 'session';

/** @throws AwsError MalformedPolicyDocument */
export function parsePolicy(text: string, kind: PolicyKind): Policy {
  const { Statement: statements } = wellFormed(text);
  for (const each of statements) {
    const isTrust = kind === 'trust';
    if ((each.Principal !== undefined) !== isTrust) {
      throw malformed(
        isTrust ? 'Missing required field Principal' : 'Policy document should not specify a principal.',
      );
    }
    const resources = [each.Resource, each.NotResource].filter((list) => list !== undefined).length;
    if (isTrust && resources > 0) throw malformed('Has prohibited field Resource');
    if (!isTrust && resources !== 1) throw malformed('Policy statement must contain resources.');
    if ((each.Action === undefined) === (each.NotAction === undefined)) {
      throw malformed('Policy statement must contain actions.');
    }
    for (const action of [...(each.Action ?? []), ...(each.NotAction ?? [])]) {
      if (!/^(?:\*|[\w-]+:[\w*?]+)$/u.test(action)) {
        throw malformed('Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.');
      }
    }
    for (const operator of Object.keys(each.Condition ?? {})) {
      if (!Object.hasOwn(operators, bare(operator))) throw malformed(`Invalid Condition type : ${operator}.`);
    }
  }
  return { statements };
}

/** What the policy says of a request: a denial goes before everything, and silence is no permission. */
export function evaluate(policy: Policy, request: PolicyRequest): 'allowed' | 'denied' | 'unmentioned' {
  const applying = policy.statements.filter((each) => applies(each, request));
  if (applying.some(({ Effect }) => Effect === 'Deny')) return 'denied';
  return applying.length > 0 ? 'allowed' : 'unmentioned';
}

function wellFormed(text: string): z.infer<typeof policyDocument> {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw malformed('This policy contains invalid Json');
  }
  const parsed = policyDocument.safeParse(document);
  if (!parsed.success) throw malformed('Syntax errors in policy.');
  return parsed.data;
}

function malformed(message: string): AwsError {
  return new AwsError('MalformedPolicyDocument', message);
}

function applies(each: Statement, request: PolicyRequest): boolean {
  return (
    namesPrincipal(each, request) &&
    names(each.Action, each.NotAction, request.action.toLowerCase(), true) &&
    namesResource(each, request) &&
    conditionsHold(each, request)
  );
}

function namesResource({ Effect, Resource, NotResource }: Statement, { resource }: PolicyRequest): boolean {
  if (resource !== undefined) return names(Resource, NotResource, resource, false);
  return Effect === 'Deny' || (Resource ?? []).includes('*');
}

/** Neither list given: everything is meant, as with the resources of a trust policy. */
function names(
  listed: readonly string[] | undefined,
  unlisted: readonly string[] | undefined,
  value: string,
  ignoresCase: boolean,
): boolean {
  const isIn = (patterns: readonly string[]): boolean =>
    patterns.some((pattern) => isLike(value, ignoresCase ? pattern.toLowerCase() : pattern));
  if (listed !== undefined) return isIn(listed);
  return unlisted === undefined || !isIn(unlisted);
}

function namesPrincipal({ Principal: principal }: Statement, { principals = {} }: PolicyRequest): boolean {
  if (principal === undefined || principal === '*') return true;
  return Object.entries(principal).some(([kind, named]) =>
    named.some((name) => name === '*' || (principals[kind] ?? []).includes(name)),
  );
}

type Compare = (value: string, wanted: string) => boolean;

const equal: Compare = (value, wanted) => value === wanted;
const sameText: Compare = (value, wanted) => value.toLowerCase() === wanted.toLowerCase();

/** Operators by name: how one value compares, and whether all must differ instead of one being equal. */
const operators: Readonly<Record<string, { readonly compare: Compare; readonly isNegated: boolean }>> = {
  StringEquals: { compare: equal, isNegated: false },
  StringNotEquals: { compare: equal, isNegated: true },
  StringEqualsIgnoreCase: { compare: sameText, isNegated: false },
  StringNotEqualsIgnoreCase: { compare: sameText, isNegated: true },
  StringLike: { compare: isLike, isNegated: false },
  StringNotLike: { compare: isLike, isNegated: true },
  ArnEquals: { compare: isLike, isNegated: false },
  ArnLike: { compare: isLike, isNegated: false },
  ArnNotEquals: { compare: isLike, isNegated: true },
  ArnNotLike: { compare: isLike, isNegated: true },
  Bool: { compare: sameText, isNegated: false },
};

function bare(operator: string): string {
  return operator.replace(/IfExists$/u, '');
}

function conditionsHold({ Condition: conditions = {} }: Statement, { context }: PolicyRequest): boolean {
  return Object.entries(conditions).every(([operator, keys]) => {
    const known = operators[bare(operator)];
    return Object.entries(keys).every(([key, wanted]) => {
      if (known === undefined) return false;
      const value = context[key.toLowerCase()];
      if (value === undefined) return known.isNegated || operator.endsWith('IfExists');
      return wanted.some((each) => known.compare(value, each)) !== known.isNegated;
    });
  });
}

/** `*` stands for any characters, `?` for one. */
function isLike(value: string, pattern: string): boolean {
  const source = pattern
    .replaceAll(/[\\^$.|+()[\]{}/]/gu, String.raw`\$&`)
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 'su').test(value);
}
