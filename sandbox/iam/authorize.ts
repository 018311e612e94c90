import { AwsError, type CallContext } from '../service.ts';
import type { ConditionKeys } from './condition.ts';
import { type Access, type Asker, verdictOf } from './evaluate.ts';
import { type Statement, statementsOf } from './policy-document.ts';

/** What somebody who may do anything is allowed by. */
export const administratorAccess = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }],
});

export interface AccessRequest {
  readonly action: string;
  readonly resource: string;
  /** What the service knows of this call beside who makes it. */
  readonly keys?: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/**
 * Refuses what the caller's own policies and the resource's do not allow: either is enough within an account.
 * @throws AwsError AccessDeniedException
 */
export function authorize(context: CallContext, request: AccessRequest, resourcePolicy?: string): void {
  const access = accessOf(context, request);
  const own = verdictOf(identityStatements(context), access);
  const resources =
    resourcePolicy === undefined ? 'silent' : verdictOf(parsed(resourcePolicy), access, askerOf(context));
  if (own === 'denied') throw denied(context, request, 'with an explicit deny in an identity-based policy');
  if (resources === 'denied')
    throw denied(context, request, 'with an explicit deny in a resource-based policy');
  if (own === 'allowed' || resources === 'allowed') return;
  throw denied(context, request, `because no identity-based policy allows the ${request.action} action`);
}

/** The request with all that is known of the call. */
export function accessOf(context: CallContext, { action, resource, keys = {} }: AccessRequest): Access {
  const known = new Map<string, readonly string[]>(globalKeys(context));
  for (const [key, value] of Object.entries(keys)) {
    if (value !== undefined) known.set(key.toLowerCase(), typeof value === 'string' ? [value] : value);
  }
  return { action, resource, keys: known };
}

export function askerOf({ caller }: CallContext): Asker {
  const arns = caller.roleArn === undefined ? [caller.arn] : [caller.arn, caller.roleArn];
  return { accountId: caller.accountId, arns };
}

export function identityStatements({ caller }: CallContext): readonly Statement[] {
  return (caller.policies ?? [administratorAccess]).flatMap(parsed);
}

/** AWS's words for it. */
export function denied(
  { caller }: CallContext,
  { action, resource }: AccessRequest,
  because: string,
): AwsError {
  const on = resource === '*' ? '' : ` on resource: ${resource}`;
  return new AwsError(
    'AccessDeniedException',
    `User: ${caller.arn} is not authorized to perform: ${action}${on} ${because}`,
  );
}

function parsed(policy: string): readonly Statement[] {
  const statements = statementsOf(policy);
  if (statements === undefined) throw new TypeError('a policy that is none was attached');
  return statements;
}

/** "AWS global condition context keys", those that a direct call of a user or a role session has. */
function globalKeys({ caller, now, region }: CallContext): ConditionKeys {
  const keys: [string, readonly string[]][] = [
    ['aws:PrincipalArn', [caller.roleArn ?? caller.arn]],
    ['aws:PrincipalAccount', [caller.accountId]],
    ['aws:PrincipalType', [caller.roleArn === undefined ? 'User' : 'AssumedRole']],
    ['aws:userid', [caller.userId]],
    ['aws:CurrentTime', [now.toISOString()]],
    ['aws:EpochTime', [String(Math.floor(now.getTime() / 1000))]],
    ['aws:RequestedRegion', [region]],
    ['aws:ViaAWSService', ['false']],
    ...[...(caller.tags ?? [])].map(([name, value]): [string, readonly string[]] => [
      `aws:PrincipalTag/${name}`,
      [value],
    ]),
  ];
  const userName = /:user\/(?:.*\/)?([^/]+)$/u.exec(caller.arn)?.[1];
  if (userName !== undefined) keys.push(['aws:username', [userName]]);
  return new Map(keys.map(([key, values]) => [key.toLowerCase(), values]));
}
