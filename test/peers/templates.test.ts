import { createPublicKey, publicEncrypt } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CloudWatchLogsClient,
  CreateLogGroupCommand,
  CreateLogStreamCommand,
  DescribeLogGroupsCommand,
  FilterLogEventsCommand,
  PutLogEventsCommand,
  PutRetentionPolicyCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import {
  CreateTableCommand,
  DescribeTableCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  PutResourcePolicyCommand,
  QueryCommand,
  ScanCommand,
} from '@aws-sdk/client-dynamodb';
import {
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GetPublicKeyCommand,
  KMSClient,
  PutKeyPolicyCommand,
} from '@aws-sdk/client-kms';
import {
  CreateSecretCommand,
  GetSecretValueCommand,
  ListSecretsCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accepted, outcome, refused } from '../contract/outcome.ts';
import { type SandboxTarget, startSandbox } from '../contract/sandbox-target.ts';
import { type Moto, startMoto } from './support/moto.ts';
import { arePeersMissing } from './support/peer.ts';
import { runPeer } from './support/run-peer.ts';

const folder = join(import.meta.dirname, '../../templates');
const files = readdirSync(folder);
const file = (name: string): string => join(folder, name);

const nowhere = {
  endpoint: '',
  region: 'eu-west-1',
  credentials: { accessKeyId: '', secretAccessKey: '' },
  roleArn: '',
};
const denied = refused('AccessDeniedException');

const masterKeyOf = (agent: string) => ({
  'gatehouse:agent': agent,
  'gatehouse:purpose': 'master-key',
  'gatehouse:generation': '1',
});

interface Resource {
  readonly Type: string;
  readonly Properties: Readonly<Record<string, unknown>>;
}

/** The resources of a template, with these parameters and exports of other stacks in their places. */
async function resolved(
  name: string,
  parameters: Record<string, string> = {},
  exports: Record<string, string> = {},
): Promise<Record<string, Resource>> {
  const script = join(import.meta.dirname, 'resolve_template.py');
  const args = [script, file(name), JSON.stringify(parameters), JSON.stringify(exports)];
  const { stdout, stderr, exitCode } = await runPeer('python', args, nowhere);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return JSON.parse(stdout) as Record<string, Resource>;
}

describe.skipIf(arePeersMissing('cfn-lint'))('templates', () => {
  it('are all that docs/keys.md tells of, and cfn-lint finds nothing wrong with them', async () => {
    const { stdout, exitCode } = await runPeer(
      'cfn-lint',
      ['-r', 'eu-west-1', '--', ...files.map(file)],
      nowhere,
    );

    expect(files).toEqual([
      'alarms.yaml',
      'binding-key.yaml',
      'host.yaml',
      'identity-alarms.yaml',
      'registry.yaml',
      'rsa-binding-key.yaml',
      'trust-anchor.yaml',
    ]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '' });
  });
});

