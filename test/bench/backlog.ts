import { linkSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as timeout } from 'node:timers/promises';
import { benchHost } from './bench-host.ts';
import { writeLogFile } from './log-lines.ts';
import type { Bench, BenchOptions, Sample, Subject } from './measure.ts';
import { cpuMsOf, memoryOf } from './process-usage.ts';
import type { Program } from './program.ts';
import { startReceiver } from './receiver.ts';

const lastLine = 'the last line of this file, which ends the measurement';
const bytesPerMb = 1_000_000;
const lookEveryMs = 200;

/** What an outage left in the spool is sent: read from the disk, opened, signed. From the first call that is taken. */
export const backlog: Bench = {
  name: 'backlog',
  summary: 'a spool that an outage filled is drained',
  units: { speed: 'MB/s', cpu: 'ms/MB', 'peak RSS': 'MB' },
  baselines: [],
  rounds: { usual: 3, quick: 1 },
  isByName: true,
  async prepare(
    { programs, isQuick, mb = isQuick ? 4 : 250 }: BenchOptions,
    opened: AsyncDisposableStack,
    note: (fact: string) => void,
  ): Promise<readonly Subject[]> {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'));
    opened.defer(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, 'whole.log');
    const { bytes } = writeLogFile(path, mb * bytesPerMb, lastLine);
    note(`${(bytes / bytesPerMb).toFixed(0)} MB of log`);
    return programs.map((program) => ({
      name: 'agent',
      program,
      measure: () => draining(program, path, bytes),
    }));
  },
};

async function draining(program: Program, path: string, bytes: number): Promise<Sample> {
  await using opened = new AsyncDisposableStack();
  const receiver = await startReceiver({ lastLine, isClosed: true }, opened);
  // An operator's tries are further apart the longer an outage lasts; here it is over as soon as all is spooled.
  const host = await benchHost(program, { logsUrl: receiver.url }, opened);
  const { agent } = await host.started();
  opened.use(agent);
  linkSync(path, join(host.logFolder, 'app.log'));
  const spool = join(host.stateDirectory, 'spool');
  for (let before = -1, now = 0; now < bytes || now !== before; ) {
    await timeout(lookEveryMs);
    before = now;
    now = sizeOf(spool);
  }
  receiver.open();
  const firstMs = await receiver.first();
  const cpuBefore = cpuMsOf(agent.pid);
  const { atMs } = await receiver.last();
  const mb = bytes / bytesPerMb;
  return {
    speed: (mb / (atMs - firstMs)) * 1000,
    cpu: (cpuMsOf(agent.pid) - cpuBefore) / mb,
    'peak RSS': memoryOf(agent.pid).peakMb,
  };
}

function sizeOf(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}
