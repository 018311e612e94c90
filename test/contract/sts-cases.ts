import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { expect } from 'vitest';
import type { Bench, ContractCase } from './contract.ts';
import { accepted, outcome, refused } from './outcome.ts';

const assumeRoleReference = 'https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html';
const commonErrors = 'https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html';

/** Who the service says the bearer of these credentials is. */
async function identify({ target }: Bench, credentials: Bench['target']['credentials']) {
  const client = new STSClient({
    endpoint: target.endpoint,
    region: target.region,
    credentials,
    maxAttempts: 1,
  });
  try {
    return await client.send(new GetCallerIdentityCommand({}));
  } finally {
    client.destroy();
  }
}

async function assumeRole({ sts, target }: Bench) {
  const { Credentials, AssumedRoleUser } = await sts.send(
    new AssumeRoleCommand({ RoleArn: target.roleArn, RoleSessionName: 'session', DurationSeconds: 900 }),
  );
  const credentials = {
    accessKeyId: Credentials?.AccessKeyId ?? '',
    secretAccessKey: Credentials?.SecretAccessKey ?? '',
    sessionToken: Credentials?.SessionToken ?? '',
  };
  return { credentials, arn: AssumedRoleUser?.Arn, expiration: Credentials?.Expiration };
}

export const stsCases: readonly ContractCase[] = [
  {
    name: 'a caller learns its account, ARN and user id',
    async run({ sts }) {
      const { Account, Arn, UserId } = await sts.send(new GetCallerIdentityCommand({}));
      return { Account, Arn, UserId };
    },
    expected: {
      Account: expect.stringMatching(/^\d{12}$/u),
      Arn: expect.stringMatching(/^arn:aws:(?:iam|sts)::\d{12}:/u),
      UserId: expect.stringMatching(/^[A-Z0-9]+/u),
    },
  },
  {
    name: 'an assumed role is who its credentials say',
    async run(bench) {
      const { credentials, arn } = await assumeRole(bench);
      const identity = await identify(bench, credentials);
      return { arn: arn?.split('/').slice(1).join('/'), same: identity.Arn === arn };
    },
    expected: { arn: expect.stringMatching(/^[\w-]+\/session$/u), same: true },
  },
  {
    name: 'a session lives as long as was asked',
    async run(bench) {
      const { expiration } = await assumeRole(bench);
      const seconds = ((expiration?.getTime() ?? 0) - Date.now()) / 1000;
      return { longEnough: seconds > 880, shortEnough: seconds <= 900 };
    },
    expected: { longEnough: true, shortEnough: true },
  },
  {
    name: 'a session shorter than 15 minutes is refused',
    run: ({ sts, target }) =>
      outcome(
        sts.send(
          new AssumeRoleCommand({
            RoleArn: target.roleArn,
            RoleSessionName: 'session',
            DurationSeconds: 899,
          }),
        ),
      ),
    expected: refused('ValidationError'),
    moto: {
      sees: accepted,
      because: 'it takes any duration',
      documentation: assumeRoleReference,
    },
  },
  {
    name: 'a session name with a space in it is refused',
    run: ({ sts, target }) =>
      outcome(sts.send(new AssumeRoleCommand({ RoleArn: target.roleArn, RoleSessionName: 'not a name' }))),
    expected: refused('ValidationError'),
    moto: {
      sees: accepted,
      because: 'it takes any name',
      documentation: assumeRoleReference,
    },
  },
  {
    name: 'a wrong secret key is no signature',
    run: (bench) =>
      outcome(identify(bench, { ...bench.target.credentials, secretAccessKey: 'not the secret' })),
    expected: refused('SignatureDoesNotMatch', 403),
    moto: {
      sees: accepted,
      because: 'it checks no signature',
      documentation: commonErrors,
    },
  },
  {
    name: 'an unknown access key is refused',
    run: (bench) =>
      outcome(identify(bench, { accessKeyId: 'AKIAUNKNOWNUNKNOWN12', secretAccessKey: 'no matter' })),
    expected: refused('InvalidClientTokenId', 403),
    moto: {
      sees: accepted,
      because: 'it checks no access key',
      documentation: commonErrors,
    },
  },
  {
    name: 'a session token that is another’s is refused',
    async run(bench) {
      const { credentials } = await assumeRole(bench);
      return outcome(identify(bench, { ...credentials, sessionToken: 'another' }));
    },
    expected: refused('InvalidClientTokenId', 403),
    moto: {
      sees: accepted,
      because: 'it checks no token',
      documentation: commonErrors,
    },
  },
];
