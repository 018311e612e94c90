import { constants, createPublicKey, publicEncrypt, randomBytes } from 'node:crypto';
import {
  CreateAliasCommand,
  CreateGrantCommand,
  CreateKeyCommand,
  DecryptCommand,
  type DecryptCommandInput,
  DeleteImportedKeyMaterialCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EnableKeyRotationCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GetKeyPolicyCommand,
  GetKeyRotationStatusCommand,
  GetParametersForImportCommand,
  GetPublicKeyCommand,
  ImportKeyMaterialCommand,
  ListGrantsCommand,
  ListResourceTagsCommand,
  PutKeyPolicyCommand,
  ReEncryptCommand,
  RevokeGrantCommand,
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

/** What comes of an answer that is a page about an operation that is not there. */
const notImplemented = refused('SyntaxError', 500);

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
  {
    name: 'an RSA key decrypts what its public key encrypted, up to what the padding leaves room for',
    async run(bench) {
      const KeyId = await createRsaKey(bench);
      const { PublicKey, EncryptionAlgorithms } = await bench.kms.send(new GetPublicKeyCommand({ KeyId }));
      const key = createPublicKey({ key: Buffer.from(PublicKey ?? []), type: 'spki', format: 'der' });
      const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
      const EncryptionAlgorithm = 'RSAES_OAEP_SHA_256';
      const sized = (length: number) =>
        outcome(
          bench.kms.send(
            new EncryptCommand({ KeyId, Plaintext: Buffer.alloc(length, 1), EncryptionAlgorithm }),
          ),
        );
      const CiphertextBlob = publicEncrypt({ key, ...padding }, Plaintext);
      return {
        EncryptionAlgorithms,
        sizes: [await sized(190), await sized(191)],
        opened: await outcome(decrypt(bench, { KeyId, CiphertextBlob, EncryptionAlgorithm })),
      };
    },
    expected: {
      EncryptionAlgorithms: ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'],
      sizes: [accepted, refused('ValidationException')],
      opened: accepted,
    },
    moto: {
      sees: {
        EncryptionAlgorithms: ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'],
        sizes: [accepted, accepted],
        opened: refused('InvalidCiphertextException'),
      },
      because: 'it does not encrypt by RSA, whatever it says',
      documentation: `${reference}API_Encrypt.html`,
    },
  },
  {
    name: 'an RSA key takes no context, no other algorithm, makes no data keys and is not rotated',
    async run(bench) {
      const KeyId = await createRsaKey(bench);
      const encryptWith = (more: object) =>
        outcome(bench.kms.send(new EncryptCommand({ KeyId, Plaintext, ...more })));
      return {
        algorithm: await encryptWith({}),
        context: await encryptWith({ EncryptionAlgorithm: 'RSAES_OAEP_SHA_256', EncryptionContext }),
        'data key': await outcome(bench.kms.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' }))),
        rotation: await outcome(bench.kms.send(new EnableKeyRotationCommand({ KeyId }))),
      };
    },
    expected: {
      algorithm: refused('InvalidKeyUsageException'),
      context: refused('ValidationException'),
      'data key': refused('InvalidKeyUsageException'),
      rotation: refused('UnsupportedOperationException'),
    },
    moto: {
      sees: {
        algorithm: accepted,
        context: accepted,
        'data key': accepted,
        rotation: accepted,
      },
      because: 'it treats an RSA key as a symmetric one',
      documentation: `${reference}API_Encrypt.html`,
    },
  },
  {
    name: 'an RSA key that signs gives its public half, and encrypts and decrypts nothing',
    async run({ kms }) {
      const command = new CreateKeyCommand({ KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' });
      const { KeyMetadata } = await kms.send(command);
      const KeyId = KeyMetadata?.KeyId ?? '';
      const { KeyUsage, EncryptionAlgorithms } = await kms.send(new GetPublicKeyCommand({ KeyId }));
      const EncryptionAlgorithm = 'RSAES_OAEP_SHA_256';
      const blob = { CiphertextBlob: Buffer.alloc(256, 1), EncryptionAlgorithm } as const;
      return {
        KeyUsage,
        EncryptionAlgorithms,
        encrypt: await outcome(kms.send(new EncryptCommand({ KeyId, Plaintext, EncryptionAlgorithm }))),
        decrypt: await outcome(kms.send(new DecryptCommand({ KeyId, ...blob }))),
      };
    },
    expected: {
      KeyUsage: 'SIGN_VERIFY',
      EncryptionAlgorithms: undefined,
      encrypt: refused('InvalidKeyUsageException'),
      decrypt: refused('InvalidKeyUsageException'),
    },
    moto: {
      sees: {
        KeyUsage: 'SIGN_VERIFY',
        EncryptionAlgorithms: undefined,
        encrypt: accepted,
        decrypt: refused('AccessDeniedException'),
      },
      because: 'it encrypts under any key',
      documentation: `${reference}API_Encrypt.html`,
    },
  },
  {
    name: 'a key of external origin waits for its material, takes it, and takes no other',
    async run(bench) {
      const { KeyMetadata } = await bench.kms.send(new CreateKeyCommand({ Origin: 'EXTERNAL' }));
      const KeyId = KeyMetadata?.KeyId ?? '';
      const material = randomBytes(32);
      const importing = async (bytes: Buffer) => {
        const parameters = await bench.kms.send(
          new GetParametersForImportCommand({
            KeyId,
            WrappingAlgorithm: 'RSAES_OAEP_SHA_256',
            WrappingKeySpec: 'RSA_2048',
          }),
        );
        const key = createPublicKey({
          key: Buffer.from(parameters.PublicKey ?? []),
          type: 'spki',
          format: 'der',
        });
        return bench.kms.send(
          new ImportKeyMaterialCommand({
            KeyId,
            ImportToken: parameters.ImportToken,
            EncryptedKeyMaterial: publicEncrypt(
              { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' },
              bytes,
            ),
            ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE',
          }),
        );
      };
      const before = await outcome(bench.kms.send(new EncryptCommand({ KeyId, Plaintext })));
      await importing(material);
      const CiphertextBlob = await encrypt(bench, KeyId);
      await bench.kms.send(new DeleteImportedKeyMaterialCommand({ KeyId }));
      const without = await outcome(decrypt(bench, { CiphertextBlob }));
      const other = await outcome(importing(randomBytes(32)));
      await importing(material);
      return {
        state: KeyMetadata?.KeyState,
        before,
        without,
        other,
        again: await decrypt(bench, { CiphertextBlob }),
      };
    },
    expected: {
      state: 'PendingImport',
      before: refused('KMSInvalidStateException'),
      without: refused('KMSInvalidStateException'),
      other: refused('IncorrectKeyMaterialException'),
      again: 'a secret',
    },
    moto: {
      sees: notImplemented,
      because: 'it imports nothing',
      documentation: `${reference}API_ImportKeyMaterial.html`,
    },
  },
  {
    name: 'rotation is off, then on, at the pace asked for',
    async run(bench) {
      const { KeyId } = await createKey(bench);
      const status = async () => {
        const reply = await bench.kms.send(new GetKeyRotationStatusCommand({ KeyId }));
        return [reply.KeyRotationEnabled, reply.RotationPeriodInDays];
      };
      const before = await status();
      await bench.kms.send(new EnableKeyRotationCommand({ KeyId, RotationPeriodInDays: 180 }));
      return { before, after: await status() };
    },
    expected: { before: [false, undefined], after: [true, 180] },
    moto: {
      sees: { before: [false, undefined], after: [true, undefined] },
      because: 'it says no period',
      documentation: `${reference}API_GetKeyRotationStatus.html`,
    },
  },
  {
    name: 'a grant is listed until it is revoked',
    async run(bench) {
      const { KeyId } = await createKey(bench);
      const GranteePrincipal = bench.target.roleArn;
      const { GrantId } = await bench.kms.send(
        new CreateGrantCommand({
          KeyId,
          GranteePrincipal,
          Operations: ['Encrypt', 'Decrypt'],
          Name: 'contract',
        }),
      );
      const listed = async () =>
        (await bench.kms.send(new ListGrantsCommand({ KeyId }))).Grants?.map((grant) => ({
          same: grant.GrantId === GrantId,
          grantee: grant.GranteePrincipal === GranteePrincipal,
          Operations: grant.Operations?.toSorted((a, b) => (a < b ? -1 : 1)),
          Name: grant.Name,
        }));
      const before = await listed();
      await bench.kms.send(new RevokeGrantCommand({ KeyId, GrantId }));
      return { before, after: await listed() };
    },
    expected: {
      before: [{ same: true, grantee: true, Operations: ['Decrypt', 'Encrypt'], Name: 'contract' }],
      after: [],
    },
  },
  {
    name: 'a key policy that would lock its author out is refused, unless that is bypassed',
    async run(bench) {
      const { KeyId } = await createKey(bench);
      const Policy = JSON.stringify({
        Version: '2012-10-17',
        Statement: [
          {
            Effect: 'Allow',
            Principal: { AWS: bench.target.roleArn },
            Action: 'kms:*',
            Resource: '*',
          },
        ],
      });
      const put = (BypassPolicyLockoutSafetyCheck: boolean) =>
        outcome(
          bench.kms.send(
            new PutKeyPolicyCommand({ KeyId, PolicyName: 'default', Policy, BypassPolicyLockoutSafetyCheck }),
          ),
        );
      return [
        await put(false),
        await put(true),
        await outcome(bench.kms.send(new EncryptCommand({ KeyId, Plaintext }))),
      ];
    },
    expected: [refused('MalformedPolicyDocumentException'), accepted, refused('AccessDeniedException')],
    moto: {
      sees: [accepted, accepted, accepted],
      because: 'it keeps policies and asks none',
      documentation: `${reference}API_PutKeyPolicy.html`,
    },
  },
];

async function createRsaKey({ kms }: Bench): Promise<string> {
  const { KeyMetadata } = await kms.send(
    new CreateKeyCommand({ KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' }),
  );
  return KeyMetadata?.KeyId ?? '';
}
