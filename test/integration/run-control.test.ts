import { statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { eventually, setup } from '../support/host.ts';

it('control.sock is there for the agent’s own user only', async () => {
  const host = await setup();
  await host.started();

  const socket = statSync(join(host.runtimeDirectory, 'control.sock'));

  expect(socket.isSocket()).toBe(true);
  expect(socket.mode & 0o777).toBe(0o600);
});

it('status says starting with exit code 75, then ready with 0, and 69 once the agent is gone', async () => {
  const host = await setup();
  const slow = host.sandbox.faults.add({ service: 'secretsmanager', effect: { kind: 'latency', ms: 4000 } });
  const agent = host.start();
  await agent.event('credentials.obtained');

  const starting = await host.run(['status', '--json']);
  host.sandbox.faults.remove(slow);
  await agent.event('agent.ready');
  const ready = await host.run(['status', '--json']);
  await agent.stop();
  const gone = await host.run(['status', '--json']);

  expect(JSON.parse(starting.stdout)).toMatchObject({ state: 'starting', pid: agent.pid });
  expect(starting.code).toBe(75);
  expect(JSON.parse(ready.stdout)).toMatchObject({ state: 'ready', pid: agent.pid });
  expect(ready.code).toBe(0);
  expect(JSON.parse(gone.stderr)).toMatchObject({ error: { code: 'AGENT_NOT_RUNNING' } });
  expect(gone.code).toBe(69);
});

it('a SIGHUP during the start does not end the agent', async () => {
  const host = await setup();
  host.sandbox.faults.add({ service: 'secretsmanager', count: 1, effect: { kind: 'latency', ms: 500 } });
  const agent = host.start();
  await agent.event('credentials.obtained');

  agent.kill('SIGHUP');

  await agent.event('agent.reload-requested');
  expect((await agent.stop()).code).toBe(0);
});

it('SIGHUPs that come while a reload is under way make one more of it', async () => {
  const host = await setup();
  const agent = await host.started();
  host.sandbox.faults.add({ service: 'secretsmanager', nth: 1, effect: { kind: 'latency', ms: 500 } });
  agent.kill('SIGHUP');
  await eventually('the reload', () => (host.sandbox.faults.list()[0]?.hits ?? 0) > 0 || undefined);

  for (let count = 0; count < 20; count += 1) agent.kill('SIGHUP');
  await eventually('both', () => (host.sandbox.faults.list()[0]?.seen ?? 0) >= 4 || undefined);
  await agent.stop();

  const reloads = agent.lines().filter(({ event }) => event === 'agent.reload-requested');
  expect(reloads).toHaveLength(2);
});

it('a SIGTERM during the start ends it at once with exit code 0', async () => {
  const host = await setup();
  host.sandbox.faults.add({ service: 'secretsmanager', effect: { kind: 'latency', ms: 10_000 } });
  const agent = host.start();
  await agent.event('credentials.obtained');
  await eventually('the call under way', () => (host.sandbox.faults.list()[0]?.hits ?? 0) > 0 || undefined);

  const { code } = await agent.stop();

  expect(code).toBe(0);
  expect(agent.lines().map(({ event }) => event)).not.toContain('agent.failed');
});
