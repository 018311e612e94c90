import { describe, expect, it } from 'vitest';
import type { FaultEffect } from '../../sandbox/faults.ts';
import { tell } from '../support/dice.ts';
import { eventually, type Host, numbered, setup } from '../support/host.ts';
import { type SpoolMode, spooling, spoolModes } from '../support/spool-modes.ts';

const lines = 20_000;

const waysToBeDown: readonly (readonly [string, FaultEffect])[] = [
  ['closes connections', { kind: 'cut' }],
  ['never answers', { kind: 'latency', ms: 600_000 }],
  ['answers 503', { kind: 'error', name: 'ServiceUnavailableException', status: 503 }],
];

/** An agent that has shipped something, then lost CloudWatch Logs while lines kept coming. */
async function downAndLogging(effect: FaultEffect, mode: SpoolMode, stopTimeoutSeconds: number) {
  const host = await setup({ bootstrap: { stopTimeoutSeconds }, gateway: spooling(mode) });
  const agent = await host.started();
  host.log(numbered(1));
  await host.arrived(1);
  host.sandbox.faults.add({ service: 'logs', effect });
  for (let first = 1; first < lines; first += 1000) {
    host.log(numbered(Math.min(1000, lines - first), first));
  }
  await eventually('a batch that waits', async () => ((await host.status()).events?.spool.batches ?? 0) > 0);
  return { host, agent };
}

async function expectAllThere(host: Host): Promise<void> {
  host.sandbox.faults.clear();
  await host.started();
  const arrived = await host.arrivedOnce(lines);

  expect([...arrived].toSorted()).toStrictEqual(numbered(lines).toSorted());
}

const ways = spoolModes.flatMap((mode) => waysToBeDown.map(([what, effect]) => ({ mode, what, effect })));

describe.each(ways)('spooling $mode, when CloudWatch Logs $what', ({ mode, what, effect }) => {
  it('SIGTERM leaves in time and loses nothing', async () => {
    const { host, agent } = await downAndLogging(effect, mode, 3);
    const asked = performance.now();

    // CloudWatch Logs does not come back before the agent has left.
    const { code } = await agent.stop();

    tell(`CloudWatch Logs ${what}: left ${Math.round(performance.now() - asked)} ms after SIGTERM`);
    expect(code).toBe(0);
    await expectAllThere(host);
  });

  it('a second signal leaves at once and loses nothing', async () => {
    // By itself it would leave with 0, and not before the test has given up.
    const { host, agent } = await downAndLogging(effect, mode, 3600);
    agent.kill('SIGTERM');
    await agent.event('agent.stopping');
    const asked = performance.now();

    agent.kill('SIGTERM');

    const { code } = await agent.finished;
    tell(
      `CloudWatch Logs ${what}: left ${Math.round(performance.now() - asked)} ms after the second SIGTERM`,
    );
    expect(code).toBe(143);
    await expectAllThere(host);
  });
});
