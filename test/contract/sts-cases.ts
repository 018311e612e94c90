import { KMSClient, ListKeysCommand } from '@aws-sdk/client-kms';
import {
  AssumeRoleCommand,
  AssumeRoleWithWebIdentityCommand,
  GetCallerIdentityCommand,
  STSClient,
} from '@aws-sdk/client-sts';
import { expect } from 'vitest';
import { patienceMs } from '../support/patience.ts';
import type { Bench, ContractCase } from './contract.ts';
import { accepted, outcome, refused } from './outcome.ts';

const assumeRoleReference = 'https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html';
const sessionPolicies =
  'https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session';
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

async function assumeRole({ sts, target }: Bench, policy?: object) {
  const { Credentials, AssumedRoleUser, PackedPolicySize } = await sts.send(
    new AssumeRoleCommand({
      RoleArn: target.roleArn,
      RoleSessionName: 'session',
      DurationSeconds: 900,
      Policy: policy === undefined ? undefined : JSON.stringify(policy),
    }),
  );
  const credentials = {
    accessKeyId: Credentials?.AccessKeyId ?? '',
    secretAccessKey: Credentials?.SecretAccessKey ?? '',
    sessionToken: Credentials?.SessionToken ?? '',
  };
  return {
    credentials,
    arn: AssumedRoleUser?.Arn,
    expiration: Credentials?.Expiration,
    packedSize: PackedPolicySize,
  };
}

/** Whether a session of the role, narrowed by a policy, may list keys. */
async function keysUnder(bench: Bench, policy: object) {
  const { credentials } = await assumeRole(bench, policy);
  const { endpoint, region } = bench.target;
  const kms = new KMSClient({ endpoint, region, credentials, maxAttempts: 1 });
  try {
    return await outcome(kms.send(new ListKeysCommand({})));
  } finally {
    kms.destroy();
  }
}

function policyOf(...statements: object[]) {
  return { Version: '2012-10-17', Statement: statements };
}

const allowsAll = { Effect: 'Allow', Action: '*', Resource: '*' };
const allowsSecrets = { Effect: 'Allow', Action: 'secretsmanager:*', Resource: '*' };
const deniesKms = { Effect: 'Deny', Action: 'kms:*', Resource: '*' };

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
      return { longEnough: seconds > 900 - patienceMs / 1000, shortEnough: seconds <= 900 };
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
    name: 'a session policy takes space, and leaves the session what it allows',
    async run(bench) {
      const { packedSize = 0 } = await assumeRole(bench, policyOf(allowsAll));
      return { takesSpace: packedSize > 0, keys: await keysUnder(bench, policyOf(allowsAll)) };
    },
    expected: { takesSpace: true, keys: accepted },
  },
  {
    name: 'a session may not do what its session policy does not allow, or denies',
    async run(bench) {
      return {
        unmentioned: await keysUnder(bench, policyOf(allowsSecrets)),
        denied: await keysUnder(bench, policyOf(allowsAll, deniesKms)),
      };
    },
    expected: {
      unmentioned: refused('AccessDeniedException'),
      denied: refused('AccessDeniedException'),
    },
    moto: {
      sees: { unmentioned: accepted, denied: accepted },
      because: 'it enforces no policy',
      documentation: sessionPolicies,
    },
  },
  {
    name: 'a session policy that is none is refused',
    run: (bench) => outcome(assumeRole(bench, { Statement: [{ Effect: 'Perhaps' }] })),
    expected: refused('MalformedPolicyDocumentException'),
    moto: { sees: accepted, because: 'it takes any policy', documentation: assumeRoleReference },
  },
  {
    name: 'a session policy of more than 2048 characters is refused',
    run: (bench) => outcome(assumeRole(bench, policyOf({ ...allowsAll, Sid: 'x'.repeat(2048) }))),
    expected: refused('ValidationError'),
    moto: { sees: accepted, because: 'it takes any policy', documentation: assumeRoleReference },
  },
  {
    name: 'a session assumes a role for an hour at most',
    async run(bench) {
      const { credentials } = await assumeRole(bench);
      const { endpoint, region, roleArn } = bench.target;
      const sts = new STSClient({ endpoint, region, credentials, maxAttempts: 1 });
      try {
        const request = { RoleArn: roleArn, RoleSessionName: 'chained', DurationSeconds: 3601 };
        return await outcome(sts.send(new AssumeRoleCommand(request)));
      } finally {
        sts.destroy();
      }
    },
    expected: refused('ValidationError'),
    moto: { sees: accepted, because: 'it takes any duration', documentation: assumeRoleReference },
  },
  {
    name: 'a web identity token that is none is refused',
    run: ({ sts, target }) =>
      outcome(
        sts.send(
          new AssumeRoleWithWebIdentityCommand({
            RoleArn: target.roleArn,
            RoleSessionName: 'session',
            WebIdentityToken: 'no-token',
          }),
        ),
      ),
    expected: refused('InvalidIdentityTokenException'),
    moto: {
      sees: accepted,
      because: 'it looks at no token',
      documentation: 'https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html',
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
