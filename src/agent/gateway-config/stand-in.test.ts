import { describe, expect, test } from 'vitest';
import { errorsOf } from '../../base/errors.ts';
import { configErrors } from '../../config/errors.ts';
import { secretsErrors } from '../../secrets/errors.ts';
import { agentError } from '../errors.ts';
import { type Verdict, verdictOn } from './stand-in.ts';

const errorOf = errorsOf({ ...configErrors, ...secretsErrors });

describe('the copy', () => {
  test.each<[Verdict, ...Parameters<typeof errorOf>[0][]]>([
    [
      'stands in',
      'SECRET_UNREACHABLE',
      'SECRET_THROTTLED',
      'GATEWAY_CONFIG_INVALID',
      'GATEWAY_CONFIG_NOT_JSON',
    ],
    ['is void', 'SECRET_DENIED', 'SECRET_NOT_FOUND', 'SECRET_DELETED', 'SECRET_KEY_UNUSABLE'],
    ['waits', 'SECRET_CREDENTIALS_REFUSED', 'SECRET_REQUEST_REFUSED', 'CONFIG_REGION_MISSING'],
  ])('%s after %s and the like', (verdict, ...codes) => {
    for (const code of codes) expect(verdictOn(errorOf(code)), `on ${code}`).toBe(verdict);
  });

  test('stands in for whatever the validation of a gateway config refuses', () => {
    const all = Object.keys(configErrors) as (keyof typeof configErrors)[];
    const ofConfig = all.filter((code) => code.startsWith('GATEWAY_CONFIG_') && !code.includes('_COPY_'));

    expect(ofConfig.length).toBeGreaterThan(5);
    for (const code of ofConfig) expect(verdictOn(errorOf(code)), `on ${code}`).toBe('stands in');
  });

  test('waits where the failure is our own', () => {
    expect(verdictOn(new TypeError('x'))).toBe('waits');
    expect(verdictOn(agentError('AWS_ENDPOINT_INVALID'))).toBe('waits');
  });
});
