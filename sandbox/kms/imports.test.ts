import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { base64, dayMs, kmsFixture, wrapped } from '../../test/support/kms-fixture.ts';
import type { JsonObject } from '../service.ts';

function setup(spec: JsonObject = {}) {
  const fixture = kmsFixture();
  const { id, arn } = fixture.newKey({ Origin: 'EXTERNAL', ...spec });
  const parameters = (WrappingAlgorithm = 'RSAES_OAEP_SHA_256', KeyId = id) => {
    const reply = fixture.call('GetParametersForImport', {
      KeyId,
      WrappingAlgorithm,
      WrappingKeySpec: 'RSA_2048',
    });
    return { token: reply['ImportToken'] as string, publicKey: reply['PublicKey'] as string, reply };
  };
  /** The input of an import that should be accepted. */
  const importing = (material: Uint8Array, more: JsonObject = {}, algorithm = 'RSAES_OAEP_SHA_256') => {
    const { token, publicKey } = parameters(algorithm);
    return {
      KeyId: id,
      ImportToken: token,
      EncryptedKeyMaterial: wrapped(material, publicKey, algorithm),
      ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE',
      ...more,
    };
  };
  const seconds = (ms: number) => (fixture.now().getTime() + ms) / 1000;
  return { ...fixture, id, arn, parameters, importing, seconds };
}

