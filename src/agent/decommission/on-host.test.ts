import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { credentialsConfig } from '../../identity/config.ts';
import { gatewaySchema } from '../config.ts';
import { type HostOnDisk, stepsOnHost } from './on-host.ts';

/** A system in a folder, with these files: path → text. */
function setup(files: Readonly<Record<string, string>>, host: Partial<HostOnDisk> = {}) {
  const root = temporaryDirectory();
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  const credentials = credentialsConfig.parse({
    rolesAnywhere: {
      trustAnchorArn: 'arn:aws:rolesanywhere:eu-west-1:123456789012:trust-anchor/a',
      profileArn: 'arn:aws:rolesanywhere:eu-west-1:123456789012:profile/p',
      roleArn: 'arn:aws:iam::123456789012:role/Host',
      certificate: '/etc/gatehouse/identity/host.pem',
      privateKey: '/etc/gatehouse/identity/host.key',
      privateKeyPassword: 'key-password',
    },
  });
  const bootstrap = {
    credentials,
    stateDirectory: '/var/lib/gatehouse',
    runtimeDirectory: '/run/gatehouse',
  };
  const steps = () =>
    stepsOnHost({
      bootstrap,
      configFile: '/etc/gatehouse/config.json',
      gateway: undefined,
      leftover: { batches: 0, events: 0, deadLetters: 0 },
      root,
      ...host,
    });
  return { root, steps, commands: async () => (await steps()).flatMap(({ commands }) => commands) };
}

function empty(paths: readonly string[]): Record<string, string> {
  return Object.fromEntries(paths.map((path) => [path, '']));
}

test('a host that has nothing has nothing to remove', async () => {
  expect(await setup({}).steps()).toEqual([]);
});

test('what is there is listed in the order in which it goes, and nothing else', async () => {
  const { commands } = setup(
    empty([
      '/usr/lib/systemd/system/gatehouse.service',
      '/etc/systemd/system/gatehouse-app.socket',
      '/etc/systemd/system/gatehouse.service.d/files.conf',
      '/run/gatehouse/control.sock',
      '/var/lib/gatehouse/host-id',
      '/etc/gatehouse/identity/host.key',
      '/etc/gatehouse/config.json',
      '/var/lib/dpkg/info/gatehouse.list',
    ]),
  );

  expect(await commands()).toEqual([
    'systemctl disable --now gatehouse.service',
    'systemctl disable --now gatehouse-app.socket',
    'rm -f -- /etc/systemd/system/gatehouse-app.socket',
    'rm -r -- /etc/systemd/system/gatehouse.service.d',
    'rm -r -- /run/gatehouse',
    'rm -r -- /var/lib/gatehouse',
    'rm -f -- /etc/gatehouse/identity/host.key',
    'rm -f -- /etc/gatehouse/config.json',
    'apt-get purge gatehouse',
  ]);
});

test('what is not sent yet, and a master key, are said beside the state directory', async () => {
  const files = ['/var/lib/gatehouse/host-id', '/var/lib/gatehouse/master-key/1.wrapped'];
  const { steps } = setup(empty(files), { leftover: { batches: 2, events: 7, deadLetters: 3 } });

  const [state] = await steps();

  expect(state?.remarks).toEqual([
    'It holds host-id, master-key.',
    expect.stringContaining('NOT SENT YET: 7 events in 2 batches'),
    expect.stringContaining('3 refused events'),
    expect.stringContaining('wrapped master key'),
  ]);
});

test('what a folder holds that goes as a whole is told, whosever it is', async () => {
  const [run] = await setup(empty(['/run/gatehouse/control.sock', '/run/gatehouse/postgres.pid'])).steps();

  expect(run?.remarks).toEqual(['It holds control.sock, postgres.pid.']);
});

test('a host without a master key is not said to have one', async () => {
  const [state] = await setup(empty(['/var/lib/gatehouse/master-key/ledger.db'])).steps();

  expect(state?.remarks.join(' ')).not.toContain('master key');
});

test('a spool that cannot be read is not said to be empty', async () => {
  const [state] = await setup(empty(['/var/lib/gatehouse/host-id']), { leftover: undefined }).steps();

  expect(state?.remarks.join(' ')).toContain('cannot be told');
});

test('what the gateway config names elsewhere is listed: deliveries, tokens, sealed files', async () => {
  const gateway = gatewaySchema.parse({
    version: 1,
    secrets: { key: { sealedFile: '/etc/gatehouse/sealed/key.sealed' } },
    deliveries: [
      { secret: 'key', file: '/run/gatehouse/secrets/key' },
      { secret: 'key', file: "/srv/app's/key" },
    ],
    credentialEndpoints: {
      containerPort: 9912,
      consumers: {
        app: { roleArn: 'arn:aws:iam::123456789012:role/app', tokenFile: { path: '/srv/token' } },
      },
    },
  });
  const files = [
    "/srv/app's/key",
    '/srv/token',
    '/etc/gatehouse/sealed/key.sealed',
    '/run/gatehouse/secrets/key',
  ];

  const commands = await setup(empty(files), { gateway }).commands();

  expect(commands).toEqual([
    `rm -f -- '/srv/app'\\''s/key' /srv/token`,
    'rm -r -- /run/gatehouse',
    'rm -f -- /etc/gatehouse/sealed/key.sealed',
  ]);
});

test('profiles of users that get their credentials here are found, and other ones are not', async () => {
  const config =
    '[default]\nregion = eu-west-1\n[profile hybrid]\ncredential_process = /usr/bin/gatehouse credential-process\n[profile x]\ncredential_process = other\n';
  const users = ['ann', 'bob', 'eve'].map((name, id) => `${name}:x:${id}:${id}::/home/${name}:/bin/sh\n`);
  const { root, steps } = setup({
    '/home/ann/.aws/config': config,
    '/home/bob/.aws/config': '[default]\n',
    '/etc/passwd': users.join(''),
  });
  mkdirSync(join(root, '/home/eve/.aws'), { recursive: true });
  symlinkSync('/nowhere', join(root, '/home/eve/.aws/config'));

  expect(await steps()).toMatchObject([
    {
      what: '/home/ann/.aws/config gets credentials from Gatehouse: [profile hybrid]',
      commands: [
        "sed -i --follow-symlinks -E '/^credential_process *=.*(gatehouse|aws_signing_helper)/d' /home/ann/.aws/config",
      ],
    },
  ]);
});

test("a pipe in the place of a user's config, or a link to one, holds nobody up", async () => {
  const passwd = ['ann', 'eve'].map((name, id) => `${name}:x:${id}:${id}::/home/${name}:/bin/sh\n`).join('');
  const { root, steps } = setup({ '/home/ann/.aws/x': '', '/home/eve/.aws/x': '', '/etc/passwd': passwd });
  execFileSync('mkfifo', [join(root, '/home/ann/.aws/config')]);
  symlinkSync(join(root, '/home/ann/.aws/config'), join(root, '/home/eve/.aws/config'));

  expect(await steps()).toEqual([]);
});
