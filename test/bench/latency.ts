import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as timeout } from 'node:timers/promises';
import { benchHost } from './bench-host.ts';
import type { Bench, BenchOptions, Sample, Subject } from './measure.ts';
import { cpuMsOf } from './process-usage.ts';
import type { Program } from './program.ts';
import { startReceiver } from './receiver.ts';

const lastLine = 'the last line of this file, which ends the measurement';
const linesPerSecond = 1_000;
const everyMs = 10;

/** How long a line is under way: from when it is written to when the call that carries it is answered. */
export const latency: Bench = {
  name: 'latency',
  summary: `a log that grows by ${linesPerSecond} lines a second: from written to acknowledged`,
  units: { p50: 'ms', p99: 'ms', slowest: 'ms', cpu: '% of a core' },
  baselines: [],
  rounds: { usual: 3, quick: 1 },
  isByName: true,
  async prepare({ programs, isQuick }: BenchOptions): Promise<readonly Subject[]> {
    return programs.map((program) => ({
      name: 'agent',
      program,
      measure: () => growing(program, isQuick ? 2 : 20),
    }));
  },
};

async function growing(program: Program, seconds: number): Promise<Sample> {
  await using opened = new AsyncDisposableStack();
  const receiver = await startReceiver({ lastLine, does: 'ages' }, opened);
  const host = await benchHost(program, { logsUrl: receiver.url }, opened);
  const { agent } = await host.started();
  opened.use(agent);
  const path = join(host.logFolder, 'app.log');
  const startedMs = performance.now();
  const cpuBefore = cpuMsOf(agent.pid);
  let written = 0;
  for (let elapsedMs = 0; elapsedMs < seconds * 1000; elapsedMs = performance.now() - startedMs) {
    let text = '';
    const nowMs = performance.timeOrigin + performance.now();
    for (; written < (linesPerSecond * elapsedMs) / 1000; written += 1) {
      text += `line ${written} written=${nowMs.toFixed(3)} ${'by a service that logs '.repeat(6)}\n`;
    }
    appendFileSync(path, text);
    await timeout(everyMs);
  }
  appendFileSync(path, `${lastLine}\n`);
  const { atMs, ageMs } = await receiver.last();
  if (ageMs === undefined) throw new Error('the receiver noted no ages');
  const cpu = ((cpuMsOf(agent.pid) - cpuBefore) / (atMs - startedMs)) * 100;
  return { p50: ageMs.p50, p99: ageMs.p99, slowest: ageMs.max, cpu };
}
