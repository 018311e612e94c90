import {
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  type DecryptCommandInput,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GetKeyPolicyCommand,
  ListResourceTagsCommand,
  PutKeyPolicyCommand,
  ReEncryptCommand,
  ScheduleKeyDeletionCommand,
  TagResourceCommand,
} from '@aws-sdk/client-kms';
import { expect } from 'vitest';
import type { Bench, ContractCase } from './contract.ts';
import { accepted, outcome, refused } from './outcome.ts';

const Plaintext = Buffer.from('a secret');
const reference = 'https://docs.aws.amazon.com/kms/latest/APIReference/';
const keyState = 'https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html';
const EncryptionContext = { 'gatehouse:name': 'contract' };

const newKey = {
  Enabled: true,
  KeyState: 'Enabled',
  KeySpec: 'SYMMETRIC_DEFAULT',
  KeyUsage: 'ENCRYPT_DECRYPT',
  KeyManager: 'CUSTOMER',
  Origin: 'AWS_KMS',
  Description: 'contract',
};

async function createKey({ kms }: Bench) {
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
  return { KeyId: KeyMetadata?.KeyId ?? '', Arn: KeyMetadata?.Arn ?? '' };
}

async function encrypt({ kms }: Bench, KeyId: string, context?: Record<string, string>) {
  const reply = await kms.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext: context }));
  return reply.CiphertextBlob ?? Buffer.of();
}

async function decrypt({ kms }: Bench, input: DecryptCommandInput): Promise<string> {
  return Buffer.from((await kms.send(new DecryptCommand(input))).Plaintext ?? []).toString();
}

