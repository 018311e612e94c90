import { AwsError } from '../service.ts';
import { isOperator } from './operators.ts';

/** A policy's JSON, read: what IAM, KMS and DynamoDB have in common of it. */
export interface Statement {
  readonly effect: 'Allow' | 'Deny';
  /** Undefined in an identity policy, which speaks of whom it is attached to. */
  readonly principals: Choice<Principal> | undefined;
  readonly actions: Choice<string>;
  /** Undefined where a key policy or table policy leaves the resource to where it is attached. */
  readonly resources: Choice<string> | undefined;
  readonly conditions: readonly Condition[];
}

/** Those named, or with `Not…` all but those. */
export interface Choice<Of> {
  readonly isExcluding: boolean;
  readonly of: readonly Of[];
}

export interface Principal {
  readonly type: string;
  readonly name: string;
}

/** `"StringEquals": { "KEY": [VALUES] }` */
export interface Condition {
  readonly operator: string;
  readonly key: string;
  readonly values: readonly string[];
}

/**
 * What a document is for. Trust policies name principals and no resource, identity and session policies the other way
 * round, a resource's policy both.
 */
export type PolicyKind = 'trust' | 'identity' | 'session' | 'resource';

/**
 * The statements of a policy. "Grammar of the IAM JSON policy language".
 * @throws AwsError MalformedPolicyDocument
 */
export function parsePolicy(policy: string, kind: PolicyKind): readonly Statement[] {
  let document: unknown;
  try {
    document = JSON.parse(policy);
  } catch {
    throw malformed('This policy contains invalid Json');
  }
  const statements = statementsIn(document);
  if (statements === undefined) throw malformed('Syntax errors in policy.');
  for (const statement of statements) {
    const problem = problemOf(statement, kind);
    if (problem !== undefined) throw malformed(problem);
  }
  return statements;
}

/** The statements of the policy of a key or a table, whose services have an error of their own for one that is none. */
export function resourceStatements(policy: string): readonly Statement[] | undefined {
  try {
    return parsePolicy(policy, 'resource');
  } catch (error) {
    if (error instanceof AwsError) return undefined;
    throw error;
  }
}

function statementsIn(document: unknown): readonly Statement[] | undefined {
  if (!isRecord(document)) return undefined;
  const { Version = '2008-10-17', Statement: given, ...others } = document;
  const isKnown = Version === '2012-10-17' || Version === '2008-10-17';
  if (!isKnown || given === undefined || Object.keys(others).some((name) => name !== 'Id')) return undefined;
  const statements = [given].flat().map(statementOf);
  if (statements.length === 0) return undefined;
  return statements.every((statement) => statement !== undefined) ? statements : undefined;
}

function problemOf(statement: Statement, kind: PolicyKind): string | undefined {
  const { principals, resources, actions, conditions } = statement;
  if (kind === 'identity' || kind === 'session') {
    if (principals !== undefined) return 'Policy document should not specify a principal.';
  } else if (principals === undefined) {
    return 'Missing required field Principal';
  }
  if (kind === 'trust' && resources !== undefined) return 'Has prohibited field Resource';
  if (kind !== 'trust' && resources === undefined) return 'Policy statement must contain resources.';
  if (!actions.of.every((action) => /^(?:\*|[\w-]+:[\w*?]+)$/u.test(action))) {
    return 'Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.';
  }
  const unknown = conditions.find(({ operator }) => !isOperator(operator));
  return unknown === undefined ? undefined : `Invalid Condition type : ${unknown.operator}.`;
}

function malformed(message: string): AwsError {
  return new AwsError('MalformedPolicyDocument', message);
}

const members = new Set([
  'Sid',
  'Effect',
  'Principal',
  'NotPrincipal',
  'Action',
  'NotAction',
  'Resource',
  'NotResource',
  'Condition',
]);

function statementOf(given: unknown): Statement | undefined {
  if (!isRecord(given) || Object.keys(given).some((name) => !members.has(name))) return undefined;
  const { Effect } = given;
  if (Effect !== 'Allow' && Effect !== 'Deny') return undefined;
  const actions = choice(given, 'Action', texts);
  const resources = choice(given, 'Resource', texts);
  const principals = choice(given, 'Principal', principalsOf);
  const conditions = conditionsOf(given['Condition'] ?? {});
  const isWhole =
    actions !== undefined && actions !== 'damaged' && resources !== 'damaged' && principals !== 'damaged';
  if (!isWhole || conditions === undefined) return undefined;
  return { effect: Effect, principals, actions, resources, conditions };
}

/** `NAME` or `NotNAME`, but never both. */
function choice<Of>(
  given: Readonly<Record<string, unknown>>,
  name: string,
  parse: (value: unknown) => readonly Of[] | undefined,
): Choice<Of> | 'damaged' | undefined {
  const [plain, negative] = [given[name], given[`Not${name}`]];
  if (plain === undefined && negative === undefined) return undefined;
  if (plain !== undefined && negative !== undefined) return 'damaged';
  const of = parse(plain ?? negative);
  if (of === undefined || of.length === 0) return 'damaged';
  return { isExcluding: plain === undefined, of };
}

function principalsOf(value: unknown): readonly Principal[] | undefined {
  if (value === '*') return [{ type: 'AWS', name: '*' }];
  if (!isRecord(value)) return undefined;
  const principals: Principal[] = [];
  for (const [type, names] of Object.entries(value)) {
    const named = texts(names);
    if (named === undefined) return undefined;
    principals.push(...named.map((name) => ({ type, name })));
  }
  return principals;
}

function conditionsOf(value: unknown): readonly Condition[] | undefined {
  if (!isRecord(value)) return undefined;
  const conditions: Condition[] = [];
  for (const [operator, keys] of Object.entries(value)) {
    if (!isRecord(keys)) return undefined;
    for (const [key, wanted] of Object.entries(keys)) {
      const values = texts(wanted);
      if (values === undefined) return undefined;
      conditions.push({ operator, key, values });
    }
  }
  return conditions;
}

/** One text or a list of them; IAM takes numbers and booleans as their text. */
function texts(value: unknown): readonly string[] | undefined {
  const several: unknown[] = Array.isArray(value) ? value : [value];
  const all = several.map((one) => (typeof one === 'boolean' || typeof one === 'number' ? String(one) : one));
  return all.every((one) => typeof one === 'string') ? all : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
