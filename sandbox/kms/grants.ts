import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import {
  epochSeconds,
  flag,
  integer,
  list,
  read,
  required,
  structure,
  text,
  textMap,
  validationException,
} from '../constraints.ts';
import { page } from '../page.ts';
import { AwsError, type CallContext, type JsonObject, type Operation } from '../service.ts';
import { authorizeKey } from './access.ts';
import { grantTokens, invalidMarker, keyIdentifier, marker } from './members.ts';
import { assertEnabled, type GrantRecord, type KeyRecord, type KmsState, keyById } from './state.ts';

/** "Grants per KMS key" (KMS quotas). */
const grantsPerKeyMax = 50_000;

const symmetricOperations = [
  'Decrypt',
  'Encrypt',
  'GenerateDataKey',
  'GenerateDataKeyWithoutPlaintext',
  'ReEncryptFrom',
  'ReEncryptTo',
  'CreateGrant',
  'RetireGrant',
  'DescribeKey',
];
const asymmetricOperations = [
  'Decrypt',
  'Encrypt',
  'ReEncryptFrom',
  'ReEncryptTo',
  'CreateGrant',
  'RetireGrant',
  'DescribeKey',
  'GetPublicKey',
];
const furtherOperations = [
  'Sign',
  'Verify',
  'GenerateDataKeyPair',
  'GenerateDataKeyPairWithoutPlaintext',
  'GenerateMac',
  'VerifyMac',
  'DeriveSharedSecret',
];

const principal = text({ min: 1, max: 256, pattern: /^[\w+=,.@:/-]+$/u });
const grantId = text({ min: 1, max: 128 });
const createShape = {
  KeyId: required(keyIdentifier),
  GranteePrincipal: required(principal),
  RetiringPrincipal: principal,
  Operations: required(
    list(
      text({ oneOf: [...new Set([...symmetricOperations, ...asymmetricOperations]), ...furtherOperations] }),
      {
        min: 1,
      },
    ),
  ),
  Constraints: structure({ EncryptionContextSubset: textMap(), EncryptionContextEquals: textMap() }),
  GrantTokens: grantTokens,
  Name: text({ min: 1, max: 256, pattern: /^[a-zA-Z0-9:/_-]+$/u }),
  DryRun: flag(),
};

export const grantOperations = {
  CreateGrant(input, state, context) {
    const request = read(createShape, input);
    const record = keyById(request.KeyId, state, context);
    authorizeKey('CreateGrant', record, state, context, {
      grantTokens: request.GrantTokens,
      keys: {
        'kms:GranteePrincipal': request.GranteePrincipal,
        'kms:RetiringPrincipal': request.RetiringPrincipal,
        'kms:GrantOperations': request.Operations,
        'kms:GrantIsForAWSResource': 'false',
      },
    });
    assertEnabled(record);
    assertOperations(request.Operations, record);
    assertPrincipal(request.GranteePrincipal, context);
    if (request.RetiringPrincipal !== undefined) assertPrincipal(request.RetiringPrincipal, context);
    const wanted = {
      keyArn: record.arn,
      name: request.Name,
      grantee: request.GranteePrincipal,
      retiring: request.RetiringPrincipal,
      operations: request.Operations.toSorted(inOrder),
      constraint: constraintOf(request.Constraints, record),
      issuer: `arn:aws:iam::${context.caller.accountId}:root`,
    };
    if (request.DryRun === true) throw dryRun();
    const token = randomBytes(120).toString('base64url');
    const same = state.grants.values().find((grant) => request.Name !== undefined && isSame(grant, wanted));
    if (same !== undefined) {
      same.tokens.add(token);
      return { GrantToken: token, GrantId: same.id };
    }
    if (grantsOf(record, state).length >= grantsPerKeyMax) {
      throw new AwsError('LimitExceededException', `A key has at most ${grantsPerKeyMax} grants.`);
    }
    const id = randomBytes(32).toString('hex');
    state.grants.set(id, { ...wanted, id, createdAt: context.now.getTime(), tokens: new Set([token]) });
    return { GrantToken: token, GrantId: id };
  },

  ListGrants(input, state, context) {
    const request = read(
      {
        KeyId: required(keyIdentifier),
        GrantId: grantId,
        GranteePrincipal: principal,
        Limit: integer({ min: 1, max: 100 }),
        Marker: marker,
      },
      input,
    );
    const record = keyById(request.KeyId, state, context);
    authorizeKey('ListGrants', record, state, context);
    const { GrantId, GranteePrincipal } = request;
    const found = grantsOf(record, state).filter(
      (grant) =>
        (GrantId === undefined || grant.id === GrantId) &&
        (GranteePrincipal === undefined || grant.grantee === GranteePrincipal),
    );
    const { items, next } = page(found, ({ id }) => id, request.Limit ?? 50, request.Marker, invalidMarker);
    return { Grants: items.map(shown), Truncated: next !== undefined, NextMarker: next };
  },

  RevokeGrant(input, state, context) {
    const request = read(
      { KeyId: required(keyIdentifier), GrantId: required(grantId), DryRun: flag() },
      input,
    );
    const record = keyById(request.KeyId, state, context);
    authorizeKey('RevokeGrant', record, state, context);
    const grant = grantOf(request.GrantId, record, state);
    if (request.DryRun === true) throw dryRun();
    state.grants.delete(grant.id);
    return undefined;
  },

  RetireGrant(input, state, context) {
    const request = read(
      { GrantToken: text({ min: 1, max: 8192 }), KeyId: keyIdentifier, GrantId: grantId, DryRun: flag() },
      input,
    );
    const grant = retired(request, state, context);
    assertMayRetire(grant, state, context);
    if (request.DryRun === true) throw dryRun();
    state.grants.delete(grant.id);
    return undefined;
  },
} as const satisfies Record<string, Operation<KmsState>>;

