import {
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { gatehouse } from '../support/agent.ts';
import { rolesAnywhereHost } from '../support/roles-anywhere.ts';
import { shell } from '../support/shell.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

async function setup() {
  const sandbox = createSandbox();
  const listener = await sandbox.listen();
  onTestFinished(() => listener.close());
  const folder = temporaryDirectory();
  const home = join(folder, 'home');
  mkdirSync(join(home, '.aws'), { recursive: true });
  const { identity, file } = await rolesAnywhereHost(sandbox, folder);
  const argv = [
    'install-profile',
    ...Object.entries({
      '--certificate': identity.certificate,
      '--private-key': identity.privateKey,
      '--trust-anchor-arn': identity.trustAnchorArn,
      '--profile-arn': identity.profileArn,
      '--role-arn': identity.roleArn,
      '--endpoint': listener.url,
      '--profile': 'web',
    }).flat(),
  ];
  const install = (...more: string[]) => gatehouse([...argv, ...more], { env: { HOME: home } });
  const config = join(home, '.aws', 'config');
  return {
    sandbox,
    listener,
    folder,
    home,
    identity,
    file,
    install,
    config,
    names: () => readdirSync(join(home, '.aws')),
  };
}

test('install-profile makes a profile whose command gives credentials', async () => {
  const { install, config, sandbox } = await setup();

  const { code, stdout } = await install('--json');

  expect(JSON.parse(stdout)).toEqual({ profile: 'web', file: config, isChanged: true });
  const text = readFileSync(config, 'utf8');
  expect(text).toMatch(
    /^\[profile web\]\ncredential_process = .* credential-process --certificate .*\nregion = eu-west-1\n$/u,
  );
  expect({ code, mode: statSync(config).mode & 0o777 }).toEqual({ code: 0, mode: 0o600 });
  const [, line = ''] = /^credential_process = (.*)$/mu.exec(text) ?? [];
  const document: { AccessKeyId: string } = JSON.parse((await shell(line)).stdout);
  expect(sandbox.identities.find(document.AccessKeyId)?.roleArn).toMatch(/GatehouseHost$/u);
});

test('install-profile keeps what was there, in place and in a backup, and changes nothing the second time', async () => {
  const { install, config, names } = await setup();
  const before = '# mine\n[default]\nregion = eu-west-1\n\n[profile web]\noutput = json\n';
  writeFileSync(config, before);
  chmodSync(config, 0o640);

  const first = await install('--json');
  const after = readFileSync(config, 'utf8');
  const second = await install('--json');

  const { backup } = JSON.parse(first.stdout) as { backup: string };
  expect(readFileSync(backup, 'utf8')).toBe(before);
  expect(after.startsWith(before)).toBe(true);
  expect(statSync(config).mode & 0o777).toBe(0o640);
  expect(JSON.parse(second.stdout)).toEqual({ profile: 'web', file: config, isChanged: false });
  expect(readFileSync(config, 'utf8')).toBe(after);
  expect(names()).toHaveLength(2);
});

test('install-profile leaves a config that not everybody can write any more', async () => {
  const { install, config } = await setup();
  writeFileSync(config, '[default]\n');
  chmodSync(config, 0o666);

  await install();

  expect(statSync(config).mode & 0o777).toBe(0o664);
});

test('install-profile writes through a link that the user made', async () => {
  const { install, config, folder } = await setup();
  const real = join(folder, 'dotfiles-config');
  writeFileSync(real, '[default]\n', { mode: 0o600 });
  symlinkSync(real, config);

  await install();

  expect(readFileSync(real, 'utf8')).toContain('[profile web]');
});

test('install-profile refuses a profile with other credentials, and one that keys go before', async () => {
  const { install, config, home } = await setup();
  const codeOf = async (...more: string[]) => {
    const { code, stderr } = await install('--json', ...more);
    return code === 0 ? 'done' : (JSON.parse(stderr) as { error: { code: string } }).error.code;
  };

  writeFileSync(config, '[profile web]\nrole_arn = arn:aws:iam::123456789012:role/Other\n');
  expect(await codeOf('--force')).toBe('PROFILE_TAKEN');
  writeFileSync(config, '[profile web]\ncredential_process = /other\n');
  expect(await codeOf()).toBe('PROFILE_TAKEN');
  expect(await codeOf('--force')).toBe('done');
  writeFileSync(join(home, '.aws', 'credentials'), '[web]\naws_access_key_id = AKIA\n');
  expect(await codeOf()).toBe('PROFILE_OVERSHADOWED');
});

test('install-profile reads a file of two names, and replaces none that it could not read', async () => {
  const { install, config, folder, home } = await setup();
  const codeOf = async () => {
    const { code, stderr } = await install('--json');
    return code === 0 ? 'done' : (JSON.parse(stderr) as { error: { code: string } }).error.code;
  };
  const before = '[default]\nregion = eu-west-1\n';
  const long = `${before}${'#'.repeat(1024 * 1024)}\n`;

  writeFileSync(config, long);
  expect(await codeOf()).toBe('FILE_TOO_LARGE');
  expect(readFileSync(config, 'utf8')).toBe(long);
  writeFileSync(config, before);
  linkSync(config, join(folder, 'another-name'));
  writeFileSync(join(home, '.aws', 'credentials'), '[web]\naws_access_key_id = AKIA\n');
  linkSync(join(home, '.aws', 'credentials'), join(folder, 'other-keys'));
  expect(await codeOf()).toBe('PROFILE_OVERSHADOWED');
  writeFileSync(join(home, '.aws', 'credentials'), long);
  expect(await codeOf()).toBe('FILE_TOO_LARGE');
  writeFileSync(join(home, '.aws', 'credentials'), '');

  const { backup } = JSON.parse((await install('--json')).stdout) as { backup: string };

  expect(readFileSync(config, 'utf8').startsWith(before)).toBe(true);
  expect(readFileSync(backup, 'utf8')).toBe(before);
});

test('install-profile writes no profile that could not work', async () => {
  const { install, identity, names } = await setup();
  writeFileSync(identity.privateKey, 'nothing');

  const { code, stderr } = await install();

  expect(stderr).toContain('PRIVATE_KEY_INVALID');
  expect({ code, names: names() }).toEqual({ code: 65, names: [] });
});
