import { setTimeout as timeout } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { FaultEffect } from '../../sandbox/faults.ts';
import type { RunningAgent } from '../support/agent.ts';
import { dice, tell } from '../support/dice.ts';
import { type GatewayDocument, type Host, setup } from '../support/host.ts';
import { type SpoolMode, spooling, spoolModes } from '../support/spool-modes.ts';
import { type Account, accountOf, numberedLog } from './numbered-log.ts';
import { sized } from './sized.ts';

const kills = sized(100, 10);
const logged = { lines: sized(600_000, 100_000), linesPerFile: 15_000 };
/** Written for as long as the kills take. */
const writtenEveryMs = sized(20, 10);
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
async function shipThroughKills(
  what: string,
  mode: SpoolMode,
  weather: (host: Host) => Promise<void>,
): Promise<Shipped> {
  const started = performance.now();
  const { between } = dice(what);
  const host = await setup({
    gateway(document) {
      shipRotatedFiles(document);
      spooling(mode)(document);
    },
  });
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const log = numberedLog(
    { ...logged, path: host.logFile, linesAtOnce: 100, everyMs: writtenEveryMs },
    stop.signal,
  );
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

/** Batches that wait for their acknowledgement when an agent is killed: what was held of them is read again. */
const heldMax = 12;

/** What must not be, by its name: all of it nought. */
function faultsOf(shipped: Shipped, mode: SpoolMode, lostAnswers = 0) {
  const { lost, damaged, outOfOrder, changedBatches, repeatedBatches } = shipped;
  const repeatedMax = kills * (mode === 'always' ? 1 : heldMax) + lostAnswers;
  return {
    lost,
    damaged,
    outOfOrder,
    // Held lines come again in other batches than before: nothing of those was on the disk.
    changedBatches: mode === 'always' ? changedBatches : 0,
    repeatedTooOften: Math.max(0, repeatedBatches - repeatedMax),
  };
}

const none = { lost: 0, damaged: 0, outOfOrder: 0, changedBatches: 0, repeatedTooOften: 0 };

describe.each(spoolModes)('spooling %s', (mode) => {
  it(`${kills} kills while ${logged.lines} lines are shipped through rotation: none is lost`, async () => {
    const shipped = await shipThroughKills(`kills, ${mode}`, mode, async () => undefined);

    expect(faultsOf(shipped, mode)).toEqual(none);
    expect(shipped.readyKills).toBeGreaterThanOrEqual(kills / 3);
  });

  it('the same with lost answers and throttling', async () => {
    const shipped = await shipThroughKills(`kills, lost answers, throttling, ${mode}`, mode, async (host) => {
      fault(host, { kind: 'lost-answer' }, sized(0.1, 0.3), 1);
      fault(host, { kind: 'throttle' }, 0.2, 2);
    });

    expect(faultsOf(shipped, mode, shipped.lostAnswers)).toEqual(none);
    expect(shipped.lostAnswers).toBeGreaterThan(0);
  });

  it(`the same with an outage of ${outageMs / 1000} seconds`, async () => {
    const shipped = await shipThroughKills(`kills, 503, ${mode}`, mode, async (host) => {
      await timeout(5_000);
      const outage = fault(host, { kind: 'error', name: 'ServiceUnavailableException', status: 503 }, 1, 3);
      await timeout(outageMs);
      host.sandbox.faults.remove(outage);
    });

    expect(faultsOf(shipped, mode)).toEqual(none);
  });
});
