import { randomBytes, randomUUID } from 'node:crypto';
import { epochSeconds, flag, integer, read, required, text, validationException } from '../constraints.ts';
import { authorize } from '../iam/authorize.ts';
import { page } from '../page.ts';
import { AwsError, type CallContext, type JsonObject, type Operation } from '../service.ts';
import { authorizeKey } from './access.ts';
import { connectedStore, storeIdentifier } from './custom-key-stores.ts';
import { grantTokens, invalidMarker, keyIdentifier, marker } from './members.ts';
import { assertNoLockout, assertPolicy, bypassKey, defaultPolicy, policyText } from './policies.ts';
import { newRsaMaterial, toldAlgorithms, usageOf } from './rsa.ts';
import {
  arnOf,
  assertEnabled,
  assertNotPendingDeletion,
  assertNotPendingImport,
  invalidState,
  type KeyRecord,
  type KmsState,
  keyById,
  keyOrAlias,
  toldState,
} from './state.ts';
import { tagged, tagList } from './tags.ts';

const dayMs = 24 * 60 * 60 * 1000;
const pendingWindowDays = { min: 7, max: 30, default: 30 };

const onlyKeyId = { KeyId: required(keyIdentifier) };

const createKeyShape = {
  Policy: policyText,
  Description: text({ max: 8192 }),
  KeyUsage: text({
    oneOf: [
      'SIGN_VERIFY',
      'ENCRYPT_DECRYPT',
      'GENERATE_VERIFY_MAC',
      'KEY_AGREEMENT',
      'ENCAPSULATE_DECAPSULATE',
    ],
  }),
  CustomerMasterKeySpec: text(),
  KeySpec: text(),
  Origin: text({ oneOf: ['AWS_KMS', 'EXTERNAL', 'AWS_CLOUDHSM', 'EXTERNAL_KEY_STORE'] }),
  CustomKeyStoreId: storeIdentifier,
  BypassPolicyLockoutSafetyCheck: flag(),
  MultiRegion: flag(),
  Tags: tagList,
};

