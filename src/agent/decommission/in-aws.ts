import { shellWord } from '../../base/shell-word.ts';
import { type DestinationRole, destinationRole } from '../../events/destination-role.ts';
import { expandTemplate, type TemplateValues } from '../../events/template.ts';
import type { BootstrapConfig, GatewayConfig } from '../config.ts';
import { awsCommand as aws, type Flags } from './aws-command.ts';
import type { Step } from './step.ts';

/** What the commands are made of. */
export interface HostInAws {
  readonly bootstrap: Pick<BootstrapConfig, 'name' | 'region' | 'credentials' | 'gatewayConfig'>;
  /** Undefined where it could not be read. */
  readonly gateway: GatewayConfig | undefined;
  readonly hostId: string | undefined;
  readonly hostname: string;
  /** The host's certificate in PEM; undefined where there is none, or it cannot be read. */
  readonly certificate?: string | undefined;
}

const perhapsShared = 'Only where no other host uses it.';

/**
 * What a host has in AWS, what is its own first: each step with the commands of the AWS CLI that remove it. Access goes
 * before data does, so that nothing comes back.
 */
export function stepsInAws(host: HostInAws): readonly Step[] {
  const { bootstrap, gateway } = host;
  const { region = '', name, gatewayConfig } = bootstrap;
  const { bindingKey, registryTable } = gateway?.keys ?? {};
  return [
    ...certificateSteps(host),
    ...logSteps(host),
    ...stepOf(registryTable, (table) => registryStep(table, name, region)),
    ...rolesOf(gateway).map(trustStep),
    ...identitySteps(host),
    ...stepOf(gatewayConfig.secretName, (secret) => secretStep(secret, region)),
    ...stepOf(bindingKey, (key) => keyStep(key, region)),
  ];
}

function stepOf(thing: string | undefined, step: (thing: string) => Step): Step[] {
  return thing === undefined ? [] : [step(thing)];
}

function certificateSteps({ bootstrap, certificate }: HostInAws): Step[] {
  const { rolesAnywhere } = bootstrap.credentials;
  if (rolesAnywhere === undefined) return [];
  const { trustAnchorArn } = rolesAnywhere;
  const importCrl = aws('rolesanywhere', 'import-crl', {
    name: `${bootstrap.name}-decommissioned`,
    enabled: true,
    'trust-anchor-arn': trustAnchorArn,
    'crl-data': 'fileb://crl.pem',
    ...regionOf(trustAnchorArn),
  });
  return [
    {
      what: 'the certificate: AWS is not to take it any more',
      remarks: [
        'With an authority of OpenSSL, where its key is. Any other gives such a list too.',
        'A trust anchor that has a list gets the new one by update-crl; disable-trust-anchor shuts out every host.',
        'Sessions that live end at their expiry; docs/identity.md says how to end them at once.',
      ],
      commands: [
        certificate === undefined
          ? `openssl ca -config ca.cnf -revoke ${shellWord(rolesAnywhere.certificate)}`
          : // The authority is elsewhere, and the host's own file is gone by then.
            `openssl ca -config ca.cnf -revoke /dev/stdin <<'PEM'\n${certificate.trimEnd()}\nPEM`,
        'openssl ca -config ca.cnf -gencrl -out crl.pem',
        importCrl,
      ],
    },
  ];
}

/** The flag for the region of an ARN. */
function regionOf(arn: string): Flags {
  const region = arn.split(':')[3] ?? '';
  return region === '' ? {} : { region };
}

function logSteps({ bootstrap, gateway, hostId, hostname }: HostInAws): Step[] {
  const { events } = gateway ?? {};
  if (events === undefined) return [];
  const { region = '', name } = bootstrap;
  const steps = new Map<string, Step>();
  for (const [source, own] of Object.entries(events.sources)) {
    const template = own.logGroup ?? events.logGroup;
    const known = { name, hostname, region, source, ...(hostId === undefined ? {} : { hostId }) };
    const { name: group } = expandTemplate('logGroup', template, known);
    const prefix = knownPart(template, known);
    const isKnown = prefix === template;
    const role = destinationRole(events, source);
    const isOwn = ['{name}', '{hostId}', '{hostname}', '{instanceId}'].some((each) =>
      template.includes(each),
    );
    steps.set(`${group} ${role?.roleArn}`, {
      what: `the log group ${group}${role === undefined ? '' : ` in the account of ${role.roleArn}`}`,
      remarks: [
        'What was shipped, and the audit where it went there: keep it as long as you must.',
        ...(isOwn ? [] : [perhapsShared]),
        ...(isKnown
          ? []
          : [
              `Its name is made of ${template}: not all of it is known here. Those that begin so are listed.`,
            ]),
        ...(role === undefined || !isKnown ? [] : ['Nothing is done with credentials of another account.']),
      ],
      commands: [
        isKnown
          ? onlyIn(role, aws('logs', 'delete-log-group', { 'log-group-name': group, region }))
          : listedGroups(expandTemplate('logGroup', prefix, known).name, region),
      ],
    });
  }
  return [...steps.values()];
}

/** A template as far as its first value that is not known here: a name with a gap in it may be another's. */
function knownPart(template: string, known: TemplateValues): string {
  for (const { 0: placeholder, index } of template.matchAll(/\{[^{}]*\}/gu)) {
    if (!Object.hasOwn(known, placeholder.slice(1, -1))) return template.slice(0, index);
  }
  return template;
}

