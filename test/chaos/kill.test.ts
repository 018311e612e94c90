import { setTimeout as timeout } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import type { FaultEffect } from '../../sandbox/faults.ts';
import type { RunningAgent } from '../support/agent.ts';
import { dice, tell } from '../support/dice.ts';
import { type GatewayDocument, type Host, setup } from '../support/host.ts';
import { type Account, accountOf, numberedLog } from './numbered-log.ts';
import { sized } from './sized.ts';

const kills = sized(30, 10);
const logged = { lines: sized(300_000, 100_000), linesPerFile: 15_000 };
const outageMs = sized(40_000, 10_000);
/** Shipping all of it takes a minute; the back-off after an outage another half. */
const patienceMs = 180_000;

interface Shipped extends Account {
  /** Kills of an agent that was up, and calls whose answer the faults took away. */
  readonly readyKills: number;
  readonly lostAnswers: number;
  readonly rotations: number;
  readonly seconds: number;
}

/**
 * Ships numbered lines through rotation while the agent is killed at random moments: half of the kills at any time
 * from its start on, half once it is up.
 */
async function shipThroughKills(what: string, weather: (host: Host) => Promise<void>): Promise<Shipped> {
  const started = performance.now();
  const { between } = dice(what);
  const host = await setup({ gateway: shipRotatedFiles });
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const log = numberedLog({ ...logged, path: host.logFile, linesAtOnce: 100, everyMs: 10 }, stop.signal);
  const over = weather(host);
  let readyKills = 0;
  const warnings: Record<string, number> = {};
  const count = (agent: RunningAgent): void => {
    for (const { level, event } of agent.lines()) {
      if (level === 'warn' || level === 'error') warnings[event] = (warnings[event] ?? 0) + 1;
    }
  };
  for (let kill = 0; kill < kills; kill += 1) {
    const agent = host.start();
    if (kill % 2 === 0) {
      await agent.event('agent.ready');
      await timeout(between(0, 1_000));
    } else {
      await timeout(between(0, 1_500));
    }
    if (agent.lines().some(({ event }) => event === 'agent.ready')) readyKills += 1;
    agent.kill('SIGKILL');
    await agent.finished;
    count(agent);
  }
  await log.done;
  const last = await host.started();
  await over;
  await untilAllThere(host);
  await last.stop();
  count(last);

  const shipped = {
    ...accountOf(host.batches(), logged),
    readyKills,
    lostAnswers: host.sandbox.calls.count({ outcome: 'lost', status: 200 }),
    rotations: log.rotations,
    seconds: Math.round((performance.now() - started) / 1000),
  };
  tell(`${what}: ${kills} kills, ${logged.lines} lines: ${JSON.stringify(shipped)}`);
  tell(`${what}: warnings ${JSON.stringify(warnings)}`);
  return shipped;
}

/** Rotated names match too: a file that came and went while no agent ran is read all the same. */
function shipRotatedFiles({ events }: GatewayDocument): void {
  const app = events?.sources['app'];
  if (typeof app === 'object' && app !== null && 'files' in app) app.files = [`${String(app.files)}*`];
}

async function untilAllThere(host: Host): Promise<void> {
  const until = performance.now() + patienceMs;
  while (accountOf(host.batches(), logged).lost > 0) {
    if (performance.now() > until) return;
    await timeout(500);
  }
}

function fault(host: Host, effect: FaultEffect, probability: number, seed: number): string {
  return host.sandbox.faults.add({ service: 'logs', operation: 'PutLogEvents', probability, seed, effect });
}

function expectNothingLost(shipped: Shipped): void {
  expect(shipped).toMatchObject({ lost: 0, damaged: 0, changedBatches: 0, outOfOrder: 0 });
}

it(`${kills} kills while ${logged.lines} lines are shipped through rotation: none is lost`, async () => {
  const shipped = await shipThroughKills('kills', async () => undefined);

  expectNothingLost(shipped);
  expect(shipped.repeatedBatches).toBeLessThanOrEqual(kills);
  expect(shipped.readyKills).toBeGreaterThanOrEqual(kills / 3);
});

it('the same with lost answers and throttling', async () => {
  const shipped = await shipThroughKills('kills, lost answers, throttling', async (host) => {
    fault(host, { kind: 'lost-answer' }, sized(0.1, 0.3), 1);
    fault(host, { kind: 'throttle' }, 0.2, 2);
  });

  expectNothingLost(shipped);
  expect(shipped.lostAnswers).toBeGreaterThan(0);
  expect(shipped.repeatedBatches).toBeLessThanOrEqual(kills + shipped.lostAnswers);
});

it(`the same with an outage of ${outageMs / 1000} seconds`, async () => {
  const shipped = await shipThroughKills('kills, 503', async (host) => {
    await timeout(5_000);
    const outage = fault(host, { kind: 'error', name: 'ServiceUnavailableException', status: 503 }, 1, 3);
    await timeout(outageMs);
    host.sandbox.faults.remove(outage);
  });

  expectNothingLost(shipped);
  expect(shipped.repeatedBatches).toBeLessThanOrEqual(kills);
});
