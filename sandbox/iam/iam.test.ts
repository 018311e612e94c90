import { describe, expect, it } from 'vitest';
import { AwsError, type CallContext } from '../service.ts';
import { accessOf, authorize } from './authorize.ts';
import { conditionsHold } from './condition.ts';
import { verdictOf } from './evaluate.ts';
import { isArnLike, isLike } from './operators.ts';
import { parsePolicy } from './policy-document.ts';

const account = '111122223333';
const role = `arn:aws:iam::${account}:role/Host`;
const session = `arn:aws:sts::${account}:assumed-role/Host/i-1`;

function contextOf(policies?: readonly object[], tags: Record<string, string> = {}): CallContext {
  return {
    caller: {
      accountId: account,
      arn: session,
      userId: 'AROA:i-1',
      accessKeyId: 'ASIA',
      roleArn: role,
      policies: policies?.map((statement) => policyOf(statement)),
      tags: new Map(Object.entries(tags)),
    },
    region: 'eu-west-1',
    now: new Date('2026-11-26T00:00:00Z'),
    requestId: 'r',
  };
}

const policyOf = (...Statement: readonly object[]): string =>
  JSON.stringify({ Version: '2012-10-17', Statement });

const request = {
  action: 'dynamodb:GetItem',
  resource: `arn:aws:dynamodb:eu-west-1:${account}:table/keys`,
  keys: { 'dynamodb:LeadingKeys': ['web-1'] },
};

function refusal(context: CallContext, resourcePolicy?: string): string {
  try {
    authorize(context, request, resourcePolicy);
  } catch (error) {
    if (error instanceof AwsError) return `${error.name}: ${error.message}`;
    throw error;
  }
  return 'allowed';
}

const refusedBecause = (because: string): string =>
  `AccessDeniedException: User: ${session} is not authorized to perform: dynamodb:GetItem on resource: ${request.resource} ${because}`;
const notAllowed = refusedBecause('because no identity-based policy allows the dynamodb:GetItem action');

const own = (value: string) => ({
  Effect: 'Allow',
  Action: '*',
  Resource: '*',
  Condition: { 'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': [value] } },
});
const allow = (Principal: unknown) => policyOf({ Effect: 'Allow', Principal, Action: '*', Resource: '*' });

describe('what identity policies allow', () => {
  it.each([
    [{ Effect: 'Allow', Action: 'dynamodb:*', Resource: '*' }, 'allowed'],
    [{ Effect: 'Allow', Action: 'DYNAMODB:getitem', Resource: request.resource }, 'allowed'],
    [{ Effect: 'Allow', Action: 'dynamodb:Get?tem', Resource: 'arn:aws:dynamodb:*:*:table/k*' }, 'allowed'],
    [{ Effect: 'Allow', Action: 'dynamodb:PutItem', Resource: '*' }, notAllowed],
    [{ Effect: 'Allow', Action: 'dynamodb:GetItem', Resource: `${request.resource}/index/x` }, notAllowed],
    [{ Effect: 'Allow', NotAction: 'iam:*', Resource: '*' }, 'allowed'],
    [{ Effect: 'Allow', NotAction: 'dynamodb:Get*', Resource: '*' }, notAllowed],
    [{ Effect: 'Allow', Action: '*', NotResource: request.resource }, notAllowed],
    [
      { Effect: 'Deny', Action: '*', Resource: '*' },
      refusedBecause('with an explicit deny in an identity-based policy'),
    ],
  ])('%j: %s', (statement, expected) => {
    expect(refusal(contextOf([statement]))).toBe(expected);
  });

  it('who has no policies at all may do anything, who has an empty list nothing', () => {
    expect(refusal(contextOf())).toBe('allowed');
    expect(refusal(contextOf([]))).toBe(notAllowed);
  });

  it('a denial wins over every permission', () => {
    const all = { Effect: 'Allow', Action: '*', Resource: '*' };
    const none = { Effect: 'Deny', Action: 'dynamodb:GetItem', Resource: '*' };

    expect(refusal(contextOf([all, none]))).toMatch(/explicit deny in an identity-based policy$/u);
    expect(refusal(contextOf([all]), policyOf({ ...none, Principal: '*' }))).toMatch(
      /explicit deny in a resource-based policy$/u,
    );
  });

  it('variables are the caller’s, and one without a value matches nothing', () => {
    expect(refusal(contextOf([own('${aws:PrincipalTag/host}')], { host: 'web-1' }))).toBe('allowed');
    expect(refusal(contextOf([own('${aws:PrincipalTag/host}')], { host: 'web-2' }))).toBe(notAllowed);
    expect(refusal(contextOf([own('${aws:PrincipalTag/host}')]))).toBe(notAllowed);
    expect(refusal(contextOf([own("${aws:PrincipalTag/host, 'web-1'}")]))).toBe('allowed');
  });
});