export const keyOperations = {
  CreateKey(input, state, context) {
    const request = read(createKeyShape, input);
    const kind = kindOf(request);
    const bypass = bypassKey(request.BypassPolicyLockoutSafetyCheck);
    authorize(context, {
      action: 'kms:CreateKey',
      resource: '*',
      keys: {
        'kms:KeySpec': kind.spec,
        'kms:KeyUsage': usageOf(kind),
        'kms:KeyOrigin': kind.origin,
        'kms:MultiRegion': 'false',
        'kms:CallerAccount': context.caller.accountId,
        'aws:TagKeys': request.Tags?.map(({ TagKey }) => TagKey),
        ...bypass,
      },
    });
    if (kind.customKeyStoreId !== undefined) connectedStore(kind.customKeyStoreId, state);
    const policy = request.Policy ?? defaultPolicy(context);
    assertPolicy(policy, context);
    const id = randomUUID();
    const record: KeyRecord = {
      ...kind,
      arn: arnOf(`key/${id}`, context),
      id,
      accountId: context.caller.accountId,
      createdAt: context.now.getTime(),
      material: '',
      materialId: undefined,
      description: request.Description ?? '',
      policy,
      tags: tagged(new Map(), request.Tags ?? []),
      state: 'Enabled',
    };
    if (request.BypassPolicyLockoutSafetyCheck !== true) assertNoLockout(policy, record, state, context);
    if (kind.origin === 'EXTERNAL') {
      record.state = 'PendingImport';
    } else {
      const isSymmetric = kind.spec === 'SYMMETRIC_DEFAULT';
      record.material = isSymmetric ? randomBytes(32).toString('base64') : newRsaMaterial(kind.spec);
      record.materialId = randomBytes(32).toString('hex');
    }
    state.keys.set(record.arn, record);
    return { KeyMetadata: metadata(record, state) };
  },

  DescribeKey(input, state, context) {
    const { KeyId, GrantTokens } = read({ ...onlyKeyId, GrantTokens: grantTokens }, input);
    const record = keyOrAlias(KeyId, state, context);
    authorizeKey('DescribeKey', record, state, context, { identifier: KeyId, grantTokens: GrantTokens });
    return { KeyMetadata: metadata(record, state) };
  },

  ListKeys(input, state, context) {
    const { Limit, Marker } = read({ Limit: integer({ min: 1, max: 1000 }), Marker: marker }, input);
    authorize(context, { action: 'kms:ListKeys', resource: '*' });
    const mine = [...state.keys.values()].filter(
      (record) => record.state !== 'Deleted' && record.arn === arnOf(`key/${record.id}`, context),
    );
    const sorted = mine.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    const { items, next } = page(sorted, (record) => record.id, Limit ?? 100, Marker, invalidMarker);
    return {
      Keys: items.map((record) => ({ KeyId: record.id, KeyArn: record.arn })),
      Truncated: next !== undefined,
      NextMarker: next,
    };
  },

  EnableKey(input, state, context) {
    const record = changeable('EnableKey', input, state, context);
    record.state = 'Enabled';
    return undefined;
  },

  DisableKey(input, state, context) {
    const record = changeable('DisableKey', input, state, context);
    record.state = 'Disabled';
    return undefined;
  },

  UpdateKeyDescription(input, state, context) {
    const shape = { ...onlyKeyId, Description: required(text({ max: 8192 })) };
    const { KeyId, Description } = read(shape, input);
    const record = keyById(KeyId, state, context);
    authorizeKey('UpdateKeyDescription', record, state, context);
    assertNotPendingDeletion(record);
    record.description = Description;
    return undefined;
  },

  ScheduleKeyDeletion(input, state, context) {
    const shape = { ...onlyKeyId, PendingWindowInDays: integer({ min: 1, max: 365 }) };
    const { KeyId, PendingWindowInDays = pendingWindowDays.default } = read(shape, input);
    if (PendingWindowInDays < pendingWindowDays.min || PendingWindowInDays > pendingWindowDays.max) {
      throw validationException(
        `PendingWindowInDays must be between ${pendingWindowDays.min} and ${pendingWindowDays.max} days (inclusive).`,
      );
    }
    const record = keyById(KeyId, state, context);
    authorizeKey('ScheduleKeyDeletion', record, state, context, {
      keys: { 'kms:ScheduleKeyDeletionPendingWindowInDays': String(PendingWindowInDays) },
    });
    assertNotPendingDeletion(record);
    record.state = 'PendingDeletion';
    record.deletionAt = context.now.getTime() + PendingWindowInDays * dayMs;
    return {
      KeyId: record.arn,
      DeletionDate: epochSeconds(new Date(record.deletionAt)),
      KeyState: record.state,
      PendingWindowInDays,
    };
  },

  CancelKeyDeletion(input, state, context) {
    const record = keyById(read(onlyKeyId, input).KeyId, state, context);
    authorizeKey('CancelKeyDeletion', record, state, context);
    if (record.state !== 'PendingDeletion') throw invalidState(`${record.arn} is not pending deletion.`);
    record.state = record.material === '' ? 'PendingImport' : 'Disabled';
    delete record.deletionAt;
    return { KeyId: record.arn };
  },

  EnableKeyRotation(input, state, context) {
    const shape = { ...onlyKeyId, RotationPeriodInDays: integer({ min: 90, max: 2560 }) };
    const { KeyId, RotationPeriodInDays } = read(shape, input);
    const record = keyById(KeyId, state, context);
    authorizeKey('EnableKeyRotation', record, state, context);
    assertRotatable(record);
    assertEnabled(record);
    record.rotation = { enabledAt: context.now.getTime(), periodDays: RotationPeriodInDays ?? 365 };
    return undefined;
  },

  DisableKeyRotation(input, state, context) {
    const record = keyById(read(onlyKeyId, input).KeyId, state, context);
    authorizeKey('DisableKeyRotation', record, state, context);
    assertRotatable(record);
    assertEnabled(record);
    delete record.rotation;
    return undefined;
  },

  GetKeyRotationStatus(input, state, context) {
    const record = keyById(read(onlyKeyId, input).KeyId, state, context);
    authorizeKey('GetKeyRotationStatus', record, state, context);
    const { rotation } = record;
    // Rotation rests while a key waits for its deletion, and goes on when that is cancelled.
    if (rotation === undefined || record.state === 'PendingDeletion') {
      return { KeyId: record.arn, KeyRotationEnabled: false };
    }
    return {
      KeyId: record.arn,
      KeyRotationEnabled: true,
      RotationPeriodInDays: rotation.periodDays,
      NextRotationDate: epochSeconds(new Date(rotation.enabledAt + rotation.periodDays * dayMs)),
    };
  },
} as const satisfies Record<string, Operation<KmsState>>;

/** The key that is to be switched on or off: not while it waits for its deletion or its material. */
function changeable(operation: string, input: JsonObject, state: KmsState, context: CallContext): KeyRecord {
  const record = keyById(read(onlyKeyId, input).KeyId, state, context);
  authorizeKey(operation, record, state, context);
  assertNotPendingDeletion(record);
  assertNotPendingImport(record);
  return record;
}

/** KMS rotates what it made itself, and symmetric keys only. */
function assertRotatable({ arn, spec, origin }: KeyRecord): void {
  if (spec === 'SYMMETRIC_DEFAULT' && origin === 'AWS_KMS') return;
  const why = spec === 'SYMMETRIC_DEFAULT' ? `origin is ${origin}` : `key spec is ${spec}`;
  throw new AwsError('UnsupportedOperationException', `${arn} ${why} which is not valid for this operation.`);
}