export const kmsCases: readonly ContractCase[] = [
  {
    name: 'a new key is enabled, symmetric, the customer’s and of KMS’s own material',
    async run({ kms }) {
      const { KeyMetadata } = await kms.send(new CreateKeyCommand({ Description: 'contract' }));
      const { Enabled, KeyState, KeySpec, KeyUsage, KeyManager, Origin, Description } = KeyMetadata ?? {};
      return { Enabled, KeyState, KeySpec, KeyUsage, KeyManager, Origin, Description };
    },
    expected: newKey,
    moto: {
      sees: { ...newKey, KeyUsage: undefined },
      because: 'it says no usage',
      documentation: `${reference}API_CreateKey.html`,
    },
  },
  {
    name: 'what is encrypted is decrypted under the same context, and the key is named by its ARN',
    async run(bench) {
      const { KeyId, Arn } = await createKey(bench);
      const CiphertextBlob = await encrypt(bench, KeyId, EncryptionContext);
      const reply = await bench.kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }));
      return {
        plaintext: Buffer.from(reply.Plaintext ?? []).toString(),
        key: reply.KeyId === Arn,
        algorithm: reply.EncryptionAlgorithm,
      };
    },
    expected: { plaintext: 'a secret', key: true, algorithm: 'SYMMETRIC_DEFAULT' },
    moto: {
      sees: { plaintext: 'a secret', key: true, algorithm: undefined },
      because: 'it says no algorithm',
      documentation: `${reference}API_Decrypt.html`,
    },
  },
  {
    name: 'another context, none, or one too many does not decrypt',
    async run(bench) {
      const { KeyId } = await createKey(bench);
      const CiphertextBlob = await encrypt(bench, KeyId, EncryptionContext);
      const contexts = [{ 'gatehouse:name': 'other' }, undefined, { ...EncryptionContext, more: 'x' }];
      return Promise.all(
        contexts.map((context) => outcome(decrypt(bench, { CiphertextBlob, EncryptionContext: context }))),
      );
    },
    expected: Array.from({ length: 3 }, () => refused('InvalidCiphertextException')),
  },
  {
    name: 'the order of a context does not matter',
    async run(bench) {
      const { KeyId } = await createKey(bench);
      const CiphertextBlob = await encrypt(bench, KeyId, { a: '1', b: '2' });
      return decrypt(bench, { CiphertextBlob, EncryptionContext: { b: '2', a: '1' } });
    },
    expected: 'a secret',
  },
  {
    name: 'bytes that KMS never made do not decrypt',
    run: (bench) => outcome(decrypt(bench, { CiphertextBlob: Buffer.alloc(120, 7) })),
    expected: refused('InvalidCiphertextException'),
    moto: {
      sees: refused('AccessDeniedException'),
      because: 'it looks for a key id in them first',
      documentation: `${reference}API_Decrypt.html`,
    },
  },
  {
    name: 'a ciphertext with one bit changed does not decrypt',
    async run(bench) {
      const { KeyId } = await createKey(bench);
      const CiphertextBlob = Buffer.from(await encrypt(bench, KeyId));
      CiphertextBlob.writeUInt8(
        CiphertextBlob.readUInt8(CiphertextBlob.length - 1) ^ 1,
        CiphertextBlob.length - 1,
      );
      return outcome(decrypt(bench, { CiphertextBlob }));
    },
    expected: refused('InvalidCiphertextException'),
  },
  {
    name: 'a ciphertext of one key is not decrypted when another is named',
    async run(bench) {
      const [one, other] = [await createKey(bench), await createKey(bench)];
      const CiphertextBlob = await encrypt(bench, one.KeyId);
      return {
        right: await decrypt(bench, { CiphertextBlob, KeyId: one.Arn }),
        wrong: await outcome(decrypt(bench, { CiphertextBlob, KeyId: other.Arn })),
      };
    },
    expected: { right: 'a secret', wrong: refused('IncorrectKeyException') },
    moto: {
      sees: { right: 'a secret', wrong: refused('AccessDeniedException') },
      because: 'it has no IncorrectKeyException',
      documentation: `${reference}API_Decrypt.html`,
    },
  },
  {
    name: 'encrypt takes 4,096 bytes and not one more',
    async run(bench) {
      const { KeyId } = await createKey(bench);
      const sized = (length: number) =>
        outcome(bench.kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.alloc(length, 1) })));
      return [await sized(4096), await sized(4097)];
    },
    expected: [accepted, refused('ValidationException')],
  },
  {
    name: 'a data key comes in clear and encrypted, and the one opens to the other',
    async run(bench) {
      const { KeyId } = await createKey(bench);
      const reply = await bench.kms.send(
        new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', EncryptionContext }),
      );
      const opened = await bench.kms.send(
        new DecryptCommand({ CiphertextBlob: reply.CiphertextBlob, EncryptionContext }),
      );
      return {
        length: reply.Plaintext?.length,
        same: Buffer.from(reply.Plaintext ?? []).equals(opened.Plaintext ?? Buffer.of()),
      };
    },
    expected: { length: 32, same: true },
  },
  {
    name: 'a data key without plaintext has none and opens all the same',
    async run(bench) {
      const { KeyId } = await createKey(bench);
      const reply = await bench.kms.send(
        new GenerateDataKeyWithoutPlaintextCommand({ KeyId, NumberOfBytes: 64 }),
      );
      const opened = await bench.kms.send(new DecryptCommand({ CiphertextBlob: reply.CiphertextBlob }));
      return { plaintext: 'Plaintext' in reply, length: opened.Plaintext?.length };
    },
    expected: { plaintext: false, length: 64 },
  },
  {
    name: 're-encryption moves a ciphertext to another key and context',
    async run(bench) {
      const [one, other] = [await createKey(bench), await createKey(bench)];
      const reply = await bench.kms.send(
        new ReEncryptCommand({
          CiphertextBlob: await encrypt(bench, one.KeyId, EncryptionContext),
          SourceEncryptionContext: EncryptionContext,
          DestinationKeyId: other.KeyId,
          DestinationEncryptionContext: { moved: 'yes' },
        }),
      );
      return {
        keys: [reply.SourceKeyId === one.Arn, reply.KeyId === other.Arn],
        plaintext: await decrypt(bench, {
          CiphertextBlob: reply.CiphertextBlob,
          EncryptionContext: { moved: 'yes' },
        }),
      };
    },
    expected: { keys: [true, true], plaintext: 'a secret' },
  },
  {
    name: 'an alias stands for its key, and is taken once',
    async run(bench) {
      const { KeyId, Arn } = await createKey(bench);
      const AliasName = `alias/${bench.unique('contract')}`;
      const create = () => bench.kms.send(new CreateAliasCommand({ AliasName, TargetKeyId: KeyId }));
      await create();
      const { KeyMetadata } = await bench.kms.send(new DescribeKeyCommand({ KeyId: AliasName }));
      const encrypted = await encrypt(bench, AliasName);
      return {
        described: KeyMetadata?.Arn === Arn,
        decrypted: await decrypt(bench, { CiphertextBlob: encrypted, KeyId: AliasName }),
        again: await outcome(create()),
      };
    },
    expected: { described: true, decrypted: 'a secret', again: refused('AlreadyExistsException') },
  },
  {
    name: 'a key and an alias that do not exist are not found',
    run: (bench) =>
      Promise.all(
        ['11111111-2222-3333-4444-555555555555', `alias/${bench.unique('missing')}`].map((KeyId) =>
          outcome(bench.kms.send(new DescribeKeyCommand({ KeyId }))),
        ),
      ),
    expected: [refused('NotFoundException'), refused('NotFoundException')],
  },
  {
    name: 'a disabled key does nothing until it is enabled',
    async run(bench) {
      const { KeyId } = await createKey(bench);
      const CiphertextBlob = await encrypt(bench, KeyId);
      await bench.kms.send(new DisableKeyCommand({ KeyId }));
      const disabled = [
        await outcome(encrypt(bench, KeyId)),
        await outcome(decrypt(bench, { CiphertextBlob })),
        await outcome(bench.kms.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' }))),
      ];
      await bench.kms.send(new EnableKeyCommand({ KeyId }));
      return { disabled, enabled: await decrypt(bench, { CiphertextBlob }) };
    },
    expected: {
      disabled: Array.from({ length: 3 }, () => refused('DisabledException')),
      enabled: 'a secret',
    },
    moto: {
      sees: { disabled: [accepted, accepted, accepted], enabled: 'a secret' },
      because: 'a disabled key still works',
      documentation: keyState,
    },
  },
  {
    name: 'a key that is to be deleted does nothing',
    async run(bench) {
      const { KeyId } = await createKey(bench);
      const CiphertextBlob = await encrypt(bench, KeyId);
      const scheduled = await bench.kms.send(
        new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }),
      );
      return {
        state: scheduled.KeyState,
        encrypt: await outcome(encrypt(bench, KeyId)),
        decrypt: await outcome(decrypt(bench, { CiphertextBlob })),
      };
    },
    expected: {
      state: 'PendingDeletion',
      encrypt: refused('KMSInvalidStateException'),
      decrypt: refused('KMSInvalidStateException'),
    },
    moto: {
      sees: { state: undefined, encrypt: accepted, decrypt: accepted },
      because: 'a key to be deleted still works',
      documentation: keyState,
    },
  },
  {
    name: 'a key waits 7 to 30 days for its deletion',
    async run(bench) {
      const { KeyId } = await createKey(bench);
      return Promise.all(
        [6, 31].map((PendingWindowInDays) =>
          outcome(bench.kms.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays }))),
        ),
      );
    },
    expected: [refused('ValidationException'), refused('ValidationException')],
    moto: {
      sees: [accepted, accepted],
      because: 'it takes any window',
      documentation: `${reference}API_ScheduleKeyDeletion.html`,
    },
  },
  {
    name: 'tags are kept',
    async run(bench) {
      const { KeyId } = await createKey(bench);
      await bench.kms.send(
        new TagResourceCommand({ KeyId, Tags: [{ TagKey: 'generation', TagValue: '1' }] }),
      );
      return (await bench.kms.send(new ListResourceTagsCommand({ KeyId }))).Tags;
    },
    expected: [{ TagKey: 'generation', TagValue: '1' }],
  },
  {
    name: 'a key has a policy from the start, and the one it is given',
    async run(bench) {
      const { KeyId, Arn } = await createKey(bench);
      const read = async () => {
        const { Policy = '{}' } = await bench.kms.send(
          new GetKeyPolicyCommand({ KeyId, PolicyName: 'default' }),
        );
        return JSON.parse(Policy) as { Statement: { Sid: string }[] };
      };
      const account = Arn.split(':')[4];
      const first = await read();
      const Policy = JSON.stringify({
        Version: '2012-10-17',
        Statement: [
          {
            Sid: 'Contract',
            Effect: 'Allow',
            Principal: { AWS: `arn:aws:iam::${account}:root` },
            Action: 'kms:*',
            Resource: '*',
          },
        ],
      });
      await bench.kms.send(new PutKeyPolicyCommand({ KeyId, PolicyName: 'default', Policy }));
      return { first: first.Statement.length, after: (await read()).Statement.map(({ Sid }) => Sid) };
    },
    expected: { first: 1, after: ['Contract'] },
  },
  {
    name: 'a description is limited to 8,192 characters',
    run: ({ kms }) => outcome(kms.send(new CreateKeyCommand({ Description: 'x'.repeat(8193) }))),
    expected: refused('ValidationException'),
    moto: {
      sees: accepted,
      because: 'it has no limit',
      documentation: `${reference}API_CreateKey.html`,
    },
  },
  {
    name: 'key ids are UUIDs',
    async run(bench) {
      return (await createKey(bench)).KeyId;
    },
    expected: expect.stringMatching(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/u),
  },
];