describe.skipIf(arePeersMissing('moto', 'aws'))('templates, in moto', () => {
  let moto: Moto;

  beforeAll(async () => {
    moto = await startMoto();
  });

  afterAll(() => moto.close());

  const aws = (...args: string[]) => runPeer('aws', ['--output', 'json', ...args], moto);
  // By one call: of a change set, as `aws cloudformation deploy` makes, moto forgets the exports.
  const create = (stack: string, template: string, parameters: Record<string, string> = {}) => {
    const given = Object.entries(parameters).map(
      ([name, value]) => `ParameterKey=${name},ParameterValue=${value}`,
    );
    // Of a tag of a KMS key moto wants TagKey, where CloudFormation has Key, which cfn-lint holds us to.
    const text = readFileSync(file(template), 'utf8').replace(/^ +Tags:\n.*gatehouse-binding-key.*\n/mu, '');
    const body = ['--template-body', text, '--capabilities', 'CAPABILITY_IAM'];
    const rest = given.length === 0 ? [] : ['--parameters', ...given];
    return aws('cloudformation', 'create-stack', '--stack-name', stack, ...body, ...rest);
  };
  const query = async (...args: string[]): Promise<unknown> => {
    const { stdout, stderr, exitCode } = await aws(...args);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    return JSON.parse(stdout);
  };

  it('a host asked for with another stack’s name is told which export is not there', async () => {
    const { stderr, exitCode } = await create('gatehouse-host-web-1', 'host.yaml', {
      HostName: 'web-1',
      GatewaySecretName: 'prod/gatehouse/web',
      KeyStackName: '',
      RegistryStackName: 'gatehouse-registri',
    });

    expect(exitCode).not.toBe(0);
    expect(stderr).toContain('No export named gatehouse-registri-TableArn found');
    await moto.reset();
  });

  it('identity-alarms.yaml is made beside a trust anchor of that name', async () => {
    // moto makes no trust anchor, and so no export of one: another stack gives it.
    const exporter = {
      Resources: { Topic: { Type: 'AWS::SNS::Topic' } },
      Outputs: { Arn: { Value: 'arn', Export: { Name: 'gatehouse-trust-anchor-TrustAnchorArn' } } },
    };
    await aws(
      'cloudformation',
      'create-stack',
      '--stack-name',
      'e',
      '--template-body',
      JSON.stringify(exporter),
    );
    await aws('logs', 'create-log-group', '--log-group-name', '/gatehouse/web-1');

    const made = await create('gatehouse-identity-alarms', 'identity-alarms.yaml', {
      Email: 'ops@example.com',
      AuditLogGroup: '/gatehouse/web-1',
    });
    const { StackResourceSummaries } = (await query(
      'cloudformation',
      'list-stack-resources',
      '--stack-name',
      'gatehouse-identity-alarms',
    )) as { StackResourceSummaries: object[] };
    const { Rules } = (await query('events', 'list-rules')) as { Rules: object[] };
    await moto.reset();

    expect(made).toMatchObject({ exitCode: 0, stderr: '' });
    // Topic and its policy, two rules, four alarms, a filter.
    expect(StackResourceSummaries).toHaveLength(9);
    expect(Rules).toHaveLength(2);
  });

  it('are created in the order and under the names of docs/keys.md', async () => {
    const host = { HostName: 'web-1', GatewaySecretName: 'prod/gatehouse/web' };
    for (const [stack, template, parameters] of [
      ['gatehouse-binding-key', 'binding-key.yaml', {}],
      ['gatehouse-registry', 'registry.yaml', {}],
      ['gatehouse-host-web-1', 'host.yaml', host],
      [
        'gatehouse-binding-key-web-2',
        'rsa-binding-key.yaml',
        { HostName: 'web-2', AliasName: 'alias/gatehouse-web-2' },
      ],
      ['gatehouse-alarms', 'alarms.yaml', { Email: 'ops@example.com', ImportedMaterialExpires: 'yes' }],
    ] as const) {
      expect(await create(stack, template, parameters)).toMatchObject({ exitCode: 0, stderr: '' });
    }
    const { Stacks } = (await query('cloudformation', 'describe-stacks')) as {
      Stacks: { StackStatus: string }[];
    };
    expect(Stacks.map(({ StackStatus }) => StackStatus)).toEqual(
      Array.from({ length: 5 }, () => 'CREATE_COMPLETE'),
    );

    const { Table } = (await query('dynamodb', 'describe-table', '--table-name', 'gatehouse-keys')) as {
      Table: object;
    };
    expect(Table).toMatchObject({
      KeySchema: [
        { AttributeName: 'agent', KeyType: 'HASH' },
        { AttributeName: 'item', KeyType: 'RANGE' },
      ],
      DeletionProtectionEnabled: true,
      BillingModeSummary: { BillingMode: 'PAY_PER_REQUEST' },
    });
    // Of a key that it made from a template moto describes nothing.
    const { Aliases } = (await query('kms', 'list-aliases')) as {
      Aliases: { AliasName: string; TargetKeyId: string }[];
    };
    const binding = Aliases.find(({ AliasName }) => AliasName === 'alias/gatehouse-binding');
    expect(Aliases.map(({ AliasName }) => AliasName)).toContain('alias/gatehouse-web-2');
    const rotation = await query('kms', 'get-key-rotation-status', '--key-id', binding?.TargetKeyId ?? '');
    expect(rotation).toMatchObject({ KeyRotationEnabled: true });
    const { Roles } = (await query('iam', 'list-roles')) as { Roles: { RoleName: string }[] };
    const role = Roles.find(({ RoleName }) => RoleName.startsWith('gatehouse-host-web-1'))?.RoleName ?? '';
    const { PolicyNames } = (await query('iam', 'list-role-policies', '--role-name', role)) as {
      PolicyNames: string[];
    };
    expect(PolicyNames.toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
      'read-secrets',
      'use-binding-key',
      'use-key-registry',
      'write-logs',
    ]);
    const tags = await query('iam', 'list-role-tags', '--role-name', role);
    expect(tags).toMatchObject({ Tags: [{ Key: 'gatehouse-name', Value: 'web-1' }] });
    const alarms = (await query(
      'cloudformation',
      'list-stack-resources',
      '--stack-name',
      'gatehouse-alarms',
    )) as { StackResourceSummaries: { LogicalResourceId: string }[] };
    // Its alarms say no name.
    const made = alarms.StackResourceSummaries.map(({ LogicalResourceId: id }) => id);
    expect(made).toHaveLength(5);
    expect(made).toEqual(expect.arrayContaining(['Topic', 'KeyChanged']));
  });
});

