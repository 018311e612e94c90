import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AssumeRoleWithWebIdentityCommandInput } from '@aws-sdk/client-sts';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { systemClock } from '../base/clock.ts';
import { credentialSourceContract } from './credential-source.contract.ts';
import { scriptedSts } from './scripted-sts.contract.ts';
import { webIdentity } from './web-identity.ts';

const signal = new AbortController().signal;
const roleArn = 'arn:aws:iam::123456789012:role/Pod';

interface Situation {
  /** What its file holds; null: there is no file. */
  readonly token?: string | null;
  /** The AWS error that the exchange meets. */
  readonly refusal?: string;
}

function setup({ token = 'header.claims.signature', refusal }: Situation = {}) {
  const tokenFile = join(temporaryDirectory(), 'token');
  if (token !== null) writeFileSync(tokenFile, token);
  const sts = scriptedSts(() => (refusal === undefined ? {} : { error: refusal }));
  const env = { AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile, AWS_ROLE_ARN: roleArn };
  return { tokenFile, env, sts, source: webIdentity(env, systemClock, sts.access, 'gatehouse-web-1') };
}

credentialSourceContract('web-identity', {
  working: async () => {
    const { source } = setup();
    return { source, accessKeyId: 'ASIASESSION', secretAccessKey: 'session-secret' };
  },
  absent: async () => webIdentity({}, systemClock, scriptedSts(() => ({})).access, 'gatehouse-web-1'),
  failing: async (secretText) =>
    setup({ token: secretText, refusal: 'InvalidIdentityTokenException' }).source,
});

describe('a web identity', () => {
  test('is the token that its file holds at that moment, exchanged without a signature', async () => {
    const { source, sts, tokenFile } = setup();

    writeFileSync(tokenFile, 'first\n');
    await source.load(signal);
    writeFileSync(tokenFile, 'second');
    await source.load(signal);

    const asked = sts.inputs as AssumeRoleWithWebIdentityCommandInput[];
    expect(asked.map(({ WebIdentityToken }) => WebIdentityToken)).toEqual(['first', 'second']);
    expect(asked[0]).toMatchObject({ RoleArn: roleArn, RoleSessionName: 'gatehouse-web-1' });
    expect(sts.by).toEqual([undefined, undefined]);
    expect(sts.open()).toBe(0);
  });

  test('has the session name of the environment where there is one', async () => {
    const { env, sts } = setup();

    await webIdentity({ ...env, AWS_ROLE_SESSION_NAME: 'pod-7' }, systemClock, sts.access, 'other').load(
      signal,
    );

    expect(sts.inputs).toMatchObject([{ RoleSessionName: 'pod-7' }]);
  });

  test('without a role is a mistake, not an absence', async () => {
    const { env, sts } = setup();

    const loading = webIdentity({ ...env, AWS_ROLE_ARN: '' }, systemClock, sts.access, 'other').load(signal);

    await expect(loading).rejects.toMatchObject({ code: 'CREDENTIALS_WEB_IDENTITY_INCOMPLETE' });
  });

  test.each([
    ['is not there', null],
    ['is empty', ' \n'],
    ['holds two lines', 'one\ntwo'],
  ])('whose file %s is not sent', async (_what, token) => {
    const { source, sts, tokenFile: file } = setup({ token });

    await expect(source.load(signal)).rejects.toMatchObject({
      code: 'CREDENTIALS_TOKEN_UNUSABLE',
      details: { file },
    });
    expect(sts.inputs).toEqual([]);
  });

  test.each([
    ['ExpiredTokenException', 'CREDENTIALS_WEB_TOKEN_EXPIRED'],
    ['InvalidIdentityTokenException', 'CREDENTIALS_WEB_TOKEN_REFUSED'],
    ['IDPRejectedClaimException', 'CREDENTIALS_WEB_TOKEN_REFUSED'],
    ['IDPCommunicationErrorException', 'CREDENTIALS_STS_UNREACHABLE'],
    ['AccessDenied', 'CREDENTIALS_WEB_TOKEN_REFUSED'],
    ['Throttling', 'CREDENTIALS_THROTTLED'],
  ])('that AWS answers with %s is %s', async (refusal, code) => {
    const { source } = setup({ refusal });

    await expect(source.load(signal)).rejects.toMatchObject({ code });
  });
});
