import { describe, expect, it } from 'vitest';
import {
  account,
  administrator,
  base64,
  kmsFixture,
  policyOf,
  session,
} from '../../test/support/kms-fixture.ts';
import type { JsonObject } from '../service.ts';

const root = { AWS: `arn:aws:iam::${account}:root` };
const delegates = { Effect: 'Allow', Principal: root, Action: 'kms:*', Resource: '*' };
const role = (name: string) => ({ AWS: `arn:aws:iam::${account}:role/${name}` });
const all = { Effect: 'Allow', Action: 'kms:*', Resource: '*' };

const encrypting = (KeyId: string, EncryptionContext: JsonObject = {}) => ({
  KeyId,
  Plaintext: base64('x'),
  EncryptionContext,
});

describe('who may use a key', () => {
  it('where the key leaves it to the account, the caller’s own policy decides', () => {
    const { newKey, refusalAs } = kmsFixture();
    const { id, arn } = newKey();
    const encrypt = (...statements: object[]) =>
      refusalAs(session('Host', statements), 'Encrypt', encrypting(id));

    expect(encrypt(all)).toBe('nothing refused');
    expect(encrypt({ Effect: 'Allow', Action: 'kms:Encrypt', Resource: arn })).toBe('nothing refused');
    expect(encrypt({ Effect: 'Allow', Action: 'kms:Decrypt', Resource: arn })).toBe(
      `AccessDeniedException: User: arn:aws:sts::${account}:assumed-role/Host/i-1 is not authorized to perform: kms:Encrypt on resource: ${arn} because no identity-based policy allows the kms:Encrypt action`,
    );
    expect(encrypt(all, { ...all, Effect: 'Deny' })).toMatch(
      /with an explicit deny in an identity-based policy$/u,
    );
  });

  it('where the key does not, the caller’s own policy is not enough', () => {
    const { newKey, callAs, refusalAs } = kmsFixture();
    const { id } = newKey({
      Policy: policyOf(
        { ...delegates, Action: ['kms:PutKeyPolicy', 'kms:DescribeKey'] },
        { Effect: 'Allow', Principal: role('Host'), Action: 'kms:Encrypt', Resource: '*' },
      ),
    });

    expect(refusalAs(session('Other', [all]), 'Encrypt', encrypting(id))).toMatch(
      /because no resource-based policy allows the kms:Encrypt action$/u,
    );
    expect(refusalAs(administrator, 'Encrypt', encrypting(id))).toMatch(/no resource-based policy/u);
    expect(callAs(session('Host', []), 'Encrypt', encrypting(id))).toHaveProperty('CiphertextBlob');
  });

  it('a key’s denial goes before everything', () => {
    const { newKey, refusalAs } = kmsFixture();
    const { id } = newKey({
      Policy: policyOf(delegates, { Effect: 'Deny', Principal: '*', Action: 'kms:Decrypt', Resource: '*' }),
    });

    expect(refusalAs(administrator, 'Encrypt', encrypting(id))).toBe('nothing refused');
    expect(
      refusalAs(administrator, 'ReEncrypt', { DestinationKeyId: id, CiphertextBlob: base64('x') }),
    ).toMatch(/^InvalidCiphertextException/u);
  });

  it('the context binds a host to its own name', () => {
    const { newKey, callAs, refusalAs } = kmsFixture();
    const { id } = newKey({
      Policy: policyOf(delegates, {
        Effect: 'Deny',
        Principal: '*',
        Action: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*'],
        Resource: '*',
        Condition: {
          ArnLike: { 'aws:PrincipalArn': `arn:aws:iam::${account}:role/Host` },
          StringNotEquals: { 'kms:EncryptionContext:gatehouse:agent': '${aws:PrincipalTag/gatehouse-agent}' },
        },
      }),
    });
    const [a, b] = [
      session('Host', [all], { 'gatehouse-agent': 'web-a' }),
      session('Host', [all], { 'gatehouse-agent': 'web-b' }),
    ];
    const own = { 'gatehouse:agent': 'web-a' };

    const { CiphertextBlob } = callAs(a, 'Encrypt', encrypting(id, own));

    expect(callAs(a, 'Decrypt', { CiphertextBlob, EncryptionContext: own })['Plaintext']).toBe(base64('x'));
    const denied = /^AccessDeniedException: .* with an explicit deny in a resource-based policy$/u;
    expect(refusalAs(b, 'Decrypt', { CiphertextBlob, EncryptionContext: own })).toMatch(denied);
    expect(refusalAs(b, 'Decrypt', { CiphertextBlob })).toMatch(denied);
    expect(refusalAs(a, 'GenerateDataKey', { KeyId: id, KeySpec: 'AES_256' })).toMatch(denied);
  });

  it('conditions see the account, the alias, tags and that no service is between', () => {
    const { newKey, call, refusalAs } = kmsFixture();
    const { id } = newKey({ Tags: [{ TagKey: 'stage', TagValue: 'prod' }] });
    call('CreateAlias', { AliasName: 'alias/binding', TargetKeyId: id });
    const encrypt = (Condition: object, KeyId = id) =>
      refusalAs(session('Host', [{ ...all, Condition }]), 'Encrypt', encrypting(KeyId));

    const good = [
      { StringEquals: { 'kms:CallerAccount': account } },
      { StringEquals: { 'aws:ResourceTag/stage': 'prod' } },
      { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': 'alias/binding' } },
      { StringEquals: { 'kms:EncryptionAlgorithm': 'SYMMETRIC_DEFAULT' } },
      { ArnEquals: { 'aws:PrincipalArn': `arn:aws:iam::${account}:role/Host` } },
    ];
    expect(good.map((one) => encrypt(one))).toEqual(good.map(() => 'nothing refused'));
    expect(encrypt({ StringEquals: { 'kms:RequestAlias': 'alias/binding' } }, 'alias/binding')).toBe(
      'nothing refused',
    );
    expect(encrypt({ StringEquals: { 'kms:RequestAlias': 'alias/binding' } })).toMatch(/^AccessDenied/u);
    expect(encrypt({ StringEquals: { 'kms:ViaService': 's3.eu-west-1.amazonaws.com' } })).toMatch(
      /^AccessDenied/u,
    );
  });

  it('every operation asks', () => {
    const { state, newKey, refusalAs } = kmsFixture();
    const { id } = newKey();
    const nobody = session('Host', []);
    const inputs: Record<string, JsonObject> = {
      Encrypt: encrypting(id),
      ReEncrypt: { CiphertextBlob: base64('x'), DestinationKeyId: id, SourceKeyId: id },
      GenerateDataKey: { KeyId: id, KeySpec: 'AES_256' },
      GenerateDataKeyWithoutPlaintext: { KeyId: id, KeySpec: 'AES_256' },
      CreateKey: {},
      ListKeys: {},
      ListAliases: {},
      CreateAlias: { AliasName: 'alias/new', TargetKeyId: id },
      TagResource: { KeyId: id, Tags: [] },
      UntagResource: { KeyId: id, TagKeys: [] },
      PutKeyPolicy: { KeyId: id, Policy: policyOf(delegates) },
      UpdateKeyDescription: { KeyId: id, Description: '' },
      GetParametersForImport: {
        KeyId: id,
        WrappingAlgorithm: 'RSAES_OAEP_SHA_256',
        WrappingKeySpec: 'RSA_2048',
      },
      CreateGrant: { KeyId: id, GranteePrincipal: role('X').AWS, Operations: ['Encrypt'] },
      RevokeGrant: { KeyId: id, GrantId: 'x' },
      DescribeCustomKeyStores: {},
    };
    const onKey = [
      'DescribeKey',
      'EnableKey',
      'DisableKey',
      'ScheduleKeyDeletion',
      'CancelKeyDeletion',
    ].concat(
      ['EnableKeyRotation', 'DisableKeyRotation', 'GetKeyRotationStatus', 'GetKeyPolicy', 'ListKeyPolicies'],
      ['ListResourceTags', 'ListGrants', 'GetPublicKey', 'DeleteImportedKeyMaterial'],
    );
    for (const name of onKey) inputs[name] = { KeyId: id };

    const answers = Object.entries(inputs).map(([name, input]) => [name, refusalAs(nobody, name, input)]);

    expect(answers.filter(([, refusal]) => !refusal?.startsWith('AccessDeniedException'))).toEqual([
      ['ReEncrypt', 'InvalidCiphertextException: '],
    ]);
    expect(state.keys.get([...state.keys.keys()][0] ?? '')?.state).toBe('Enabled');
  });
});

describe('a policy that is put on a key', () => {
  it('must leave its author the way back, unless that is bypassed', () => {
    const { newKey, refusal } = kmsFixture();
    const { id } = newKey();
    const put = (statements: readonly object[], more: JsonObject = {}) =>
      refusal('PutKeyPolicy', { KeyId: id, Policy: policyOf(...statements), ...more });
    const lockout =
      'MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in the future.';
    const toOther = { Effect: 'Allow', Principal: role('Other'), Action: 'kms:*', Resource: '*' };

    expect(put([toOther])).toBe(lockout);
    expect(put([delegates, { ...delegates, Effect: 'Deny', Principal: '*' }])).toBe(lockout);
    expect(put([{ ...delegates, Action: 'kms:Encrypt' }])).toBe(lockout);
    expect(
      put([toOther, { ...toOther, Principal: { AWS: administrator.arn }, Action: 'kms:PutKeyPolicy' }]),
    ).toBe('nothing refused');
    expect(put([toOther], { BypassPolicyLockoutSafetyCheck: true })).toBe('nothing refused');
    expect(put([delegates])).toMatch(/^AccessDeniedException/u);
  });

  it('is checked the same when the key is made', () => {
    const { refusal, state } = kmsFixture();
    const Policy = policyOf({ ...delegates, Principal: role('Other') });

    expect(refusal('CreateKey', { Policy })).toMatch(
      /^MalformedPolicyDocumentException: The new key policy/u,
    );
    expect(state.keys.size).toBe(0);
    expect(refusal('CreateKey', { Policy, BypassPolicyLockoutSafetyCheck: true })).toBe('nothing refused');
  });

  it('names principals that are there, in every statement', () => {
    const { refusal } = kmsFixture((arn) => arn.endsWith(':root') || arn.endsWith('/Host'));
    const create = (...statements: object[]) =>
      refusal('CreateKey', { Policy: policyOf(delegates, ...statements) });
    const allow = { Effect: 'Allow', Action: 'kms:Encrypt', Resource: '*' };

    expect(create({ ...allow, Principal: role('Host') })).toBe('nothing refused');
    expect(create({ ...allow, Principal: role('Typo') })).toBe(
      'MalformedPolicyDocumentException: Policy contains a statement with one or more invalid principals.',
    );
    expect(create({ ...allow })).toMatch(/^MalformedPolicyDocumentException/u);
    expect(create({ Effect: 'Allow', Principal: role('Host'), Action: 'kms:Encrypt' })).toMatch(
      /^MalformedPolicyDocumentException/u,
    );
  });
});

describe('grants', () => {
  const grantee = role('Host').AWS;
  const host = session('Host', []);

  it('allow what they say, under the context they say, until they are revoked', () => {
    const { newKey, call, callAs, refusalAs } = kmsFixture();
    const { id } = newKey();
    const own = { 'gatehouse:agent': 'a' };

    const { GrantId } = call('CreateGrant', {
      KeyId: id,
      GranteePrincipal: grantee,
      Operations: ['Encrypt', 'Decrypt', 'DescribeKey'],
      Constraints: { EncryptionContextSubset: own },
    });

    const { CiphertextBlob } = callAs(host, 'Encrypt', encrypting(id, { ...own, more: 'x' }));
    expect(
      callAs(host, 'Decrypt', { CiphertextBlob, EncryptionContext: { ...own, more: 'x' } }),
    ).toBeDefined();
    expect(callAs(host, 'DescribeKey', { KeyId: id })).toBeDefined();
    expect(refusalAs(host, 'Encrypt', encrypting(id, { 'gatehouse:agent': 'b' }))).toMatch(/^AccessDenied/u);
    expect(
      refusalAs(host, 'GenerateDataKey', { KeyId: id, KeySpec: 'AES_256', EncryptionContext: own }),
    ).toMatch(/^AccessDenied/u);
    expect(refusalAs(session('Other', []), 'Encrypt', encrypting(id, own))).toMatch(/^AccessDenied/u);
    call('RevokeGrant', { KeyId: id, GrantId });
    expect(refusalAs(host, 'Encrypt', encrypting(id, own))).toMatch(/^AccessDenied/u);
  });

  it('of an exact context allow no more in it', () => {
    const { newKey, call, refusalAs } = kmsFixture();
    const { id } = newKey();
    const Constraints = { EncryptionContextEquals: { a: '1' } };
    call('CreateGrant', { KeyId: id, GranteePrincipal: grantee, Operations: ['Encrypt'], Constraints });

    expect(refusalAs(host, 'Encrypt', encrypting(id, { a: '1' }))).toBe('nothing refused');
    expect(refusalAs(host, 'Encrypt', encrypting(id, { a: '1', b: '2' }))).toMatch(/^AccessDenied/u);
  });

  it('are listed by the page, and one request under one name is one grant', () => {
    const { newKey, call } = kmsFixture();
    const { id, arn } = newKey();
    const request = { KeyId: id, GranteePrincipal: grantee, Operations: ['Encrypt'], Name: 'n' };

    const [one, again] = [call('CreateGrant', request), call('CreateGrant', request)];
    const other = call('CreateGrant', { ...request, Name: undefined, RetiringPrincipal: administrator.arn });

    expect(again['GrantId']).toBe(one['GrantId']);
    expect(again['GrantToken']).not.toBe(one['GrantToken']);
    const first = call('ListGrants', { KeyId: id, Limit: 1 });
    const second = call('ListGrants', { KeyId: id, Limit: 1, Marker: first['NextMarker'] });
    expect(first['Grants']).toMatchObject([
      { KeyId: arn, GrantId: one['GrantId'], Name: 'n', Operations: ['Encrypt'] },
    ]);
    expect(second['Grants']).toMatchObject([
      { GrantId: other['GrantId'], RetiringPrincipal: administrator.arn },
    ]);
  });

  it('are retired by whom they say, by token or by id', () => {
    const { newKey, callAs, refusalAs } = kmsFixture();
    const { id } = newKey();
    const owner = session('Owner', [all]);
    const create = (more: JsonObject) =>
      callAs(owner, 'CreateGrant', {
        KeyId: id,
        GranteePrincipal: grantee,
        Operations: ['Encrypt'],
        ...more,
      });

    const plain = create({});
    expect(refusalAs(host, 'RetireGrant', { GrantToken: plain['GrantToken'] })).toMatch(/^AccessDenied/u);
    const retiring = create({ RetiringPrincipal: grantee });
    expect(refusalAs(host, 'RetireGrant', { GrantToken: retiring['GrantToken'] })).toBe('nothing refused');
    const own = create({ Operations: ['Encrypt', 'RetireGrant'] });
    expect(refusalAs(host, 'RetireGrant', { KeyId: id, GrantId: own['GrantId'] })).toBe('nothing refused');
    expect(refusalAs(host, 'RetireGrant', { GrantToken: own['GrantToken'] })).toMatch(/^InvalidGrantToken/u);
    expect(refusalAs(host, 'RetireGrant', { KeyId: id })).toMatch(/^ValidationException/u);
  });

  it('are only of operations that the key has, for principals that are there', () => {
    const { newKey, refusal, call } = kmsFixture((arn) => arn === grantee || arn.endsWith(':root'));
    const { id } = newKey();
    const rsa = newKey({ KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' });
    const create = (KeyId: string, more: JsonObject = {}) =>
      refusal('CreateGrant', { KeyId, GranteePrincipal: grantee, Operations: ['Encrypt'], ...more });

    expect(create(id, { Operations: ['Sign'] })).toMatch(/^ValidationException/u);
    expect(create(rsa.id, { Operations: ['GenerateDataKey'] })).toMatch(/^ValidationException/u);
    expect(create(rsa.id, { Constraints: { EncryptionContextSubset: { a: '1' } } })).toMatch(
      /^ValidationException/u,
    );
    expect(create(id, { GranteePrincipal: role('Typo').AWS })).toMatch(/^InvalidArnException/u);
    call('DisableKey', { KeyId: id });
    expect(create(id)).toMatch(/^DisabledException/u);
  });
});

describe('custom key stores', () => {
  const store = {
    id: 'cks-0123456789abcdef0',
    name: 'hsm',
    clusterId: 'cluster-1',
    createdAt: 0,
    connection: 'CONNECTED',
    error: undefined,
  } as const;
  const Origin = 'AWS_CLOUDHSM';

  it('have keys that work while they are connected', () => {
    const { state, newKey, call, refusal, describe: describeKey } = kmsFixture();
    state.customKeyStores.set(store.id, { ...store });
    const { id, arn } = newKey({ Origin, CustomKeyStoreId: store.id });
    const { CiphertextBlob } = call('Encrypt', encrypting(id));

    call('DisconnectCustomKeyStore', { CustomKeyStoreId: store.id });

    expect(describeKey(id)).toMatchObject({
      KeyState: 'Unavailable',
      Enabled: false,
      Origin,
      CustomKeyStoreId: store.id,
      CloudHsmClusterId: 'cluster-1',
    });
    expect(refusal('Decrypt', { CiphertextBlob })).toMatch(
      new RegExp(`^KMSInvalidStateException: ${arn} is unavailable`, 'u'),
    );
    expect(refusal('CreateKey', { Origin, CustomKeyStoreId: store.id })).toMatch(
      /^CustomKeyStoreInvalidStateException/u,
    );
    expect(call('DescribeCustomKeyStores', { CustomKeyStoreName: 'hsm' })['CustomKeyStores']).toEqual([
      expect.objectContaining({ CustomKeyStoreId: store.id, ConnectionState: 'DISCONNECTED' }),
    ]);
    call('ConnectCustomKeyStore', { CustomKeyStoreId: store.id });
    expect(call('Decrypt', { CiphertextBlob })['Plaintext']).toBe(base64('x'));
  });

  it('that are not there, or go with another origin, are refused', () => {
    const { refusal } = kmsFixture();

    expect(refusal('CreateKey', { Origin, CustomKeyStoreId: 'cks-none' })).toMatch(
      /^CustomKeyStoreNotFound/u,
    );
    expect(refusal('CreateKey', { Origin })).toMatch(/^ValidationException/u);
    expect(refusal('CreateKey', { CustomKeyStoreId: store.id })).toMatch(/^ValidationException/u);
    expect(refusal('DescribeCustomKeyStores', { CustomKeyStoreId: 'cks-none' })).toMatch(
      /^CustomKeyStoreNotFound/u,
    );
    expect(refusal('ConnectCustomKeyStore', { CustomKeyStoreId: 'cks-none' })).toMatch(
      /^CustomKeyStoreNotFound/u,
    );
  });
});
