import { setTimeout as timeout } from 'node:timers/promises';
import { benchHost } from './bench-host.ts';
import { startNode } from './child.ts';
import type { Bench, BenchOptions, Sample, Subject } from './measure.ts';
import { cpuMsOf, memoryOf } from './process-usage.ts';
import type { Program } from './program.ts';

const bareNode = 'bare node';
/** `gatewayConfig.refreshCron` and `schedules.refreshSecretsCron` as they are by default: every five minutes. */
const refreshesPerHour = 12;
const msPerHour = 3_600_000;
const refreshes = 3;

/**
 * An agent with nothing to do, after it has settled. AWS calls: those of the quiet time, scaled to an hour, and those
 * of one refresh (SIGHUP reads what the two schedules read) as often as an hour has it; instance metadata apart.
 */
export const idle: Bench = {
  name: 'idle',
  summary: 'an agent with nothing to do',
  units: {
    cpu: '% of a core',
    RSS: 'MB',
    private: 'MB',
    'peak RSS': 'MB',
    'AWS calls when quiet': 'per hour',
    'AWS calls of a refresh': 'calls',
    'AWS calls': 'per hour',
  },
  baselines: [bareNode],
  rounds: { usual: 3, quick: 1 },
  async prepare({ programs, isQuick }: BenchOptions, _opened, note): Promise<readonly Subject[]> {
    const seconds = isQuick ? 1 : 20;
    note(`AWS calls per hour = quiet + ${refreshesPerHour} × refresh; one secret, file and audit events`);
    return [
      { name: bareNode, measure: () => bare(seconds) },
      ...programs.map((program) => ({
        name: 'agent',
        program,
        measure: () => resting(program, seconds),
      })),
    ];
  },
};

async function bare(seconds: number): Promise<Sample> {
  await using node = startNode(['-e', "process.stdout.write('ready\\n'); setInterval(() => undefined, 1e6)"]);
  await node.line('ready');
  return await usageOver(node.pid, seconds);
}

async function resting(program: Program, seconds: number): Promise<Sample> {
  await using opened = new AsyncDisposableStack();
  const host = await benchHost(program, {}, opened);
  const { agent } = await host.started();
  opened.use(agent);
  const { calls } = host.sandbox;
  const count = (): number => calls.list().filter(({ service }) => service !== 'ec2-metadata').length;
  const settleMs = Math.min(5000, seconds * 1000);
  await timeout(settleMs);

  calls.clear();
  const usage = await usageOver(agent.pid, seconds);
  const quiet = (count() * msPerHour) / (seconds * 1000);

  calls.clear();
  for (let done = 0; done < refreshes; done += 1) {
    agent.signal('SIGHUP');
    // Longer than a batch waits to be full: what the refresh wrote into the audit has been shipped.
    await timeout(1000);
  }
  const refresh = count() / refreshes;
  return {
    ...usage,
    'AWS calls when quiet': quiet,
    'AWS calls of a refresh': refresh,
    'AWS calls': quiet + refreshesPerHour * refresh,
  };
}

async function usageOver(pid: number, seconds: number): Promise<Sample> {
  const cpuBefore = cpuMsOf(pid);
  const startedMs = performance.now();
  await timeout(seconds * 1000);
  const tookMs = performance.now() - startedMs;
  const { rssMb, privateMb, peakMb } = memoryOf(pid);
  return {
    cpu: ((cpuMsOf(pid) - cpuBefore) / tookMs) * 100,
    RSS: rssMb,
    private: privateMb,
    'peak RSS': peakMb,
  };
}