function listedGroups(prefix: string, region: string): string {
  const query = 'logGroups[].logGroupName';
  return aws('logs', 'describe-log-groups', { 'log-group-name-prefix': prefix, query, region });
}

/** The same name may be another's group in the account whose credentials are at hand. */
function onlyIn(role: DestinationRole | undefined, command: string): string {
  if (role === undefined) return command;
  const account = role.roleArn.split(':')[4] ?? '';
  const asked = aws('sts', 'get-caller-identity', { query: 'Account', output: 'text' });
  return `[ "$(${asked})" = ${shellWord(account)} ] && ${command}`;
}

function registryStep(registryTable: string, name: string, region: string): Step {
  const table = { 'table-name': registryTable, region };
  const query = aws('dynamodb', 'query', {
    ...table,
    'key-condition-expression': '#agent = :agent',
    'projection-expression': '#agent, #item',
    'expression-attribute-names': JSON.stringify({ '#agent': 'agent', '#item': 'item' }),
    'expression-attribute-values': JSON.stringify({ ':agent': { S: name } }),
  });
  const remove = `${aws('dynamodb', 'delete-item', table)} --key "$key"`;
  return {
    what: `the items of ${name} in the key registry`,
    remarks: ['Without them, and without this host, what was sealed under its master key stays sealed.'],
    commands: [`${query} --output json | jq -c '.Items[]' | while read -r key; do ${remove}; done`],
  };
}

/** Roles that name this host's role in their trust policy. */
function rolesOf(gateway: GatewayConfig | undefined): readonly string[] {
  if (gateway === undefined) return [];
  const { secrets, events, credentialEndpoints } = gateway;
  const assuming = [
    ...Object.values(secrets).map(({ secretsManager }) => secretsManager),
    events,
    ...Object.values(events?.sources ?? {}),
    ...Object.values(credentialEndpoints.consumers),
  ];
  return [...new Set(assuming.map((each) => each?.roleArn).filter((roleArn) => roleArn !== undefined))];
}

function trustStep(roleArn: string): Step {
  const query = 'Role.AssumeRolePolicyDocument';
  return {
    what: `the trust policy of ${roleArn}`,
    remarks: ["It names this host's role. Take that out, or delete the role with the others of its program."],
    commands: [aws('iam', 'get-role', { 'role-name': lastOf(roleArn), query })],
  };
}

/** The name of a role, the id of a trust anchor. */
function lastOf(arn: string): string {
  return arn.split('/').at(-1) ?? arn;
}

function identitySteps({ bootstrap }: HostInAws): Step[] {
  const { rolesAnywhere, expectRoleName } = bootstrap.credentials;
  const { trustAnchorArn, profileArn, roleArn } = rolesAnywhere ?? {};
  const role = roleArn === undefined ? expectRoleName : lastOf(roleArn);
  return [
    ...stepOf(profileArn, (arn) => anywhereStep('profile', arn)),
    ...stepOf(trustAnchorArn, (arn) => anywhereStep('trust-anchor', arn)),
    ...stepOf(role, roleStep),
  ];
}

function anywhereStep(kind: 'profile' | 'trust-anchor', arn: string): Step {
  const which = { [`${kind}-id`]: lastOf(arn), ...regionOf(arn) };
  return {
    what: `the ${kind.replace('-', ' ')} ${arn}`,
    remarks: [perhapsShared, 'Disabled, it can be enabled again; deleted, it is gone.'],
    commands: [aws('rolesanywhere', `disable-${kind}`, which), aws('rolesanywhere', `delete-${kind}`, which)],
  };
}

function roleStep(role: string): Step {
  const name = { 'role-name': role };
  const each = (list: string, query: string, remove: string, flag: string): string =>
    `${aws('iam', list, { ...name, query, output: 'text' })} | xargs -r -n 1 ${aws('iam', remove, name)} ${flag}`;
  return {
    what: `the role ${role}`,
    remarks: [perhapsShared, 'A role in an instance profile is taken out of it before it is deleted.'],
    commands: [
      each(
        'list-attached-role-policies',
        'AttachedPolicies[].PolicyArn',
        'detach-role-policy',
        '--policy-arn',
      ),
      each('list-role-policies', 'PolicyNames', 'delete-role-policy', '--policy-name'),
      aws('iam', 'delete-role', name),
    ],
  };
}

function secretStep(secretName: string, region: string): Step {
  const secret = { 'secret-id': secretName, 'recovery-window-in-days': '30', region };
  return {
    what: `the gateway config ${secretName}`,
    remarks: [perhapsShared, 'It can be restored for 30 days.'],
    commands: [aws('secretsmanager', 'delete-secret', secret)],
  };
}

function keyStep(key: string, region: string): Step {
  const query = 'KeyMetadata.KeyId';
  // Deletion takes no alias.
  const found = aws('kms', 'describe-key', { 'key-id': key, region, query, output: 'text' });
  const remove = aws('kms', 'schedule-key-deletion', { 'pending-window-in-days': '30', region });
  return {
    what: `the binding key ${key}`,
    remarks: [
      perhapsShared,
      'Whatever was sealed under it can never be opened again: sealed files and spools, and every backup of them.',
    ],
    commands: [`${remove} --key-id "$(${found})"`],
  };
}
