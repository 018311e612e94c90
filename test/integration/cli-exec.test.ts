import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { gatehouse, type RunningAgent, startProgram } from '../support/agent.ts';
import { type GatewayDocument, type Host, type HostOptions, setup } from '../support/host.ts';

/** A host whose command's output is shipped, with the password in one variable. */
async function hostOf(options: HostOptions = {}): Promise<Host> {
  return setup({
    ...options,
    gateway(document) {
      document['exec'] = { environment: { DATABASE_PASSWORD: 'database-password' } };
      Object.assign(document.events?.sources ?? {}, { work: { exec: true, logStream: 'work/{file}' } });
      options.gateway?.(document);
    },
  });
}

function started(host: Host, command: readonly string[], env: Record<string, string> = {}): RunningAgent {
  return startProgram(['exec', '--config', host.configFile, '--', ...command], { ...host.env, ...env });
}

const shell = (script: string): readonly string[] => ['/bin/sh', '-c', script];

function withoutOutput({ events }: GatewayDocument): void {
  delete events?.sources['work'];
}

describe('gatehouse exec', () => {
  it('runs the command, shows its output and ships it, and ends with its exit code', async () => {
    const host = await hostOf();

    const { code, stdout, stderr } = await started(host, shell('echo out; echo err >&2; printf last; exit 7'))
      .finished;

    expect(code).toBe(7);
    expect(stdout).toBe('out\nlast');
    expect(stderr.split('\n')).toContain('err');
    expect(host.messages('work/stdout')).toEqual(['out', 'last']);
    expect(host.messages('work/stderr')).toEqual(['err']);
  });

  it('ships all that a command wrote before it ended', async () => {
    const host = await hostOf();

    const { code, stdout } = await started(host, ['seq', '1', '200000']).finished;
    await host.started();
    const shipped = await host.arrivedOnce(200_000, 'work/stdout');

    const lines = Array.from({ length: 200_000 }, (_line, index) => String(index + 1));
    expect(code).toBe(0);
    expect(stdout.split('\n').slice(0, -1)).toStrictEqual(lines);
    expect([...shipped]).toStrictEqual(lines);
  });

  it('gives the command its own arguments, folder, input and environment, and nothing of the agent', async () => {
    const host = await hostOf();
    const script = 'echo "$1"; cat; env | cut -d= -f1 | sort';
    const args = ['exec', '--config', host.configFile, '--', ...shell(script), '0', '--json'];

    const { stdout } = await gatehouse(args, {
      env: { ...host.env, APP_MODE: 'x', GATEHOUSE_LOG_LEVEL: 'info', NOTIFY_SOCKET: '/nowhere' },
      stdin: 'from stdin\n',
    });

    const [first, input, ...names] = stdout.split('\n').slice(0, -1);
    expect([first, input]).toEqual(['--json', 'from stdin']);
    expect(names).toEqual(
      expect.arrayContaining(['APP_MODE', 'DATABASE_PASSWORD', 'AWS_ENDPOINT_URL', 'PATH']),
    );
    expect(names.filter((name) => /GATEHOUSE|NOTIFY|WATCHDOG/u.test(name))).toEqual([]);
  });

  it('a secret is in the environment of the command alone, and out of what is shipped', async () => {
    const host = await hostOf();
    const agent = started(host, shell('echo "password $DATABASE_PASSWORD"; read -r wait'));

    await agent.said(/^password /u);
    const own = readFileSync(`/proc/${agent.pid}/environ`, 'utf8');
    const [shipped] = await host.arrived(1, 'work/stdout');
    agent.kill('SIGTERM');
    const { stdout, stderr } = await agent.finished;

    expect(stdout).toBe(`password ${host.password.value}\n`);
    expect(shipped).toBe('password [secret database-password]');
    expect(`${own}${stderr}`).not.toContain(host.password.value);
    expect(agent.lines().find(({ event }) => event === 'workload.started')).toMatchObject({
      command: '/bin/sh',
      secrets: ['DATABASE_PASSWORD'],
    });
    expect(host.audit().map(({ event }) => event)).toEqual(
      expect.arrayContaining(['workload.started', 'workload.ended']),
    );
  });

  it('passes signals on, and ends when the command has', async () => {
    const host = await hostOf();
    const script =
      'trap "echo usr1" USR1; trap "echo usr2" USR2; trap "echo hup" HUP; trap "echo term; exit 3" TERM; echo up; while :; do sleep 0.05; done';
    const agent = started(host, shell(script));
    await agent.said(/^up$/u);

    for (const [signal, said] of [
      ['SIGUSR1', /^usr1$/u],
      ['SIGUSR2', /^usr2$/u],
      ['SIGHUP', /^hup$/u],
    ] as const) {
      agent.kill(signal);
      await agent.said(said);
    }
    agent.kill('SIGTERM');
    const { code } = await agent.finished;

    expect(code).toBe(3);
    expect(agent.lines().map(({ event }) => event)).not.toContain('agent.reload-requested');
    expect(host.messages('work/stdout')).toEqual(['up', 'usr1', 'usr2', 'hup', 'term']);
  });

  it('a command that does not end when it is asked to is killed in time', async () => {
    const host = await hostOf({ bootstrap: { stopTimeoutSeconds: 2 } });
    const agent = started(host, shell('trap "" TERM; echo up; while :; do sleep 0.05; done'));
    await agent.said(/^up$/u);

    // The command itself never ends.
    const { code } = await agent.stop();

    expect(code).toBe(137);
    expect(agent.lines().map(({ event }) => event)).toContain('workload.killed');
  });

  it.each([
    ['ended by a signal', shell('kill -KILL $$'), 137, ''],
    ['that is not there', ['/nowhere/program'], 127, '(WORKLOAD_NOT_FOUND)'],
    ['that is no name on the PATH', ['no-such-program'], 127, '(WORKLOAD_NOT_FOUND)'],
    ['that may not be executed', ['/etc/passwd'], 126, '(WORKLOAD_NOT_STARTED)'],
  ] as const)('of a command %s the exit code is as a shell has it', async (_what, command, wanted, said) => {
    const host = await hostOf();

    const { code, stderr } = await started(host, command).finished;

    expect(code).toBe(wanted);
    expect(stderr).toContain(said);
  });

  it('starts no command where a secret of its environment cannot be read', async () => {
    const host = await hostOf({
      gateway({ secrets }) {
        secrets['database-password'] = { secretsManager: { secretId: 'prod/absent' } };
      },
    });
    const mark = join(host.disk, 'mark');

    const { code, stderr } = await started(host, shell(`touch ${mark}`)).finished;

    expect(code).toBe(69);
    expect(stderr).toContain('(WORKLOAD_SECRET_MISSING)');
    expect(() => readFileSync(mark)).toThrow('ENOENT');
  });

  it('without a source for it the output is the terminal’s alone', async () => {
    const host = await hostOf({ gateway: withoutOutput });

    const { code, stdout } = await started(host, shell('echo out; exit 0')).finished;

    expect([code, stdout]).toEqual([0, 'out\n']);
    expect(Object.keys(host.sandbox.state.logs.groups['/gatehouse/web-1']?.streams ?? {})).not.toContain(
      'work/stdout',
    );
  });

  it('a stop before the command was started starts none', async () => {
    const host = await hostOf();
    const slow = host.sandbox.faults.add({ service: 'secretsmanager', effect: { kind: 'hold' } });
    const agent = started(host, shell('echo never'));
    await host.struck(slow);

    agent.kill('SIGTERM');
    const { code, stdout } = await agent.finished;

    expect([code, stdout]).toEqual([143, '']);
  });

  it('while the spool is full the command waits, and nothing of it is lost', async () => {
    const host = await hostOf({
      gateway({ events }) {
        Object.assign(events ?? {}, { spool: { bytesMax: 8 * 2 ** 20 } });
      },
    });
    const away = host.sandbox.faults.add({ service: 'logs', effect: { kind: 'cut' } });
    const agent = started(host, ['seq', '1', '400000']);
    await agent.event('events.spool-full');

    host.sandbox.faults.remove(away);
    const { code } = await agent.finished;
    await host.started();
    const messages = await host.arrivedOnce(400_000, 'work/stdout');

    expect(code).toBe(0);
    expect(messages.size).toBe(400_000);
  });

  it('wants a command', async () => {
    const host = await hostOf();
    const config = ['--config', host.configFile];

    for (const args of [
      ['exec', ...config],
      ['exec', ...config, '--'],
      ['exec', 'true', ...config],
    ]) {
      const { code, stderr } = await gatehouse(args, { env: host.env });
      expect([code, stderr.includes('(USAGE)')]).toEqual([64, true]);
    }
  });
});
