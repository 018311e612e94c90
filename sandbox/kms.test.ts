import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { kms } from './kms.ts';
import { AwsError, type JsonObject } from './service.ts';

const account = '111122223333';
const region = 'eu-west-1';
const dayMs = 24 * 60 * 60 * 1000;

function setup() {
  const state = kms.newState();
  let now = new Date('2026-11-22T12:00:00.250Z');
  const callAs = (accountId: string, from: string, name: string, input: JsonObject = {}): JsonObject => {
    const caller = {
      accountId,
      arn: `arn:aws:iam::${accountId}:user/u`,
      userId: 'AIDA',
      accessKeyId: 'AKIA',
    };
    const operation = kms.operations[name];
    if (operation === undefined) throw new TypeError(`no operation ${name}`);
    return operation(input, state, { caller, region: from, now, requestId: 'r' }) ?? {};
  };
  const call = (name: string, input: JsonObject = {}) => callAs(account, region, name, input);
  const refusal = (name: string, input: JsonObject): string => refusalOf(() => call(name, input));
  const newKey = (input: JsonObject = {}) => {
    const { KeyId, Arn } = call('CreateKey', input)['KeyMetadata'] as { KeyId: string; Arn: string };
    return { id: KeyId, arn: Arn };
  };
  const encrypt = (keyId: string, text = 'secret', EncryptionContext: JsonObject = {}) =>
    call('Encrypt', { KeyId: keyId, Plaintext: base64(text), EncryptionContext })['CiphertextBlob'] as string;
  return {
    state,
    call,
    callAs,
    refusal,
    newKey,
    encrypt,
    pass: (ms: number) => {
      now = new Date(now.getTime() + ms);
    },
  };
}

const base64 = (value: string | Uint8Array): string => Buffer.from(value).toString('base64');

const zeros = (length: number): string => base64(Buffer.alloc(length));

/** `Name: message` of what was thrown. */
function refusalOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof AwsError) return `${error.name}: ${error.message}`;
    throw error;
  }
  return 'nothing refused';
}

