import { expect, test } from 'vitest';
import { awsErrorCode, httpStatusOf, isServiceError, requestIdOf } from './aws-error.ts';

const codes = { ThrottlingException: 'THROTTLED' } as const;
const others = { unreachable: 'UNREACHABLE', refused: 'REFUSED' } as const;

/** An error in the form that the SDK gives it; a `fault` where the service itself said it. */
function sdkError({ name = 'Error', status, fault }: { name?: string; status?: number; fault?: string }) {
  const $metadata = { attempts: 1, ...(status === undefined ? {} : { httpStatusCode: status }) };
  return Object.assign(new Error('upstream text'), { name, $metadata }, fault ? { $fault: fault } : {});
}

test('a known name counts, whatever the status', () => {
  expect(awsErrorCode<string>(sdkError({ name: 'ThrottlingException', status: 500 }), codes, others)).toBe(
    'THROTTLED',
  );
});

test.each([
  [undefined, 'UNREACHABLE'],
  [502, 'UNREACHABLE'],
  [500, 'UNREACHABLE'],
  [499, 'REFUSED'],
  [408, 'UNREACHABLE'],
  [429, 'UNREACHABLE'],
  [200, 'UNREACHABLE'],
  [400, 'REFUSED'],
])('an unknown name is told by its status: %s is %s', (status, code) => {
  expect(awsErrorCode<string>(sdkError(status === undefined ? {} : { status }), codes, others)).toBe(code);
});

test('what is no error of the SDK has no status and means that nothing answered', () => {
  for (const error of [new Error('x'), Object.assign(new Error('x'), { $metadata: null }), 'x', undefined]) {
    expect(httpStatusOf(error)).toBeUndefined();
    expect(awsErrorCode<string>(error, codes, others)).toBe('UNREACHABLE');
  }
});

test('only what the service said itself is its error', () => {
  expect(isServiceError(sdkError({ status: 403, fault: 'client' }))).toBe(true);
  expect(isServiceError(sdkError({ name: 'SyntaxError', status: 403 }))).toBe(false);
  expect(isServiceError(new Error('x'))).toBe(false);
});

test('the id of a call is in its answer and in its error alike, and not where nothing answered', () => {
  const $metadata = { requestId: 'e2b0', attempts: 1 };

  expect(requestIdOf({ $metadata })).toEqual({ awsRequestId: 'e2b0' });
  expect(requestIdOf(Object.assign(new Error('x'), { $metadata }))).toEqual({ awsRequestId: 'e2b0' });
  for (const answer of [sdkError({}), { $metadata: null }, { $metadata: { requestId: 1 } }, 'x', null]) {
    expect(requestIdOf(answer)).toEqual({});
  }
});