function metadata(record: KeyRecord, state: KmsState): JsonObject {
  const { materialExpiresAt, customKeyStoreId } = record;
  const told = toldState(record, state);
  const hasMaterialId = record.spec === 'SYMMETRIC_DEFAULT' && record.origin !== 'AWS_CLOUDHSM';
  return {
    AWSAccountId: record.accountId,
    KeyId: record.id,
    Arn: record.arn,
    CreationDate: epochSeconds(new Date(record.createdAt)),
    Enabled: told === 'Enabled',
    Description: record.description,
    KeyUsage: usageOf(record),
    KeyState: told,
    ...(record.deletionAt !== undefined && { DeletionDate: epochSeconds(new Date(record.deletionAt)) }),
    ...(materialExpiresAt !== undefined && { ValidTo: epochSeconds(new Date(materialExpiresAt)) }),
    Origin: record.origin,
    ...(customKeyStoreId !== undefined && {
      CustomKeyStoreId: customKeyStoreId,
      CloudHsmClusterId: state.customKeyStores.get(customKeyStoreId)?.clusterId,
    }),
    ...(record.origin === 'EXTERNAL' &&
      record.material !== '' && {
        ExpirationModel:
          materialExpiresAt === undefined ? 'KEY_MATERIAL_DOES_NOT_EXPIRE' : 'KEY_MATERIAL_EXPIRES',
      }),
    KeyManager: 'CUSTOMER',
    CustomerMasterKeySpec: record.spec,
    KeySpec: record.spec,
    ...toldAlgorithms(record),
    MultiRegion: false,
    ...(hasMaterialId && record.materialId !== undefined && { CurrentKeyMaterialId: record.materialId }),
  };
}

type KeyKind = Pick<KeyRecord, 'spec' | 'usage' | 'origin' | 'customKeyStoreId'>;

const specs = ['SYMMETRIC_DEFAULT', 'RSA_2048', 'RSA_3072', 'RSA_4096'] as const;

/** What key is asked for: encryption keys of one region, and said so rather than made something else. */
function kindOf(request: {
  readonly KeyUsage: string | undefined;
  readonly KeySpec: string | undefined;
  readonly CustomerMasterKeySpec: string | undefined;
  readonly Origin: string | undefined;
  readonly MultiRegion: boolean | undefined;
  readonly CustomKeyStoreId: string | undefined;
}): KeyKind {
  if (request.KeySpec !== undefined && request.CustomerMasterKeySpec !== undefined) {
    throw validationException('You cannot specify KeySpec and CustomerMasterKeySpec in the same request.');
  }
  const wanted = request.KeySpec ?? request.CustomerMasterKeySpec ?? 'SYMMETRIC_DEFAULT';
  const usage = request.KeyUsage ?? (wanted === 'SYMMETRIC_DEFAULT' ? 'ENCRYPT_DECRYPT' : undefined);
  if (usage === undefined) {
    throw validationException('You must specify a KeyUsage value for an asymmetric CMK.');
  }
  if (wanted === 'SYMMETRIC_DEFAULT' && usage !== 'ENCRYPT_DECRYPT') {
    throw validationException(`KeyUsage ${usage} is not compatible with KeySpec ${wanted}`);
  }
  const { Origin: origin = 'AWS_KMS', CustomKeyStoreId: customKeyStoreId } = request;
  if ((customKeyStoreId !== undefined) !== (origin === 'AWS_CLOUDHSM' || origin === 'EXTERNAL_KEY_STORE')) {
    throw validationException(
      'CustomKeyStoreId goes with the origins AWS_CLOUDHSM and EXTERNAL_KEY_STORE only.',
    );
  }
  if (origin === 'AWS_CLOUDHSM' && wanted !== 'SYMMETRIC_DEFAULT') {
    throw new AwsError(
      'UnsupportedOperationException',
      'Custom key stores have symmetric encryption keys only.',
    );
  }
  const spec = specs.find((one) => one === wanted);
  const isOurUsage = usage === 'ENCRYPT_DECRYPT' || usage === 'SIGN_VERIFY';
  const isOurs = spec !== undefined && isOurUsage && request.MultiRegion !== true;
  if (!isOurs || (origin !== 'AWS_KMS' && origin !== 'EXTERNAL' && origin !== 'AWS_CLOUDHSM')) {
    throw new AwsError(
      'UnsupportedOperationException',
      'The sandbox makes single-region keys, SYMMETRIC_DEFAULT and RSA, of no external key store.',
    );
  }
  return { spec, origin, customKeyStoreId, ...(usage === 'SIGN_VERIFY' && { usage }) };
}
