import { appendFileSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Operator, operatorOf } from '../../sandbox/demo/operator.ts';
import { createSandbox, type SandboxListener } from '../../sandbox/sandbox.ts';
import { cacheFolder } from '../../scripts/package/cache.ts';
import { copyTree, debianTree, shellIn } from './support/debian-tree.ts';
import { type Emulation, openEmulation } from './support/emulation.ts';
import { isSystemMissing } from './support/prerequisites.ts';
import { packageFor } from './support/release.ts';
import { until } from './support/until.ts';

const programs = ['debootstrap', 'systemd-nspawn', 'nsenter', 'unshare', 'dpkg-deb', 'qemu-aarch64-static'];
const needed = ['Linux 6.7', ...programs];
const packages = ['adduser', 'init-system-helpers', 'libstdc++6:arm64', 'libatomic1:arm64'];
const password = 'of the database, on another architecture';
const file = '/run/gatehouse/secrets/database-password';

/**
 * On a Debian of this machine's architecture with the libraries of arm64: what is arm64's in the package, Node and what
 * it runs, is emulated; all else is the system's. On arm64 the other tests do it for real.
 */
describe.skipIf(process.arch === 'arm64' || isSystemMissing(...needed))('the package for arm64', () => {
  let folder = '';
  let tree = '';
  let debian: Emulation;
  let operator: Operator;
  let env: Record<string, string> = {};
  let cloud: SandboxListener;

  beforeAll(async () => {
    folder = mkdtempSync(join(cacheFolder('machines'), 'arm64-'));
    tree = mkdtempSync(join(folder, 'root-'));
    await copyTree(await debianTree(packages), tree);
    const deb = await packageFor(folder, '--arch', 'arm64', '--uncompressed');
    copyFileSync(deb, join(tree, 'root/gatehouse.deb'));
    const sandbox = createSandbox();
    cloud = await sandbox.listen({ port: 0 });
    const { url } = cloud;
    env = { AWS_ENDPOINT_URL: url, AWS_EC2_METADATA_SERVICE_ENDPOINT: url };
    operator = operatorOf(sandbox, url);
    await operator.createKey('alias/gatehouse-binding');
    await operator.createSecret('prod/database', password);
    await operator.createSecret('prod/gatehouse/web', JSON.stringify(gateway));
    debian = await openEmulation(tree);
  });

  afterAll(async () => {
    await debian?.close();
    operator?.close();
    await cloud?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const shipped = (): Promise<readonly string[]> => operator.messages('/gatehouse/web-1', 'app');

  it('is installed beside the libraries that it names', async () => {
    const said = await shellIn(
      tree,
      'apt-get install --yes --no-install-recommends /root/gatehouse.deb 2>&1',
    );

    expect(said).toContain('Setting up gatehouse:arm64');
  });

  it('is a program of arm64 that runs', async () => {
    const node = await debian.run(['/usr/lib/gatehouse/bin/node', '--print', 'process.arch']);
    const { stdout } = await debian.run(['gatehouse', '--version']);

    expect(node.stdout).toBe('arm64\n');
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/u);
  });

  it('validates a config, and says what is wrong with another', async () => {
    const config = {
      name: 'web-1',
      region: 'eu-west-1',
      gatewayConfig: { secretName: 'prod/gatehouse/web' },
    };
    writeFileSync(join(tree, 'etc/gatehouse/config.json'), JSON.stringify(config));
    writeFileSync(join(tree, 'root/wrong.json'), JSON.stringify({ ...config, region: 1 }));

    const good = await debian.run(['gatehouse', 'config', 'validate', '/etc/gatehouse/config.json']);
    const wrong = await debian.run(['gatehouse', 'config', 'validate', '/root/wrong.json']);

    expect(good).toMatchObject({ code: 0, stdout: 'valid bootstrap config: /etc/gatehouse/config.json\n' });
    expect(wrong).toMatchObject({ code: 78, stderr: expect.stringContaining('region') });
  });

  it('delivers a secret, ships a line and stops in order', async () => {
    const folders = '/run/gatehouse /var/lib/gatehouse /var/log/app';
    await debian.run(['install', '-d', '-o', 'gatehouse', '-g', 'gatehouse', ...folders.split(' ')]);
    appendFileSync(join(tree, 'var/log/app/app.log'), 'a line\n');
    const agent = debian.start('gatehouse', ['gatehouse', 'run'], env);

    await until('it is ready', () => agent.output().includes('"agent.ready"'), agent.output);
    await until('the line arrives', async () => (await shipped()).length > 0, agent.output);
    const { stdout: delivered } = await debian.run(['cat', file]);
    const { stdout: owner } = await debian.run(['stat', '--format=%U %a', file]);
    const code = await agent.stop();

    expect(delivered).toBe(password);
    expect(owner).toBe('gatehouse 400\n');
    expect(await shipped()).toEqual(['a line']);
    expect(code).toBe(0);
    expect(agent.output()).toContain('"agent.stopped"');
  });
});

const gateway = {
  version: 1,
  keys: { bindingKey: 'alias/gatehouse-binding' },
  secrets: { 'database-password': { secretsManager: { secretId: 'prod/database' } } },
  deliveries: [{ secret: 'database-password', file, mode: '0400' }],
  events: { sources: { app: { files: ['/var/log/app/*.log'] }, agent: { audit: true } } },
};
