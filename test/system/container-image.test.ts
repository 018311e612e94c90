import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canary, searchCanaries } from '../support/canary.ts';
import { childrenOf } from './support/children-of.ts';
import { type Cloud, startCloud } from './support/cloud.ts';
import { type Container, type Network, openNetwork, startContainer } from './support/container.ts';
import { buildImage, type Image } from './support/image.ts';
import { isSystemMissing } from './support/prerequisites.ts';
import { until } from './support/until.ts';

const needed = ['buildah', 'debootstrap', 'systemd-nspawn', 'nsenter', 'unshare', 'ip'];
const password = canary('database password');
const file = '/run/gatehouse/secrets/database-password';
const shells = ['sh', 'bash', 'dash', 'rbash'];

/** The Dockerfile's image, from its build to SIGTERM; each test goes on where the one before stopped. */
describe.skipIf(isSystemMissing(...needed))('the image', () => {
  let image: Image;
  let network: Network;
  let cloud: Cloud;
  let container: Container;

  beforeAll(async () => {
    image = await buildImage();
    network = await openNetwork();
    cloud = await startCloud(network.pid);
    await cloud.createKey('alias/gatehouse-binding');
    await cloud.createSecret('prod/database', password.value);
    await cloud.createSecret('prod/gatehouse/web', JSON.stringify(gateway));
    await cloud.createSecret('prod/gatehouse/work', JSON.stringify(gatewayOfWorkload));
    for (const shell of shells) rmSync(join(image.root, 'usr/bin', shell), { force: true });
    container = await startContainer({
      image,
      network,
      env: { ...environment(), GATEHOUSE_SECRET_NAME: 'prod/gatehouse/web' },
      tmpfs,
    });
  });

  afterAll(async () => {
    await container?.close();
    await cloud?.close();
    await network?.close();
    await image?.close();
  });

  const environment = () => ({
    GATEHOUSE_NAME: 'web-1',
    AWS_REGION: cloud.region,
    AWS_ENDPOINT_URL: cloud.url,
    AWS_EC2_METADATA_SERVICE_ENDPOINT: cloud.url,
    NODE_OPTIONS: '--require=/no/such/file.js',
  });
  const inside = (path: string): string => `/proc/${container.pid}/root${path}`;

  it('becomes ready and healthy on environment variables alone, without a shell in it', async () => {
    const [kind, ...check] = image.config.Healthcheck?.Test ?? [];
    let health = await container.exec(check);
    await until(
      'it is healthy',
      async () => {
        health = await container.exec(check);
        return health.code === 0;
      },
      container.output,
    );

    expect(kind).toBe('CMD');
    expect(`${health.code} ${health.stderr}${container.output()}`).toMatch(/^0 .*"agent\.ready"/su);
    expect(health.stdout).toBe('ready: yes (ready)\n');
    expect(shells.filter((shell) => existsSync(inside(`/bin/${shell}`)))).toEqual([]);
  });

  it('answers probes by command: alive, started, ready', async () => {
    for (const probe of ['startup', 'live', 'ready']) {
      const { code, stdout } = await container.exec(['gatehouse', 'status', '--check', probe]);
      expect({ code, stdout }).toEqual({ code: 0, stdout: `${probe}: yes (ready)\n` });
    }
  });

  it('runs as nobody in particular, without capabilities', () => {
    const status = readFileSync(`/proc/${container.pid}/status`, 'utf8');

    expect(image.config.User).toBe('10001:10001');
    expect(status).toMatch(/^Uid:\t10001\t10001\t10001\t10001$/mu);
    expect(status).toMatch(/^CapEff:\t0{16}$/mu);
  });

  it.each(['run', 'exec'])(
    'brings the code of %s compiled, in a cache that it cannot write here',
    async (mode) => {
      const traced = ['/usr/bin/env', '--unset=GATEHOUSE_SECRET_NAME', 'NODE_DEBUG_NATIVE=COMPILE_CACHE'];
      const command = mode === 'exec' ? ['exec', '--', '/bin/true'] : ['run'];

      const { stdout, stderr } = await container.exec([...traced, 'gatehouse', ...command]);

      const lines = `${stdout}${stderr}`.split('\n');
      const looked = lines.filter((line) => / for ESM file:\/\/\/usr\/lib\/gatehouse\/dist\/.*/u.test(line));
      const read = looked.filter((line) => line.includes('reading cache from /var/cache/gatehouse/'));
      const accepted = looked.filter((line) => line.includes(' was accepted'));
      expect(stderr).toContain('CONFIG_SECRET_NAME_MISSING');
      expect(read.length).toBeGreaterThan(10);
      expect(read.filter((line) => !line.includes('success'))).toEqual([]);
      expect(accepted).toHaveLength(read.length);
    },
  );

  it('comes with the licenses of what it is made of', () => {
    const documents = join(image.root, 'usr/share/doc/gatehouse');

    expect(readFileSync(join(documents, 'LICENSE'), 'utf8')).toContain('Apache License');
    expect(readFileSync(join(documents, 'THIRD-PARTY-NOTICES'), 'utf8')).toMatch(/^Node\.js$.*^zod /msu);
  });

  it('delivers to its user and ships its audit', async () => {
    const { uid, mode } = statSync(inside(file));

    expect(readFileSync(inside(file), 'utf8') === password.value).toBe(true);
    expect([uid, mode & 0o777]).toEqual([10_001, 0o400]);
    await until('a delivery is on record', async () =>
      (await cloud.messages('/gatehouse/web-1', 'agent')).some((record) => record.includes('"delivery.')),
    );
  });

  it('keeps its secrets out of its output, its processes and its disk', () => {
    const { findings } = searchCanaries([password], {
      buffers: { output: container.output() },
      directories: [
        join(image.root, 'usr/lib/gatehouse'),
        join(image.root, 'var'),
        inside('/var/lib/gatehouse'),
      ],
      pids: [container.pid],
    });

    expect(findings).toEqual([]);
  });

  it('ends with 0 at SIGTERM', async () => {
    expect(await container.stop()).toBe(0);
    expect(container.output()).toContain('"agent.stopped"');
  });

  it('runs a workload: its secret, its output, its orphans, its end', async () => {
    const command = ['exec', '--', '/usr/lib/gatehouse/bin/node', '--eval', workload];
    const env = {
      ...environment(),
      GATEHOUSE_SECRET_NAME: 'prod/gatehouse/work',
      // What is not shipped by then is gone with the container.
      GATEHOUSE_STOP_TIMEOUT_SECONDS: '120',
    };
    container = await startContainer({ image, network, env, tmpfs, command });
    const { pid } = container;
    await until('its children have left', () => container.output().includes('all left'), container.output);
    const [agent, ...left] = childrenOf(pid);

    // They are tini's now, which has to notice the end of each; Node as PID 1 would keep them as zombies.
    for (const each of left) process.kill(each, 'SIGKILL');
    await until('tini reaps them', () => childrenOf(pid).length === 1);

    expect(left).toHaveLength(orphans);
    expect(childrenOf(pid)).toEqual([agent]);
    expect(readFileSync(`/proc/${agent}/cmdline`, 'utf8')).toContain('gatehouse');
    expect(readFileSync(`/proc/${agent}/environ`, 'utf8')).not.toContain(password.value);
    const said = ['my password is [secret password]', 'all left'];
    expect(await cloud.arrived(said.length, '/gatehouse/web-1', 'work')).toEqual(said);
    expect(await container.stop()).toBe(7);
    expect(await cloud.messages('/gatehouse/web-1', 'work')).toEqual([...said, 'asked to end']);
  });
});