function retired(
  request: {
    readonly GrantToken: string | undefined;
    readonly KeyId: string | undefined;
    readonly GrantId: string | undefined;
  },
  state: KmsState,
  context: CallContext,
): GrantRecord {
  const { GrantToken: token, KeyId, GrantId } = request;
  if (token !== undefined && KeyId === undefined && GrantId === undefined) {
    const grant = state.grants.values().find(({ tokens }) => tokens.has(token));
    if (grant !== undefined) return grant;
    throw new AwsError('InvalidGrantTokenException', 'The grant token is not valid.');
  }
  if (token === undefined && KeyId !== undefined && GrantId !== undefined) {
    return grantOf(GrantId, keyById(KeyId, state, context), state);
  }
  throw validationException('Please specify either a grant token, or a key ID and a grant ID.');
}

/** The retiring principal, the grantee where the grant says so, or whom the key's policy allows. */
function assertMayRetire(grant: GrantRecord, state: KmsState, context: CallContext): void {
  const { caller } = context;
  const isCaller = (arn: string | undefined): boolean =>
    arn !== undefined && (arn === caller.arn || arn === caller.roleArn);
  if (isCaller(grant.retiring)) return;
  if (isCaller(grant.grantee) && grant.operations.includes('RetireGrant')) return;
  authorizeKey('RetireGrant', keyById(grant.keyArn, state, context), state, context);
}

function grantOf(id: string, record: KeyRecord, state: KmsState): GrantRecord {
  const grant = state.grants.get(id);
  if (grant?.keyArn === record.arn) return grant;
  throw new AwsError('NotFoundException', `Grant ID ${id} not found`);
}

function grantsOf(record: KeyRecord, state: KmsState): readonly GrantRecord[] {
  return [...state.grants.values()].filter(({ keyArn }) => keyArn === record.arn);
}

function assertOperations(operations: readonly string[], { spec }: KeyRecord): void {
  const possible = spec === 'SYMMETRIC_DEFAULT' ? symmetricOperations : asymmetricOperations;
  const impossible = operations.find((operation) => !possible.includes(operation));
  if (impossible === undefined) return;
  throw validationException(`Operation ${impossible} is not supported in a grant on a key of spec ${spec}.`);
}

function assertPrincipal(arn: string, { isPrincipal }: CallContext): void {
  if (arn.startsWith('arn:') && (isPrincipal?.(arn) ?? true)) return;
  throw new AwsError('InvalidArnException', `The principal ${arn} is not valid.`);
}

function constraintOf(
  given:
    | {
        readonly EncryptionContextSubset: ReadonlyMap<string, string> | undefined;
        readonly EncryptionContextEquals: ReadonlyMap<string, string> | undefined;
      }
    | undefined,
  { spec }: KeyRecord,
): GrantRecord['constraint'] {
  const { EncryptionContextSubset: subset, EncryptionContextEquals: equals } = given ?? {};
  if (subset === undefined && equals === undefined) return undefined;
  if (subset !== undefined && equals !== undefined) {
    throw validationException('A grant has one encryption context constraint at most.');
  }
  if (spec !== 'SYMMETRIC_DEFAULT') {
    throw validationException('Encryption context constraints are for symmetric encryption keys only.');
  }
  return equals === undefined
    ? { kind: 'subset', context: subset ?? new Map() }
    : { kind: 'equals', context: equals };
}

/** The same request again under the same name is the same grant. */
function isSame(grant: GrantRecord, wanted: Omit<GrantRecord, 'id' | 'createdAt' | 'tokens'>): boolean {
  const { id: _id, createdAt: _createdAt, tokens: _tokens, ...rest } = grant;
  return isDeepStrictEqual(rest, wanted);
}

function shown(grant: GrantRecord): JsonObject {
  const { constraint } = grant;
  const context = Object.fromEntries(constraint?.context ?? []);
  return {
    KeyId: grant.keyArn,
    GrantId: grant.id,
    ...(grant.name !== undefined && { Name: grant.name }),
    CreationDate: epochSeconds(new Date(grant.createdAt)),
    GranteePrincipal: grant.grantee,
    ...(grant.retiring !== undefined && { RetiringPrincipal: grant.retiring }),
    IssuingAccount: grant.issuer,
    Operations: grant.operations,
    ...(constraint !== undefined && {
      Constraints:
        constraint.kind === 'equals'
          ? { EncryptionContextEquals: context }
          : { EncryptionContextSubset: context },
    }),
  };
}

function dryRun(): AwsError {
  return new AwsError(
    'DryRunOperationException',
    'The request would have succeeded, but the DryRun option is set.',
  );
}

function inOrder(a: string, b: string): number {
  return a < b ? -1 : 1;
}