describe.skipIf(arePeersMissing('python'))('identity-alarms.yaml', () => {
  it('looks for what agents audit, and finds it in their records', async () => {
    const given = { Email: 'ops@example.com', AuditLogGroup: '/gatehouse/web-1' };
    const resources = await resolved('identity-alarms.yaml', given, {
      'gatehouse-trust-anchor-TrustAnchorArn': 'arn',
    });
    const filterPattern = String(resources['IdentityFails']?.Properties['FilterPattern']);
    const names = [...filterPattern.matchAll(/"([a-z.-]+)"/gu)].map(([, name = '']) => name);
    const catalogue = readFileSync(join(import.meta.dirname, '../../docs/reference/log-events.md'), 'utf8');
    const target = await startSandbox();
    const logs = new CloudWatchLogsClient({ ...target, maxAttempts: 1 });
    const stream = { logGroupName: '/gatehouse/web-1', logStreamName: 'agent' };
    await logs.send(new CreateLogGroupCommand(stream));
    await logs.send(new CreateLogStreamCommand(stream));
    const said = [...names, 'credentials.renewed', 'secret.read'];
    const logEvents = said.map((event) => ({ timestamp: Date.now(), message: JSON.stringify({ event }) }));
    await logs.send(new PutLogEventsCommand({ ...stream, logEvents }));

    const { events = [] } = await logs.send(new FilterLogEventsCommand({ ...stream, filterPattern }));
    logs.destroy();
    await target.close();

    expect(names).toHaveLength(7);
    expect(events.map(({ message = '' }) => (JSON.parse(message) as { event: string }).event)).toEqual(names);
    for (const name of names) {
      expect(catalogue).toMatch(new RegExp(`^\\| \\[${name}\\]\\(.*\\| (?:success|failure) \\|`, 'mu'));
    }
  });
});

