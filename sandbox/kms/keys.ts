import { randomBytes, randomUUID } from 'node:crypto';
import { epochSeconds, flag, integer, read, required, text, validationException } from '../constraints.ts';
import { page } from '../page.ts';
import { AwsError, type CallContext, type JsonObject, type Operation } from '../service.ts';
import { grantTokens, invalidMarker, keyIdentifier, marker } from './members.ts';
import { assertPolicy, defaultPolicy, policyText } from './policies.ts';
import {
  arnOf,
  assertEnabled,
  assertNotPendingDeletion,
  type KeyRecord,
  type KmsState,
  keyById,
  keyOrAlias,
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
  CustomKeyStoreId: text({ min: 1, max: 64 }),
  BypassPolicyLockoutSafetyCheck: flag(),
  MultiRegion: flag(),
  Tags: tagList,
};

export const keyOperations = {
  CreateKey(input, state, context) {
    const request = read(createKeyShape, input);
    assertSymmetric(request);
    const id = randomUUID();
    const record: KeyRecord = {
      arn: arnOf(`key/${id}`, context),
      id,
      accountId: context.caller.accountId,
      createdAt: context.now.getTime(),
      material: randomBytes(32).toString('base64'),
      materialId: randomBytes(32).toString('hex'),
      description: request.Description ?? '',
      policy: request.Policy ?? defaultPolicy(context),
      tags: tagged(new Map(), request.Tags ?? []),
      state: 'Enabled',
    };
    assertPolicy(record.policy);
    state.keys.set(record.arn, record);
    return { KeyMetadata: metadata(record) };
  },

  DescribeKey(input, state, context) {
    const shape = { ...onlyKeyId, GrantTokens: grantTokens };
    return { KeyMetadata: metadata(keyOrAlias(read(shape, input).KeyId, state, context)) };
  },

  ListKeys(input, state, context) {
    const { Limit, Marker } = read({ Limit: integer({ min: 1, max: 1000 }), Marker: marker }, input);
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
    const record = changeable(input, state, context);
    record.state = 'Enabled';
    return undefined;
  },

  DisableKey(input, state, context) {
    const record = changeable(input, state, context);
    record.state = 'Disabled';
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
    if (record.state !== 'PendingDeletion') {
      throw new AwsError('KMSInvalidStateException', `${record.arn} is not pending deletion.`);
    }
    record.state = 'Disabled';
    delete record.deletionAt;
    return { KeyId: record.arn };
  },

  EnableKeyRotation(input, state, context) {
    const shape = { ...onlyKeyId, RotationPeriodInDays: integer({ min: 90, max: 2560 }) };
    const { KeyId, RotationPeriodInDays } = read(shape, input);
    const record = keyById(KeyId, state, context);
    assertEnabled(record);
    record.rotation = { enabledAt: context.now.getTime(), periodDays: RotationPeriodInDays ?? 365 };
    return undefined;
  },

  DisableKeyRotation(input, state, context) {
    const record = keyById(read(onlyKeyId, input).KeyId, state, context);
    assertEnabled(record);
    delete record.rotation;
    return undefined;
  },

  GetKeyRotationStatus(input, state, context) {
    const record = keyById(read(onlyKeyId, input).KeyId, state, context);
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

/** The key whose state or tags are to change: not while it waits for its deletion. */
function changeable(input: JsonObject, state: KmsState, context: CallContext): KeyRecord {
  const record = keyById(read(onlyKeyId, input).KeyId, state, context);
  assertNotPendingDeletion(record);
  return record;
}

function metadata(record: KeyRecord): JsonObject {
  return {
    AWSAccountId: record.accountId,
    KeyId: record.id,
    Arn: record.arn,
    CreationDate: epochSeconds(new Date(record.createdAt)),
    Enabled: record.state === 'Enabled',
    Description: record.description,
    KeyUsage: 'ENCRYPT_DECRYPT',
    KeyState: record.state,
    ...(record.deletionAt !== undefined && { DeletionDate: epochSeconds(new Date(record.deletionAt)) }),
    Origin: 'AWS_KMS',
    KeyManager: 'CUSTOMER',
    CustomerMasterKeySpec: 'SYMMETRIC_DEFAULT',
    KeySpec: 'SYMMETRIC_DEFAULT',
    EncryptionAlgorithms: ['SYMMETRIC_DEFAULT'],
    MultiRegion: false,
    CurrentKeyMaterialId: record.materialId,
  };
}

interface KeyKind {
  readonly KeyUsage: string | undefined;
  readonly KeySpec: string | undefined;
  readonly CustomerMasterKeySpec: string | undefined;
  readonly Origin: string | undefined;
  readonly MultiRegion: boolean | undefined;
  readonly CustomKeyStoreId: string | undefined;
}

/** The sandbox makes symmetric encryption keys only, and says so rather than make something else. */
function assertSymmetric(kind: KeyKind): void {
  if (kind.KeySpec !== undefined && kind.CustomerMasterKeySpec !== undefined) {
    throw validationException('You cannot specify KeySpec and CustomerMasterKeySpec in the same request.');
  }
  const spec = kind.KeySpec ?? kind.CustomerMasterKeySpec ?? 'SYMMETRIC_DEFAULT';
  const usage = kind.KeyUsage ?? 'ENCRYPT_DECRYPT';
  if (spec === 'SYMMETRIC_DEFAULT' && usage !== 'ENCRYPT_DECRYPT') {
    throw validationException(`KeyUsage ${usage} is not compatible with KeySpec ${spec}`);
  }
  const isOurs =
    spec === 'SYMMETRIC_DEFAULT' &&
    (kind.Origin ?? 'AWS_KMS') === 'AWS_KMS' &&
    kind.MultiRegion !== true &&
    kind.CustomKeyStoreId === undefined;
  if (!isOurs) {
    throw new AwsError(
      'UnsupportedOperationException',
      'The sandbox makes single-region SYMMETRIC_DEFAULT keys of origin AWS_KMS only.',
    );
  }
}
