import { renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { canary } from '../support/canary.ts';
import { type Host, helperOutput, nobody, numbered, rolesAnywhereOf, setup } from '../support/host.ts';
import { openIdProvider, trustPolicyFor } from '../support/open-id-provider.ts';
import { rolesAnywhereHost } from '../support/roles-anywhere.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

describe('an agent with nothing but an identity delivers, opens, and ships 100,000 lines through a rotation', () => {
  it('as an instance role', async () => {
    expect(await mainJob(() => ({}))).toStrictEqual(doneAs('instance-role'));
  });

  it('as a container, with a full URI and a token file', async () => {
    const outcome = await mainJob(({ disk, url, sandbox: { container } }) => {
      const tokenFile = join(disk, 'container-token');
      writeFileSync(tokenFile, container.authorizationToken, { mode: 0o600 });
      return {
        AWS_EC2_METADATA_SERVICE_ENDPOINT: undefined,
        AWS_EC2_METADATA_DISABLED: 'true',
        AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}${container.path}`,
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: tokenFile,
      };
    });

    expect(outcome).toStrictEqual(doneAs('container'));
  });

  it('as the environment says', async () => {
    const outcome = await mainJob(({ sandbox }) => {
      const { accessKeyId, secretAccessKey, sessionToken } = sandbox.identities.issueSession({
        role: 'GatehouseHost',
        sessionName: 'shell',
        durationSeconds: 3600,
      });
      return {
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
        AWS_SESSION_TOKEN: sessionToken,
      };
    });

    expect(outcome).toStrictEqual(doneAs('environment'));
  });

  it('as a service account, with a token file', async () => {
    const provider = openIdProvider();
    const tokenFile = join(temporaryDirectory(), 'token');
    writeFileSync(tokenFile, provider.token(), { mode: 0o600 });

    const outcome = await mainJob(({ sandbox: { identities } }) => {
      const { arn } = identities.openIdProviders.create(provider.registration);
      const trustPolicy = trustPolicyFor(arn, 'system:serviceaccount:default:app');
      const role = identities.createRole('Pod', { trustPolicy });
      return { AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile, AWS_ROLE_ARN: role.arn };
    });

    expect(outcome).toStrictEqual(doneAs('web-identity'));
  });

  it('as a profile, with a program that gets the credentials', async () => {
    const folder = temporaryDirectory();
    const program = join(folder, 'credentials-program');
    const config = join(folder, 'config');
    writeFileSync(config, `[profile host]\ncredential_process = ${program} --json\n`, { mode: 0o600 });

    const outcome = await mainJob(({ sandbox }) => {
      const script = `#!/bin/sh\n[ "$1" = --json ] || exit 2\ncat <<'END'\n${helperOutput(sandbox)}\nEND\n`;
      writeFileSync(program, script, { mode: 0o700 });
      return { AWS_CONFIG_FILE: config, AWS_PROFILE: 'host' };
    });

    expect(outcome).toStrictEqual(doneAs('profile'));
  });

  it('as a certificate, with a helper that signs', async () => {
    const folder = temporaryDirectory();
    const helper = join(folder, 'signing-helper');
    const rolesAnywhere = rolesAnywhereOf(folder, helper);

    const outcome = await mainJob(
      ({ sandbox }) => {
        const document = join(folder, 'credentials.json');
        writeFileSync(document, helperOutput(sandbox), { mode: 0o600 });
        const script = `#!/bin/sh\n[ "$1" = credential-process ] || exit 2\nexec /bin/cat ${document}\n`;
        writeFileSync(helper, script, { mode: 0o700 });
        return {};
      },
      { credentials: { source: 'roles-anywhere', rolesAnywhere } },
    );

    expect(outcome).toStrictEqual(doneAs('roles-anywhere'));
  });

  it('as a certificate alone', async () => {
    const outcome = await mainJob(async ({ sandbox, disk }) => {
      const { identity } = await rolesAnywhereHost(sandbox, disk, { intermediates: 1 });
      return {
        AWS_EC2_METADATA_SERVICE_ENDPOINT: undefined,
        AWS_EC2_METADATA_DISABLED: 'true',
        GATEHOUSE_CREDENTIALS_SOURCE: 'roles-anywhere',
        GATEHOUSE_CREDENTIALS_ROLES_ANYWHERE_TRUST_ANCHOR_ARN: identity.trustAnchorArn,
        GATEHOUSE_CREDENTIALS_ROLES_ANYWHERE_PROFILE_ARN: identity.profileArn,
        GATEHOUSE_CREDENTIALS_ROLES_ANYWHERE_ROLE_ARN: identity.roleArn,
        GATEHOUSE_CREDENTIALS_ROLES_ANYWHERE_CERTIFICATE: identity.certificate,
        GATEHOUSE_CREDENTIALS_ROLES_ANYWHERE_PRIVATE_KEY: identity.privateKey,
        GATEHOUSE_CREDENTIALS_ROLES_ANYWHERE_INTERMEDIATES: identity.intermediates,
      };
    });

    expect(outcome).toStrictEqual(doneAs('roles-anywhere'));
  });
});

const isRoot = process.getuid?.() === 0;
const half = 50_000;
const audited = [
  'credentials.obtained',
  'config.applied',
  'secret.read',
  'delivery.written',
  'agent.ready',
  'agent.stopping',
];

/** What came of the main job when all of it was done. */
function doneAs(source: string) {
  return {
    exitCode: 0,
    source,
    lines: numbered(2 * half),
    passwordIsRight: true,
    tlsKeyIsRight: true,
    // Only root may give files away.
    passwordFile: {
      mode: 0o440,
      uid: isRoot ? nobody : process.getuid?.(),
      gid: isRoot ? nobody : process.getgid?.(),
    },
    notAudited: [],
    defects: [],
  };
}

/** Delivers a secret and a sealed file, and ships a log through a rotation, with the identity that is in place. */
async function mainJob(
  environmentOf: (
    host: Host,
  ) => Record<string, string | undefined> | Promise<Record<string, string | undefined>>,
  bootstrap: Record<string, unknown> = {},
) {
  const tlsKey = canary('tls key');
  const host = await setup({ bootstrap });
  const tlsKeyFile = join(host.runtimeDirectory, 'secrets', 'tls-key');
  const sealedFile = await host.seal('tls-key', tlsKey.value);
  const owned = isRoot ? { owner: String(nobody), group: String(nobody) } : {};
  await host.putGateway((document) => {
    document.secrets['tls-key'] = { sealedFile };
    document.deliveries = [
      { secret: 'database-password', file: host.passwordFile, mode: '0440', ...owned },
      { secret: 'tls-key', file: tlsKeyFile, mode: '0400' },
    ];
  });

  const agent = await host.started(await environmentOf(host));
  host.log(numbered(half));
  await agent.event('events.file-opened');
  renameSync(host.logFile, `${host.logFile}.1`);
  host.log(numbered(half, half));
  await host.arrived(2 * half);
  const ended = await agent.stop();

  const { mode, uid, gid } = statSync(host.passwordFile);
  const inAudit = new Set(host.audit().map(({ event }) => event));
  return {
    exitCode: ended.code,
    source: (await agent.event('credentials.obtained'))['source'],
    lines: host.messages(),
    passwordIsRight: host.delivered() === host.password.value,
    tlsKeyIsRight: host.delivered(tlsKeyFile) === tlsKey.value,
    passwordFile: { mode: mode & 0o7777, uid, gid },
    notAudited: audited.filter((event) => !inAudit.has(event)),
    defects: host.sandbox.defects,
  };
}
