import { chmodSync } from 'node:fs';
import { expect, test } from 'vitest';
import { gatehouse } from '../support/agent.ts';
import { eventually, nobody, setup } from '../support/host.ts';
import { shell } from '../support/shell.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

test('without an agent the status is 69', async () => {
  const env = { GATEHOUSE_RUNTIME_DIRECTORY: temporaryDirectory() };

  const { code, stdout, stderr } = await gatehouse(['status'], { env });

  expect(stderr).toMatch(/^error: no agent answers on its control socket: .*\(AGENT_NOT_RUNNING\)\nhint: /u);
  expect({ code, stdout }).toEqual({ code: 69, stdout: '' });
});

test('the status of an agent that is ready is a page for people and one object for programs', async () => {
  const host = await setup();
  const agent = await host.started();

  const text = await host.run(['status']);
  const json = await host.run(['status', '--json']);
  await agent.stop();

  expect(text.stdout).toMatch(/^state +ready$/mu);
  expect(text.stdout).toMatch(/^credentials +instance-role, until \d{4}-/mu);
  expect(text.stdout).toMatch(/^config +prod\/gatehouse\/web version \S+, applied \d{4}-/mu);
  expect(text.stdout).toMatch(/^database-password +secretsManager +\S+ +ok$/mu);
  expect(text.stdout).toMatch(new RegExp(`^${host.passwordFile} +database-password +\\d{4}-\\S+ +ok$`, 'mu'));
  expect(text.stdout).toMatch(/^spool +\d+ batches, \d+ of \d+ bytes, sealed$/mu);
  expect(JSON.parse(json.stdout)).toMatchObject({
    state: 'ready',
    failing: [],
    name: 'web-1',
    pid: agent.pid,
    credentials: { source: 'instance-role' },
    config: { secretName: 'prod/gatehouse/web', restartNeeded: [] },
    secrets: [{ name: 'database-password' }],
    deliveries: [{ secret: 'database-password' }],
    events: { spool: { isSealed: true } },
    counters: { 'agent.ready': 1 },
  });
  for (const { code, stderr } of [text, json]) expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test('events that found no room in the spool are counted in the status and in the metrics', async () => {
  const host = await setup({
    gateway({ events }) {
      Object.assign(events ?? {}, { spool: { bytesMax: 16 * 2 ** 20, whenFull: 'drop-newest' } });
    },
  });
  host.sandbox.faults.add({ service: 'logs', effect: { kind: 'cut' } });
  host.log(Array.from({ length: 20_000 }, () => 'x'.repeat(1_000)));
  const agent = await host.started();
  await agent.event('events.dropped');
  await host.spooled(20_000);

  // The last may be on its way to be dropped.
  const told = await eventually('one count in both', async () => {
    const { stdout } = await host.run(['status']);
    const [, events] = /^DROPPED +(\d+) events, \d+ bytes, for which there was no room$/mu.exec(stdout) ?? [];
    const { body } = await host.asked('/metrics');
    return body.includes(`gatehouse_dropped_events_total ${events}\n`) ? Number(events) : undefined;
  });
  agent.kill('SIGKILL');

  expect(told).toBeGreaterThan(0);
});

test('the agent of another user does not answer: 77', async ({ skip }) => {
  skip(process.getuid?.() !== 0, 'only root can be another user');
  const host = await setup();
  await host.started();
  chmodSync(host.runtimeDirectory, 0o755);

  const { code, stdout, stderr } = await shell('gatehouse status', {
    env: { GATEHOUSE_RUNTIME_DIRECTORY: host.runtimeDirectory },
    uid: nobody,
  });

  expect(stderr).toContain('error: the control socket belongs to another user');
  expect(stderr).toContain('(AGENT_ACCESS_DENIED)');
  expect({ code, stdout }).toEqual({ code: 77, stdout: '' });
});