describe('what resource policies add', () => {
  it.each([
    ['the role', { AWS: role }, 'allowed'],
    ['the session', { AWS: [session] }, 'allowed'],
    ['everybody', '*', 'allowed'],
    ['the account, which leaves it to IAM', { AWS: `arn:aws:iam::${account}:root` }, notAllowed],
    ['another role', { AWS: `arn:aws:iam::${account}:role/Other` }, notAllowed],
    ['a service', { Service: 'logs.amazonaws.com' }, notAllowed],
  ])('a principal that is %s', (_what, principal, expected) => {
    expect(refusal(contextOf([]), allow(principal))).toBe(expected);
  });

  it('an account’s name is delegated to, and a policy about others is silent', () => {
    const context = contextOf();
    const verdict = (Principal: unknown) =>
      verdictOf(parsePolicy(allow(Principal), 'resource'), accessOf(context, request), {
        accountId: account,
        arns: [session, role],
      });

    expect(verdict({ AWS: account })).toBe('delegated');
    expect(verdict({ AWS: '999988887777' })).toBe('silent');
    expect(verdict({ AWS: [account, role] })).toBe('allowed');
  });
});

describe('conditions', () => {
  const keys = new Map([
    ['one', ['x']],
    ['many', ['a', 'b']],
    ['number', ['5']],
    ['flag', ['true']],
    ['arn', [role]],
    ['time', ['2026-11-26T00:00:00.000Z']],
    ['star', ['*']],
    ['marked', ['\uE000*']],
  ]);
  const holds = (operator: string, key: string, ...values: string[]): boolean =>
    conditionsHold([{ operator, key, values }], keys);

  it.each([
    ['StringEquals', 'one', 'x', true],
    ['StringEquals', 'one', 'X', false],
    ['StringEqualsIgnoreCase', 'ONE', 'X', true],
    ['StringNotEquals', 'one', 'y', true],
    ['StringNotEquals', 'one', 'x', false],
    ['StringEquals', 'absent', 'x', false],
    ['StringNotEquals', 'absent', 'x', true],
    ['StringEqualsIfExists', 'absent', 'x', true],
    ['StringEqualsIfExists', 'one', 'y', false],
    ['StringLike', 'arn', 'arn:*:role/H?st', true],
    ['StringNotLike', 'arn', '*', false],
    ['StringEquals', 'one', '${one}', true],
    ['StringLike', 'one', '${star}', false],
    ['StringLike', 'one', '${marked}', false],
    ['StringLike', 'marked', '${marked}', true],
    ['StringLike', 'star', '${*}', true],
    ['StringLike', 'one', '${*}', false],
    ['ArnLike', 'arn', 'arn:aws:iam::*:role/*', true],
    ['ArnLike', 'arn', 'arn:aws:iam:*', false],
    ['Bool', 'flag', 'true', true],
    ['Null', 'absent', 'true', true],
    ['Null', 'one', 'true', false],
    ['NumericLessThan', 'number', '6', true],
    ['NumericNotEquals', 'number', '5', false],
    ['DateLessThan', 'time', '2026-11-26T00:00:01Z', true],
    ['DateGreaterThanEquals', 'time', '1795651200', true],
    ['ForAllValues:StringEquals', 'many', 'a', false],
    ['ForAllValues:StringLike', 'many', '?', true],
    ['ForAllValues:StringEquals', 'absent', 'a', true],
    ['ForAnyValue:StringEquals', 'many', 'b', true],
    ['ForAnyValue:StringEquals', 'absent', 'b', false],
    ['ForAnyValue:StringNotEquals', 'many', 'a', true],
  ])('%s of %s with %s is %s', (operator, key, value, expected) => {
    expect(holds(operator, key, value)).toBe(expected);
  });

  it('patterns have * and ? only, and ARNs are compared part by part', () => {
    expect(isLike('a.c', 'a.c') && !isLike('abc', 'a.c')).toBe(true);
    expect(isLike('a\nb', 'a*')).toBe(true);
    expect(isArnLike('arn:aws:s3:::a:b', 'arn:aws:s3:::a*')).toBe(true);
    expect(isArnLike('arn:aws:s3:eu:1:a', 'arn:aws:s3:*:a')).toBe(false);
  });
});
