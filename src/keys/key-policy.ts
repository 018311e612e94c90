import { keysError } from './errors.ts';
import { rsaAlgorithm } from './kms.ts';
import type { NewKey } from './kms-admin.ts';

export interface KeyPolicyParts {
  readonly spec: NewKey['spec'];
  readonly isExternal: boolean;
  readonly accountId: string;
  readonly partition: string;
  /** ARNs of those who look after the key and may not use it; the account itself where there are none. */
  readonly admins: readonly string[];
  /** ARNs of those who use it and may not change it. */
  readonly users: readonly string[];
  /** Use only by way of this service, as `s3.eu-west-1.amazonaws.com`. */
  readonly viaService?: string | undefined;
}

/** https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html, without what nobody needs here. */
const adminActions = [
  'kms:DescribeKey',
  'kms:GetKeyPolicy',
  'kms:PutKeyPolicy',
  'kms:GetKeyRotationStatus',
  'kms:EnableKeyRotation',
  'kms:DisableKeyRotation',
  'kms:EnableKey',
  'kms:DisableKey',
  'kms:UpdateKeyDescription',
  'kms:CreateAlias',
  'kms:UpdateAlias',
  'kms:DeleteAlias',
  'kms:ListAliases',
  'kms:ListGrants',
  'kms:RevokeGrant',
  'kms:TagResource',
  'kms:UntagResource',
  'kms:ListResourceTags',
  'kms:ScheduleKeyDeletion',
  'kms:CancelKeyDeletion',
  'kms:GetParametersForImport',
  'kms:ImportKeyMaterial',
  'kms:DeleteImportedKeyMaterial',
];

const userActions = [
  'kms:Encrypt',
  'kms:Decrypt',
  'kms:ReEncrypt*',
  'kms:GenerateDataKey*',
  'kms:DescribeKey',
];

/** Of an RSA key. Whoever has the public key encrypts without asking, so that `kms:Encrypt` is nothing to be given. */
const rsaUserActions = ['kms:DescribeKey', 'kms:GetPublicKey'];

/**
 * A key policy that separates those who look after a key from those who use it. IAM policies alone give nobody the key,
 * unless the account itself is among the administrators.
 */
export function keyPolicy(parts: KeyPolicyParts): string {
  const { spec, isExternal, accountId, partition, users, viaService } = parts;
  const account = `arn:${partition}:iam::${accountId}:root`;
  const admins = parts.admins.length === 0 ? [account] : parts.admins;
  const via = viaService === undefined ? {} : { 'kms:ViaService': viaService };
  const allowingUsers = (Sid: string, Action: readonly string[], equal: Record<string, string> = via) => ({
    Sid,
    Effect: 'Allow',
    Principal: { AWS: users },
    Action,
    Resource: '*',
    ...(Object.keys(equal).length === 0 ? {} : { Condition: { StringEquals: equal } }),
  });
  const use =
    spec === 'SYMMETRIC_DEFAULT'
      ? [allowingUsers('Use', userActions)]
      : [
          allowingUsers('Use', ['kms:Decrypt'], { ...via, 'kms:EncryptionAlgorithm': rsaAlgorithm }),
          allowingUsers('SeeThePublicKey', rsaUserActions),
        ];
  const policy = {
    Version: '2012-10-17',
    Statement: [
      {
        Sid: 'Administer',
        Effect: 'Allow',
        Principal: { AWS: admins },
        Action: adminActions,
        Resource: '*',
      },
      ...(isExternal ? [tryingAnImport(spec, admins)] : []),
      ...(users.length === 0 ? [] : use),
    ],
  };
  return JSON.stringify(policy, undefined, 2);
}

/**
 * After an import the key is tried: a symmetric one on a few bytes under a context of their own, which opens nothing else;
 * of an RSA key, which knows no context, its public half is looked at.
 */
function tryingAnImport(spec: NewKey['spec'], admins: readonly string[]) {
  const isSymmetric = spec === 'SYMMETRIC_DEFAULT';
  return {
    Sid: 'TryAnImport',
    Effect: 'Allow',
    Principal: { AWS: admins },
    Action: isSymmetric ? ['kms:Decrypt', 'kms:GenerateDataKey'] : ['kms:GetPublicKey'],
    Resource: '*',
    ...(isSymmetric
      ? { Condition: { StringEquals: { 'kms:EncryptionContext:gatehouse:purpose': 'import-check' } } }
      : {}),
  };
}

/**
 * Refuses a policy after which its maker could not change it any more. KMS refuses it too, but only some of them, and
 * says less. A statement with a condition, or with NotPrincipal, counts for nothing: whether it applies is not known
 * here.
 * @throws KEY_POLICY_INVALID, KEY_POLICY_LOCKS_OUT
 */
export function requireNoLockout(
  policy: string,
  caller: { readonly arn: string; readonly accountId: string },
): void {
  const document = parsed(policy);
  const mayChange = statementsOf(document).some(
    (statement) =>
      statement['Effect'] === 'Allow' &&
      statement['Condition'] === undefined &&
      listOf(statement['Action']).some(coversPutKeyPolicy) &&
      principalsIn(statement['Principal']).some((principal) => isCaller(principal, caller)),
  );
  if (!mayChange) throw keysError('KEY_POLICY_LOCKS_OUT', { caller: caller.arn });
}

/**
 * Refuses users among whom the caller is not, where the caller is going to use the key. Without users it is the account's
 * to say.
 * @throws KEY_POLICY_LEAVES_OUT
 */
export function requireUser(
  users: readonly string[],
  caller: { readonly arn: string; readonly accountId: string },
): void {
  if (users.length === 0 || users.some((user) => isCaller(user, caller))) return;
  throw keysError('KEY_POLICY_LEAVES_OUT', { caller: caller.arn, users });
}

type Fields = Readonly<Record<string, unknown>>;

function parsed(policy: string): Fields {
  let document: unknown;
  try {
    document = JSON.parse(policy);
  } catch (error) {
    throw keysError('KEY_POLICY_INVALID', { problem: 'it is not JSON' }, error);
  }
  if (!isFields(document)) throw keysError('KEY_POLICY_INVALID', { problem: 'it is not a JSON object' });
  return document;
}

function statementsOf(document: Fields): Fields[] {
  const statements = document['Statement'];
  return (Array.isArray(statements) ? statements : [statements]).filter(isFields);
}

/** Whether a principal of a policy is this caller. The account stands for each of its own; a session for its role. */
function isCaller(
  principal: string,
  { arn, accountId }: { readonly arn: string; readonly accountId: string },
): boolean {
  const partition = arn.split(':')[1] ?? 'aws';
  const iam = `arn:${partition}:iam::${accountId}:`;
  if (['*', arn, accountId, `${iam}root`].includes(principal)) return true;
  // The ARN of a session leaves out the path of its role.
  const [, role] = /:assumed-role\/([^/]+)\//u.exec(arn) ?? [];
  return role !== undefined && principal.startsWith(`${iam}role/`) && principal.endsWith(`/${role}`);
}

function principalsIn(principal: unknown): string[] {
  if (typeof principal === 'string') return [principal];
  return isFields(principal) ? listOf(principal['AWS']) : [];
}

function coversPutKeyPolicy(action: string): boolean {
  const pattern = action
    .replaceAll(/[.+^${}()|[\]\\]/gu, String.raw`\$&`)
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${pattern}$`, 'iu').test('kms:PutKeyPolicy');
}

function listOf(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter((each) => typeof each === 'string');
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
