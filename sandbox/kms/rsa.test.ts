import { constants, createPublicKey, publicEncrypt } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { base64, kmsFixture } from '../../test/support/kms-fixture.ts';

const EncryptionAlgorithm = 'RSAES_OAEP_SHA_256';
const rsa = { KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' };

function setup(spec: Record<string, string> = rsa) {
  const fixture = kmsFixture();
  return { ...fixture, ...fixture.newKey(spec) };
}

// Keys of 4096 bits take seconds on a busy machine.
describe('RSA keys', () => {
  it('decrypt what anybody encrypted under their public key', () => {
    const { call, id, arn } = setup();
    const reply = call('GetPublicKey', { KeyId: id });
    const key = createPublicKey({
      key: Buffer.from(reply['PublicKey'] as string, 'base64'),
      type: 'spki',
      format: 'der',
    });
    const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };

    const CiphertextBlob = base64(publicEncrypt({ key, ...padding }, Buffer.from('x')));

    expect(call('Decrypt', { KeyId: id, CiphertextBlob, EncryptionAlgorithm })).toEqual({
      KeyId: arn,
      Plaintext: base64('x'),
      EncryptionAlgorithm,
    });
    expect(reply).toMatchObject({
      KeyId: arn,
      KeySpec: 'RSA_2048',
      KeyUsage: 'ENCRYPT_DECRYPT',
      EncryptionAlgorithms: ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'],
    });
  });

  it.each([
    ['RSA_2048', 'RSAES_OAEP_SHA_256', 190],
    ['RSA_2048', 'RSAES_OAEP_SHA_1', 214],
    ['RSA_3072', 'RSAES_OAEP_SHA_256', 318],
    ['RSA_4096', 'RSAES_OAEP_SHA_256', 446],
  ])('%s encrypts under %s %i bytes and not one more', (KeySpec, algorithm, bytesMax) => {
    const { call, refusal, id } = setup({ ...rsa, KeySpec });
    const sized = (length: number) => ({
      KeyId: id,
      Plaintext: base64(Buffer.alloc(length, 1)),
      EncryptionAlgorithm: algorithm,
    });

    const { CiphertextBlob } = call('Encrypt', sized(bytesMax));

    expect(call('Decrypt', { KeyId: id, CiphertextBlob, EncryptionAlgorithm: algorithm })['Plaintext']).toBe(
      sized(bytesMax).Plaintext,
    );
    expect(refusal('Encrypt', sized(bytesMax + 1))).toBe(
      `ValidationException: Algorithm ${algorithm} and key spec ${KeySpec} cannot encrypt data larger than ${bytesMax} bytes.`,
    );
  });

  it('take no context, no data keys, no symmetric algorithm', () => {
    const { call, refusal, id, arn } = setup();
    const Plaintext = base64('x');
    const context = { EncryptionContext: { a: '1' } };
    const { CiphertextBlob } = call('Encrypt', { KeyId: id, Plaintext, EncryptionAlgorithm });

    expect(refusal('Encrypt', { KeyId: id, Plaintext })).toBe(
      'InvalidKeyUsageException: Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.',
    );
    expect(refusal('Encrypt', { KeyId: id, Plaintext, EncryptionAlgorithm, ...context })).toMatch(
      /^ValidationException/u,
    );
    expect(refusal('Decrypt', { KeyId: id, CiphertextBlob, EncryptionAlgorithm, ...context })).toMatch(
      /^ValidationException/u,
    );
    expect(refusal('GenerateDataKey', { KeyId: id, KeySpec: 'AES_256' })).toMatch(
      /^InvalidKeyUsageException/u,
    );
    expect(refusal('EnableKeyRotation', { KeyId: id })).toBe(
      `UnsupportedOperationException: ${arn} key spec is RSA_2048 which is not valid for this operation.`,
    );
    expect(call('GetKeyRotationStatus', { KeyId: id })).toMatchObject({ KeyRotationEnabled: false });
  });

  it('decrypt only what is theirs, under its algorithm, and must be named', () => {
    const { call, refusal, id, newKey } = setup();
    const { CiphertextBlob } = call('Encrypt', { KeyId: id, Plaintext: base64('x'), EncryptionAlgorithm });
    const another = newKey(rsa);

    expect(refusal('Decrypt', { CiphertextBlob, EncryptionAlgorithm })).toMatch(/KeyId is required/u);
    expect(refusal('Decrypt', { CiphertextBlob })).toBe('InvalidCiphertextException: ');
    expect(refusal('Decrypt', { KeyId: another.id, CiphertextBlob, EncryptionAlgorithm })).toBe(
      'InvalidCiphertextException: ',
    );
    expect(refusal('Decrypt', { KeyId: id, CiphertextBlob, EncryptionAlgorithm: 'RSAES_OAEP_SHA_1' })).toBe(
      'InvalidCiphertextException: ',
    );
    expect(refusal('GetPublicKey', { KeyId: newKey().id })).toMatch(/^UnsupportedOperationException/u);
  });

  it('what is under one is moved to a symmetric key, and back', () => {
    const { call, id, newKey } = setup();
    const symmetric = newKey();
    const start = call('Encrypt', { KeyId: id, Plaintext: base64('x'), EncryptionAlgorithm });

    const there = call('ReEncrypt', {
      CiphertextBlob: start['CiphertextBlob'],
      SourceKeyId: id,
      SourceEncryptionAlgorithm: EncryptionAlgorithm,
      DestinationKeyId: symmetric.id,
      DestinationEncryptionContext: { a: '1' },
    });
    const back = call('ReEncrypt', {
      CiphertextBlob: there['CiphertextBlob'],
      SourceEncryptionContext: { a: '1' },
      DestinationKeyId: id,
      DestinationEncryptionAlgorithm: EncryptionAlgorithm,
    });

    expect(
      call('Decrypt', { KeyId: id, CiphertextBlob: back['CiphertextBlob'], EncryptionAlgorithm }),
    ).toMatchObject({
      Plaintext: base64('x'),
    });
    expect(there['SourceKeyMaterialId']).toBeUndefined();
    expect(there['DestinationKeyMaterialId']).toBeDefined();
  });

  it('that sign have a public key, and encrypt nothing', () => {
    const { call, refusal, newKey } = setup();
    const { id, arn } = newKey({ KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' });
    const why = (operation: string) =>
      `InvalidKeyUsageException: ${arn} key usage is SIGN_VERIFY which is not valid for ${operation}.`;
    const blob = base64(Buffer.alloc(256, 1));

    const reply = call('GetPublicKey', { KeyId: id });

    expect(reply).toMatchObject({ KeyUsage: 'SIGN_VERIFY', SigningAlgorithms: expect.any(Array) });
    expect(reply).not.toHaveProperty('EncryptionAlgorithms');
    const metadata = call('DescribeKey', { KeyId: id })['KeyMetadata'];
    expect(metadata).toMatchObject({ KeyUsage: 'SIGN_VERIFY', SigningAlgorithms: expect.any(Array) });
    expect(refusal('Encrypt', { KeyId: id, Plaintext: base64('x'), EncryptionAlgorithm })).toBe(
      why('Encrypt'),
    );
    expect(refusal('Decrypt', { KeyId: id, CiphertextBlob: blob, EncryptionAlgorithm })).toBe(why('Decrypt'));
    expect(refusal('GenerateDataKey', { KeyId: id, KeySpec: 'AES_256' })).toBe(why('GenerateDataKey'));
  });
});