describe.skipIf(arePeersMissing('python'))('the policies of the templates, in the sandbox', () => {
  let target: SandboxTarget;
  let keyArn: string;
  let tableArn: string;
  const clients: { destroy(): void }[] = [];

  beforeAll(async () => {
    target = await startSandbox();
    const { kms, dynamoDb } = clientsOf(target.credentials);
    const { Key } = await resolved('binding-key.yaml');
    const Policy = JSON.stringify(Key?.Properties['KeyPolicy']);
    const made = await kms.send(new CreateKeyCommand({ Policy }));
    keyArn = made.KeyMetadata?.Arn ?? '';
    const { Table } = await resolved('registry.yaml');
    if (Table === undefined) throw new TypeError('no table in the template');
    const { AttributeDefinitions, KeySchema, BillingMode, TableName, ResourcePolicy } =
      Table.Properties as unknown as {
        TableName: string;
        AttributeDefinitions: [];
        KeySchema: [];
        BillingMode: 'PAY_PER_REQUEST';
        ResourcePolicy: { PolicyDocument: object };
      };
    const table = { TableName, AttributeDefinitions, KeySchema, BillingMode };
    const { TableDescription } = await dynamoDb.send(new CreateTableCommand(table));
    tableArn = TableDescription?.TableArn ?? '';
    await dynamoDb.send(new DescribeTableCommand({ TableName }));
    const document = JSON.stringify(ResourcePolicy.PolicyDocument);
    await dynamoDb.send(new PutResourcePolicyCommand({ ResourceArn: tableArn, Policy: document }));
  });

  afterAll(async () => {
    for (const client of clients) client.destroy();
    await target.close();
  });

  function clientsOf(credentials: SandboxTarget['credentials']) {
    const { endpoint, region } = target;
    const made = {
      kms: new KMSClient({ endpoint, region, credentials, maxAttempts: 1 }),
      dynamoDb: new DynamoDBClient({ endpoint, region, credentials, maxAttempts: 1 }),
      secretsManager: new SecretsManagerClient({ endpoint, region, credentials, maxAttempts: 1 }),
      logs: new CloudWatchLogsClient({ endpoint, region, credentials, maxAttempts: 1 }),
    };
    clients.push(...Object.values(made));
    return made;
  }

  /** A session of the role that host.yaml makes for this host. */
  async function host(HostName: string, parameters: Record<string, string> = {}, boundTo = keyArn) {
    const resources = await resolved(
      'host.yaml',
      { HostName, GatewaySecretName: 'prod/web', ...parameters },
      {
        'gatehouse-binding-key-KeyArn': boundTo,
        'gatehouse-binding-key-AliasName': 'alias/gatehouse-binding',
        'gatehouse-registry-TableArn': tableArn,
      },
    );
    const role = resources['Role']?.Properties as { Tags: { Key: string; Value: string }[] };
    const policies = Object.values(resources)
      .filter(({ Type }) => Type === 'AWS::IAM::Policy')
      .map(({ Properties }) => JSON.stringify(Properties['PolicyDocument']));
    const tags = new Map(role.Tags.map(({ Key, Value }) => [Key, Value]));
    target.sandbox.identities.createRole(`Host-${HostName}`, { policies, tags });
    const session = { role: `Host-${HostName}`, sessionName: 'i-1', durationSeconds: 3600 };
    return clientsOf(target.sandbox.identities.issueSession(session));
  }

  it('a host wraps and opens its own master key, and is refused another host’s', async () => {
    const [a, b] = [await host('web-a'), await host('web-b')];
    const { CiphertextBlob } = await a.kms.send(
      new GenerateDataKeyCommand({
        KeyId: keyArn,
        KeySpec: 'AES_256',
        EncryptionContext: masterKeyOf('web-a'),
      }),
    );
    const opening = ({ kms }: typeof a, EncryptionContext: Record<string, string>) =>
      outcome(kms.send(new DecryptCommand({ KeyId: keyArn, CiphertextBlob, EncryptionContext })));

    expect(await opening(a, masterKeyOf('web-a'))).toBe(accepted);
    expect(await opening(b, masterKeyOf('web-a'))).toEqual(denied);
    expect(await opening(b, masterKeyOf('web-b'))).toEqual(refused('InvalidCiphertextException'));
    expect(await outcome(a.kms.send(new DescribeKeyCommand({ KeyId: keyArn })))).toBe(accepted);
    expect(await outcome(a.kms.send(new PutKeyPolicyCommand({ KeyId: keyArn, Policy: '{}' })))).toEqual(
      denied,
    );
  });

  it('a host uses a key that took the place of the first, known by its tag, and no other', async () => {
    const a = await host('web-a');
    const Policy = target.sandbox.state.kms.keys.get(keyArn)?.policy;
    const using = async (tag: string) => {
      const Tags = [{ TagKey: 'gatehouse-binding-key', TagValue: tag }];
      const made = await clientsOf(target.credentials).kms.send(new CreateKeyCommand({ Policy, Tags }));
      const KeyId = made.KeyMetadata?.Arn;
      const EncryptionContext = masterKeyOf('web-a');
      return outcome(
        a.kms.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', EncryptionContext })),
      );
    };

    expect(await using('alias/gatehouse-binding')).toBe(accepted);
    expect(await using('alias/gatehouse-other')).toEqual(denied);
  });

  it('what bears no host’s name is every host’s, what bears one is that host’s', async () => {
    const [a, b] = [await host('web-a'), await host('web-b')];
    const encrypting = ({ kms }: typeof a, EncryptionContext: Record<string, string>) =>
      outcome(
        kms.send(new EncryptCommand({ KeyId: keyArn, Plaintext: Buffer.from('x'), EncryptionContext })),
      );
    const sealed = {
      'gatehouse:purpose': 'sealed-file',
      'gatehouse:name': 'tls-key',
      'gatehouse:version': '1',
    };

    expect(await encrypting(a, { 'gatehouse:purpose': 'spool', 'gatehouse:host': 'x' })).toBe(accepted);
    const spool = { 'gatehouse:purpose': 'spool', 'gatehouse:agent': 'web-a', 'gatehouse:key': '1' };
    expect([await encrypting(a, spool), await encrypting(b, spool)]).toEqual([accepted, denied]);
    expect(await encrypting(a, sealed)).toBe(accepted);
    expect(await encrypting(a, { ...sealed, 'gatehouse:agent': 'web-a' })).toBe(accepted);
    expect(await encrypting(b, { ...sealed, 'gatehouse:agent': 'web-a' })).toEqual(denied);
    expect(await encrypting(b, { 'gatehouse:purpose': 'master-key' })).toEqual(denied);
  });

  it('an RSA key is its own host’s, and opens by one algorithm', async () => {
    const { Key } = await resolved('rsa-binding-key.yaml', {
      HostName: 'web-a',
      AliasName: 'alias/web-a',
    });
    if (Key === undefined) throw new TypeError('no key in the template');
    const { KeySpec, KeyUsage, KeyPolicy } = Key.Properties as unknown as {
      KeySpec: 'RSA_2048';
      KeyUsage: 'ENCRYPT_DECRYPT';
      KeyPolicy: object;
    };
    const operator = clientsOf(target.credentials).kms;
    const command = new CreateKeyCommand({ KeySpec, KeyUsage, Policy: JSON.stringify(KeyPolicy) });
    const { KeyMetadata } = await operator.send(command);
    const KeyId = KeyMetadata?.Arn ?? '';
    // Even a role that may do anything with the key is not this host.
    const [a, b] = [
      await host('web-a', { KeyKind: 'rsa' }, KeyId),
      await host('web-b', { KeyKind: 'rsa' }, KeyId),
    ];
    const { PublicKey } = await a.kms.send(new GetPublicKeyCommand({ KeyId }));
    const encrypted = (oaepHash: string) =>
      publicEncrypt(
        {
          key: createPublicKey({ key: Buffer.from(PublicKey ?? []), type: 'spki', format: 'der' }),
          oaepHash,
        },
        Buffer.from('x'),
      );
    const opening = ({ kms }: typeof a, hash = '256') =>
      outcome(
        kms.send(
          new DecryptCommand({
            KeyId,
            CiphertextBlob: encrypted(`sha${hash}`),
            EncryptionAlgorithm: `RSAES_OAEP_SHA_${hash}` as 'RSAES_OAEP_SHA_256',
          }),
        ),
      );

    expect(await opening(a)).toBe(accepted);
    expect(await opening(a, '1')).toEqual(denied);
    expect(await opening(b)).toEqual(denied);
    expect(await opening({ ...b, kms: operator })).toEqual(denied);
    expect(await outcome(b.kms.send(new GetPublicKeyCommand({ KeyId })))).toEqual(denied);
    expect(
      await outcome(
        a.kms.send(
          new EncryptCommand({
            KeyId,
            Plaintext: Buffer.from('x'),
            EncryptionAlgorithm: 'RSAES_OAEP_SHA_256',
          }),
        ),
      ),
    ).toEqual(denied);
  });

  it('a host reads its gateway config and writes its own log group, and nothing beside', async () => {
    const { secretsManager, logs } = clientsOf(target.credentials);
    for (const Name of ['prod/web', 'prod/other']) {
      await secretsManager.send(new CreateSecretCommand({ Name, SecretString: '{}' }));
    }
    await logs.send(new CreateLogGroupCommand({ logGroupName: '/other' }));
    const a = await host('web-a');
    const reading = (SecretId: string) =>
      outcome(a.secretsManager.send(new GetSecretValueCommand({ SecretId })));
    const logging = (logGroupName: string) =>
      outcome(a.logs.send(new CreateLogStreamCommand({ logGroupName, logStreamName: 's' })));

    expect([await reading('prod/web'), await reading('prod/other')]).toEqual([accepted, denied]);
    expect(await outcome(a.secretsManager.send(new ListSecretsCommand({})))).toEqual(denied);
    const group = { logGroupName: '/gatehouse/web-a' };
    expect(await outcome(a.logs.send(new CreateLogGroupCommand(group)))).toBe(accepted);
    expect(await outcome(a.logs.send(new PutRetentionPolicyCommand({ ...group, retentionInDays: 30 })))).toBe(
      accepted,
    );
    expect([await logging('/gatehouse/web-a'), await logging('/other')]).toEqual([accepted, denied]);
    const event = { timestamp: Date.now(), message: 'x' };
    const put = { ...group, logStreamName: 's', logEvents: [event] };
    expect(await outcome(a.logs.send(new PutLogEventsCommand(put)))).toBe(accepted);
    expect(await outcome(a.logs.send(new DescribeLogGroupsCommand({})))).toEqual(denied);
  });

  it('who administers the key cannot use it', async () => {
    const { kms } = clientsOf(target.credentials);
    const EncryptionContext = masterKeyOf('web-a');

    expect(await outcome(kms.send(new DescribeKeyCommand({ KeyId: keyArn })))).toBe(accepted);
    expect(
      await outcome(
        kms.send(new GenerateDataKeyCommand({ KeyId: keyArn, KeySpec: 'AES_256', EncryptionContext })),
      ),
    ).toEqual(denied);
    const making = (purpose: string) => {
      const context = { 'gatehouse:purpose': purpose };
      return outcome(
        kms.send(
          new GenerateDataKeyCommand({ KeyId: keyArn, KeySpec: 'AES_256', EncryptionContext: context }),
        ),
      );
    };
    expect([await making('import-check'), await making('spool')]).toEqual([accepted, denied]);
  });

  it('a host reads and writes its own entries, and neither another’s nor the table', async () => {
    const [a, b] = [await host('web-a'), await host('web-b')];
    const key = { agent: { S: 'web-a' }, item: { S: 'generation#000000001' } };
    const own = { TableName: 'gatehouse-keys', Key: key };
    const querying = ({ dynamoDb }: typeof a) =>
      outcome(
        dynamoDb.send(
          new QueryCommand({
            TableName: 'gatehouse-keys',
            KeyConditionExpression: '#a = :a',
            ExpressionAttributeNames: { '#a': 'agent' },
            ExpressionAttributeValues: { ':a': { S: 'web-a' } },
          }),
        ),
      );
    const putting = ({ dynamoDb }: typeof a) =>
      outcome(dynamoDb.send(new PutItemCommand({ TableName: 'gatehouse-keys', Item: key })));

    expect([await putting(a), await querying(a)]).toEqual([accepted, accepted]);
    expect([await putting(b), await querying(b)]).toEqual([denied, denied]);
    expect(await outcome(b.dynamoDb.send(new GetItemCommand(own)))).toEqual(denied);
    expect(await outcome(a.dynamoDb.send(new ScanCommand({ TableName: 'gatehouse-keys' })))).toEqual(denied);
    expect(await outcome(a.dynamoDb.send(new DescribeTableCommand({ TableName: 'gatehouse-keys' })))).toBe(
      accepted,
    );
  });

  it('the table keeps a host off another’s entries whatever its own policies allow', async () => {
    const { identities } = target.sandbox;
    identities.createRole('Overpowered', { tags: new Map([['gatehouse-name', 'web-x']]) });
    const session = { role: 'Overpowered', sessionName: 'i-1', durationSeconds: 3600 };
    const { dynamoDb } = clientsOf(identities.issueSession(session));
    const operator = clientsOf(target.credentials).dynamoDb;
    const Key = { agent: { S: 'web-a' }, item: { S: 'lease' } };

    expect(await outcome(dynamoDb.send(new GetItemCommand({ TableName: 'gatehouse-keys', Key })))).toEqual(
      denied,
    );
    expect(await outcome(dynamoDb.send(new ScanCommand({ TableName: 'gatehouse-keys' })))).toEqual(denied);
    expect(await outcome(operator.send(new ScanCommand({ TableName: 'gatehouse-keys' })))).toBe(accepted);
  });

  it('a host outside of AWS has a profile instead, and its role trusts its own certificate only', async () => {
    const arn = 'arn:aws:rolesanywhere:eu-west-1:123456789012:trust-anchor/x';
    const parameters = { HostName: 'vm-1', GatewaySecretName: 's', KeyStackName: '', RegistryStackName: '' };
    const exports = { 'gatehouse-trust-anchor-TrustAnchorArn': arn };

    const resources = await resolved(
      'host.yaml',
      { ...parameters, TrustAnchorStackName: 'gatehouse-trust-anchor' },
      exports,
    );

    expect(Object.keys(resources).toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
      'Profile',
      'ReadSecrets',
      'Role',
      'WriteLogs',
    ]);
    expect(resources['Role']?.Properties['AssumeRolePolicyDocument']).toMatchObject({
      Statement: [
        {
          Principal: { Service: 'rolesanywhere.amazonaws.com' },
          Condition: {
            StringEquals: { 'aws:PrincipalTag/x509Subject/CN': 'vm-1' },
            ArnEquals: { 'aws:SourceArn': arn },
          },
        },
      ],
    });
  });
});
