import { assert, json, oneof, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AwsError } from '../service.ts';
import { type Access, type Asker, verdictOf } from './evaluate.ts';
import { parsePolicy, resourceStatements } from './policy-document.ts';

const secret = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/database-AbCdEf';

function decide(statements: object[], request: Partial<Access> = {}) {
  const policy = parsePolicy(JSON.stringify({ Version: '2012-10-17', Statement: statements }), 'session');
  const access = { action: 'secretsmanager:GetSecretValue', resource: secret, keys: new Map(), ...request };
  return verdictOf(policy, access);
}

const host: Asker = { accountId: '123456789012', arns: ['arn:aws:iam::123456789012:role/host'] };

function trusts(statement: object, keys: Access['keys'] = new Map()) {
  const policy = parsePolicy(JSON.stringify({ Statement: statement }), 'trust');
  const access = { action: 'sts:AssumeRole', resource: 'arn:aws:iam::123456789012:role/app', keys };
  return verdictOf(policy, access, host);
}

function outcomeOf(text: string): unknown {
  try {
    return parsePolicy(text, 'session');
  } catch (error) {
    return error;
  }
}

const allowAll = { Effect: 'Allow', Action: '*', Resource: '*' };
const mayAssume = { Effect: 'Allow', Action: 'sts:AssumeRole' };

describe('a session policy', () => {
  it.each([
    ['*', '*', 'allowed'],
    ['secretsmanager:*', '*', 'allowed'],
    ['SecretsManager:getsecretvalue', secret, 'allowed'],
    ['secretsmanager:Get*', 'arn:aws:secretsmanager:*:*:secret:prod/*', 'allowed'],
    ['secretsmanager:GetSecretValue', `${secret.slice(0, -6)}??????`, 'allowed'],
    ['secretsmanager:DescribeSecret', '*', 'silent'],
    ['secretsmanager:GetSecretValue', secret.toUpperCase(), 'silent'],
    ['secretsmanager:GetSecretValue', `${secret}x`, 'silent'],
    ['secretsmanager:GetSecretValue', '.*', 'silent'],
    ['kms:*', '*', 'silent'],
  ])('that allows %s on %s leaves reading a secret %s', (action, resource, decision) => {
    expect(decide([{ Effect: 'Allow', Action: action, Resource: resource }])).toBe(decision);
  });

  it('denies before it allows', () => {
    const denial = { Effect: 'Deny', Action: 'secretsmanager:GetSecretValue', Resource: '*' };

    expect(decide([allowAll, denial])).toBe('denied');
    expect(decide([denial, allowAll])).toBe('denied');
  });

  it('speaks of everything but what NotAction and NotResource name', () => {
    expect(decide([{ Effect: 'Allow', NotAction: 'kms:*', Resource: '*' }])).toBe('allowed');
    expect(decide([{ Effect: 'Allow', NotAction: 'secretsmanager:*', Resource: '*' }])).toBe('silent');
    expect(decide([{ Effect: 'Allow', Action: '*', NotResource: secret }])).toBe('silent');
    expect(decide([allowAll, { Effect: 'Deny', Action: '*', NotResource: 'arn:aws:kms:*' }])).toBe('denied');
  });

  it('of a resource that cannot be told allows only with *, and denies always', () => {
    const unknown = { resource: '*' };

    expect(decide([allowAll], unknown)).toBe('allowed');
    expect(decide([{ ...allowAll, Resource: 'arn:*' }], unknown)).toBe('silent');
    expect(decide([{ Effect: 'Allow', Action: '*', NotResource: secret }], unknown)).toBe('silent');
    expect(decide([allowAll, { Effect: 'Deny', Action: '*', Resource: secret }], unknown)).toBe('denied');
  });
});

