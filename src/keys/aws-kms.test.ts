import { KMSClient } from '@aws-sdk/client-kms';
import { describe, expect, it } from 'vitest';
import { type ScriptedAnswer, scriptedAws } from '../../test/support/scripted-aws.ts';
import { reportOf } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { awsKms } from './aws-kms.ts';

const never = new AbortController().signal;
const keyArn = 'arn:aws:kms:eu-west-1:123456789012:key/1b5f2a3c-0d4e-4f6a-8b7c-9d0e1f2a3b4c';
const base64 = (text: string) => Buffer.from(text).toString('base64');

function setup(answers: Record<string, ScriptedAnswer>) {
  const { options, calls } = scriptedAws(({ operation }) => answers[operation] ?? { error: 'NoSuchAnswer' });
  const client = new KMSClient(options);
  return { kms: awsKms(async () => client), calls };
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    return error;
  }
}

describe('awsKms', () => {
  it('makes a data key with the context and opens it with the same key pinned', async () => {
    const { kms, calls } = setup({
      GenerateDataKey: {
        body: { KeyId: keyArn, Plaintext: base64('data key'), CiphertextBlob: base64('wrapped') },
      },
      Decrypt: { body: { KeyId: keyArn, Plaintext: base64('data key') } },
    });

    const dataKey = await kms.newDataKey(keyArn, { a: 'b' }, never);
    const opened = await kms.openDataKey(keyArn, dataKey.wrapped, { a: 'b' }, never);

    expect(dataKey.wrapped.toString()).toBe('wrapped');
    expect(opened.equals(dataKey.plaintext)).toBe(true);
    expect(calls).toEqual([
      {
        operation: 'GenerateDataKey',
        input: { KeyId: keyArn, KeySpec: 'AES_256', EncryptionContext: { a: 'b' } },
      },
      {
        operation: 'Decrypt',
        input: { KeyId: keyArn, CiphertextBlob: base64('wrapped'), EncryptionContext: { a: 'b' } },
      },
    ]);
  });

  it('wraps a data key that is there already, with the context', async () => {
    const { kms, calls } = setup({
      Encrypt: { body: { KeyId: keyArn, CiphertextBlob: base64('wrapped') } },
    });

    const wrapped = await kms.wrapDataKey(keyArn, Secret.ofText('data key'), { a: 'b' }, never);

    expect(wrapped.toString()).toBe('wrapped');
    expect(calls).toEqual([
      {
        operation: 'Encrypt',
        input: { KeyId: keyArn, Plaintext: base64('data key'), EncryptionContext: { a: 'b' } },
      },
    ]);
  });

  it('gives the public half of an RSA key, and opens what it encrypted, with the key and the algorithm named', async () => {
    const { kms, calls } = setup({
      GetPublicKey: {
        body: {
          KeyId: keyArn,
          PublicKey: base64('public'),
          KeyUsage: 'ENCRYPT_DECRYPT',
          KeySpec: 'RSA_2048',
        },
      },
      Decrypt: { body: { KeyId: keyArn, Plaintext: base64('master key') } },
    });

    const key = await kms.publicKey(keyArn, never);
    const opened = await kms.decryptRsa(keyArn, Buffer.from('ciphertext'), never);

    expect(key.toString()).toBe('public');
    expect(opened.revealText()).toBe('master key');
    expect(calls).toEqual([
      { operation: 'GetPublicKey', input: { KeyId: keyArn } },
      {
        operation: 'Decrypt',
        input: {
          KeyId: keyArn,
          CiphertextBlob: base64('ciphertext'),
          EncryptionAlgorithm: 'RSAES_OAEP_SHA_256',
        },
      },
    ]);
  });

  it.each([
    ['SIGN_VERIFY', 'RSA_2048'],
    ['KEY_AGREEMENT', 'ECC_NIST_P256'],
    ['ENCRYPT_DECRYPT', 'SM2'],
  ])('gives no public key of usage %s and spec %s', async (KeyUsage, KeySpec) => {
    const body = { KeyId: keyArn, PublicKey: base64('public'), KeyUsage, KeySpec };
    const { kms } = setup({ GetPublicKey: { body } });

    await expect(kms.publicKey(keyArn, never)).rejects.toMatchObject({ code: 'KEY_KIND_UNSUITABLE' });
  });

  it.each([
    ['ENCRYPT_DECRYPT', 'SYMMETRIC_DEFAULT', 'symmetric'],
    ['ENCRYPT_DECRYPT', 'RSA_4096', 'rsa'],
    ['SIGN_VERIFY', 'RSA_4096', 'other'],
    ['GENERATE_VERIFY_MAC', 'HMAC_256', 'other'],
    ['ENCRYPT_DECRYPT', 'SM2', 'other'],
  ])('holds a key of usage %s and spec %s for %s', async (KeyUsage, KeySpec, kind) => {
    const KeyMetadata = { Arn: keyArn, KeyState: 'Enabled', KeyUsage, KeySpec };
    const { kms } = setup({ DescribeKey: { body: { KeyMetadata } } });

    expect(await kms.describeKey(keyArn, never)).toMatchObject({ kind });
  });

  it('resolves an alias to its key', async () => {
    const key = {
      Arn: keyArn,
      KeyState: 'Enabled',
      KeyUsage: 'ENCRYPT_DECRYPT',
      KeySpec: 'SYMMETRIC_DEFAULT',
    };
    const { kms } = setup({ DescribeKey: { body: { KeyMetadata: key } } });

    expect(await kms.describeKey('alias/x', never)).toEqual({
      arn: keyArn,
      state: 'Enabled',
      kind: 'symmetric',
    });
  });

  it.each([
    ['NotFoundException', 'KEY_NOT_FOUND', false],
    ['DisabledException', 'KEY_DISABLED', false],
    ['AccessDeniedException', 'KEY_DENIED', false],
    ['IncorrectKeyException', 'KEY_WRONG', false],
    ['InvalidCiphertextException', 'KEY_CIPHERTEXT_REFUSED', false],
    ['ThrottlingException', 'KEY_THROTTLED', true],
    ['KMSInternalException', 'KEY_UNREACHABLE', true],
    ['DependencyTimeoutException', 'KEY_UNREACHABLE', true],
    ['KeyUnavailableException', 'KEY_UNREACHABLE', true],
    ['ExpiredTokenException', 'KEY_CREDENTIALS_REFUSED', true],
    ['ValidationException', 'KEY_REQUEST_REFUSED', false],
  ])('translates %s to %s', async (error, code, retry) => {
    const { kms } = setup({ Decrypt: { error } });

    const failure = reportOf(await rejection(kms.openDataKey(keyArn, Buffer.of(1), {}, never)));

    expect(failure).toMatchObject({ code, retry, causes: [error] });
    expect(JSON.stringify(failure)).not.toContain('upstream text');
  });

  it.each([{ cut: 'ECONNREFUSED' }, { error: 'BadGateway', status: 502 }])(
    'calls no answer of KMS itself unreachable: %o',
    async (answer) => {
      const { kms } = setup({ Decrypt: answer });

      await expect(kms.openDataKey(keyArn, Buffer.of(1), {}, never)).rejects.toMatchObject({
        code: 'KEY_UNREACHABLE',
      });
    },
  );

  it.each([
    ['PendingDeletion', 'KEY_PENDING_DELETION'],
    ['Disabled', 'KEY_DISABLED'],
    ['PendingImport', 'KEY_MATERIAL_MISSING'],
  ])('asks which wrong state a key is in: %s is %s', async (state, code) => {
    const { kms } = setup({
      GenerateDataKey: { error: 'KMSInvalidStateException' },
      DescribeKey: { body: { KeyMetadata: { KeyId: 'x', Arn: keyArn, KeyState: state } } },
    });

    await expect(kms.newDataKey(keyArn, {}, never)).rejects.toMatchObject({ code });
  });

  it('refuses an answer that another key gave', async () => {
    const { kms } = setup({ Decrypt: { body: { KeyId: 'other', Plaintext: base64('x') } } });

    await expect(kms.openDataKey(keyArn, Buffer.of(1), {}, never)).rejects.toMatchObject({
      code: 'KEY_WRONG',
    });
  });
});
