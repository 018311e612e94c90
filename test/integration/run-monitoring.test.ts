import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { eventually, numbered, setup } from '../support/host.ts';

const listen = '127.0.0.1:0';

describe('health', () => {
  it('tells starting, ready and gone apart, over control.sock and HTTP', async () => {
    const host = await setup({ bootstrap: { monitoring: { listen } } });
    const slow = host.sandbox.faults.add({ service: 'secretsmanager', effect: { kind: 'hold' } });
    const agent = host.start();
    const { address } = await agent.event('api.listening');
    const url = `http://${String(address)}`;
    const checks = async () => {
      const [startup, live, ready] = await Promise.all(
        ['startup', 'live', 'ready'].map((probe) => host.run(['status', '--check', probe])),
      );
      return [startup?.code, live?.code, ready?.code];
    };
    await agent.event('credentials.obtained');

    expect(await checks()).toEqual([75, 0, 75]);
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
    const starting = await fetch(`${url}/health/startup`);
    expect(starting.status).toBe(503);
    expect(await starting.json()).toEqual({ isOk: false, state: 'starting', failing: 0, reason: 'starting' });

    host.sandbox.faults.remove(slow);
    await agent.event('agent.ready');
    expect(await checks()).toEqual([0, 0, 0]);
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);

    await agent.stop();
    expect(await checks()).toEqual([69, 69, 69]);
    await expect(fetch(`${url}/health/live`)).rejects.toThrow('fetch failed');
  });

  it('of a degraded agent is good, and says how many parts fail', async () => {
    const host = await setup({
      gateway: ({ secrets }) => {
        secrets['absent'] = { secretsManager: { secretId: 'prod/absent' } };
      },
    });
    await host.started();

    const text = await host.run(['status', '--check', 'ready']);
    const json = await host.run(['status', '--check', 'ready', '--json']);

    expect(text).toEqual({ code: 0, stdout: 'ready: yes (degraded, 1 failing)\n', stderr: '' });
    expect(JSON.parse(json.stdout)).toEqual({ isOk: true, state: 'degraded', failing: 1 });
  });
});

describe('metrics', () => {
  it('are served to whoever asks on loopback by a loopback name, and to nobody else', async () => {
    const host = await setup({ bootstrap: { monitoring: { listen } } });
    const agent = await host.started();
    const { address } = await agent.event('api.listening');
    host.log(numbered(10));
    await host.arrived(10);
    const url = `http://${String(address)}/metrics`;

    const page = await eventually('what was sent', async () => {
      const reply = await fetch(url);
      const text = await reply.text();
      return text.includes('\ngatehouse_source_events_total{source="app"} 10\n')
        ? { reply, text }
        : undefined;
    });

    expect(page.reply.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(page.text).toMatch(/^gatehouse_log_events_total\{event="agent\.ready",level="info"\} 1$/mu);
    expect(page.text).toMatch(/^gatehouse_credentials_expiration_timestamp_seconds \d{10}/mu);
    expect((await host.asked('/metrics')).body).toContain('gatehouse_state{state="ready"} 1');
    expect((await fetch(`http://${String(address)}/status`)).status).toBe(404);
    expect((await host.run(['status'])).stdout).toMatch(new RegExp(`^monitoring +${String(address)}$`, 'mu'));
  });

  it('never keep an agent from starting: a port that somebody has degrades it', async () => {
    const squatter = createServer();
    squatter.listen(0, '127.0.0.1');
    await once(squatter, 'listening');
    onTestFinished(() => {
      squatter.close();
    });
    const bound = squatter.address();
    const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
    const host = await setup({ bootstrap: { monitoring: { listen: `127.0.0.1:${port}` } } });

    const agent = await host.started();

    expect(await agent.event('api.listen-failed')).toMatchObject({
      error: { code: 'API_ADDRESS_UNAVAILABLE' },
    });
    expect(await host.status()).toMatchObject({ state: 'degraded', failing: ['monitoring'] });
  });

  it('beyond loopback are a wrong config', async () => {
    const host = await setup({ bootstrap: { monitoring: { listen: '0.0.0.0:9464' } } });

    const { code, stderr } = await host.run(['run']);

    expect(code).toBe(78);
    expect(stderr).toContain('monitoring.listen: expected a loopback IP address and a port');
  });
});

describe('the log level', () => {
  it('is changed by command, said in the log and the audit, and shown', async () => {
    const host = await setup();
    const agent = await host.started();

    const before = await host.run(['log-level']);
    const changed = await host.run(['log-level', 'error']);
    const quieter = await agent.event('agent.log-level-changed');
    const status = await host.run(['status']);
    const back = await host.run(['log-level', 'debug', '--json']);

    expect(before.stdout).toBe('info\n');
    expect(changed.stdout).toBe('error (configured: info)\n');
    expect(quieter).toMatchObject({ level: 'warn', logLevel: 'error', before: 'info', by: 'control socket' });
    expect(status.stdout).toMatch(/^log level +error, configured info$/mu);
    expect(JSON.parse(back.stdout)).toEqual({ level: 'debug', configured: 'info' });
    await agent.stop();
    const audited = host.audit().filter(({ event }) => event === 'agent.log-level-changed');
    expect(audited.map(({ fields }) => fields['logLevel'])).toEqual(['error', 'debug']);
    expect((await host.run(['log-level', 'trace'])).code).toBe(64);
  });

  it('is toggled by SIGUSR2, which ends nothing, from the start on', async () => {
    const host = await setup();
    const slow = host.sandbox.faults.add({ service: 'secretsmanager', effect: { kind: 'hold' } });
    const agent = host.start();
    await host.struck(slow);

    agent.kill('SIGUSR2');
    await agent.event('agent.log-level-changed', ({ by }) => by === 'signal');
    host.sandbox.faults.remove(slow);
    await agent.event('agent.ready');
    const during = await host.run(['log-level']);
    agent.kill('SIGUSR2');
    await eventually(
      'the second',
      () =>
        agent.lines().filter(({ event }) => event === 'agent.log-level-changed').length === 2 || undefined,
    );

    expect(during.stdout).toBe('debug (configured: info)\n');
    expect((await host.run(['log-level'])).stdout).toBe('info\n');
  });
});