describe('a key of imported material', () => {
  it('waits for its material, and does nothing until then', () => {
    const { id, arn, describe: describeKey, refusal } = setup();

    expect(describeKey(id)).toMatchObject({ KeyState: 'PendingImport', Enabled: false, Origin: 'EXTERNAL' });
    expect(describeKey(id)).not.toHaveProperty('CurrentKeyMaterialId');
    const pending = `KMSInvalidStateException: ${arn} is pending import.`;
    expect(refusal('Encrypt', { KeyId: id, Plaintext: base64('x') })).toBe(pending);
    expect(refusal('GenerateDataKey', { KeyId: id, KeySpec: 'AES_256' })).toBe(pending);
    expect(refusal('EnableKey', { KeyId: id })).toBe(pending);
    expect(refusal('EnableKeyRotation', { KeyId: id })).toBe(
      `UnsupportedOperationException: ${arn} origin is EXTERNAL which is not valid for this operation.`,
    );
  });

  it.each(['RSAES_OAEP_SHA_256', 'RSAES_OAEP_SHA_1'])('takes 32 bytes under %s, and works', (algorithm) => {
    const { call, id, arn, describe: describeKey, importing } = setup();

    const reply = call('ImportKeyMaterial', importing(randomBytes(32), {}, algorithm));

    expect(reply).toEqual({ KeyId: arn, KeyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/u) });
    expect(describeKey(id)).toMatchObject({
      KeyState: 'Enabled',
      ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE',
      CurrentKeyMaterialId: reply['KeyMaterialId'],
    });
    const { CiphertextBlob } = call('Encrypt', { KeyId: id, Plaintext: base64('x') });
    expect(call('Decrypt', { CiphertextBlob })).toMatchObject({ Plaintext: base64('x') });
  });

  it('takes material of 32 bytes only, and what is wrapped for it only', () => {
    const { refusal, importing, parameters } = setup();
    const input = importing(randomBytes(32));

    expect(refusal('ImportKeyMaterial', importing(randomBytes(31)))).toMatch(
      /^IncorrectKeyMaterialException/u,
    );
    expect(refusal('ImportKeyMaterial', importing(randomBytes(33)))).toMatch(
      /^IncorrectKeyMaterialException/u,
    );
    const other = parameters();
    expect(refusal('ImportKeyMaterial', { ...input, ImportToken: other.token })).toBe(
      'InvalidCiphertextException: ',
    );
    const sha1 = wrapped(randomBytes(32), other.publicKey, 'RSAES_OAEP_SHA_1');
    expect(
      refusal('ImportKeyMaterial', { ...input, ImportToken: other.token, EncryptedKeyMaterial: sha1 }),
    ).toBe('InvalidCiphertextException: ');
  });

  it('takes a token that is its own, for a day', () => {
    const { refusal, importing, newKey, parameters, pass } = setup();
    const input = importing(randomBytes(32));
    const another = newKey({ Origin: 'EXTERNAL' });

    expect(refusal('ImportKeyMaterial', { ...input, ImportToken: base64('forged') })).toMatch(
      /^InvalidImportTokenException/u,
    );
    expect(
      refusal('ImportKeyMaterial', { ...input, ImportToken: parameters(undefined, another.id).token }),
    ).toMatch(/^InvalidImportTokenException/u);
    pass(dayMs - 1);
    expect(refusal('ImportKeyMaterial', input)).toBe('nothing refused');
    pass(1);
    expect(refusal('ImportKeyMaterial', input)).toMatch(/^ExpiredImportTokenException/u);
  });

  it('takes the same material again and no other, also after it was deleted', () => {
    const { call, refusal, id, importing, describe: describeKey } = setup();
    const material = randomBytes(32);
    const { KeyMaterialId } = call(
      'ImportKeyMaterial',
      importing(material, { ImportType: 'NEW_KEY_MATERIAL' }),
    );
    const { CiphertextBlob } = call('Encrypt', { KeyId: id, Plaintext: base64('x') });

    expect(refusal('ImportKeyMaterial', importing(randomBytes(32)))).toMatch(
      /^IncorrectKeyMaterialException/u,
    );
    expect(refusal('ImportKeyMaterial', importing(material, { ImportType: 'NEW_KEY_MATERIAL' }))).toMatch(
      /^IncorrectKeyMaterialException/u,
    );
    call('DeleteImportedKeyMaterial', { KeyId: id });
    expect(describeKey(id)).toMatchObject({ KeyState: 'PendingImport' });
    expect(refusal('Decrypt', { CiphertextBlob })).toMatch(/^KMSInvalidStateException/u);
    expect(refusal('ImportKeyMaterial', importing(randomBytes(32)))).toMatch(
      /^IncorrectKeyMaterialException/u,
    );
    expect(call('ImportKeyMaterial', importing(material, { KeyMaterialId }))).toMatchObject({
      KeyMaterialId,
    });
    expect(call('Decrypt', { CiphertextBlob })).toMatchObject({ Plaintext: base64('x') });
  });

  it('nothing was imported before, so nothing existing can come back', () => {
    const { refusal, importing } = setup();

    expect(
      refusal('ImportKeyMaterial', importing(randomBytes(32), { ImportType: 'EXISTING_KEY_MATERIAL' })),
    ).toMatch(/^IncorrectKeyMaterialException/u);
  });

  it('loses material at its date, and gets it back', () => {
    const { call, refusal, id, arn, importing, describe: describeKey, seconds, pass } = setup();
    const material = randomBytes(32);
    const expiring = { ExpirationModel: 'KEY_MATERIAL_EXPIRES', ValidTo: seconds(2 * dayMs) };
    call('ImportKeyMaterial', importing(material, expiring));
    const { CiphertextBlob } = call('Encrypt', { KeyId: id, Plaintext: base64('x') });

    expect(describeKey(id)).toMatchObject(expiring);
    pass(2 * dayMs - 1);
    expect(refusal('Decrypt', { CiphertextBlob })).toBe('nothing refused');
    pass(1);
    expect(refusal('Decrypt', { CiphertextBlob })).toBe(
      `KMSInvalidStateException: ${arn} is pending import.`,
    );
    expect(describeKey(id)).not.toHaveProperty('ValidTo');
    call('ImportKeyMaterial', importing(material));
    expect(call('Decrypt', { CiphertextBlob })).toMatchObject({ Plaintext: base64('x') });
  });

  it('expires within a year, or never, and says which', () => {
    const { refusal, importing, seconds } = setup();
    const attempt = (more: JsonObject) => refusal('ImportKeyMaterial', importing(randomBytes(32), more));
    const expires = { ExpirationModel: 'KEY_MATERIAL_EXPIRES' };

    expect(attempt(expires)).toMatch(/^ValidationException/u);
    expect(attempt({ ...expires, ValidTo: seconds(0) })).toMatch(/must be in the future$/u);
    expect(attempt({ ...expires, ValidTo: seconds(365 * dayMs + 1000) })).toMatch(/within 365 days/u);
    expect(attempt({ ValidTo: seconds(dayMs) })).toMatch(/must not be set/u);
    expect(attempt({ ExpirationModel: undefined })).toMatch(/must be set/u);
  });

  it('stays disabled, or due for deletion, when its material comes or goes', () => {
    const { call, id, importing, describe: describeKey, refusal } = setup();
    const material = randomBytes(32);
    call('ImportKeyMaterial', importing(material));

    call('DisableKey', { KeyId: id });
    call('ImportKeyMaterial', importing(material));
    expect(describeKey(id)).toMatchObject({ KeyState: 'Disabled' });
    call('ScheduleKeyDeletion', { KeyId: id });
    expect(
      refusal('GetParametersForImport', {
        KeyId: id,
        WrappingAlgorithm: 'RSAES_OAEP_SHA_256',
        WrappingKeySpec: 'RSA_2048',
      }),
    ).toMatch(/is pending deletion/u);
    call('DeleteImportedKeyMaterial', { KeyId: id });
    expect(describeKey(id)).toMatchObject({ KeyState: 'PendingDeletion' });
    call('CancelKeyDeletion', { KeyId: id });
    expect(describeKey(id)).toMatchObject({ KeyState: 'PendingImport' });
  });
});