describe('a trust policy', () => {
  it.each([
    ['*', 'allowed'],
    [{ AWS: '*' }, 'allowed'],
    [{ AWS: '123456789012' }, 'delegated'],
    [{ AWS: 'arn:aws:iam::123456789012:root' }, 'delegated'],
    [{ AWS: ['arn:aws:iam::123456789012:role/other', 'arn:aws:iam::123456789012:role/host'] }, 'allowed'],
    [{ AWS: 'arn:aws:iam::123456789012:role/h*' }, 'silent'],
    [{ Service: 'ec2.amazonaws.com' }, 'silent'],
  ])('of the principal %j leaves a role of the account %s', (principal, decision) => {
    expect(trusts({ ...mayAssume, Principal: principal })).toBe(decision);
  });

  it.each([
    [{ StringEquals: { 'sts:ExternalId': 'right' } }, 'right', 'allowed'],
    [{ StringEquals: { 'sts:ExternalId': ['other', 'right'] } }, 'right', 'allowed'],
    [{ StringEquals: { 'STS:externalid': 'right' } }, 'RIGHT', 'silent'],
    [{ StringEqualsIgnoreCase: { 'sts:ExternalId': 'right' } }, 'RIGHT', 'allowed'],
    [{ StringEquals: { 'sts:ExternalId': 'right' } }, undefined, 'silent'],
    [{ StringEqualsIfExists: { 'sts:ExternalId': 'right' } }, undefined, 'allowed'],
    [{ StringEqualsIfExists: { 'sts:ExternalId': 'right' } }, 'wrong', 'silent'],
    [{ StringNotEquals: { 'sts:ExternalId': 'wrong' } }, undefined, 'allowed'],
    [{ StringNotEquals: { 'sts:ExternalId': ['wrong', 'bad'] } }, 'bad', 'silent'],
    [{ StringLike: { 'sts:ExternalId': 'r?g*' } }, 'right', 'allowed'],
    [{ StringLike: { 'sts:ExternalId': 'right' }, StringEquals: { 'aws:x': 'y' } }, 'right', 'silent'],
  ])('on condition %j with external id %s is %s', (condition, externalId, decision) => {
    const statement = { ...mayAssume, Principal: { AWS: host.arns }, Condition: condition };
    const keys = new Map(externalId === undefined ? [] : [['sts:externalid', [externalId]]]);

    expect(trusts(statement, keys)).toBe(decision);
  });
});

describe('a document is refused', () => {
  it.each([
    ['that is not JSON', '{', 'session'],
    ['that has no statement', '{"Version":"2012-10-17"}', 'session'],
    ['with an unknown version', JSON.stringify({ Version: '2020-01-01', Statement: [allowAll] }), 'session'],
    ['with an unknown member', JSON.stringify({ Statement: { ...allowAll, Foo: '' } }), 'session'],
    ['with an unknown effect', JSON.stringify({ Statement: { ...allowAll, Effect: 'Maybe' } }), 'session'],
    ['with an empty statement list', JSON.stringify({ Statement: [] }), 'session'],
    ['with no action', JSON.stringify({ Statement: { Effect: 'Allow', Resource: '*' } }), 'session'],
    [
      'with an action and none',
      JSON.stringify({ Statement: { ...allowAll, NotAction: 'iam:*' } }),
      'session',
    ],
    ['with an action of no vendor', JSON.stringify({ Statement: { ...allowAll, Action: 'Get' } }), 'session'],
    ['without a resource', JSON.stringify({ Statement: { Effect: 'Allow', Action: '*' } }), 'session'],
    [
      'with a principal in a session',
      JSON.stringify({ Statement: { ...allowAll, Principal: '*' } }),
      'session',
    ],
    ['without a principal of trust', JSON.stringify({ Statement: mayAssume }), 'trust'],
    ['with a resource of trust', JSON.stringify({ Statement: { ...allowAll, Principal: '*' } }), 'trust'],
    [
      'with a condition it does not know',
      JSON.stringify({ Statement: { ...allowAll, Condition: { IpAddress: { 'aws:SourceIp': '::1' } } } }),
      'session',
    ],
  ] as const)('%s', (_what, text, kind) => {
    expect(() => parsePolicy(text, kind)).toThrow(
      expect.objectContaining({ name: 'MalformedPolicyDocument' }),
    );
  });

  it('as such, whatever it is', () => {
    assert(
      property(oneof(string(), json()), (text) => {
        expect(outcomeOf(text)).toBeInstanceOf(AwsError);
      }),
    );
  });
});

it('the policy of a resource names both, and one statement needs no list', () => {
  const whole = { ...allowAll, Principal: '*' };

  expect(resourceStatements(JSON.stringify({ Statement: whole }))).toHaveLength(1);
  expect(resourceStatements(JSON.stringify({ Statement: allowAll }))).toBeUndefined();
  expect(resourceStatements(JSON.stringify({ Statement: { ...mayAssume, Principal: '*' } }))).toBeUndefined();
});
