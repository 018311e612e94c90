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
  const slow = host.sandbox.faults.add({ service: 'secretsmanager', effect: { kind: 'hold' } });
  const agent = host.start();
  await host.struck(slow);

  const starting = await host.run(['status', '--json']);
  const shown = await host.run(['status']);
  host.sandbox.faults.remove(slow);
  await agent.event('agent.ready');
  const ready = await host.run(['status', '--json']);
  await agent.stop();
  const gone = await host.run(['status', '--json']);

  expect(JSON.parse(starting.stdout)).toMatchObject({ state: 'starting', pid: agent.pid });
  expect(JSON.parse(starting.stdout).waitsFor).toMatchObject({ what: 'gateway config' });
  expect(starting.code).toBe(75);
  expect(shown.stdout).toMatch(/^state +starting: waits for gateway config since \S+, for \d+ s at most$/mu);
  expect(JSON.parse(ready.stdout)).toMatchObject({ state: 'ready', pid: agent.pid });
  expect(JSON.parse(ready.stdout)).not.toHaveProperty('waitsFor');
  expect(ready.code).toBe(0);
  expect(JSON.parse(gone.stderr)).toMatchObject({ error: { code: 'AGENT_NOT_RUNNING' } });
  expect(gone.code).toBe(69);
});

it('status of an agent that has its config says that it waits for the secrets', async () => {
  const host = await setup();
  const slow = host.sandbox.faults.add({ service: 'secretsmanager', nth: 2, effect: { kind: 'hold' } });
  const agent = host.start();
  await host.struck(slow);

  const starting = await host.status();
  host.sandbox.faults.remove(slow);
  await agent.event('agent.ready');

  expect(starting).toMatchObject({ state: 'starting', waitsFor: { what: 'secrets' } });
});

it('a SIGHUP during the start does not end the agent', async () => {
  const host = await setup();
  const slow = host.sandbox.faults.add({ service: 'secretsmanager', effect: { kind: 'hold' } });
  const agent = host.start();
  await host.struck(slow);

  agent.kill('SIGHUP');
  // Signals are handed over in order: what is answered after it came after it.
  await host.status();
  host.sandbox.faults.remove(slow);

  await agent.event('agent.reload-requested');
  expect((await agent.stop()).code).toBe(0);
});

it('SIGHUPs that come while a reload is under way make one more of it', async () => {
  const host = await setup();
  const agent = await host.started();
  const reads = () => host.sandbox.calls.count({ service: 'secretsmanager' });
  const slow = host.sandbox.faults.add({ service: 'secretsmanager', effect: { kind: 'hold' } });
  const before = reads();
  agent.kill('SIGHUP');
  await host.struck(slow);

  for (let count = 0; count < 20; count += 1) agent.kill('SIGHUP');
  await host.status();
  host.sandbox.faults.remove(slow);
  // Two secrets each.
  await eventually('both', () => reads() >= before + 4);
  await agent.stop();

  const reloads = agent.lines().filter(({ event }) => event === 'agent.reload-requested');
  expect(reloads).toHaveLength(2);
});

it('a SIGTERM during the start ends it at once with exit code 0', async () => {
  const host = await setup();
  const slow = host.sandbox.faults.add({ service: 'secretsmanager', effect: { kind: 'hold' } });
  const agent = host.start();
  await host.struck(slow);

  const { code } = await agent.stop();

  expect(code).toBe(0);
  expect(agent.lines().map(({ event }) => event)).not.toContain('agent.failed');
});
