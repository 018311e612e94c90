import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as timeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cacheFolder } from '../../scripts/package/cache.ts';
import { canary, searchCanaries } from '../support/canary.ts';
import { type Cloud, startCloud } from './support/cloud.ts';
import { bootMachine, type Machine } from './support/machine.ts';
import { isSystemMissing } from './support/prerequisites.ts';
import { packageFor } from './support/release.ts';
import { until as patiently } from './support/until.ts';

const needed = ['debootstrap', 'systemd-nspawn', 'nsenter', 'dpkg-deb'];
const users = ['app1', 'app2', 'app3'] as const;
const secretOf = (user: string): string => `/run/gatehouse/secrets/${user}`;
const passwords = Object.fromEntries(users.map((user) => [user, canary(`password of ${user}`)]));
const group = '/gatehouse/web-1';
const newcomerMsMax = 300_000;
/** 9229, Node's inspector, as /proc/net/tcp writes it. */
const inspectorPort = /:240D /u;
const monitoring = '127.0.0.1:9464';
const dropIns = '/etc/systemd/system/gatehouse.service.d';

/** One host, from the installation of the package to its purge: each test goes on where the one before stopped. */
describe.skipIf(isSystemMissing(...needed))('the package on a booted Debian 12', () => {
  let machine: Machine;
  let cloud: Cloud;
  let folder = '';
  let packages = { before: '', after: '' };
  let written = 0;

  beforeAll(async () => {
    folder = mkdtempSync(join(cacheFolder('machines'), 'packages-'));
    packages = {
      before: await packageFor(folder, '--version', '0.0.1', '--uncompressed'),
      after: await packageFor(folder),
    };
    machine = await bootMachine();
    cloud = await startCloud(machine.pid);
    await cloud.createKey('alias/gatehouse-binding');
    for (const user of users) await cloud.createSecret(`prod/${user}`, passwords[user]?.value ?? '');
    await cloud.createSecret('prod/gatehouse/web', JSON.stringify(gateway()));
    for (const user of users) await machine.sh(`useradd --system --shell /bin/sh ${user}`);
  });

  afterAll(async () => {
    await cloud?.close();
    await machine?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const show = async (property: string): Promise<string> =>
    machine.sh(`systemctl show gatehouse --value --property=${property}`);
  /** Never 0, which kill(1) takes for a group. */
  const mainPid = async (): Promise<number> => {
    const pid = Number(await show('MainPID'));
    if (pid > 1) return pid;
    throw new Error(`the agent is not running:\n${await machine.sh('journalctl -u gatehouse -n 30')}`);
  };
  const isRestarted = async (before: number): Promise<boolean> =>
    ![0, before].includes(Number(await show('MainPID'))) && (await show('ActiveState')) === 'active';
  const status = async (): Promise<StatusDocument> =>
    JSON.parse(await machine.sh('gatehouse status --json')) as StatusDocument;
  /** Appends numbered lines to the log of app1. */
  const log = async (lines: number): Promise<void> => {
    const last = written + lines - 1;
    await machine.sh(`seq -f 'line %.0f' ${written} ${last} >> /var/log/app/app.log`);
    written += lines;
  };
  const expectAllShipped = async (): Promise<void> => {
    const lines = Array.from({ length: written }, (_line, index) => `line ${index}`);
    expect(await cloud.arrived(written, group, 'app')).toEqual(lines);
  };
  const until = (what: string, holds: () => Promise<boolean>): Promise<void> =>
    patiently(what, holds, () => machine.sh('journalctl -u gatehouse -n 30'));

  it('takes a newcomer from apt install to the first event in CloudWatch Logs', async () => {
    const deb = machine.copyIn(packages.before, '/root');
    const started = performance.now();

    const said = await machine.sh(`apt-get install --yes ${deb} 2>&1`);
    const cached = await machine.sh(
      'find /var/cache/gatehouse -type f | wc -l; stat -c "%U %a" /var/cache/gatehouse',
    );
    const activeAfterInstall = (await machine.shell('systemctl is-active gatehouse')).stdout.trim();
    const exposure = await machine.sh('systemd-analyze security gatehouse.service --no-pager | tail -1');
    await machine.sh(`
      install -D -t ${dropIns} /usr/share/doc/gatehouse/drop-ins/deliver-to-other-users.conf
      install -d -o app1 /var/log/app
      cat > /etc/gatehouse/config.json <<'END'
      { "name": "web-1", "region": "${cloud.region}", "gatewayConfig": { "secretName": "prod/gatehouse/web" },
        "monitoring": { "listen": "${monitoring}" } }
END
      printf 'AWS_ENDPOINT_URL=%s\\nAWS_EC2_METADATA_SERVICE_ENDPOINT=%s\\n' ${cloud.url} ${cloud.url} \\
        >> /etc/gatehouse/environment
      systemctl daemon-reload
      systemctl enable --now gatehouse`);
    await log(1);
    await cloud.arrived(1, group, 'app');
    const tookMs = performance.now() - started;

    process.stdout.write(`newcomer: ${Math.round(tookMs)} ms; ${exposure}\n`);
    expect(tookMs).toBeLessThan(newcomerMsMax);
    expect(said).toContain('write /etc/gatehouse/config.json');
    expect(activeAfterInstall).toBe('inactive');
    expect(cached).toMatch(/^[1-9]\d+\ngatehouse 700$/u);
    expect(exposureOf(exposure)).toBeLessThanOrEqual(1.5);
  });

  it('is a unit of Type=notify that was told ready, by its own user', async () => {
    expect(await show('Type')).toBe('notify');
    expect(await show('ActiveState')).toBe('active');
    expect(await show('StatusText')).toBe('ready');
    expect(await machine.sh(`stat -c %U /proc/${await mainPid()}`)).toBe('gatehouse');
    expect(await status()).toMatchObject({ state: 'ready', failing: [] });
    // What systemd has against the unit. Of the cgroups of the container it may complain at any start, ours or not.
    const warnings = await machine.sh('journalctl -u gatehouse -p warning -o cat');
    expect(
      warnings
        .split('\n')
        .filter((line) => !/ to compat systemd cgroup /u.test(line))
        .join('\n'),
    ).toBe('');
  });

  it('has no more exposure with the drop-in than its capabilities cost', async () => {
    const exposure = await machine.sh('systemd-analyze security gatehouse.service --no-pager | tail -1');

    process.stdout.write(`with the drop-in: ${exposure}\n`);
    expect(exposureOf(exposure)).toBeLessThanOrEqual(2.4);
  });

  it.each(users)('gives %s its own file and nobody else’s', async (user) => {
    for (const other of users) {
      const { code, stdout } = await machine.shellAs(user, `cat ${secretOf(other)}`);
      const isReadable = code === 0 && stdout === passwords[other]?.value;
      expect([other, isReadable, code === 0]).toEqual([other, other === user, other === user]);
    }
    expect((await machine.shellAs(user, 'ls /run/gatehouse/secrets')).code).not.toBe(0);
    expect((await machine.shellAs(user, 'gatehouse status')).code).toBe(77);
  });

  it('gives nobody’s file to a user who is no consumer', async () => {
    for (const user of users) {
      expect((await machine.shellAs('nobody', `cat ${secretOf(user)}`)).code).not.toBe(0);
    }
  });

  it('answers probes: by command to root, over HTTP to any local user, and to no other name', async () => {
    const get = async (path: string, headers = '{}') =>
      (await machine.shellAs('app1', `${fetchWith(headers)} http://${monitoring}${path}`)).stdout;

    for (const probe of ['startup', 'live', 'ready']) {
      expect(await machine.sh(`gatehouse status --check ${probe}`)).toBe(`${probe}: yes (ready)`);
      expect(await get(`/health/${probe}`)).toBe('200 {"isOk":true,"state":"ready","failing":0}\n');
    }
    expect((await machine.shellAs('app1', 'gatehouse status --check live')).code).toBe(77);
    expect(await get('/metrics', '{host:"evil.example"}')).toMatch(/^421 /u);
    expect(await machine.sh('cat /proc/net/tcp')).toMatch(/ 0100007F:24F8 00000000:0000 0A /u);
  });

  it('has metrics for any local user, which name no secret', async () => {
    const { stdout } = await machine.shellAs('app1', `${fetchWith('{}')} http://${monitoring}/metrics`);

    expect(stdout).toMatch(/^200 # HELP /u);
    expect(stdout).toContain('\ngatehouse_state{state="ready"} 1\n');
    expect(stdout).toContain('\ngatehouse_deliveries{state="ok"} 3\n');
    expect(stdout).toMatch(/^gatehouse_source_events_total\{source="app"\} [1-9]/mu);
    expect(stdout).not.toMatch(/app[123]"|\/run\/gatehouse/u);
  });

  it('turns debug on and off at SIGUSR2, which ends nothing', async () => {
    const before = await mainPid();
    const toggle = 'systemctl kill --kill-whom=main --signal=SIGUSR2 gatehouse';
    const isAt = (level: string) => async () => (await machine.sh('gatehouse log-level')).startsWith(level);

    await machine.sh(toggle);
    await until('debug is on', isAt('debug'));
    await machine.sh(toggle);
    await until('debug is off', isAt('info'));

    expect(await mainPid()).toBe(before);
  });

  it('applies a new secret at systemctl reload, without a restart', async () => {
    const before = await mainPid();
    const next = canary('next password of app1');
    passwords['app1'] = next;
    await cloud.putSecret('prod/app1', next.value);

    await machine.sh('systemctl reload gatehouse');
    await until('the new password is delivered', async () => {
      const { stdout } = await machine.shellAs('app1', `cat ${secretOf('app1')}`);
      return stdout === next.value;
    });

    await until('it is active again', async () => (await show('ActiveState')) === 'active');
    expect(await show('StatusText')).toBe('ready');
    expect(await mainPid()).toBe(before);
  });

  it('opens nothing at SIGUSR1, and lives', async () => {
    const before = await mainPid();

    await machine.sh(`kill -USR1 ${before}`);
    await timeout(1000);

    expect(await machine.sh('cat /proc/net/tcp /proc/net/tcp6')).not.toMatch(inspectorPort);
    expect(await mainPid()).toBe(before);
    expect((await status()).state).toBe('ready');
  });

  it('is killed by the watchdog when it stands still, and comes back', async () => {
    // Long enough for an agent that lives to say so in time on a busy machine.
    const watchdogSeconds = 15;
    const settings = `WatchdogSec=${watchdogSeconds}\nRestartSec=100ms\n`;
    machine.write(`${dropIns}/watchdog.conf`, `[Service]\n${settings}`);
    await machine.sh('systemctl daemon-reload && systemctl restart gatehouse');
    const before = await mainPid();
    await timeout((watchdogSeconds + 2) * 1000);
    expect(await mainPid()).toBe(before);

    await machine.sh(`kill -STOP ${before}`);
    await until('systemd restarts it', () => isRestarted(before));

    expect(await machine.sh('journalctl -b -o cat _PID=1 | grep -c "Watchdog timeout"')).toBe('1');
    expect(await show('NRestarts')).toBe('1');
    expect((await status()).state).toBe('ready');
    await machine.sh(`rm ${dropIns}/watchdog.conf && systemctl daemon-reload && systemctl restart gatehouse`);
  });

  it('cannot write its memory to a disk: no core, nothing but headers in one, no swap', async () => {
    const pid = await mainPid();

    expect(await machine.sh(`cat /proc/${pid}/limits`)).toMatch(/^Max core file size +0 +0 /mu);
    expect(Number.parseInt(await machine.sh(`cat /proc/${pid}/coredump_filter`), 16)).toBe(0x10);
    expect(await show('MemorySwapMax')).toBe('0');
  });

  it('leaves no canary in a core that it is allowed to write, where any other would', async () => {
    const searchedFor = Object.values(passwords);
    const coreOf = async (filter: string): Promise<{ canaries: number; bytes: number }> => {
      const allowed = `[Service]\nLimitCORE=infinity\nWorkingDirectory=/var/lib/gatehouse\n${filter}`;
      machine.write(`${dropIns}/core.conf`, allowed);
      await machine.sh('systemctl daemon-reload && systemctl restart gatehouse');
      const pid = await mainPid();
      await machine.sh(`kill -ABRT ${pid}`);
      await until('it is back', () => isRestarted(pid));
      const cores = await machine.sh('find /var/lib/gatehouse -name "core*" -type f -size +0');
      const found = mkdtempSync(join(cacheFolder('machines'), 'cores-'));
      try {
        for (const core of cores.split('\n')) renameSync(join(machine.root, core), join(found, 'core'));
        const { findings, searched } = searchCanaries(searchedFor, { directories: [found] });
        return { canaries: findings.length, bytes: searched.bytes };
      } finally {
        rmSync(found, { recursive: true, force: true });
      }
    };

    const ours = await coreOf('');
    const anyOther = await coreOf('CoredumpFilter=private-anonymous shared-anonymous\n');
    await machine.sh(`rm ${dropIns}/core.conf && systemctl daemon-reload && systemctl restart gatehouse`);

    process.stdout.write(`cores: ours ${ours.bytes} bytes, any other ${anyOther.bytes}\n`);
    expect(ours.canaries).toBe(0);
    expect(ours.bytes).toBeGreaterThan(0);
    expect(anyOther.canaries).toBeGreaterThan(0);
  });

  it('leaves no canary in journal, processes, cores or on the disk', async () => {
    const pid = await mainPid();
    // What waits keeps its segment: without, the search may list one that is gone when it comes to it.
    await cloud.loseLogs();
    await log(1);
    await until('a batch waits', async () => (await status()).events.spool.batches > 0);
    await machine.sh(`kill -ABRT ${pid}`);
    await until('it is back', () => isRestarted(pid));
    const searchedFor = Object.values(passwords);
    const places = ['etc', 'var', 'root', 'home', 'opt', 'srv'].map((name) => join(machine.root, name));
    const mounted = ['tmp', 'var/tmp', 'dev/shm'].map((name) => `/proc/${machine.pid}/root/${name}`);

    const { findings, searched } = searchCanaries(searchedFor, {
      buffers: {
        journal: await machine.sh('journalctl -b -o export --all'),
        'systemctl show': await machine.sh('systemctl show gatehouse'),
      },
      directories: [...places, ...mounted],
      pids: [machine.pid],
    });
    const cores = await machine.sh('find / -xdev -name "core*" -type f -size +1M 2>/dev/null || true');
    await cloud.findLogs();

    expect(findings).toEqual([]);
    expect(cores).toBe('');
    expect(searched.places).toEqual(expect.arrayContaining([expect.stringMatching(/spool\/\d+\.segment$/u)]));
    await expectAllShipped();
  });

  it('ships what was written before it was told to stop, and keeps what it delivered', async () => {
    await log(20_000);

    await machine.sh('systemctl stop gatehouse');

    expect(await show('Result')).toBe('success');
    expect(await show('ExecMainStatus')).toBe('0');
    expect((await machine.shellAs('app1', `cat ${secretOf('app1')}`)).stdout).toBe(passwords['app1']?.value);
    await machine.sh('systemctl start gatehouse');
    await expectAllShipped();
  });

  it('is upgraded while it works: restarted once, no line lost, no delivered file gone for a moment', async () => {
    const before = await mainPid();
    const deb = machine.copyIn(packages.after, '/root');
    const watch = machine.shellAs(
      'app1',
      `while [ ! -e /tmp/upgraded ]; do cat ${secretOf('app1')} >/dev/null || exit 9; done`,
    );

    const upgrading = machine.sh(`apt-get install --yes ${deb} 2>&1`);
    for (let turn = 0; turn < 10; turn += 1) await log(100);
    await upgrading;
    await log(100);
    await machine.sh('touch /tmp/upgraded');

    expect((await watch).code).toBe(0);
    expect(await mainPid()).not.toBe(before);
    expect(await machine.sh('gatehouse --version')).toBe(versionOf(packages.after));
    expect(await machine.sh('dpkg --verify gatehouse')).toBe('??5?????? c /etc/gatehouse/environment');
    await expectAllShipped();
  });

  it('goes with its secrets when it is removed, and leaves what is the operator’s when it is purged', async () => {
    await machine.sh('mkdir -p /etc/gatehouse/sealed && touch /etc/gatehouse/sealed/tls-key.sealed');

    await machine.sh('apt-get remove --yes gatehouse 2>&1');
    const afterRemove = await machine.sh(
      'ls -d /etc/gatehouse/* /run/gatehouse /var/lib/gatehouse 2>/dev/null || true',
    );
    await machine.sh('apt-get purge --yes gatehouse 2>&1');
    const left = await machine.sh(
      `find / -xdev \\( -path /proc -o -path /root -o -path /var/lib/apt \\) -prune -o -iname '*gatehouse*' -print 2>/dev/null`,
    );

    expect(afterRemove.split('\n')).toEqual([
      '/etc/gatehouse/config.json',
      '/etc/gatehouse/environment',
      '/etc/gatehouse/sealed',
      '/var/lib/gatehouse',
    ]);
    expect(
      left
        .split('\n')
        .filter((path) => path !== '')
        .toSorted(),
    ).toEqual(['/etc/gatehouse', dropIns]);
    expect(await machine.sh('ls -R /etc/gatehouse')).toBe(
      '/etc/gatehouse:\nsealed\n\n/etc/gatehouse/sealed:\ntls-key.sealed',
    );
    expect(await machine.sh('getent passwd gatehouse | cut -d: -f7')).toBe('/usr/sbin/nologin');
    expect(await machine.sh('find /proc -maxdepth 1 -user gatehouse')).toBe('');
  });
});

interface StatusDocument {
  readonly state: string;
  readonly failing: readonly string[];
  readonly events: { readonly spool: { readonly batches: number } };
}

function gateway() {
  return {
    version: 1,
    keys: { bindingKey: 'alias/gatehouse-binding' },
    secrets: Object.fromEntries(
      users.map((user) => [user, { secretsManager: { secretId: `prod/${user}` } }]),
    ),
    deliveries: users.map((user) => ({ secret: user, file: secretOf(user), owner: user, mode: '0400' })),
    events: { sources: { app: { files: ['/var/log/app/*.log'] }, agent: { audit: true } } },
  };
}

/** A program that prints status and body of a GET; the machine has no curl. */
function fetchWith(headers: string): string {
  const program = `const { get } = require('node:http');
    get(process.argv[1], { headers: ${headers} }, (reply) => {
      process.stdout.write(reply.statusCode + ' ');
      reply.pipe(process.stdout);
    });`;
  return `/usr/lib/gatehouse/bin/node -e '${program.replaceAll("'", '"')}'`;
}

/** The number in `→ Overall exposure level for gatehouse.service: 1.4 OK`. */
function exposureOf(line: string): number {
  const [, level] = /: ([\d.]+) /u.exec(line) ?? [];
  return Number(level);
}

function versionOf(deb: string): string {
  return /_([^_]+)_/u.exec(deb)?.[1] ?? '';
}