const tmpfs = ['/run/gatehouse', '/var/lib/gatehouse'];
const orphans = 3;

/** Starts programs that each start one more and leave it; ends with 7 when it is asked to. */
const workload = `
  const { spawn } = require('node:child_process');
  const lasting = ['--eval', 'setInterval(() => undefined, 1000)'];
  const leaving = 'const { spawn } = require("node:child_process");' +
    'spawn(process.execPath, ' + JSON.stringify(lasting) + ', { detached: true, stdio: "ignore" })' +
    '.once("spawn", () => process.exit());';
  let there = ${orphans};
  console.log('my password is ' + process.env.PASSWORD);
  for (let each = 0; each < ${orphans}; each += 1) {
    spawn(process.execPath, ['--eval', leaving], { stdio: 'ignore' }).once('exit', () => {
      there -= 1;
      if (there === 0) console.log('all left');
    });
  }
  setInterval(() => undefined, 1000);
  process.once('SIGTERM', () => {
    console.log('asked to end');
    process.exit(7);
  });`;

const gatewayOfWorkload = {
  version: 1,
  keys: { bindingKey: 'alias/gatehouse-binding' },
  secrets: { password: { secretsManager: { secretId: 'prod/database' } } },
  exec: { environment: { PASSWORD: 'password' } },
  events: { sources: { work: { exec: true, logStream: 'work' } } },
};

const gateway = {
  version: 1,
  keys: { bindingKey: 'alias/gatehouse-binding' },
  secrets: { 'database-password': { secretsManager: { secretId: 'prod/database' } } },
  deliveries: [{ secret: 'database-password', file, mode: '0400' }],
  events: { sources: { agent: { audit: true } } },
};
