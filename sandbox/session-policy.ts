import type { Identities } from './identities.ts';
import { evaluate, parsePolicy } from './policy.ts';
import { AwsError, type Caller } from './service.ts';

/** What a session policy leaves to its session. GetCallerIdentity needs no permission and cannot be taken away. */
export function assertSessionAllows(
  identities: Identities,
  caller: Caller,
  request: { readonly action: string; readonly resource: string | undefined },
  refusal: { readonly name: string; readonly status: number },
): void {
  const policy = identities.find(caller.accessKeyId)?.sessionPolicy;
  if (policy === undefined || request.action === 'sts:GetCallerIdentity') return;
  const decision = evaluate(parsePolicy(policy, 'session'), { ...request, context: {} });
  if (decision === 'allowed') return;
  const because =
    decision === 'denied'
      ? 'with an explicit deny in a session policy'
      : `because no session policy allows the ${request.action} action`;
  const message = `User: ${caller.arn} is not authorized to perform: ${request.action} on resource: ${request.resource ?? '*'} ${because}`;
  throw new AwsError(refusal.name, message, refusal.status);
}