describe('keys', () => {
  it('a new key is enabled, symmetric and described in full', () => {
    const { call, newKey } = setup();

    const { id, arn } = newKey({ Description: 'binding' });

    expect(call('DescribeKey', { KeyId: id })['KeyMetadata']).toMatchObject({
      AWSAccountId: account,
      Arn: arn,
      CreationDate: 1_795_348_800.25,
      Enabled: true,
      Description: 'binding',
      KeyUsage: 'ENCRYPT_DECRYPT',
      KeyState: 'Enabled',
      Origin: 'AWS_KMS',
      KeyManager: 'CUSTOMER',
      KeySpec: 'SYMMETRIC_DEFAULT',
      EncryptionAlgorithms: ['SYMMETRIC_DEFAULT'],
      MultiRegion: false,
    });
    expect(arn).toBe(`arn:aws:kms:${region}:${account}:key/${id}`);
  });

  it('a key is named by id, ARN, alias name and alias ARN', () => {
    const { call, newKey } = setup();
    const { id, arn } = newKey();
    call('CreateAlias', { AliasName: 'alias/binding', TargetKeyId: id });

    for (const KeyId of [id, arn, 'alias/binding', `arn:aws:kms:${region}:${account}:alias/binding`]) {
      expect(call('DescribeKey', { KeyId })['KeyMetadata']).toMatchObject({ KeyId: id });
      expect(call('Encrypt', { KeyId, Plaintext: base64('x') })).toMatchObject({ KeyId: arn });
    }
  });

  it('operations that take no alias say that it is no key id', () => {
    const { call, newKey, refusal } = setup();
    call('CreateAlias', { AliasName: 'alias/binding', TargetKeyId: newKey().id });

    for (const name of ['EnableKey', 'ScheduleKeyDeletion', 'GetKeyPolicy', 'ListResourceTags']) {
      expect(refusal(name, { KeyId: 'alias/binding' })).toBe(
        "NotFoundException: Invalid keyId 'alias/binding'",
      );
    }
  });

  it("another region's or account's key does not exist here", () => {
    const { newKey, refusal, callAs } = setup();
    const { id, arn } = newKey();
    const foreign = `arn:aws:kms:${region}:999988887777:key/${id}`;

    expect(refusal('DescribeKey', { KeyId: foreign })).toBe(
      `NotFoundException: Key '${foreign}' does not exist`,
    );
    expect(refusalOf(() => callAs(account, 'us-east-1', 'DescribeKey', { KeyId: arn }))).toBe(
      `NotFoundException: Invalid arn ${region}`,
    );
    expect(refusalOf(() => callAs('999988887777', region, 'DescribeKey', { KeyId: id }))).toBe(
      `NotFoundException: Key '${foreign}' does not exist`,
    );
    expect(refusal('DescribeKey', { KeyId: 'fake-key-id' })).toBe(
      "NotFoundException: Invalid keyId 'fake-key-id'",
    );
    expect(refusal('DescribeKey', { KeyId: 'alias/none' })).toBe(
      `NotFoundException: Alias arn:aws:kms:${region}:${account}:alias/none is not found.`,
    );
  });

  it('only symmetric and RSA keys of this region are made', () => {
    const { refusal } = setup();

    expect(refusal('CreateKey', { KeySpec: 'RSA_2048' })).toBe(
      'ValidationException: You must specify a KeyUsage value for an asymmetric CMK.',
    );
    expect(refusal('CreateKey', { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' })).toMatch(
      /^UnsupportedOperationException/u,
    );
    expect(refusal('CreateKey', { KeySpec: 'ECC_NIST_P256', KeyUsage: 'ENCRYPT_DECRYPT' })).toMatch(
      /^UnsupportedOperationException/u,
    );
    expect(refusal('CreateKey', { MultiRegion: true })).toMatch(/^UnsupportedOperationException/u);
    expect(refusal('CreateKey', { Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId: 'cks-1' })).toMatch(
      /^UnsupportedOperationException/u,
    );
    expect(refusal('CreateKey', { KeyUsage: 'SIGN_VERIFY' })).toMatch(/^ValidationException/u);
    expect(refusal('CreateKey', { Policy: 'no JSON' })).toMatch(/^MalformedPolicyDocumentException/u);
    expect(refusal('CreateKey', { Description: 'x'.repeat(8193) })).toMatch(/^ValidationException/u);
  });

  it('keys are listed by the page', () => {
    const { call, newKey, refusal } = setup();
    const ids = Array.from({ length: 5 }, () => newKey().id).toSorted();

    const first = call('ListKeys', { Limit: 3 });
    const second = call('ListKeys', { Limit: 3, Marker: first['NextMarker'] });

    const listed = [first['Keys'], second['Keys']].flat() as { KeyId: string }[];
    expect(listed.map((key) => key.KeyId)).toEqual(ids);
    expect([first['Truncated'], second['Truncated']]).toEqual([true, false]);
    expect(second['NextMarker']).toBeUndefined();
    expect(refusal('ListKeys', { Marker: 'nonsense' })).toMatch(/^InvalidMarkerException/u);
    expect(refusal('ListKeys', { Limit: 1001 })).toBe(
      "ValidationException: 1 validation error detected: Value '1001' at 'limit' failed to satisfy constraint: " +
        'Member must have value less than or equal to 1000',
    );
  });

  it('a policy is stored as it was given', () => {
    const { call, newKey, refusal } = setup();
    const { id } = newKey();
    const Policy =
      '{"Statement" :{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"kms:*","Resource":"*"}}';

    expect(JSON.parse(call('GetKeyPolicy', { KeyId: id })['Policy'] as string)).toMatchObject({
      Id: 'key-default-1',
    });
    call('PutKeyPolicy', { KeyId: id, Policy });

    expect(call('GetKeyPolicy', { KeyId: id, PolicyName: 'default' })).toEqual({
      Policy,
      PolicyName: 'default',
    });
    expect(refusal('PutKeyPolicy', { KeyId: id, Policy: '{' })).toMatch(/^MalformedPolicyDocumentException/u);
    expect(refusal('PutKeyPolicy', { KeyId: id, Policy: `{"Statement":"${'x'.repeat(32_768)}"}` })).toMatch(
      /^LimitExceededException/u,
    );
  });

  it('rotation is switched on and off', () => {
    const { call, newKey } = setup();
    const { id, arn } = newKey();

    call('EnableKeyRotation', { KeyId: id, RotationPeriodInDays: 90 });
    const on = call('GetKeyRotationStatus', { KeyId: id });
    call('DisableKeyRotation', { KeyId: id });

    expect(on).toMatchObject({ KeyId: arn, KeyRotationEnabled: true, RotationPeriodInDays: 90 });
    expect(call('GetKeyRotationStatus', { KeyId: id })).toMatchObject({ KeyRotationEnabled: false });
  });
});

describe('key states', () => {
  it('a disabled key neither encrypts nor decrypts until it is enabled', () => {
    const { call, newKey, encrypt, refusal } = setup();
    const { id, arn } = newKey();
    const CiphertextBlob = encrypt(id);

    call('DisableKey', { KeyId: id });

    const disabled = `DisabledException: ${arn} is disabled.`;
    expect(refusal('Encrypt', { KeyId: id, Plaintext: base64('x') })).toBe(disabled);
    expect(refusal('Decrypt', { CiphertextBlob })).toBe(disabled);
    expect(refusal('GenerateDataKey', { KeyId: id, KeySpec: 'AES_256' })).toBe(disabled);
    expect(refusal('ReEncrypt', { CiphertextBlob, DestinationKeyId: id })).toBe(disabled);
    call('EnableKey', { KeyId: id });
    expect(call('Decrypt', { CiphertextBlob })['Plaintext']).toBe(base64('secret'));
  });

  it('a key that waits for its deletion can only be described, or kept after all', () => {
    const { call, newKey, encrypt, refusal } = setup();
    const { id, arn } = newKey();
    const CiphertextBlob = encrypt(id);

    const scheduled = call('ScheduleKeyDeletion', { KeyId: id, PendingWindowInDays: 7 });

    const pending = `KMSInvalidStateException: ${arn} is pending deletion.`;
    expect(scheduled).toEqual({
      KeyId: arn,
      DeletionDate: 1_795_348_800.25 + 7 * 86_400,
      KeyState: 'PendingDeletion',
      PendingWindowInDays: 7,
    });
    expect(refusal('Decrypt', { CiphertextBlob })).toBe(pending);
    for (const name of ['EnableKey', 'DisableKey', 'ScheduleKeyDeletion', 'EnableKeyRotation']) {
      expect(refusal(name, { KeyId: id })).toBe(pending);
    }
    expect(refusal('CreateAlias', { AliasName: 'alias/late', TargetKeyId: id })).toBe(pending);
    expect(refusal('TagResource', { KeyId: id, Tags: [] })).toBe(pending);
    expect(call('DescribeKey', { KeyId: id })['KeyMetadata']).toMatchObject({
      KeyState: 'PendingDeletion',
      Enabled: false,
      DeletionDate: scheduled['DeletionDate'],
    });

    call('CancelKeyDeletion', { KeyId: id });
    expect(call('DescribeKey', { KeyId: id })['KeyMetadata']).toMatchObject({ KeyState: 'Disabled' });
    expect(refusal('CancelKeyDeletion', { KeyId: id })).toMatch(/^KMSInvalidStateException/u);
  });

  it('a key is gone when its waiting period is over, and its aliases with it', () => {
    const { call, newKey, encrypt, refusal, pass } = setup();
    const { id, arn } = newKey();
    call('CreateAlias', { AliasName: 'alias/binding', TargetKeyId: id });
    const CiphertextBlob = encrypt(id);
    call('ScheduleKeyDeletion', { KeyId: id });

    pass(30 * dayMs - 1);
    expect(call('DescribeKey', { KeyId: id })).toBeDefined();
    pass(1);

    expect(refusal('DescribeKey', { KeyId: id })).toBe(`NotFoundException: Key '${arn}' does not exist`);
    expect(refusal('Decrypt', { CiphertextBlob })).toMatch(
      /^AccessDeniedException: The ciphertext refers to/u,
    );
    expect(refusal('Decrypt', { CiphertextBlob, KeyId: id })).toMatch(/^NotFoundException/u);
    expect(call('ListKeys')['Keys']).toEqual([]);
    expect(call('ListAliases')['Aliases']).toEqual([]);
  });

  it('the waiting period is 7 to 30 days', () => {
    const { newKey, refusal } = setup();
    const { id } = newKey();

    for (const PendingWindowInDays of [0, 6, 31, 366]) {
      expect(refusal('ScheduleKeyDeletion', { KeyId: id, PendingWindowInDays })).toMatch(
        /^ValidationException/u,
      );
    }
  });
});

describe('cryptography', () => {
  it('decrypts what it encrypted, under the key that the blob names', () => {
    const { call, newKey, encrypt } = setup();
    const { arn } = newKey();
    newKey();

    const reply = call('Decrypt', { CiphertextBlob: encrypt(arn, 'open sesame') });

    expect(reply).toMatchObject({
      KeyId: arn,
      Plaintext: base64('open sesame'),
      EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
    });
  });

  it('the wrong key, another algorithm, a grant token and no blob at all are refused', () => {
    const { newKey, encrypt, refusal } = setup();
    const CiphertextBlob = encrypt(newKey().id);

    expect(refusal('Decrypt', { CiphertextBlob, KeyId: newKey().id })).toBe(
      'IncorrectKeyException: The key ID in the request does not identify a CMK that can perform this operation.',
    );
    expect(refusal('Decrypt', { CiphertextBlob, EncryptionAlgorithm: 'RSAES_OAEP_SHA_256' })).toBe(
      'InvalidKeyUsageException: Algorithm RSAES_OAEP_SHA_256 is incompatible with key spec SYMMETRIC_DEFAULT.',
    );
    expect(refusal('Decrypt', { CiphertextBlob, GrantTokens: ['t'] })).toMatch(
      /^InvalidGrantTokenException/u,
    );
    expect(refusal('Decrypt', { CiphertextBlob: base64('not a blob') })).toBe('InvalidCiphertextException: ');
    expect(refusal('Decrypt', {})).toMatch(/^ValidationException/u);
  });

  it('a blob of another region or account is out of reach', () => {
    const { newKey, encrypt, callAs } = setup();
    const CiphertextBlob = encrypt(newKey().id);

    for (const [caller, from] of [
      [account, 'us-east-1'],
      ['999988887777', region],
    ] as const) {
      expect(refusalOf(() => callAs(caller, from, 'Decrypt', { CiphertextBlob }))).toMatch(
        /^AccessDeniedException/u,
      );
    }
  });

  it('encrypts 1 to 4096 bytes', () => {
    const { call, newKey, refusal } = setup();
    const KeyId = newKey().id;

    const { CiphertextBlob } = call('Encrypt', { KeyId, Plaintext: zeros(4096) });

    expect(call('Decrypt', { CiphertextBlob })['Plaintext']).toBe(zeros(4096));
    expect(refusal('Encrypt', { KeyId, Plaintext: zeros(4097) })).toBe(
      "ValidationException: 1 validation error detected: Value at 'plaintext' failed to satisfy constraint: " +
        'Member must have length less than or equal to 4096',
    );
    expect(refusal('Encrypt', { KeyId, Plaintext: '' })).toMatch(/greater than or equal to 1$/u);
    expect(refusal('Encrypt', {})).toBe(
      "ValidationException: 2 validation errors detected: Value null at 'keyId' failed to satisfy constraint: " +
        "Member must not be null; Value null at 'plaintext' failed to satisfy constraint: Member must not be null",
    );
  });

  it('a context is at most 8192 bytes of text', () => {
    const { newKey, encrypt, refusal } = setup();
    const KeyId = newKey().id;

    expect(encrypt(KeyId, 'x', { key: 'v'.repeat(8189) })).toBeDefined();

    const Plaintext = base64('x');
    expect(refusal('Encrypt', { KeyId, Plaintext, EncryptionContext: { key: 'v'.repeat(8190) } })).toMatch(
      /^ValidationException/u,
    );
    expect(refusal('Encrypt', { KeyId, Plaintext, EncryptionContext: { key: ['v'] } })).toMatch(
      /^SerializationException/u,
    );
  });

  it('a data key has the length asked for, and opens again', () => {
    const { call, newKey, refusal } = setup();
    const KeyId = newKey().id;

    for (const [ask, length] of [
      [{ KeySpec: 'AES_256' }, 32],
      [{ KeySpec: 'AES_128' }, 16],
      [{ NumberOfBytes: 1024 }, 1024],
    ] as const) {
      const { Plaintext, CiphertextBlob } = call('GenerateDataKey', { KeyId, ...ask });
      expect(Buffer.from(Plaintext as string, 'base64')).toHaveLength(length);
      expect(call('Decrypt', { CiphertextBlob })['Plaintext']).toBe(Plaintext);
    }
    expect(call('GenerateDataKeyWithoutPlaintext', { KeyId, KeySpec: 'AES_256' })).not.toHaveProperty(
      'Plaintext',
    );
    const exactlyOne = 'ValidationException: Please specify either number of bytes or key spec.';
    expect(refusal('GenerateDataKey', { KeyId })).toBe(exactlyOne);
    expect(refusal('GenerateDataKey', { KeyId, KeySpec: 'AES_256', NumberOfBytes: 32 })).toBe(exactlyOne);
    expect(refusal('GenerateDataKey', { KeyId, NumberOfBytes: 1025 })).toMatch(/^ValidationException/u);
    expect(refusal('GenerateDataKey', { KeyId, KeySpec: 'AES_512' })).toMatch(/^ValidationException/u);
  });

  it('re-encryption moves a secret to another key and context', () => {
    const { call, newKey, encrypt, refusal } = setup();
    const [source, destination] = [newKey(), newKey()];
    const CiphertextBlob = encrypt(source.id, 'secret', { for: 'a' });
    const request = { CiphertextBlob, DestinationKeyId: destination.id };

    const moved = call('ReEncrypt', {
      ...request,
      SourceEncryptionContext: { for: 'a' },
      DestinationEncryptionContext: { for: 'b' },
    });

    expect(moved).toMatchObject({ SourceKeyId: source.arn, KeyId: destination.arn });
    expect(
      call('Decrypt', { CiphertextBlob: moved['CiphertextBlob'], EncryptionContext: { for: 'b' } }),
    ).toMatchObject({ Plaintext: base64('secret'), KeyId: destination.arn });
    expect(refusal('ReEncrypt', request)).toBe('InvalidCiphertextException: ');
    expect(refusal('ReEncrypt', { ...request, SourceKeyId: destination.id })).toMatch(
      /^IncorrectKeyException/u,
    );
  });

  it('a dry run does everything but the work', () => {
    const { newKey, encrypt, refusal } = setup();
    const KeyId = newKey().id;
    const done = 'DryRunOperationException: The request would have succeeded, but the DryRun option is set.';

    expect(refusal('Encrypt', { KeyId, Plaintext: base64('x'), DryRun: true })).toBe(done);
    expect(refusal('Decrypt', { CiphertextBlob: encrypt(KeyId), DryRun: true })).toBe(done);
    expect(refusal('GenerateDataKey', { KeyId, KeySpec: 'AES_256', DryRun: true })).toBe(done);
  });

  const contexts = fc.dictionary(
    fc.string({ unit: 'grapheme', maxLength: 20 }),
    fc.string({ unit: 'grapheme' }),
  );

  it('a context opens in any order of its pairs', () => {
    const { call, newKey, encrypt } = setup();
    const KeyId = newKey().id;

    fc.assert(
      fc.property(contexts, (pairs) => {
        const CiphertextBlob = encrypt(KeyId, 'secret', pairs);
        const EncryptionContext = Object.fromEntries(Object.entries(pairs).toReversed());

        expect(call('Decrypt', { CiphertextBlob, EncryptionContext })['Plaintext']).toBe(base64('secret'));
      }),
    );
  });

  it('any other context is refused', () => {
    const { newKey, encrypt, refusal } = setup();
    const KeyId = newKey().id;

    fc.assert(
      fc.property(contexts, contexts, (pairs, EncryptionContext) => {
        fc.pre(!isDeepStrictEqual({ ...pairs }, { ...EncryptionContext }));

        const CiphertextBlob = encrypt(KeyId, 'secret', pairs);

        expect(refusal('Decrypt', { CiphertextBlob, EncryptionContext })).toBe(
          'InvalidCiphertextException: ',
        );
      }),
    );
  });

  it('pairs that read the same when run together are different contexts', () => {
    const { newKey, encrypt, refusal } = setup();
    const CiphertextBlob = encrypt(newKey().id, 'secret', { ab: 'c' });

    for (const EncryptionContext of [{ a: 'bc' }, { ab: 'C' }, { abc: '' }, { ab: 'c', d: '' }, {}]) {
      expect(refusal('Decrypt', { CiphertextBlob, EncryptionContext })).toBe('InvalidCiphertextException: ');
    }
  });

  it('every flipped bit, every missing end and every addition is refused', () => {
    const { newKey, encrypt, refusal } = setup();
    const KeyId = newKey().id;
    newKey();
    const blob = Buffer.from(encrypt(KeyId, 'a secret', { a: 'b' }), 'base64');
    const outcome = (bytes: Buffer) =>
      refusal('Decrypt', { CiphertextBlob: bytes.toString('base64'), EncryptionContext: { a: 'b' } });

    for (let bit = 0; bit < blob.length * 8; bit += 1) {
      const altered = Buffer.from(blob);
      altered.writeUInt8(altered.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(outcome(altered)).toBe('InvalidCiphertextException: ');
    }
    for (let length = 1; length < blob.length; length += 1) {
      expect(outcome(blob.subarray(0, length))).toBe('InvalidCiphertextException: ');
    }
    expect(outcome(Buffer.concat([blob, Buffer.alloc(1)]))).toBe('InvalidCiphertextException: ');
    expect(outcome(blob)).toBe('nothing refused');
  });
});

describe('aliases', () => {
  it('an alias is made, moved, listed and deleted', () => {
    const { call, newKey } = setup();
    const [first, second] = [newKey(), newKey()];
    const AliasName = 'alias/binding';

    call('CreateAlias', { AliasName, TargetKeyId: first.arn });
    call('UpdateAlias', { AliasName, TargetKeyId: second.id });

    expect(call('ListAliases', { KeyId: first.id })['Aliases']).toEqual([]);
    expect(call('ListAliases')['Aliases']).toEqual([
      {
        AliasName,
        AliasArn: `arn:aws:kms:${region}:${account}:${AliasName}`,
        TargetKeyId: second.id,
        CreationDate: 1_795_348_800.25,
        LastUpdatedDate: 1_795_348_800.25,
      },
    ]);
    call('DeleteAlias', { AliasName });
    expect(call('ListAliases')).toMatchObject({ Aliases: [], Truncated: false });
  });

  it('an alias that exists, has a bad name or names no key is refused', () => {
    const { call, newKey, refusal } = setup();
    const TargetKeyId = newKey().id;
    call('CreateAlias', { AliasName: 'alias/binding', TargetKeyId });
    const creating = (AliasName: string, target = TargetKeyId) =>
      refusal('CreateAlias', { AliasName, TargetKeyId: target });

    expect(creating('alias/binding')).toBe(
      `AlreadyExistsException: An alias with the name arn:aws:kms:${region}:${account}:alias/binding already exists`,
    );
    expect(creating('binding')).toMatch(/^InvalidAliasNameException/u);
    expect(creating('alias/aws/mine')).toMatch(/^InvalidAliasNameException/u);
    expect(creating('alias/with space')).toMatch(/^ValidationException/u);
    expect(creating('alias/other', 'alias/binding')).toBe(
      'ValidationException: Aliases must refer to keys. Not aliases',
    );
    expect(refusal('UpdateAlias', { AliasName: 'alias/none', TargetKeyId })).toMatch(/^NotFoundException/u);
    expect(refusal('DeleteAlias', { AliasName: 'alias/none' })).toMatch(/^NotFoundException/u);
  });

  it('a key has at most 50 aliases', () => {
    const { call, newKey, refusal } = setup();
    const TargetKeyId = newKey().id;
    for (let n = 0; n < 50; n += 1) call('CreateAlias', { AliasName: `alias/${n}`, TargetKeyId });

    expect(refusal('CreateAlias', { AliasName: 'alias/50', TargetKeyId })).toMatch(
      /^LimitExceededException/u,
    );
  });
});

describe('tags', () => {
  it('tags are set, replaced, listed and removed', () => {
    const { call, newKey } = setup();
    const KeyId = newKey({ Tags: [{ TagKey: 'a', TagValue: '1' }] }).id;

    call('TagResource', {
      KeyId,
      Tags: [
        { TagKey: 'a', TagValue: '2' },
        { TagKey: 'b', TagValue: '' },
      ],
    });
    call('UntagResource', { KeyId, TagKeys: ['b', 'unknown'] });

    expect(call('ListResourceTags', { KeyId })).toMatchObject({
      Tags: [{ TagKey: 'a', TagValue: '2' }],
      Truncated: false,
    });
  });

  it('reserved, doubled, overlong and too many tags are refused', () => {
    const { newKey, refusal } = setup();
    const KeyId = newKey().id;
    const tagging = (...keys: string[]) =>
      refusal('TagResource', { KeyId, Tags: keys.map((TagKey) => ({ TagKey, TagValue: '' })) });

    expect(tagging('aws:x')).toMatch(/^TagException/u);
    expect(tagging('a', 'a')).toMatch(/^TagException/u);
    expect(tagging('a;b')).toMatch(/^TagException/u);
    expect(tagging('')).toContain("Value '' at 'tags.1.member.tagKey' failed to satisfy constraint");
    expect(tagging('x'.repeat(129))).toMatch(/^ValidationException/u);
    expect(tagging(...Array.from({ length: 51 }, (_, n) => `t${n}`))).toMatch(/^LimitExceededException/u);
  });
});
