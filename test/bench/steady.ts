import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as timeout } from 'node:timers/promises';
import { benchHost } from './bench-host.ts';
import { type Child, startNode } from './child.ts';
import { startPlainLoop } from './events.ts';
import { logText } from './log-lines.ts';
import type { Bench, BenchOptions, Sample, Subject } from './measure.ts';
import { cpuMsOf, memoryOf } from './process-usage.ts';
import type { Program } from './program.ts';
import { startReceiver } from './receiver.ts';

const bareNode = 'bare node';
const plain = 'plain loop';
const agentName = 'agent';
const lastLine = 'the last line of this file, which ends the measurement';
const mbPerSecond = 5;
const bytesPerMb = 1_000_000;
const everyMs = 50;

/** A program writes 5 MB/s into a log; memory is read when the last line has arrived. */
export const steady: Bench = {
  name: 'steady',
  summary: `a log that grows by ${mbPerSecond} MB/s`,
  units: { cpu: '% of a core', RSS: 'MB', private: 'MB', 'peak RSS': 'MB', 'last line late': 'ms' },
  baselines: [bareNode, plain],
  aims: [
    { subject: agentName, quantity: 'RSS', most: 130 },
    { subject: agentName, quantity: 'private', most: 80 },
  ],
  rounds: { usual: 3, quick: 1 },
  async prepare({ programs, isQuick }: BenchOptions): Promise<readonly Subject[]> {
    const seconds = isQuick ? 2 : 20;
    return [
      { name: bareNode, measure: () => bare() },
      { name: plain, measure: () => looping(seconds) },
      ...programs.map((program) => ({
        name: agentName,
        program,
        measure: () => shipping(program, seconds),
      })),
    ];
  },
};

async function bare(): Promise<Sample> {
  await using node = startNode(['-e', "process.stdout.write('ready\\n'); setInterval(() => undefined, 1e6)"]);
  await node.line('ready');
  const { rssMb, privateMb, peakMb } = memoryOf(node.pid);
  return { RSS: rssMb, private: privateMb, 'peak RSS': peakMb };
}

async function shipping(program: Program, seconds: number): Promise<Sample> {
  await using opened = new AsyncDisposableStack();
  const receiver = await startReceiver({ lastLine }, opened);
  const host = await benchHost(program, { logsUrl: receiver.url }, opened);
  const { agent } = await host.started();
  opened.use(agent);
  return await timed(
    agent,
    join(host.logFolder, 'app.log'),
    seconds,
    async () => (await receiver.last()).atMs,
  );
}

async function looping(seconds: number): Promise<Sample> {
  await using opened = new AsyncDisposableStack();
  const receiver = await startReceiver({ lastLine }, opened);
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'));
  opened.defer(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'app.log');
  appendFileSync(path, logText(1));
  const loop = opened.use(startPlainLoop(receiver, [path], lastLine));
  await loop.line('ready');
  loop.write('go');
  return await timed(loop, path, seconds, async () => (await receiver.last()).atMs);
}

async function timed(
  shipper: Child,
  path: string,
  seconds: number,
  arrived: () => Promise<number>,
): Promise<Sample> {
  const piece = logText((mbPerSecond * bytesPerMb * everyMs) / 1000);
  const startedMs = performance.now();
  const cpuBefore = cpuMsOf(shipper.pid);
  let written = 0;
  for (let elapsedMs = 0; elapsedMs < seconds * 1000; elapsedMs = performance.now() - startedMs) {
    // As much as is due by now: a timer that comes late does not make the rate smaller.
    for (; written < (mbPerSecond * bytesPerMb * elapsedMs) / 1000; written += piece.length) {
      appendFileSync(path, piece);
    }
    await timeout(everyMs);
  }
  appendFileSync(path, `${lastLine}\n`);
  const writtenMs = performance.now();
  const atMs = await arrived();
  const { rssMb, privateMb, peakMb } = memoryOf(shipper.pid);
  return {
    cpu: ((cpuMsOf(shipper.pid) - cpuBefore) / (atMs - startedMs)) * 100,
    RSS: rssMb,
    private: privateMb,
    'peak RSS': peakMb,
    'last line late': atMs - writtenMs,
  };
}
