import {
  AssumeRoleWithWebIdentityCommand,
  type AssumeRoleWithWebIdentityCommandInput,
  GetCallerIdentityCommand,
  STSClient,
} from '@aws-sdk/client-sts';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Claims, openIdProvider, trustPolicyFor } from '../test/support/open-id-provider.ts';
import { patienceMs } from '../test/support/patience.ts';
import { createSandbox } from './sandbox.ts';

const subject = 'system:serviceaccount:default:app';

/** A cluster's provider that the account trusts, and a role for one service account of it. */
async function setup(options: Parameters<typeof openIdProvider>[0] = {}) {
  const sandbox = createSandbox();
  const { url, close } = await sandbox.listen();
  onTestFinished(close);
  const provider = openIdProvider(options);
  const registered = sandbox.identities.openIdProviders.create(provider.registration);
  const role = sandbox.identities.createRole('Pod', { trustPolicy: trustPolicyFor(registered.arn, subject) });
  // No credentials: whoever would sign would fail.
  const client = new STSClient({ endpoint: url, region: sandbox.region, maxAttempts: 1 });
  onTestFinished(() => client.destroy());
  const exchange = (token: string, input: Partial<AssumeRoleWithWebIdentityCommandInput> = {}) =>
    client.send(
      new AssumeRoleWithWebIdentityCommand({
        RoleArn: role.arn,
        RoleSessionName: 'pod-1',
        WebIdentityToken: token,
        ...input,
      }),
    );
  const refusal = (token: string, input: Partial<AssumeRoleWithWebIdentityCommandInput> = {}) =>
    exchange(token, input).then(
      () => 'accepted',
      (error: Error & { $metadata?: { httpStatusCode?: number } }) => [
        error.name,
        error.$metadata?.httpStatusCode,
      ],
    );
  return { sandbox, url, provider, registered, exchange, refusal };
}

describe('AssumeRoleWithWebIdentity', () => {
  it.each(['RS256', 'ES256', 'ES384', 'ES512'] as const)(
    'gives a session for a token signed with %s',
    async (algorithm) => {
      const { url, sandbox, provider, registered, exchange } = await setup({ algorithm });

      const reply = await exchange(provider.token(), { DurationSeconds: 900 });

      expect(reply).toMatchObject({
        SubjectFromWebIdentityToken: subject,
        Audience: 'sts.amazonaws.com',
        Provider: registered.arn,
        AssumedRoleUser: { Arn: 'arn:aws:sts::123456789012:assumed-role/Pod/pod-1' },
      });
      const seconds = ((reply.Credentials?.Expiration?.getTime() ?? 0) - Date.now()) / 1000;
      expect(Math.abs(seconds - 900)).toBeLessThan(patienceMs / 1000);
      const session = new STSClient({
        endpoint: url,
        region: sandbox.region,
        credentials: {
          accessKeyId: reply.Credentials?.AccessKeyId ?? '',
          secretAccessKey: reply.Credentials?.SecretAccessKey ?? '',
          sessionToken: reply.Credentials?.SessionToken ?? '',
        },
      });
      onTestFinished(() => session.destroy());
      expect((await session.send(new GetCallerIdentityCommand({}))).Arn).toBe(reply.AssumedRoleUser?.Arn);
    },
  );

  it('takes the party a token was issued to before its audiences', async () => {
    const { provider, exchange, refusal } = await setup();
    const several = ['other', 'sts.amazonaws.com'];

    expect(await exchange(provider.token({ aud: several }))).toMatchObject({ Audience: 'sts.amazonaws.com' });
    expect(await refusal(provider.token({ aud: several, azp: 'other' }))).toEqual([
      'InvalidIdentityTokenException',
      400,
    ]);
  });

  const seconds = Math.floor(Date.now() / 1000);
  it.each<[string, Claims, Claims, [string, number]]>([
    ['has expired', { exp: seconds - 1 }, {}, ['ExpiredTokenException', 400]],
    ['is of tomorrow', { nbf: seconds + 86_400 }, {}, ['InvalidIdentityTokenException', 400]],
    [
      'is of a provider nobody knows',
      { iss: 'https://elsewhere.example' },
      {},
      ['InvalidIdentityTokenException', 400],
    ],
    ['is for another audience', { aud: 'somebody' }, {}, ['InvalidIdentityTokenException', 400]],
    ['says no subject', { sub: undefined }, {}, ['InvalidIdentityTokenException', 400]],
    ['never expires', { exp: undefined }, {}, ['InvalidIdentityTokenException', 400]],
    ['is of another subject', { sub: 'system:serviceaccount:default:other' }, {}, ['AccessDenied', 403]],
    ['is signed with a key nobody knows', {}, { kid: 'another' }, ['InvalidIdentityTokenException', 400]],
  ])('refuses a token that %s', async (_what, claims, header, expected) => {
    const { provider, refusal } = await setup();

    expect(await refusal(provider.token(claims, header))).toEqual(expected);
  });

  it('refuses a token that was changed, whose signature is another’s, or that is none', async () => {
    const { provider, refusal } = await setup();
    const [head, , signature] = provider.token().split('.');
    const [, claims] = provider.token({ sub: 'system:serviceaccount:kube-system:admin' }).split('.');
    const unsigned = Buffer.from(JSON.stringify({ alg: 'none' })).toString('base64url');
    const symmetric = Buffer.from(JSON.stringify({ alg: 'HS256' })).toString('base64url');
    const other = openIdProvider().token({}, { kid: provider.registration.keys[0]?.kid });

    const tokens = [
      [head, claims, signature].join('.'),
      [unsigned, claims, ''].join('.'),
      [symmetric, claims, signature].join('.'),
      other,
      'no.token.atall',
      'notoken',
    ];

    for (const token of tokens) expect(await refusal(token)).toEqual(['InvalidIdentityTokenException', 400]);
  });

  it('refuses a role that trusts only its account, one that is not there, and too long a session', async () => {
    const { sandbox, provider, refusal } = await setup();
    const plain = sandbox.identities.createRole('Plain');

    expect(await refusal(provider.token(), { RoleArn: plain.arn })).toEqual(['AccessDenied', 403]);
    expect(await refusal(provider.token(), { RoleArn: `${plain.arn}-not` })).toEqual(['AccessDenied', 403]);
    expect(await refusal(provider.token(), { DurationSeconds: 3601 })).toEqual(['ValidationError', 400]);
    expect(await refusal(provider.token(), { DurationSeconds: 899 })).toEqual(['ValidationError', 400]);
    expect(await refusal('abc')).toEqual(['ValidationError', 400]);
    expect(await refusal(provider.token(), { RoleSessionName: 'not a name' })).toEqual([
      'ValidationError',
      400,
    ]);
  });

  it('knows its providers again after a restart', async () => {
    const { sandbox, provider } = await setup();
    const again = createSandbox();

    again.restore(sandbox.snapshot());

    expect(again.identities.openIdProviders.find(`${provider.issuer}/`)).toMatchObject({
      clientIds: ['sts.amazonaws.com'],
    });
  });

  it.each([
    ['http://oidc.example.com', 'ValidationError'],
    ['https://', 'ValidationError'],
    ['https://oidc.example.com/id/CLUSTER', 'EntityAlreadyExists'],
  ])('has no provider made at %s', async (url, name) => {
    const { sandbox, provider } = await setup();

    expect(() => sandbox.identities.openIdProviders.create({ ...provider.registration, url })).toThrow(
      expect.objectContaining({ name }),
    );
  });
});
