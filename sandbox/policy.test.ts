import { assert, json, oneof, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluate, type PolicyRequest, parsePolicy } from './policy.ts';
import { AwsError } from './service.ts';

const secret = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/database-AbCdEf';

function decide(statements: object[], request: Partial<PolicyRequest> = {}) {
  const policy = parsePolicy(JSON.stringify({ Version: '2012-10-17', Statement: statements }), 'session');
  return evaluate(policy, {
    action: 'secretsmanager:GetSecretValue',
    resource: secret,
    context: {},
    ...request,
  });
}

function trusts(statement: object, request: Partial<PolicyRequest> = {}) {
  const policy = parsePolicy(JSON.stringify({ Statement: statement }), 'trust');
  return evaluate(policy, {
    action: 'sts:AssumeRole',
    resource: 'arn:aws:iam::123456789012:role/app',
    principals: { AWS: ['arn:aws:iam::123456789012:role/host', '123456789012'] },
    context: {},
    ...request,
  });
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
    ['secretsmanager:DescribeSecret', '*', 'unmentioned'],
    ['secretsmanager:GetSecretValue', secret.toUpperCase(), 'unmentioned'],
    ['secretsmanager:GetSecretValue', `${secret}x`, 'unmentioned'],
    ['secretsmanager:GetSecretValue', '.*', 'unmentioned'],
    ['kms:*', '*', 'unmentioned'],
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
    expect(decide([{ Effect: 'Allow', NotAction: 'secretsmanager:*', Resource: '*' }])).toBe('unmentioned');
    expect(decide([{ Effect: 'Allow', Action: '*', NotResource: secret }])).toBe('unmentioned');
    expect(decide([allowAll, { Effect: 'Deny', Action: '*', NotResource: 'arn:aws:kms:*' }])).toBe('denied');
  });

  it('of a resource that cannot be told allows only with *, and denies always', () => {
    const unknown = { resource: undefined };

    expect(decide([allowAll], unknown)).toBe('allowed');
    expect(decide([{ ...allowAll, Resource: 'arn:*' }], unknown)).toBe('unmentioned');
    expect(decide([{ Effect: 'Allow', Action: '*', NotResource: secret }], unknown)).toBe('unmentioned');
    expect(decide([allowAll, { Effect: 'Deny', Action: '*', Resource: secret }], unknown)).toBe('denied');
  });
});

describe('a trust policy', () => {
  it.each([
    ['*', 'allowed'],
    [{ AWS: '*' }, 'allowed'],
    [{ AWS: '123456789012' }, 'allowed'],
    [{ AWS: ['arn:aws:iam::123456789012:role/other', 'arn:aws:iam::123456789012:role/host'] }, 'allowed'],
    [{ AWS: 'arn:aws:iam::123456789012:role/h*' }, 'unmentioned'],
    [{ Service: 'ec2.amazonaws.com' }, 'unmentioned'],
  ])('of the principal %j leaves a role of the account %s', (principal, decision) => {
    expect(trusts({ ...mayAssume, Principal: principal })).toBe(decision);
  });

  it.each([
    [{ StringEquals: { 'sts:ExternalId': 'right' } }, 'right', 'allowed'],
    [{ StringEquals: { 'sts:ExternalId': ['other', 'right'] } }, 'right', 'allowed'],
    [{ StringEquals: { 'STS:externalid': 'right' } }, 'RIGHT', 'unmentioned'],
    [{ StringEqualsIgnoreCase: { 'sts:ExternalId': 'right' } }, 'RIGHT', 'allowed'],
    [{ StringEquals: { 'sts:ExternalId': 'right' } }, undefined, 'unmentioned'],
    [{ StringEqualsIfExists: { 'sts:ExternalId': 'right' } }, undefined, 'allowed'],
    [{ StringEqualsIfExists: { 'sts:ExternalId': 'right' } }, 'wrong', 'unmentioned'],
    [{ StringNotEquals: { 'sts:ExternalId': 'wrong' } }, undefined, 'allowed'],
    [{ StringNotEquals: { 'sts:ExternalId': ['wrong', 'bad'] } }, 'bad', 'unmentioned'],
    [{ StringLike: { 'sts:ExternalId': 'r?g*' } }, 'right', 'allowed'],
    [{ StringLike: { 'sts:ExternalId': 'right' }, StringEquals: { 'aws:x': 'y' } }, 'right', 'unmentioned'],
  ])('on condition %j with external id %s is %s', (condition, externalId, decision) => {
    const statement = { ...mayAssume, Principal: { AWS: '123456789012' }, Condition: condition };

    expect(trusts(statement, { context: { 'sts:externalid': externalId } })).toBe(decision);
  });
});

describe('a document is refused', () => {
  it.each([
    ['that is not JSON', '{', 'session'],
    ['that has no statement', '{"Version":"2012-10-17"}', 'session'],
    ['with an unknown version', JSON.stringify({ Version: '2020-01-01', Statement: [allowAll] }), 'session'],
    ['with an unknown member', JSON.stringify({ Statement: { ...allowAll, Foo: '' } }), 'session'],
    ['with an unknown effect', JSON.stringify({ Statement: { ...allowAll, Effect: 'Maybe' } }), 'session'],
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
