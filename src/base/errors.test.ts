import { expect, test } from 'vitest';
import { asGatehouseError, baseError, errorsOf, reportOf } from './errors.ts';

const tellTale = 'hunter2-in-an-upstream-message';

test('an error’s message is its table row’s summary, whatever its details', () => {
  const error = baseError('DEADLINE_EXCEEDED', { what: 'a thing', afterMs: 5 });

  expect(error.message).toBe('an operation took longer than it may');
  expect(error.details).toEqual({ what: 'a thing', afterMs: 5 });
});

test('a report names causes by errno, code or class and never repeats an upstream message', () => {
  const errno = Object.assign(new Error(tellTale), { code: 'ECONNREFUSED' });
  const named = Object.assign(new Error(tellTale, { cause: errno }), { name: 'AccessDeniedException' });

  const report = reportOf(baseError('DEADLINE_EXCEEDED', {}, named));

  expect(report.causes).toEqual(['AccessDeniedException', 'ECONNREFUSED']);
  expect(JSON.stringify(report)).not.toContain(tellTale);
});

test('an unknown error is reported as a defect with its frames and without its message', () => {
  const report = reportOf(new TypeError(`${tellTale}\n  second line ${tellTale}`));

  expect(report.code).toBe('DEFECT');
  expect(report.causes).toEqual(['TypeError']);
  expect(report.frames?.[0]).toMatch(/^at .*errors\.test\.ts/u);
  expect(JSON.stringify(report)).not.toContain(tellTale);
});

test('a chain of causes is cut after five', () => {
  const endless = new Error('first');
  endless.cause = endless;

  expect(reportOf(endless).causes).toHaveLength(5);
});

test('an error of ours passes through as it is', () => {
  const error = baseError('DEFECT');

  expect(asGatehouseError(error)).toBe(error);
});

test('a code without a row is a programmer’s mistake', () => {
  const make = errorsOf<Record<string, never>>({});

  expect(() => make('NO_SUCH_CODE')).toThrow(TypeError);
});
