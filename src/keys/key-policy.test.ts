import { describe, expect, it } from 'vitest';
import { keyPolicy, requireNoLockout } from './key-policy.ts';

const accountId = '123456789012';
const account = { spec: 'SYMMETRIC_DEFAULT', isExternal: false, accountId, partition: 'aws' } as const;
const operator = { arn: `arn:aws:iam::${accountId}:user/operator`, accountId };
const session = { arn: `arn:aws:sts::${accountId}:assumed-role/KeyAdmin/alice`, accountId };

interface Statement {
  Sid: string;
  Principal: { AWS: string[] };
  Action: string[];
  Condition?: unknown;
}

const allowing = (statement: object) =>
  JSON.stringify({ Statement: { Effect: 'Allow', Resource: '*', ...statement } });

describe('a key policy', () => {
  it('gives administrators no use, and users no administration', () => {
    const text = keyPolicy({ ...account, admins: ['arn:admin'], users: ['arn:user'], viaService: 's3.x' });
    const [administer, use] = (JSON.parse(text) as { Statement: Statement[] }).Statement;

    expect(administer).toMatchObject({ Sid: 'Administer', Principal: { AWS: ['arn:admin'] } });
    expect(administer?.Action.filter((action) => /Encrypt|Decrypt|DataKey/u.test(action))).toEqual([]);
    expect(use).toMatchObject({
      Sid: 'Use',
      Principal: { AWS: ['arn:user'] },
      Condition: { StringEquals: { 'kms:ViaService': 's3.x' } },
    });
    expect(use?.Action.filter((action) => /Put|Delete|Schedule|Disable|Import/u.test(action))).toEqual([]);
  });

  it('of imported material lets administrators try it, and open nothing else', () => {
    const parts = { ...account, isExternal: true, admins: ['arn:admin'], users: ['arn:user'] };
    const trying = (spec: 'SYMMETRIC_DEFAULT' | 'RSA_2048') =>
      (JSON.parse(keyPolicy({ ...parts, spec })) as { Statement: Statement[] }).Statement[1];

    expect(trying('SYMMETRIC_DEFAULT')).toMatchObject({
      Sid: 'TryAnImport',
      Principal: { AWS: ['arn:admin'] },
      Action: ['kms:Decrypt', 'kms:GenerateDataKey'],
      Condition: { StringEquals: { 'kms:EncryptionContext:gatehouse:purpose': 'import-check' } },
    });
    expect(trying('RSA_2048')).toMatchObject({ Sid: 'TryAnImport', Action: ['kms:GetPublicKey'] });
  });

  it('of an RSA key lets users decrypt by OAEP with SHA-256, and nothing else', () => {
    const parts = { ...account, spec: 'RSA_2048', admins: ['arn:admin'], users: ['arn:user'] } as const;
    const [administer, ...use] = (JSON.parse(keyPolicy(parts)) as { Statement: Statement[] }).Statement;

    expect(administer?.Action.filter((action) => /Encrypt|Decrypt|PublicKey/u.test(action))).toEqual([]);
    expect(use).toEqual([
      {
        Sid: 'Use',
        Effect: 'Allow',
        Principal: { AWS: ['arn:user'] },
        Action: ['kms:Decrypt'],
        Resource: '*',
        Condition: { StringEquals: { 'kms:EncryptionAlgorithm': 'RSAES_OAEP_SHA_256' } },
      },
      {
        Sid: 'SeeThePublicKey',
        Effect: 'Allow',
        Principal: { AWS: ['arn:user'] },
        Action: ['kms:DescribeKey', 'kms:GetPublicKey'],
        Resource: '*',
      },
    ]);
  });

  it('is the account’s to administer where nobody is named', () => {
    const text = keyPolicy({ ...account, admins: [], users: [] });

    expect(JSON.parse(text)).toMatchObject({
      Statement: [{ Principal: { AWS: [`arn:aws:iam::${accountId}:root`] } }],
    });
  });

  it.each([
    ['its maker', operator, { Action: 'kms:PutKeyPolicy', Principal: { AWS: operator.arn } }],
    ['its account', operator, { Action: 'kms:*', Principal: { AWS: `arn:aws:iam::${accountId}:root` } }],
    ['its account by number', operator, { Action: ['kms:Put*'], Principal: { AWS: [accountId] } }],
    ['everybody', operator, { Action: '*', Principal: '*' }],
    [
      'its maker’s role',
      session,
      { Action: 'kms:*', Principal: { AWS: `arn:aws:iam::${accountId}:role/KeyAdmin` } },
    ],
    [
      'its maker’s role with a path',
      session,
      { Action: 'kms:*', Principal: { AWS: `arn:aws:iam::${accountId}:role/ops/KeyAdmin` } },
    ],
  ])('is good when %s may change it', (_who, caller, statement) => {
    expect(() => requireNoLockout(allowing(statement), caller)).not.toThrow();
  });

  it.each([
    [
      'others only',
      operator,
      { Action: 'kms:*', Principal: { AWS: `arn:aws:iam::${accountId}:user/other` } },
    ],
    ['another account', operator, { Action: 'kms:*', Principal: { AWS: 'arn:aws:iam::210987654321:root' } }],
    ['its maker, for use only', operator, { Action: 'kms:Decrypt', Principal: { AWS: operator.arn } }],
    [
      'another role',
      session,
      { Action: 'kms:*', Principal: { AWS: `arn:aws:iam::${accountId}:role/XKeyAdmin` } },
    ],
    [
      'its maker, on a condition',
      operator,
      {
        Action: 'kms:*',
        Principal: { AWS: operator.arn },
        Condition: { Bool: { 'aws:SecureTransport': 'true' } },
      },
    ],
    [
      'its maker, to be denied',
      operator,
      { Effect: 'Deny', Action: 'kms:*', Principal: { AWS: operator.arn } },
    ],
  ])('locks out when it names %s', (_who, caller, statement) => {
    expect(() => requireNoLockout(allowing(statement), caller)).toThrow(
      expect.objectContaining({ code: 'KEY_POLICY_LOCKS_OUT' }),
    );
  });

  it.each(['', '[]', '{"Statement":', '"x"'])('is none: %j', (text) => {
    expect(() => requireNoLockout(text, operator)).toThrow(
      expect.objectContaining({ code: 'KEY_POLICY_INVALID' }),
    );
  });
});
