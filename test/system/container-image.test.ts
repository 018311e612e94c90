import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as timeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canary, searchCanaries } from '../support/canary.ts';
import { type Cloud, startCloud } from './support/cloud.ts';
import { type Container, type Network, openNetwork, startContainer } from './support/container.ts';
import { buildImage, type Image } from './support/image.ts';
import { isSystemMissing } from './support/prerequisites.ts';

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
    for (const shell of shells) rmSync(join(image.root, 'usr/bin', shell), { force: true });
    container = await startContainer({
      image,
      network,
      env: {
        GATEHOUSE_SECRET_NAME: 'prod/gatehouse/web',
        GATEHOUSE_NAME: 'web-1',
        AWS_REGION: cloud.region,
        AWS_ENDPOINT_URL: cloud.url,
        AWS_EC2_METADATA_SERVICE_ENDPOINT: cloud.url,
        NODE_OPTIONS: '--require=/no/such/file.js',
      },
      tmpfs: ['/run/gatehouse', '/var/lib/gatehouse'],
    });
  });

  afterAll(async () => {
    await container?.close();
    await cloud?.close();
    await network?.close();
    await image?.close();
  });

  const inside = (path: string): string => `/proc/${container.pid}/root${path}`;

  it('becomes ready and healthy on environment variables alone, without a shell in it', async () => {
    const [kind, ...check] = image.config.Healthcheck?.Test ?? [];
    let health = await container.exec(check);
    for (let turn = 0; turn < 100 && health.code !== 0; turn += 1) {
      await timeout(100);
      health = await container.exec(check);
    }

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

  it('comes with the licenses of what it is made of', () => {
    const documents = join(image.root, 'usr/share/doc/gatehouse');

    expect(readFileSync(join(documents, 'LICENSE'), 'utf8')).toContain('Apache License');
    expect(readFileSync(join(documents, 'THIRD-PARTY-NOTICES'), 'utf8')).toMatch(/^Node\.js$.*^zod /msu);
  });

  it('delivers to its user and ships its audit', async () => {
    const { uid, mode } = statSync(inside(file));

    expect(readFileSync(inside(file), 'utf8') === password.value).toBe(true);
    expect([uid, mode & 0o777]).toEqual([10_001, 0o400]);
    expect((await cloud.arrived(1, '/gatehouse/web-1', 'agent')).join('')).toContain('"delivery.');
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
});

const gateway = {
  version: 1,
  keys: { bindingKey: 'alias/gatehouse-binding' },
  secrets: { 'database-password': { secretsManager: { secretId: 'prod/database' } } },
  deliveries: [{ secret: 'database-password', file, mode: '0400' }],
  events: { sources: { agent: { audit: true } } },
};
