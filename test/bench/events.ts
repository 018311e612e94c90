import { linkSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { benchHost } from './bench-host.ts';
import { type Child, startNode } from './child.ts';
import { type LogFile, writeLogFile } from './log-lines.ts';
import type { Bench, BenchOptions, Sample, Subject } from './measure.ts';
import { cpuMsOf, memoryOf } from './process-usage.ts';
import type { Program } from './program.ts';
import { type Receiver, startReceiver } from './receiver.ts';

const plain = 'plain loop';
const ceiling = 'receiver, fed ready-made bodies';
const lastLine = 'the last line of this file, which ends the measurement';
const bytesPerMb = 1_000_000;

/**
 * A file appears below the glob of an agent that is ready; the clock stops when its last line is at the receiver, so
 * the finding of the file and the last batch's wait are in it. CPU is that of the whole process, its worker included.
 */
export const events: Bench = {
  name: 'events',
  summary: 'a file of 200-byte lines, from the disk to CloudWatch Logs',
  units: { speed: 'MB/s', cpu: 'ms/MB', 'peak RSS': 'MB', 'receiver busy': '%' },
  baselines: [plain],
  rounds: { usual: 5, quick: 1 },
  prepare,
};

interface Work {
  readonly path: string;
  readonly file: LogFile;
}

async function prepare(
  { programs, isQuick }: BenchOptions,
  opened: AsyncDisposableStack,
  note: (fact: string) => void,
): Promise<readonly Subject[]> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'));
  opened.defer(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'whole.log');
  const file = writeLogFile(path, (isQuick ? 4 : 250) * bytesPerMb, lastLine);
  const work = { path, file };
  const lineBytes = (file.bytes / file.lines).toFixed(0);
  note(
    `${(file.bytes / bytesPerMb).toFixed(0)} MB, ${file.lines} lines of ${lineBytes} bytes, which zstd -1 makes ${file.compression.toFixed(1)} times smaller`,
  );
  for (const program of programs) note(await countOf(program, work));
  return [
    { name: ceiling, measure: () => looping(work, 'encoded') },
    { name: plain, measure: () => looping(work) },
    ...programs.map((program) => ({ name: 'agent', program, measure: () => shipping(program, work) })),
  ];
}

/** One run that is not timed: a fast agent that loses lines is none. */
async function countOf(program: Program, work: Work): Promise<string> {
  await using opened = new AsyncDisposableStack();
  const receiver = await startReceiver(lastLine, opened, true);
  await ship(program, work, receiver, opened);
  const { events: arrived, calls, bytes } = await receiver.last();
  const { lines } = work.file;
  if (arrived !== lines) throw new Error(`${program.name}: ${lines} lines, ${arrived} events arrived`);
  const bodyMb = (bytes / calls / bytesPerMb).toFixed(2);
  return `${program.name}: all ${lines} lines arrived, once each, in ${calls} calls of ${bodyMb} MB on average`;
}

async function shipping(program: Program, work: Work): Promise<Sample> {
  await using opened = new AsyncDisposableStack();
  const receiver = await startReceiver(lastLine, opened);
  return await ship(program, work, receiver, opened);
}

async function ship(
  program: Program,
  work: Work,
  receiver: Receiver,
  opened: AsyncDisposableStack,
): Promise<Sample> {
  const host = await benchHost(program, { logsUrl: receiver.url }, opened);
  const { agent } = await host.started();
  opened.use(agent);
  return timed(agent, receiver, work, () => linkSync(work.path, join(host.logFolder, 'app.log')));
}

async function looping({ path, file }: Work, mode = ''): Promise<Sample> {
  await using opened = new AsyncDisposableStack();
  const receiver = await startReceiver(lastLine, opened);
  const loop = opened.use(startPlainLoop(receiver, path, lastLine, mode));
  await loop.line('ready');
  return await timed(loop, receiver, { path, file }, () => loop.write('go'));
}

export function startPlainLoop(receiver: Receiver, path: string, last: string, mode = ''): Child {
  const program = fileURLToPath(new URL('./plain-loop.ts', import.meta.url));
  return startNode([program, receiver.url, path, last, mode]);
}

async function timed(shipper: Child, receiver: Receiver, { file }: Work, go: () => void): Promise<Sample> {
  const cpuBefore = cpuMsOf(shipper.pid);
  const receiverBefore = cpuMsOf(receiver.pid);
  const startedMs = performance.now();
  go();
  const { atMs } = await receiver.last();
  const tookMs = atMs - startedMs;
  const mb = file.bytes / bytesPerMb;
  return {
    speed: (mb / tookMs) * 1000,
    cpu: (cpuMsOf(shipper.pid) - cpuBefore) / mb,
    'peak RSS': memoryOf(shipper.pid).peakMb,
    'receiver busy': ((cpuMsOf(receiver.pid) - receiverBefore) / tookMs) * 100,
  };
}
