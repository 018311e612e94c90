import { X509Certificate } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gatehouse } from '../support/agent.ts';
import { gatewaySecret, logGroup, setup } from '../support/host.ts';
import { rolesAnywhereHost } from '../support/roles-anywhere.ts';
import { shell } from '../support/shell.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { type Moto, startMoto } from './support/moto.ts';
import { arePeersMissing, peerProgram } from './support/peer.ts';

const searched = (): string => [dirname(peerProgram('aws')), '/usr/bin', '/bin'].join(delimiter);

interface Step {
  readonly what: string;
  readonly commands: readonly string[];
}

/** What a host leaves in an account, made with the AWS CLI. */
const made = `
aws iam create-role --role-name Host --assume-role-policy-document '{}'
aws iam attach-role-policy --role-name Host --policy-arn "$(aws iam create-policy --policy-name p --policy-document "$POLICY" --query Policy.Arn --output text)"
aws iam put-role-policy --role-name Host --policy-name one --policy-document "$POLICY"
aws iam put-role-policy --role-name Host --policy-name two --policy-document "$POLICY"
aws logs create-log-group --log-group-name /gatehouse/web-1
aws kms create-alias --alias-name alias/gatehouse --target-key-id "$(aws kms create-key --query KeyMetadata.KeyId --output text)"
aws dynamodb create-table --table-name keys --billing-mode PAY_PER_REQUEST --attribute-definitions AttributeName=agent,AttributeType=S AttributeName=item,AttributeType=S --key-schema AttributeName=agent,KeyType=HASH AttributeName=item,KeyType=RANGE
aws dynamodb wait table-exists --table-name keys
for item in 'generation#000000001' lease; do aws dynamodb put-item --table-name keys --item '{"agent":{"S":"web-1"},"item":{"S":"'"$item"'"}}'; done
aws dynamodb put-item --table-name keys --item '{"agent":{"S":"web-2"},"item":{"S":"lease"}}'
aws secretsmanager create-secret --name gateway --secret-string "$GATEWAY"
`;

const left = `
aws iam list-roles --query 'Roles[].RoleName'
aws logs describe-log-groups --query 'logGroups[].logGroupName'
aws dynamodb scan --table-name keys --query 'Items[].agent.S'
aws secretsmanager list-secrets --query 'SecretList[].Name'
aws kms describe-key --key-id alias/gatehouse --query '[KeyMetadata.KeyState]'
`;

describe.skipIf(arePeersMissing('moto', 'aws'))('what decommission lists, against moto', () => {
  let moto: Moto;

  beforeAll(async () => {
    moto = await startMoto();
  });

  afterAll(() => moto.close());

  it('removes what the host has, as written, and what other hosts have stays', async () => {
    const folder = temporaryDirectory();
    const config = join(folder, 'config.json');
    const bootstrap = {
      name: 'web-1',
      region: moto.region,
      gatewayConfig: { secretName: 'gateway' },
      credentials: { expectRoleName: 'Host' },
      stateDirectory: join(folder, 'state'),
      runtimeDirectory: join(folder, 'run'),
    };
    writeFileSync(config, JSON.stringify(bootstrap), { mode: 0o600 });
    const gateway = {
      version: 1,
      keys: { bindingKey: 'alias/gatehouse', registryTable: 'keys' },
      events: { sources: { agent: { audit: true } } },
    };
    const policy = {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 'sts:GetCallerIdentity', Resource: '*' }],
    };
    const env = {
      AWS_ENDPOINT_URL: moto.endpoint,
      AWS_ACCESS_KEY_ID: moto.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: moto.credentials.secretAccessKey,
      AWS_REGION: moto.region,
      AWS_DEFAULT_REGION: moto.region,
      AWS_PAGER: '',
      HOME: folder,
      PATH: searched(),
      POLICY: JSON.stringify(policy),
      GATEWAY: JSON.stringify(gateway),
    };
    const filled = await shell(`set -e\n${made}`, { cwd: folder, env });
    expect(filled).toMatchObject({ code: 0, stderr: '' });

    const listed = await gatehouse(['decommission', '--dry-run', '--json', '--config', config], { env });
    const { inAws } = JSON.parse(listed.stdout) as { inAws: readonly Step[] };
    const done = await shell(`set -e\n${inAws.flatMap(({ commands }) => commands).join('\n')}`, {
      cwd: folder,
      env,
    });
    const after = await shell(left, { cwd: folder, env });

    expect(inAws).toHaveLength(5);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(`[${after.stdout.replaceAll(/\]\s*\[/gu, '],[')}]`)).toEqual([
      [],
      [],
      ['web-2'],
      [],
      ['PendingDeletion'],
    ]);
  });
});

/** Some 25 runs of the AWS CLI, each of which takes seconds on a busy machine. */
const scriptMs = 400_000;

/** A list of an AWS CLI's text output, without the tabs and line ends between its members. */
const wordsOf = (text: string): string[] =>
  text.split(/\s+/u).filter((word) => word !== '' && word !== 'None');

