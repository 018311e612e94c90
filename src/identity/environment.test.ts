import { describe, expect, test } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { credentialSourceContract } from './credential-source.contract.ts';
import { environment } from './environment.ts';

const pair = { AWS_ACCESS_KEY_ID: 'ASIAENVIRONMENT', AWS_SECRET_ACCESS_KEY: 'environment-secret' };
const signal = new AbortController().signal;

credentialSourceContract('environment', {
  working: async () => ({
    source: environment(pair, fakeClock()),
    accessKeyId: pair.AWS_ACCESS_KEY_ID,
    secretAccessKey: pair.AWS_SECRET_ACCESS_KEY,
  }),
  absent: async () => environment({ AWS_REGION: 'eu-west-1' }, fakeClock()),
  failing: async (secretText) => environment({ AWS_SECRET_ACCESS_KEY: secretText }, fakeClock()),
});

describe('credentials in the environment', () => {
  test('hold the session token, the expiry and the account where they are given', async () => {
    const source = environment(
      {
        ...pair,
        AWS_SESSION_TOKEN: 'token',
        AWS_CREDENTIAL_EXPIRATION: '2026-11-22T13:00:00Z',
        AWS_ACCOUNT_ID: '123456789012',
      },
      fakeClock(new Date('2026-11-22T12:00:00Z')),
    );

    const credentials = await source.load(signal);

    expect(credentials?.sessionToken?.revealText()).toBe('token');
    expect(credentials?.expiration).toEqual(new Date('2026-11-22T13:00:00Z'));
    expect(credentials?.accountId).toBe('123456789012');
  });

  test.each([
    ['a key id alone', { AWS_ACCESS_KEY_ID: 'AKIA' }],
    ['a secret with a line break', { ...pair, AWS_SECRET_ACCESS_KEY: 'secret\n' }],
    ['a token with a space', { ...pair, AWS_SESSION_TOKEN: 'to ken' }],
    ['an expiry that is no time', { ...pair, AWS_CREDENTIAL_EXPIRATION: 'tomorrow' }],
  ])('%s is an error, not an absence', async (_what, env) => {
    const loading = environment(env, fakeClock()).load(signal);

    await expect(loading).rejects.toMatchObject({ code: 'CREDENTIALS_ENVIRONMENT_INVALID' });
  });

  test('that have expired are refused', async () => {
    const env = { ...pair, AWS_CREDENTIAL_EXPIRATION: '2026-11-22T11:59:59Z' };

    const loading = environment(env, fakeClock(new Date('2026-11-22T12:00:00Z'))).load(signal);

    await expect(loading).rejects.toMatchObject({ code: 'CREDENTIALS_HANDED_OUT_EXPIRED' });
  });
});
