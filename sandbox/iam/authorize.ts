import { AwsError, type CallContext } from '../service.ts';
import { isoSeconds } from '../temporary-credentials.ts';
import type { ConditionKeys } from './condition.ts';
import { type Access, type Asker, verdictOf } from './evaluate.ts';
import { parsePolicy, type Statement } from './policy-document.ts';

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

/** What a service calls a refusal. */
export interface Refusal {
  readonly name: string;
  readonly status: number;
}

const accessDenied: Refusal = { name: 'AccessDeniedException', status: 400 };

/**
 * Refuses what the caller's own policies and the resource's do not allow: either is enough within an account. What a
 * session's policy does not allow is refused whatever the others say.
 * @throws AwsError the refusal, AccessDeniedException as a rule
 */
export function authorize(
  context: CallContext,
  request: AccessRequest,
  resourcePolicy?: string,
  refusal = accessDenied,
): void {
  const access = accessOf(context, request);
  assertSessionAllows(context, request, access, refusal);
  const own = verdictOf(identityStatements(context), access);
  const resources =
    resourcePolicy === undefined
      ? 'silent'
      : verdictOf(parsePolicy(resourcePolicy, 'resource'), access, askerOf(context));
  if (own === 'denied') {
    throw denied(context, request, 'with an explicit deny in an identity-based policy', refusal);
  }
  if (resources === 'denied') {
    throw denied(context, request, 'with an explicit deny in a resource-based policy', refusal);
  }
  if (own === 'allowed' || resources === 'allowed') return;
  const because = `because no identity-based policy allows the ${request.action} action`;
  throw denied(context, request, because, refusal);
}

/** What a session policy leaves to its session. @throws AwsError the refusal */
export function assertSessionAllows(
  context: CallContext,
  request: AccessRequest,
  access: Access,
  refusal = accessDenied,
): void {
  const { sessionPolicy } = context.caller;
  if (sessionPolicy === undefined) return;
  const verdict = verdictOf(parsePolicy(sessionPolicy, 'session'), access);
  if (verdict === 'allowed') return;
  const because =
    verdict === 'denied'
      ? 'with an explicit deny in a session policy'
      : `because no session policy allows the ${request.action} action`;
  throw denied(context, request, because, refusal);
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
  return (caller.policies ?? [administratorAccess]).flatMap((policy) => parsePolicy(policy, 'identity'));
}

/** AWS's words for it. */
export function denied(
  { caller }: CallContext,
  { action, resource }: AccessRequest,
  because: string,
  { name, status }: Refusal = accessDenied,
): AwsError {
  const message = `User: ${caller.arn} is not authorized to perform: ${action} on resource: ${resource}`;
  const said = because === '' ? message : `${message} ${because}`;
  return new AwsError(name, said, status);
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
  // Only temporary credentials were issued at a time, which AWS knows in whole seconds.
  if (caller.issuedAt !== undefined) keys.push(['aws:TokenIssueTime', [isoSeconds(caller.issuedAt)]]);
  return new Map(keys.map(([key, values]) => [key.toLowerCase(), values]));
}
