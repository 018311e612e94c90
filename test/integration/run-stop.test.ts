import { describe, expect, it } from 'vitest';
import type { FaultRule } from '../../sandbox/faults.ts';
import { eventually, type Host, numbered, setup } from '../support/host.ts';

describe('SIGTERM', () => {
  it('drains what was read, the audit of the stop included, and exits with 0', async () => {
    const host = await setup();
    const agent = await host.started();
    const put = { service: 'logs', operation: 'PutLogEvents' } as const;
    const held = host.sandbox.faults.add({ ...put, effect: { kind: 'hold' } });
    host.log(numbered(1000));
    await host.struck(held);
    host.log(numbered(1000, 1000));
    await agent.event('events.file-opened');

    const stopped = agent.stop();
    await agent.event('agent.stopping');
    host.sandbox.faults.remove(held);
    const { code } = await stopped;

    expect(code).toBe(0);
    expect(await agent.event('events.stopped')).toMatchObject({ spooledBatches: 0 });
    expect(agent.lines().at(-1)?.event).toBe('agent.stopped');
    expect(host.audit().at(-1)?.event).toBe('agent.stopping');
    expect(host.messages()).toStrictEqual(numbered(2000).slice(0, host.messages().length));
  });

  it.each<[string, FaultRule['effect']]>([
    ['answers with 503', { kind: 'error', name: 'ServiceUnavailableException', status: 503 }],
    ['does not answer', { kind: 'latency', ms: 600_000 }],
  ])('leaves in time when CloudWatch Logs %s, and the next agent ships all', async (_what, effect) => {
    const host = await setup({ bootstrap: { stopTimeoutSeconds: 2 } });
    const { agent, lines } = await withFullSpool(host, effect);

    // Nothing but its own time ends this stop: CloudWatch Logs stays away for longer than anybody waits here.
    const { code } = await agent.stop();
    const { stdout } = await host.run(['decommission', '--dry-run', '--json']);
    host.sandbox.faults.clear();
    await host.started();

    expect(code).toBe(0);
    // Not what the log says of it: a thread that is late with that is ended.
    expect((JSON.parse(stdout) as { leftover: { batches: number } }).leftover.batches).toBeGreaterThan(0);
    expect(await host.arrived(lines.length)).toStrictEqual(lines);
    await eventually(
      'the audit',
      () => host.audit().some(({ event }) => event === 'agent.stopping') || undefined,
    );
  });

  it('is not cut short by a SIGHUP', async () => {
    const host = await setup({ bootstrap: { stopTimeoutSeconds: 2 } });
    const { agent } = await withFullSpool(host, { kind: 'latency', ms: 600_000 });

    agent.kill('SIGTERM');
    await agent.event('agent.stopping');
    agent.kill('SIGHUP');

    expect((await agent.finished).code).toBe(0);
  });

  it('a second time leaves at once with exit code 143, and the next agent ships all', async () => {
    // By itself it would leave with 0, and not before the test has given up.
    const host = await setup({ bootstrap: { stopTimeoutSeconds: 600 } });
    const { agent, lines } = await withFullSpool(host, {
      kind: 'error',
      name: 'ServiceUnavailableException',
      status: 503,
    });

    agent.kill('SIGTERM');
    await agent.event('agent.stopping');
    const { code } = await agent.stop();
    host.sandbox.faults.clear();
    await host.started();

    expect(code).toBe(143);
    expect(await host.arrived(lines.length)).toStrictEqual(lines);
  });
});

/** An agent with lines in its spool that it cannot send. */
async function withFullSpool(host: Host, effect: FaultRule['effect']) {
  const lines = numbered(500);
  host.sandbox.faults.add({ service: 'logs', effect });
  const agent = await host.started();
  host.log(lines);
  await host.spooled(lines.length);
  return { agent, lines };
}
