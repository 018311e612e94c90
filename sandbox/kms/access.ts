import { accessOf, askerOf, assertSessionAllows, denied, identityStatements } from '../iam/authorize.ts';
import { type Access, verdictOf } from '../iam/evaluate.ts';
import { resourceStatements } from '../iam/policy-document.ts';
import { AwsError, type CallContext } from '../service.ts';
import type { EncryptionContext } from './ciphertext.ts';
import { usageOf } from './rsa.ts';
import type { GrantRecord, KeyRecord, KmsState } from './state.ts';

/** What policies and grants may look at beside the key and the caller. */
export interface KeyUse {
  readonly encryptionContext?: EncryptionContext | undefined;
  readonly algorithm?: string | undefined;
  /** How the request named the key. */
  readonly identifier?: string | undefined;
  readonly grantTokens?: readonly string[] | undefined;
  /** Further condition keys of the operation. */
  readonly keys?: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/**
 * Refuses what neither the key's policy, nor the caller's own where the key's leaves it to the account, nor a grant
 * allows. "Determining access to AWS KMS keys".
 * @throws AwsError AccessDeniedException or InvalidGrantTokenException
 */
export function authorizeKey(
  operation: string,
  key: KeyRecord,
  state: KmsState,
  context: CallContext,
  use: KeyUse = {},
): void {
  assertGrantTokens(use.grantTokens, state);
  const request = {
    action: `kms:${operation}`,
    resource: key.arn,
    keys: conditionKeys(key, state, context, use),
  };
  const access = accessOf(context, request);
  assertSessionAllows(context, request, access);
  const byKey = verdictOf(resourceStatements(key.policy) ?? [], access, askerOf(context));
  const byCaller = verdictOf(identityStatements(context), access);
  if (byKey === 'denied') throw denied(context, request, 'with an explicit deny in a resource-based policy');
  if (byCaller === 'denied')
    throw denied(context, request, 'with an explicit deny in an identity-based policy');
  if (byKey === 'allowed' || (byKey === 'delegated' && byCaller === 'allowed')) return;
  if (state.grants.values().some((grant) => isGranted(grant, operation, key, context, use))) return;
  const policies = byKey === 'delegated' ? 'identity-based' : 'resource-based';
  throw denied(context, request, `because no ${policies} policy allows the ${request.action} action`);
}

/** Whether the caller could put another policy on the key if its policy were this one. */
export function couldPutPolicy(
  policy: string,
  key: KeyRecord,
  state: KmsState,
  context: CallContext,
): boolean {
  const keys = conditionKeys(key, state, context, {});
  const access: Access = accessOf(context, { action: 'kms:PutKeyPolicy', resource: key.arn, keys });
  const verdict = verdictOf(resourceStatements(policy) ?? [], access, askerOf(context));
  return verdict === 'allowed' || verdict === 'delegated';
}

function isGranted(
  grant: GrantRecord,
  operation: string,
  key: KeyRecord,
  { caller }: CallContext,
  { encryptionContext = new Map() }: KeyUse,
): boolean {
  if (grant.keyArn !== key.arn || !grant.operations.includes(operation)) return false;
  if (grant.grantee !== caller.arn && grant.grantee !== caller.roleArn) return false;
  const { constraint } = grant;
  // Constraints are about contexts, so they do not stand in the way of what has none.
  if (constraint === undefined || !contextOperations.has(operation)) return true;
  const holds = [...constraint.context].every(([name, value]) => encryptionContext.get(name) === value);
  return holds && (constraint.kind === 'subset' || encryptionContext.size === constraint.context.size);
}

const contextOperations = new Set([
  'Encrypt',
  'Decrypt',
  'GenerateDataKey',
  'GenerateDataKeyWithoutPlaintext',
  'ReEncryptFrom',
  'ReEncryptTo',
]);

function assertGrantTokens(tokens: readonly string[] = [], state: KmsState): void {
  const isKnown = (token: string): boolean => state.grants.values().some((grant) => grant.tokens.has(token));
  if (tokens.every(isKnown)) return;
  throw new AwsError('InvalidGrantTokenException', 'The grant token is not valid.');
}

/** "AWS KMS condition keys", those that a direct call has. */
function conditionKeys(
  key: KeyRecord,
  state: KmsState,
  { caller }: CallContext,
  { encryptionContext, algorithm, identifier, keys = {} }: KeyUse,
): Record<string, string | readonly string[] | undefined> {
  const aliases = [...state.aliases.values()].flatMap(({ name, targetKeyArn }) =>
    targetKeyArn === key.arn ? [name] : [],
  );
  const alias = identifier === undefined ? undefined : /(?:^|:)(alias\/.+)$/u.exec(identifier)?.[1];
  const context = [...(encryptionContext ?? [])];
  return {
    'kms:CallerAccount': caller.accountId,
    'kms:KeySpec': key.spec,
    'kms:KeyUsage': usageOf(key),
    'kms:KeyOrigin': key.origin,
    'kms:MultiRegion': 'false',
    'kms:RequestAlias': alias,
    'kms:ResourceAliases': aliases.length > 0 ? aliases : undefined,
    'kms:EncryptionAlgorithm': algorithm,
    'kms:EncryptionContextKeys': context.length > 0 ? context.map(([name]) => name) : undefined,
    ...Object.fromEntries(context.map(([name, value]) => [`kms:EncryptionContext:${name}`, value])),
    ...Object.fromEntries([...key.tags].map(([name, value]) => [`aws:ResourceTag/${name}`, value])),
    ...keys,
  };
}
