import type { KMSClient } from '@aws-sdk/client-kms';
import { GatehouseError } from '../base/errors.ts';
import { incompleteAnswer, translated } from './aws-kms-errors.ts';
import type { KmsAdmin } from './kms-admin.ts';

/** Loaded with the first call. */
const sdk = () => import('@aws-sdk/client-kms');

/** https://docs.aws.amazon.com/kms/latest/APIReference/API_ListKeys.html */
const listPageMax = 1000;

/** KMS's administration by way of the AWS SDK. `connect` gives the region's client, the same one each time. */
export function awsKmsAdmin(connect: () => Promise<Pick<KMSClient, 'send'>>): KmsAdmin {
  return {
    async describe(keyId, signal) {
      const { DescribeKeyCommand } = await sdk();
      const { KeyMetadata: key } = await translated('kms:DescribeKey', keyId, signal, async () =>
        (await connect()).send(new DescribeKeyCommand({ KeyId: keyId }), { abortSignal: signal }),
      );
      if (key?.Arn === undefined || key.KeyState === undefined) {
        throw incompleteAnswer('kms:DescribeKey', keyId);
      }
      return {
        arn: key.Arn,
        state: key.KeyState,
        spec: key.KeySpec ?? 'SYMMETRIC_DEFAULT',
        description: key.Description ?? '',
        createdAt: key.CreationDate ?? new Date(0),
        origin: key.Origin ?? 'AWS_KMS',
        ...(key.ValidTo === undefined ? {} : { materialExpiresAt: key.ValidTo }),
        ...(key.DeletionDate === undefined ? {} : { deletedAt: key.DeletionDate }),
        ...(key.CustomKeyStoreId === undefined ? {} : { customKeyStoreId: key.CustomKeyStoreId }),
      };
    },

    async create({ spec, isExternal, customKeyStoreId, description, tags, policy }, signal) {
      const { CreateKeyCommand } = await sdk();
      const create = new CreateKeyCommand({
        KeySpec: spec,
        KeyUsage: 'ENCRYPT_DECRYPT',
        Description: description,
        Policy: policy,
        Tags: Object.entries(tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue })),
        ...(isExternal ? { Origin: 'EXTERNAL' } : {}),
        ...(customKeyStoreId === undefined
          ? {}
          : { Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: customKeyStoreId }),
      });
      const { KeyMetadata: key, $metadata: sent } = await translated(
        'kms:CreateKey',
        description,
        signal,
        async () => (await connect()).send(create, { abortSignal: signal }),
      );
      if (key?.Arn === undefined) throw incompleteAnswer('kms:CreateKey', description);
      return { keyArn: key.Arn, isRetried: (sent.attempts ?? 1) > 1 };
    },

    async nameKey(alias, keyArn, isMoved, signal) {
      const { CreateAliasCommand, UpdateAliasCommand } = await sdk();
      const input = { AliasName: alias, TargetKeyId: keyArn };
      if (isMoved) {
        try {
          await translated('kms:UpdateAlias', alias, signal, async () =>
            (await connect()).send(new UpdateAliasCommand(input), { abortSignal: signal }),
          );
          return;
        } catch (error) {
          // There is none yet.
          if (!(error instanceof GatehouseError) || error.code !== 'KEY_NOT_FOUND') throw error;
        }
      }
      await translated('kms:CreateAlias', alias, signal, async () =>
        (await connect()).send(new CreateAliasCommand(input), { abortSignal: signal }),
      );
    },

    async list(limit, signal) {
      const { ListKeysCommand } = await sdk();
      const found: string[] = [];
      for (let marker: string | undefined, isMore = true; isMore && found.length < limit; ) {
        const from = marker === undefined ? {} : { Marker: marker };
        const list = new ListKeysCommand({ Limit: Math.min(limit - found.length, listPageMax), ...from });
        const answer = await translated('kms:ListKeys', 'all', signal, async () =>
          (await connect()).send(list, { abortSignal: signal }),
        );
        found.push(...(answer.Keys ?? []).flatMap(({ KeyArn }) => KeyArn ?? []));
        marker = answer.NextMarker;
        isMore = marker !== undefined;
      }
      return found;
    },

    async tagsOf(keyArn, signal) {
      const { ListResourceTagsCommand } = await sdk();
      // A key has 50 at most, which is what one answer holds.
      const { Tags = [] } = await translated('kms:ListResourceTags', keyArn, signal, async () =>
        (await connect()).send(new ListResourceTagsCommand({ KeyId: keyArn }), { abortSignal: signal }),
      );
      return Object.fromEntries(Tags.map(({ TagKey = '', TagValue = '' }) => [TagKey, TagValue]));
    },

    async policyOf(keyArn, signal) {
      const { GetKeyPolicyCommand } = await sdk();
      const { Policy } = await translated('kms:GetKeyPolicy', keyArn, signal, async () =>
        (await connect()).send(new GetKeyPolicyCommand({ KeyId: keyArn, PolicyName: 'default' }), {
          abortSignal: signal,
        }),
      );
      if (Policy === undefined) throw incompleteAnswer('kms:GetKeyPolicy', keyArn);
      return Policy;
    },

    async hasGrants(keyArn, signal) {
      const { ListGrantsCommand } = await sdk();
      const { Grants = [], Truncated } = await translated('kms:ListGrants', keyArn, signal, async () =>
        (await connect()).send(new ListGrantsCommand({ KeyId: keyArn, Limit: 1 }), { abortSignal: signal }),
      );
      return Grants.length > 0 || Truncated === true;
    },

    async enableRotation(keyArn, signal) {
      const { EnableKeyRotationCommand } = await sdk();
      await translated('kms:EnableKeyRotation', keyArn, signal, async () =>
        (await connect()).send(new EnableKeyRotationCommand({ KeyId: keyArn }), { abortSignal: signal }),
      );
    },

    async nextRotation(keyArn, signal) {
      const { GetKeyRotationStatusCommand } = await sdk();
      const answer = await translated('kms:GetKeyRotationStatus', keyArn, signal, async () =>
        (await connect()).send(new GetKeyRotationStatusCommand({ KeyId: keyArn }), { abortSignal: signal }),
      );
      return answer.KeyRotationEnabled === true ? answer.NextRotationDate : undefined;
    },

    async importParameters(keyArn, wrapping, signal) {
      const { GetParametersForImportCommand } = await sdk();
      const ask = new GetParametersForImportCommand({
        KeyId: keyArn,
        WrappingAlgorithm: wrapping,
        WrappingKeySpec: 'RSA_4096',
      });
      const answer = await translated('kms:GetParametersForImport', keyArn, signal, async () =>
        (await connect()).send(ask, { abortSignal: signal }),
      );
      const { PublicKey, ImportToken, ParametersValidTo } = answer;
      if (PublicKey === undefined || ImportToken === undefined || ParametersValidTo === undefined) {
        throw incompleteAnswer('kms:GetParametersForImport', keyArn);
      }
      return {
        wrappingKey: Buffer.from(PublicKey),
        token: Buffer.from(ImportToken),
        validUntil: ParametersValidTo,
      };
    },

    async importMaterial(keyArn, { encrypted, token, expiresAt }, signal) {
      const { ImportKeyMaterialCommand } = await sdk();
      const expiry =
        expiresAt === undefined
          ? { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' as const }
          : { ExpirationModel: 'KEY_MATERIAL_EXPIRES' as const, ValidTo: expiresAt };
      const command = new ImportKeyMaterialCommand({
        KeyId: keyArn,
        ImportToken: token,
        EncryptedKeyMaterial: encrypted,
        ...expiry,
      });
      await translated('kms:ImportKeyMaterial', keyArn, signal, async () =>
        (await connect()).send(command, { abortSignal: signal }),
      );
    },

    async keyStoreState(id, signal) {
      const { DescribeCustomKeyStoresCommand } = await sdk();
      const { CustomKeyStores: stores = [] } = await translated(
        'kms:DescribeCustomKeyStores',
        id,
        signal,
        async () =>
          (await connect()).send(new DescribeCustomKeyStoresCommand({ CustomKeyStoreId: id }), {
            abortSignal: signal,
          }),
      );
      return stores[0]?.ConnectionState ?? 'UNKNOWN';
    },
  };
}
