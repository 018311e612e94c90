import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as timeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cacheFolder } from '../../scripts/package/cache.ts';
import { type Cloud, startCloud } from './support/cloud.ts';
import { bootMachine, type Machine } from './support/machine.ts';
import { isSystemMissing } from './support/prerequisites.ts';
import { packageFor } from './support/release.ts';
import { until } from './support/until.ts';

const needed = ['debootstrap', 'systemd-nspawn', 'nsenter', 'dpkg-deb'];
const group = '/gatehouse/web-1';
const dropIns = '/etc/systemd/system/gatehouse.service.d';
const tls = '/etc/gatehouse/syslog';

const sources = {
  journal: { journald: { identifiers: ['demo'], fields: ['MESSAGE'] } },
  network: {
    syslog: {
      udp: '127.0.0.1:1514',
      tcp: '127.0.0.1:1601',
      tls: {
        address: '127.0.0.1:6514',
        certificate: `${tls}/certificate.pem`,
        privateKey: `${tls}/private-key.pem`,
      },
    },
  },
  renamed: { files: ['/var/log/renamed/*.log'] },
  copied: { files: ['/var/log/copied/*.log'] },
};

const logrotate = `
/var/log/renamed/app.log {
  rotate 20
  compress
  missingok
  create 0644
}
/var/log/copied/app.log {
  rotate 20
  compress
  delaycompress
  copytruncate
  missingok
}
`;

/** What nobody here wrote: journald, logrotate, logger and openssl, on a booted Debian 12. */
describe.skipIf(isSystemMissing(...needed))('sources of events on a booted Debian 12', () => {
  let machine: Machine;
  let cloud: Cloud;
  let folder = '';

  beforeAll(async () => {
    folder = mkdtempSync(join(cacheFolder('machines'), 'sources-'));
    machine = await bootMachine(['logrotate', 'openssl']);
    cloud = await startCloud(machine.pid);
    await cloud.createKey('alias/gatehouse-binding');
    const gateway = { version: 1, keys: { bindingKey: 'alias/gatehouse-binding' }, events: { sources } };
    await cloud.createSecret('prod/gatehouse/web', JSON.stringify(gateway));
    const deb = machine.copyIn(await packageFor(folder, '--uncompressed'), '/root');
    machine.write('/etc/logrotate.d/test', logrotate);
    await machine.sh(`
      apt-get install --yes ${deb} 2>&1
      install -D -t ${dropIns} /usr/share/doc/gatehouse/drop-ins/read-journal.conf
      mkdir -p /var/log/renamed /var/log/copied ${tls}
      openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost \\
        -keyout ${tls}/private-key.pem -out ${tls}/certificate.pem 2>&1
      chown -R gatehouse ${tls}
      cat > /etc/gatehouse/config.json <<'END'
      { "name": "web-1", "region": "${cloud.region}", "gatewayConfig": { "secretName": "prod/gatehouse/web" } }
END
      printf 'AWS_ENDPOINT_URL=%s\\nAWS_EC2_METADATA_SERVICE_ENDPOINT=%s\\n' ${cloud.url} ${cloud.url} \\
        >> /etc/gatehouse/environment
      systemctl daemon-reload
      systemctl enable --now gatehouse`);
  });

  afterAll(async () => {
    await cloud?.close();
    await machine?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const messages = async (stream: string): Promise<readonly string[]> =>
    cloud.messages(group, stream).catch(() => []);
  const untilAll = async (stream: string, wanted: readonly string[]): Promise<readonly string[]> => {
    const lost = async (): Promise<readonly string[]> => {
      const found = new Set(await messages(stream));
      return wanted.filter((each) => !found.has(each));
    };
    await until(
      `all ${wanted.length} come to ${stream}`,
      async () => (await lost()).length === 0,
      async () => {
        const missing = await lost();
        return `${missing.length} are missing: ${missing.slice(0, 5).join(', ')}`;
      },
    );
    return messages(stream);
  };

  it('nothing of the journal is lost when the agent is killed, again and again', async () => {
    const wanted = Array.from({ length: 600 }, (_, each) => `message ${each}`);
    const written = machine.sh(
      `for each in $(seq 0 599); do echo "message $each"; sleep 0.02; done | systemd-cat -t demo`,
    );
    for (let kill = 0; kill < 5; kill += 1) {
      await timeout(2_000);
      await machine.sh(
        'systemctl kill --signal=KILL gatehouse; systemctl reset-failed gatehouse; systemctl start gatehouse',
      );
    }
    await written;

    const arrived = await untilAll('journal', wanted);
    expect(new Set(arrived).size).toBe(wanted.length);

    process.stdout.write(
      `journal: ${wanted.length} messages, 5 kills, ${arrived.length - wanted.length} repeated\n`,
    );
  });

  it('takes what logger and openssl s_client send', async () => {
    await machine.sh('systemctl reset-failed gatehouse; systemctl restart gatehouse');
    // Nobody waits for a listener of syslog. 1514, 1601 and 6514 as /proc/net writes them.
    const listening =
      'grep -q :05EA /proc/net/udp && grep -q :0641 /proc/net/tcp && grep -q :1972 /proc/net/tcp';
    await until('all three listen', async () => (await machine.shell(listening)).code === 0);
    await machine.sh(`
      logger --server 127.0.0.1 --port 1514 --udp --rfc3164 -t demo 'by udp, 3164'
      logger --server 127.0.0.1 --port 1514 --udp --rfc5424 -t demo 'by udp, 5424'
      logger --server 127.0.0.1 --port 1601 --tcp --rfc5424 -t demo 'by tcp'
      logger --server 127.0.0.1 --port 1601 --tcp --octet-count --rfc5424 -t demo 'by tcp, counted'
      (printf '<13>1 - - demo - - - by tls\\n'; sleep 5) | timeout 60 openssl s_client -quiet -no_ign_eof -connect 127.0.0.1:6514 -CAfile ${tls}/certificate.pem 2>/dev/null || true`);

    const wanted = ['by udp, 3164', 'by udp, 5424', 'by tcp', 'by tcp, counted', 'by tls'];
    await until('all of them come', async () => (await messages('network')).length >= wanted.length);
    const events = (await messages('network')).map((each) => JSON.parse(each) as Record<string, unknown>);

    expect(new Set(events.map(({ message }) => message))).toEqual(new Set(wanted));
    expect(new Set(events.map(({ app, severity }) => `${String(app)} ${String(severity)}`))).toEqual(
      new Set(['demo notice']),
    );
  });

  it.each(['renamed', 'copied'])(
    '%s by logrotate: each line once, with the agent up and down',
    async (name) => {
      let written = 0;
      const write = async (): Promise<void> => {
        await machine.sh(
          `seq -f '${name} line %.0f' ${written} ${written + 199} >> /var/log/${name}/app.log`,
        );
        written += 200;
      };
      const rotate = (): Promise<string> =>
        machine.sh('sleep 1.1; logrotate --force /etc/logrotate.d/test 2>&1');

      await write();
      for (let rotation = 0; rotation < 3; rotation += 1) {
        await write();
        await rotate();
        await write();
      }
      await machine.sh('systemctl stop gatehouse');
      for (let rotation = 0; rotation < 3; rotation += 1) {
        await write();
        await rotate();
      }
      await write();
      await machine.sh('systemctl start gatehouse');

      const wanted = Array.from({ length: written }, (_, each) => `${name} line ${each}`);
      const arrived = await untilAll(name, wanted);
      expect(arrived).toHaveLength(wanted.length);
    },
  );
});
