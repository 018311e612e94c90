import { expect, test } from 'vitest';
import { credentialsConfig } from '../../identity/config.ts';
import { gatewaySchema } from '../config.ts';
import { type HostInAws, stepsInAws } from './in-aws.ts';

const arn = (kind: string): string => `arn:aws:rolesanywhere:eu-west-1:123456789012:${kind}/1b5f2a3c`;
const role = (name: string): string => `arn:aws:iam::210987654321:role/${name}`;

const bootstrap: HostInAws['bootstrap'] = {
  name: 'web-1',
  region: 'eu-central-1',
  credentials: credentialsConfig.parse({}),
  gatewayConfig: {
    secretName: 'prod/gatehouse/web',
    versionStage: 'AWSCURRENT',
    refreshCron: '',
    lastKnownGood: { enabled: true, keys: [] },
  },
};

function host(over: Partial<HostInAws>): HostInAws {
  return { bootstrap, gateway: undefined, hostId: 'h', hostname: 'web-1.example', ...over };
}

function commandsOf(over: Partial<HostInAws>): string[] {
  return stepsInAws(host(over)).flatMap(({ commands }) => commands);
}

test('of a host whose gateway config could not be read the bootstrap config tells', () => {
  expect(commandsOf({})).toEqual([
    'aws secretsmanager delete-secret --secret-id prod/gatehouse/web --recovery-window-in-days 30 --region eu-central-1',
  ]);
});

test('under Roles Anywhere the certificate is revoked first, and profile, anchor and role come last', () => {
  const rolesAnywhere = {
    trustAnchorArn: arn('trust-anchor'),
    profileArn: arn('profile'),
    roleArn: 'arn:aws:iam::123456789012:role/path/Hybrid',
    certificate: '/etc/gatehouse/identity/host.pem',
    privateKey: '/etc/gatehouse/identity/host.key',
  };

  const commands = commandsOf({
    bootstrap: { ...bootstrap, credentials: credentialsConfig.parse({ rolesAnywhere }) },
  });

  expect(commands.map((each) => each.split(' ').slice(0, 3).join(' '))).toEqual([
    'openssl ca -config',
    'openssl ca -config',
    'aws rolesanywhere import-crl',
    'aws rolesanywhere disable-profile',
    'aws rolesanywhere delete-profile',
    'aws rolesanywhere disable-trust-anchor',
    'aws rolesanywhere delete-trust-anchor',
    'aws iam list-attached-role-policies',
    'aws iam list-role-policies',
    'aws iam delete-role',
    'aws secretsmanager delete-secret',
  ]);
  // Its region is that of the ARN, not the host's.
  expect(commands[5]).toBe(
    'aws rolesanywhere disable-trust-anchor --trust-anchor-id 1b5f2a3c --region eu-west-1',
  );
  expect(commands[9]).toBe('aws iam delete-role --role-name Hybrid');
});

test('the certificate to revoke is in the script, for its file is gone by then and the authority elsewhere', () => {
  const rolesAnywhere = {
    trustAnchorArn: arn('trust-anchor'),
    profileArn: arn('profile'),
    roleArn: role('Hybrid'),
    certificate: 'pkcs11:object=web-1',
    privateKey: 'pkcs11:object=web-1',
  };
  const credentials = credentialsConfig.parse({ rolesAnywhere });
  const pem = '-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n';

  const [known = ''] = commandsOf({ bootstrap: { ...bootstrap, credentials }, certificate: pem });
  const [unknown = ''] = commandsOf({ bootstrap: { ...bootstrap, credentials } });

  expect(known).toBe(`openssl ca -config ca.cnf -revoke /dev/stdin <<'PEM'\n${pem}PEM`);
  expect(unknown).toBe('openssl ca -config ca.cnf -revoke pkcs11:object=web-1');
});

test('each log group is listed once, with whose it is', () => {
  const gateway = gatewaySchema.parse({
    version: 1,
    keys: { bindingKey: 'alias/gatehouse' },
    events: {
      sources: {
        app: { files: ['/var/log/app.log'] },
        agent: { audit: true },
        web: { files: ['/var/log/web.log'], logGroup: '/central/{source}', roleArn: role('logs') },
      },
    },
  });

  const steps = stepsInAws(host({ gateway })).filter(({ what }) => what.startsWith('the log group'));

  expect(steps.map(({ what }) => what)).toEqual([
    'the log group /gatehouse/web-1',
    `the log group /central/web in the account of ${role('logs')}`,
  ]);
  expect(steps.map(({ remarks }) => remarks.includes('Only where no other host uses it.'))).toEqual([
    false,
    true,
  ]);
});

test('a log group of another account is not deleted with the credentials of this one', () => {
  const gateway = gatewaySchema.parse({
    version: 1,
    keys: { bindingKey: 'alias/gatehouse' },
    events: { logGroup: '/shared', sources: { agent: { audit: true } }, roleArn: role('logs') },
  });

  expect(commandsOf({ gateway })[0]).toBe(
    '[ "$(aws sts get-caller-identity --query Account --output text)" = 210987654321 ] && ' +
      'aws logs delete-log-group --log-group-name /shared --region eu-central-1',
  );
});

test('a log group whose name is not all known is looked for, and none is deleted', () => {
  const gateway = gatewaySchema.parse({
    version: 1,
    keys: { bindingKey: 'alias/gatehouse' },
    events: { logGroup: '/{name}/{instanceId}/{source}', sources: { agent: { audit: true } } },
  });

  expect(commandsOf({ gateway })[0]).toBe(
    "aws logs describe-log-groups --log-group-name-prefix /web-1/ --query 'logGroups[].logGroupName' --region eu-central-1",
  );
});

test('roles that trust this host are named once each, and what is sealed is warned of', () => {
  const gateway = gatewaySchema.parse({
    version: 1,
    keys: { bindingKey: 'alias/gatehouse', registryTable: 'gatehouse-keys' },
    secrets: { one: { secretsManager: { secretId: 's', roleArn: role('reader') } } },
    credentialEndpoints: { consumers: { app: { roleArn: role('reader'), socket: {} } } },
  });

  const steps = stepsInAws(host({ gateway }));

  expect(steps.map(({ what }) => what)).toEqual([
    'the items of web-1 in the key registry',
    `the trust policy of ${role('reader')}`,
    'the gateway config prod/gatehouse/web',
    'the binding key alias/gatehouse',
  ]);
  expect(steps.at(-1)?.remarks.join(' ')).toContain('never be opened again');
});