it.skipIf(arePeersMissing('aws'))(
  'the script of a host under Roles Anywhere runs whole, as it is printed',
  async () => {
    const roleArn = 'arn:aws:iam::123456789012:role/app';
    const host = await setup({
      bootstrap: { allow: { consumerRoles: [roleArn] } },
      gateway(document) {
        document.keys = { ...document.keys, registryTable: 'keys' };
        document['credentialEndpoints'] = { consumers: { app: { roleArn, socket: {} } } };
        document.events = { sources: { agent: { audit: true } } };
      },
    });
    const { sandbox } = host;
    const { identity, root, leaf, role, anchor, profile } = await rolesAnywhereHost(sandbox, host.disk);
    writeFileSync(
      host.configFile,
      JSON.stringify({
        ...host.bootstrap,
        credentials: { source: 'roles-anywhere', rolesAnywhere: identity },
      }),
    );
    sandbox.identities.createRole('app');
    const authority = temporaryDirectory();
    for (const [name, content] of Object.entries({
      'ca.pem': root.pem,
      'ca.key': root.keyPem,
      'ca.cnf':
        '[ca]\ndefault_ca = hosts\n[hosts]\ndatabase = index.txt\ncrlnumber = crlnumber\ncertificate = ca.pem\nprivate_key = ca.key\ndefault_md = sha256\ndefault_crl_days = 30\n',
      'index.txt': '',
      crlnumber: '01\n',
    })) {
      writeFileSync(join(authority, name), content, { mode: 0o600 });
    }
    const admin = sandbox.identities.createUser('admin');
    const env = {
      AWS_ENDPOINT_URL: host.url,
      AWS_ACCESS_KEY_ID: admin.accessKeyId,
      AWS_SECRET_ACCESS_KEY: admin.secretAccessKey,
      AWS_DEFAULT_REGION: sandbox.region,
      AWS_PAGER: '',
      HOME: authority,
      PATH: searched(),
      POLICY: JSON.stringify({
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Action: 'sts:GetCallerIdentity', Resource: '*' }],
      }),
    };
    const inAccount = (script: string) => shell(script, { cwd: authority, env });
    const filled = await inAccount(`set -e
aws iam put-role-policy --role-name ${role.roleName} --policy-name one --policy-document "$POLICY"
aws iam put-role-policy --role-name ${role.roleName} --policy-name two --policy-document "$POLICY"
aws dynamodb create-table --table-name keys --billing-mode PAY_PER_REQUEST --attribute-definitions AttributeName=agent,AttributeType=S AttributeName=item,AttributeType=S --key-schema AttributeName=agent,KeyType=HASH AttributeName=item,KeyType=RANGE
aws dynamodb wait table-exists --table-name keys
aws dynamodb put-item --table-name keys --item '{"agent":{"S":"web-1"},"item":{"S":"lease"}}'
aws logs create-log-group --log-group-name ${logGroup}`);
    expect(filled).toMatchObject({ code: 0, stderr: '' });

    const listed = await host.run(['decommission', '--dry-run']);
    const { onHost } = JSON.parse((await host.run(['decommission', '--dry-run', '--json'])).stdout) as {
      onHost: readonly Step[];
    };
    // The script is run on this very machine: nothing but this host's own may be in it.
    expect(onHost.flatMap(({ commands }) => commands)).toEqual([
      `rm -r -- ${host.runtimeDirectory}`,
      `rm -f -- ${identity.certificate} ${identity.privateKey}`,
      `rm -f -- ${host.configFile}`,
    ]);
    const done = await inAccount(`set -e\n${listed.stdout}`);
    const remaining = await inAccount(`set -e
aws logs describe-log-groups --query 'logGroups[].logGroupName' --output text
aws dynamodb scan --table-name keys --query 'Items[].agent.S' --output text
aws secretsmanager describe-secret --secret-id ${gatewaySecret} --query 'DeletedDate && \`deleted\`' --output text
aws kms describe-key --key-id alias/gatehouse-binding --query KeyMetadata.KeyState --output text`);

    expect({ code: done.code, stderr: done.code === 0 ? '' : done.stderr }).toEqual({ code: 0, stderr: '' });
    expect(
      [host.runtimeDirectory, identity.privateKey, host.configFile].filter((path) => existsSync(path)),
    ).toEqual([]);
    expect(sandbox.rolesAnywhere.crls().map(({ trustAnchorArn }) => trustAnchorArn)).toEqual([anchor.arn]);
    expect(
      sandbox.rolesAnywhere.revocationsOf(anchor).map(({ serialNumbers }) => Array.from(serialNumbers)),
    ).toEqual([[BigInt(`0x${new X509Certificate(leaf.der).serialNumber}`).toString()]]);
    expect(sandbox.rolesAnywhere.trustAnchor(anchor.arn)).toBeUndefined();
    expect(sandbox.rolesAnywhere.profile(profile.arn)).toBeUndefined();
    expect(sandbox.identities.role(role.arn)).toBeUndefined();
    expect(remaining.stderr).toBe('');
    expect(wordsOf(remaining.stdout)).toEqual(['deleted', 'PendingDeletion']);
  },
  scriptMs,
);