describe('parameters for an import', () => {
  it('are for keys of imported material, and algorithms that wrap it', () => {
    const { refusal, newKey, id } = setup();
    const ask = (KeyId: string, WrappingAlgorithm: string) =>
      refusal('GetParametersForImport', { KeyId, WrappingAlgorithm, WrappingKeySpec: 'RSA_2048' });
    const own = newKey();

    expect(ask(own.id, 'RSAES_OAEP_SHA_256')).toBe(
      `UnsupportedOperationException: ${own.arn} origin is AWS_KMS which is not valid for this operation.`,
    );
    expect(ask(id, 'RSA_AES_KEY_WRAP_SHA_256')).toMatch(/^ValidationException/u);
    expect(ask(id, 'RSAES_PKCS1_V1_5')).toMatch(/^UnsupportedOperationException/u);
  });

  it.each(['RSA_2048', 'RSA_3072', 'RSA_4096'])('come with a new wrapping key of %s each time', (spec) => {
    const { call, id, arn, seconds } = setup();
    const ask = () =>
      call('GetParametersForImport', {
        KeyId: id,
        WrappingAlgorithm: 'RSAES_OAEP_SHA_256',
        WrappingKeySpec: spec,
      });

    const [one, other] = spec === 'RSA_2048' ? [ask(), ask()] : [ask(), undefined];

    expect(one).toMatchObject({ KeyId: arn, ParametersValidTo: seconds(dayMs) });
    expect(one['PublicKey']).not.toBe(other?.['PublicKey']);
    expect(one['ImportToken']).not.toBe(other?.['ImportToken']);
  });
});

function pkcs8(modulusLength: number): Buffer {
  return generateKeyPairSync('rsa', { modulusLength }).privateKey.export({ type: 'pkcs8', format: 'der' });
}

describe('an imported RSA key', () => {
  const rsa = { KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' };
  it.each(['RSA_AES_KEY_WRAP_SHA_256', 'RSA_AES_KEY_WRAP_SHA_1'])('comes under %s', (algorithm) => {
    const { call, id, importing } = setup(rsa);

    const reply = call('ImportKeyMaterial', importing(pkcs8(2048), {}, algorithm));

    expect(reply).not.toHaveProperty('KeyMaterialId');
    const EncryptionAlgorithm = 'RSAES_OAEP_SHA_256';
    const { CiphertextBlob } = call('Encrypt', { KeyId: id, Plaintext: base64('x'), EncryptionAlgorithm });
    expect(call('Decrypt', { KeyId: id, CiphertextBlob, EncryptionAlgorithm })).toMatchObject({
      Plaintext: base64('x'),
    });
  });

  it('is a private key of its size, and nothing else', () => {
    const { refusal, importing } = setup(rsa);
    const attempt = (material: Uint8Array) =>
      refusal('ImportKeyMaterial', importing(material, {}, 'RSA_AES_KEY_WRAP_SHA_256'));

    expect(attempt(pkcs8(3072))).toMatch(/^IncorrectKeyMaterialException/u);
    expect(attempt(randomBytes(32))).toMatch(/^IncorrectKeyMaterialException/u);
  });
});
