import {
  CreateSecretCommand,
  type CreateSecretCommandInput,
  DeleteSecretCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  type GetSecretValueCommandInput,
  ListSecretsCommand,
  PutSecretValueCommand,
  RestoreSecretCommand,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import { expect } from 'vitest';
import type { Bench, ContractCase } from './contract.ts';
import { accepted, message, outcome, refused } from './outcome.ts';

const createSecret = 'https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html';
const getSecretValue =
  'https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html';
const updateStage =
  'https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html';

async function create(bench: Bench, input: Partial<CreateSecretCommandInput> = {}) {
  const Name = bench.unique('contract/secret');
  const reply = await bench.secretsManager.send(
    new CreateSecretCommand({ Name, SecretString: 'one', ...input }),
  );
  return { Name, ARN: reply.ARN ?? '', VersionId: reply.VersionId ?? '' };
}

async function value(bench: Bench, input: GetSecretValueCommandInput): Promise<string | undefined> {
  return (await bench.secretsManager.send(new GetSecretValueCommand(input))).SecretString;
}

export const secretsManagerCases: readonly ContractCase[] = [
  {
    name: 'a secret’s ARN is its name and six random characters',
    async run(bench) {
      const { Name, ARN } = await create(bench);
      return ARN.replace(Name, 'NAME');
    },
    expected: expect.stringMatching(/^arn:aws:secretsmanager:eu-west-1:\d{12}:secret:NAME-[A-Za-z0-9]{6}$/u),
  },
  {
    name: 'a secret is read by name, by ARN and by ARN without the random characters',
    async run(bench) {
      const { Name, ARN } = await create(bench);
      return Promise.all([Name, ARN, ARN.slice(0, -7)].map((SecretId) => value(bench, { SecretId })));
    },
    expected: ['one', 'one', 'one'],
  },
  {
    name: 'a new value is current, the one before it previous, and each has its version',
    async run(bench) {
      const { Name: SecretId, VersionId } = await create(bench);
      await bench.secretsManager.send(new PutSecretValueCommand({ SecretId, SecretString: 'two' }));
      return {
        plain: await value(bench, { SecretId }),
        current: await value(bench, { SecretId, VersionStage: 'AWSCURRENT' }),
        previous: await value(bench, { SecretId, VersionStage: 'AWSPREVIOUS' }),
        first: await value(bench, { SecretId, VersionId }),
      };
    },
    expected: { plain: 'two', current: 'two', previous: 'one', first: 'one' },
  },
  {
    name: 'a description says which version has which stage',
    async run(bench) {
      const { Name: SecretId, VersionId } = await create(bench);
      const put = await bench.secretsManager.send(
        new PutSecretValueCommand({ SecretId, SecretString: 'two' }),
      );
      const { VersionIdsToStages = {} } = await bench.secretsManager.send(
        new DescribeSecretCommand({ SecretId }),
      );
      return [VersionIdsToStages[VersionId], VersionIdsToStages[put.VersionId ?? '']];
    },
    expected: [['AWSPREVIOUS'], ['AWSCURRENT']],
  },
  {
    name: 'bytes come back as they were',
    async run(bench) {
      const SecretBinary = Uint8Array.from({ length: 256 }, (_, index) => index);
      const { Name: SecretId } = await create(bench, { SecretString: undefined, SecretBinary });
      const reply = await bench.secretsManager.send(new GetSecretValueCommand({ SecretId }));
      return {
        string: reply.SecretString,
        same: Buffer.from(SecretBinary).equals(reply.SecretBinary ?? Buffer.of()),
      };
    },
    expected: { string: undefined, same: true },
  },
  {
    name: 'a secret that does not exist is not found',
    run: (bench) => outcome(value(bench, { SecretId: bench.unique('missing') })),
    expected: refused('ResourceNotFoundException'),
    moto: {
      sees: refused('ResourceNotFoundException', 404),
      because: 'its status is 404',
      documentation: getSecretValue,
    },
  },
  {
    name: 'a missing secret is reported in AWS’s words',
    run: (bench) => message(value(bench, { SecretId: bench.unique('missing') })),
    expected: "Secrets Manager can't find the specified secret.",
  },
  {
    name: 'a stage that no version has is not found',
    async run(bench) {
      const { Name: SecretId } = await create(bench);
      return outcome(value(bench, { SecretId, VersionStage: 'AWSPENDING' }));
    },
    expected: refused('ResourceNotFoundException'),
    moto: {
      sees: refused('ResourceNotFoundException', 404),
      because: 'its status is 404',
      documentation: getSecretValue,
    },
  },
  {
    name: 'a name is taken once',
    async run(bench) {
      const { Name } = await create(bench);
      return outcome(create(bench, { Name }));
    },
    expected: refused('ResourceExistsException'),
  },
  {
    name: 'a repeated put with the same token and value changes nothing',
    async run(bench) {
      const { Name: SecretId } = await create(bench);
      const ClientRequestToken = crypto.randomUUID();
      const put = () =>
        bench.secretsManager.send(
          new PutSecretValueCommand({ SecretId, SecretString: 'two', ClientRequestToken }),
        );
      const [first, second] = [await put(), await put()];
      return [first.VersionId, second.VersionId].map((version) => version === ClientRequestToken);
    },
    expected: [true, true],
  },
  {
    name: 'a value of 65,536 bytes is the largest',
    async run(bench) {
      return Promise.all(
        [65_536, 65_537].map((length) => outcome(create(bench, { SecretString: 'x'.repeat(length) }))),
      );
    },
    expected: [accepted, refused('ValidationException')],
    moto: {
      sees: [accepted, accepted],
      because: 'it has no limit',
      documentation: createSecret,
    },
  },
  {
    name: 'a secret has a string or bytes and not both',
    run: (bench) => outcome(create(bench, { SecretString: 'a', SecretBinary: Buffer.from('b') })),
    expected: refused('InvalidParameterException'),
    moto: {
      sees: accepted,
      because: 'it takes both',
      documentation: createSecret,
    },
  },
  {
    name: 'a name with a space in it is refused',
    run: (bench) => outcome(create(bench, { Name: bench.unique('not a name') })),
    expected: refused('ValidationException'),
    moto: {
      sees: accepted,
      because: 'it takes any name',
      documentation: createSecret,
    },
  },
  {
    name: 'a deleted secret gives no value until it is restored',
    async run(bench) {
      const { Name: SecretId } = await create(bench);
      await bench.secretsManager.send(new DeleteSecretCommand({ SecretId, RecoveryWindowInDays: 7 }));
      const deleted = await outcome(value(bench, { SecretId }));
      await bench.secretsManager.send(new RestoreSecretCommand({ SecretId }));
      return { deleted, restored: await value(bench, { SecretId }) };
    },
    expected: { deleted: refused('InvalidRequestException'), restored: 'one' },
  },
  {
    name: 'a secret deleted without recovery is gone',
    async run(bench) {
      const { Name: SecretId } = await create(bench);
      await bench.secretsManager.send(
        new DeleteSecretCommand({ SecretId, ForceDeleteWithoutRecovery: true }),
      );
      return outcome(value(bench, { SecretId }));
    },
    expected: refused('ResourceNotFoundException'),
    moto: {
      sees: refused('ResourceNotFoundException', 404),
      because: 'its status is 404',
      documentation: getSecretValue,
    },
  },
  {
    name: 'moving AWSCURRENT back makes the old value the current one',
    async run(bench) {
      const { Name: SecretId, VersionId } = await create(bench);
      const put = await bench.secretsManager.send(
        new PutSecretValueCommand({ SecretId, SecretString: 'two' }),
      );
      await bench.secretsManager.send(
        new UpdateSecretVersionStageCommand({
          SecretId,
          VersionStage: 'AWSCURRENT',
          MoveToVersionId: VersionId,
          RemoveFromVersionId: put.VersionId,
        }),
      );
      return {
        plain: await value(bench, { SecretId }),
        current: await value(bench, { SecretId, VersionStage: 'AWSCURRENT' }),
        previous: await value(bench, { SecretId, VersionStage: 'AWSPREVIOUS' }),
      };
    },
    expected: { plain: 'one', current: 'one', previous: 'two' },
    moto: {
      sees: { plain: 'two', current: 'one', previous: 'two' },
      because: 'a plain get still gives the value put last',
      documentation: updateStage,
    },
  },
  {
    name: 'a list finds secrets by a prefix of their name, without values',
    async run(bench) {
      const { Name } = await create(bench);
      const { SecretList = [] } = await bench.secretsManager.send(
        new ListSecretsCommand({ Filters: [{ Key: 'name', Values: [Name] }] }),
      );
      return SecretList.map((secret) => ({
        found: secret.Name === Name,
        value: 'SecretString' in secret,
      }));
    },
    expected: [{ found: true, value: false }],
  },
];
