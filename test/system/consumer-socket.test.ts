import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cacheFolder } from '../../scripts/package/cache.ts';
import { type Cloud, startCloud } from './support/cloud.ts';
import { bootMachine, type Machine } from './support/machine.ts';
import { isSystemMissing } from './support/prerequisites.ts';
import { packageFor } from './support/release.ts';
import { until } from './support/until.ts';

const needed = ['debootstrap', 'systemd-nspawn', 'nsenter', 'dpkg-deb'];
const page = readFileSync(new URL('../../docs/credentials.md', import.meta.url), 'utf8');
const socket = '/run/gatehouse/consumers/app.sock';

/** The unit that docs/credentials.md gives, as written. */
const [, unit = ''] = /gatehouse-app\.socket`:\n\n```ini\n([\s\S]*?)```/u.exec(page) ?? [];

describe.skipIf(isSystemMissing(...needed))(
  'a consumer’s socket that systemd opens, on a booted Debian 12',
  () => {
    let machine: Machine;
    let cloud: Cloud;
    let folder = '';

    async function fill(): Promise<void> {
      cloud = await startCloud(machine.pid);
      const gateway = {
        version: 1,
        credentialEndpoints: { consumers: { app: { allowHostRole: true, socket: {} } } },
      };
      await cloud.createSecret('prod/gatehouse/web', JSON.stringify(gateway));
    }

    beforeAll(async () => {
      folder = mkdtempSync(join(cacheFolder('machines'), 'socket-'));
      machine = await bootMachine();
      await fill();
      const deb = machine.copyIn(await packageFor(folder), '/root');
      await machine.sh(`apt-get install --yes ${deb} 2>&1; useradd --system app; useradd --system other`);
      machine.write('/etc/systemd/system/gatehouse-app.socket', unit);
      const config = {
        name: 'web-1',
        region: cloud.region,
        gatewayConfig: { secretName: 'prod/gatehouse/web' },
        allow: { consumerHostRole: true },
      };
      machine.write('/etc/gatehouse/config.json', JSON.stringify(config));
      await machine.sh(`
      printf 'AWS_ENDPOINT_URL=%s\\nAWS_EC2_METADATA_SERVICE_ENDPOINT=%s\\n' ${cloud.url} ${cloud.url} \
        >> /etc/gatehouse/environment
      systemctl daemon-reload
      systemctl enable --now gatehouse-app.socket gatehouse || { journalctl -u gatehouse -n 20 -o cat; exit 1; }`);
    });

    afterAll(async () => {
      await cloud?.close();
      await machine?.close();
      rmSync(folder, { recursive: true, force: true });
    });

    const owner = (path: string): Promise<string> => machine.sh(`stat -c '%U:%G %a' ${path}`);
    const asked = async (user: string) => {
      const { code, stdout } = await machine.shellAs(user, 'gatehouse credential-process --consumer app');
      return { code, hasKey: stdout.includes('"AccessKeyId"') };
    };
    const ready = (): Promise<void> =>
      until(
        'it is ready',
        async () => (await machine.shell('gatehouse status --check ready')).code === 0,
        () => machine.sh('journalctl -u gatehouse -n 30 -o cat'),
      );

    /** Who has it, who gets credentials there, and what the agent may do beyond that. */
    const found = async () => {
      await ready();
      const capabilities = 'grep CapEff /proc/$(systemctl show gatehouse --value --property=MainPID)/status';
      return {
        socket: await owner(socket),
        folders: [await owner('/run/gatehouse'), await owner('/run/gatehouse/consumers')],
        app: await asked('app'),
        other: await asked('other'),
        capabilities: (await machine.sh(capabilities)).replace(/^.*\t/u, ''),
      };
    };
    const usual = {
      socket: 'app:app 600',
      folders: ['gatehouse:gatehouse 755', 'gatehouse:gatehouse 755'],
      app: { code: 0, hasKey: true },
      other: { code: 77, hasKey: false },
      // It is systemd that gave the socket away.
      capabilities: '0000000000000000',
    };

    it('is the consumer’s alone, and the agent needs no capability for it', async () => {
      expect(await found()).toEqual(usual);
    });

    it('stays so when the agent is restarted', async () => {
      await machine.sh('systemctl restart gatehouse');

      expect(await found()).toEqual(usual);
    });

    it('is so again after a boot', async () => {
      await cloud.close();
      await machine.reboot();
      // The agent started without an AWS, and tries until there is one.
      await fill();

      expect(await found()).toEqual(usual);
      expect(await machine.sh('systemctl is-active gatehouse-app.socket')).toBe('active');
    });
  },
);
