import { linkSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BenchHostOptions, benchHost } from './bench-host.ts';
import { type Child, startNode } from './child.ts';
import { type LineKind, type LogFile, writeLogFile } from './log-lines.ts';
import type { Bench, BenchOptions, Sample, Subject } from './measure.ts';
import { cpuMsOf, memoryOf } from './process-usage.ts';
import type { Program } from './program.ts';
import { type Receiver, startReceiver, type TlsFiles, tlsFiles } from './receiver.ts';

const plain = 'plain loop';
const ceiling = 'receiver, fed ready-made bodies';
const lastLine = 'the last line of this file, which ends the measurement';
const bytesPerMb = 1_000_000;

/** What is shipped, and by agents that are set up how. */
export interface ShippingCase {
  readonly name: string;
  readonly summary: string;
  readonly lines?: LineKind;
  readonly files?: number;
  readonly isTls?: boolean;
  readonly agents?: readonly ShippingAgent[];
  /** Most CPU of `agent`, as a multiple of that of the plain loop. */
  readonly mostCpu?: number;
  readonly isByName?: boolean;
}

export interface ShippingAgent {
  readonly name: string;
  readonly host?: Pick<BenchHostOptions, 'app' | 'events' | 'secretsMany'>;
}

const usual: readonly ShippingAgent[] = [{ name: 'agent' }];

/**
 * Files appear below the glob of an agent that is ready; the clock stops when their last lines are at the receiver, so
 * the finding of the files and the last batch's wait are in it. CPU is that of the whole process, its worker included.
 */
export function shipping(of: ShippingCase): Bench {
  return {
    name: of.name,
    summary: of.summary,
    units: { speed: 'MB/s', cpu: 'ms/MB', 'peak RSS': 'MB', 'on the wire': 'MB/MB', 'receiver busy': '%' },
    baselines: [plain],
    ...(of.mostCpu === undefined
      ? {}
      : { aims: [{ subject: 'agent', quantity: 'cpu', most: of.mostCpu, times: plain }] }),
    rounds: { usual: 5, quick: 1 },
    ...(of.isByName === true ? { isByName: true } : {}),
    prepare: (options, opened, note) => prepare(of, options, opened, note),
  };
}

interface Work {
  readonly paths: readonly string[];
  readonly bytes: number;
  readonly lines: number;
  readonly tls: TlsFiles | undefined;
  /** Bodies are looked at: the receiver takes longer, and knows what came over the wire. */
  readonly isLookedAt: boolean;
}

async function prepare(
  { lines = 'access', files = 1, isTls = false, agents = usual }: ShippingCase,
  { programs, isQuick, mb = isQuick ? 4 : 250 }: BenchOptions,
  opened: AsyncDisposableStack,
  note: (fact: string) => void,
): Promise<readonly Subject[]> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'));
  opened.defer(() => rmSync(folder, { recursive: true, force: true }));
  const bytes = (mb * bytesPerMb) / files;
  mkdirSync(join(folder, 'logs'));
  const paths = Array.from({ length: files }, (_, index) => join(folder, 'logs', `app-${index}.log`));
  const written: LogFile[] = paths.map((path) => writeLogFile(path, bytes, lastLine, lines));
  const sum = (of: (file: LogFile) => number): number => written.reduce((all, file) => all + of(file), 0);
  const work: Work = {
    paths,
    bytes: sum((file) => file.bytes),
    lines: sum((file) => file.lines),
    tls: isTls ? await tlsFiles(folder) : undefined,
    isLookedAt: agents.some(({ host }) => host?.events?.['compression'] !== undefined),
  };
  const lineBytes = (work.bytes / work.lines).toFixed(0);
  const compression = written[0]?.compression.toFixed(1);
  note(
    `${(work.bytes / bytesPerMb).toFixed(0)} MB in ${files === 1 ? 'a file' : `${files} files`}, ${work.lines} lines of ${lineBytes} bytes, which zstd -1 makes ${compression} times smaller`,
  );
  const ways = agents.flatMap((agent) => programs.map((program) => ({ agent, program })));
  for (const { agent, program } of ways) note(await countOf(agent, program, work, lines));
  return [
    { name: ceiling, measure: () => looping(work, 'encoded') },
    { name: plain, measure: () => looping(work) },
    ...ways.map(({ agent, program }) => ({
      name: agent.name,
      program,
      measure: () => shippingBy(agent, program, work),
    })),
  ];
}

/** One run that is not timed: a fast agent that loses lines is none. */
async function countOf(agent: ShippingAgent, program: Program, work: Work, kind: LineKind): Promise<string> {
  await using opened = new AsyncDisposableStack();
  const receiver = await startReceiver(
    { lastLine, times: work.paths.length, does: 'count', tls: work.tls },
    opened,
  );
  await ship(agent, program, work, receiver, opened);
  const { events: arrived, calls, bytes } = await receiver.last();
  const who = `${agent.name} [${program.name}]`;
  const inCalls = `in ${calls} calls of ${(bytes / calls / bytesPerMb).toFixed(2)} MB on average`;
  // Of traces it is events that arrive, and a trace has 24 lines.
  if (kind === 'stacks') return `${who}: ${work.lines} lines arrived as ${arrived} events, ${inCalls}`;
  if (arrived !== work.lines) throw new Error(`${who}: ${work.lines} lines, ${arrived} events arrived`);
  return `${who}: all ${work.lines} lines arrived, once each, ${inCalls}`;
}

async function shippingBy(agent: ShippingAgent, program: Program, work: Work): Promise<Sample> {
  await using opened = new AsyncDisposableStack();
  return await ship(agent, program, work, await receiverOf(work, opened), opened);
}

function receiverOf({ paths, tls, isLookedAt }: Work, opened: AsyncDisposableStack): Promise<Receiver> {
  return startReceiver({ lastLine, times: paths.length, does: isLookedAt ? 'read' : undefined, tls }, opened);
}

async function ship(
  { host: set = {} }: ShippingAgent,
  program: Program,
  work: Work,
  receiver: Receiver,
  opened: AsyncDisposableStack,
): Promise<Sample> {
  const host = await benchHost(program, { ...set, logsUrl: receiver.url, caBundle: work.tls?.ca }, opened);
  const { agent } = await host.started();
  opened.use(agent);
  return timed(agent, receiver, work, () => {
    for (const path of work.paths) linkSync(path, join(host.logFolder, basename(path)));
  });
}

async function looping(work: Work, mode = ''): Promise<Sample> {
  await using opened = new AsyncDisposableStack();
  const receiver = await receiverOf(work, opened);
  const loop = opened.use(startPlainLoop(receiver, work.paths, lastLine, mode, work.tls?.ca));
  await loop.line('ready');
  return await timed(loop, receiver, work, () => loop.write('go'));
}

export function startPlainLoop(
  receiver: Receiver,
  paths: readonly string[],
  last: string,
  mode = '',
  ca = '',
): Child {
  const program = fileURLToPath(new URL('./plain-loop.ts', import.meta.url));
  return startNode([program, receiver.url, paths.join(':'), last, mode, ca]);
}

async function timed(shipper: Child, receiver: Receiver, work: Work, go: () => void): Promise<Sample> {
  const cpuBefore = cpuMsOf(shipper.pid);
  const receiverBefore = cpuMsOf(receiver.pid);
  const startedMs = performance.now();
  go();
  const { atMs, bytes } = await receiver.last();
  const tookMs = atMs - startedMs;
  const mb = work.bytes / bytesPerMb;
  return {
    speed: (mb / tookMs) * 1000,
    cpu: (cpuMsOf(shipper.pid) - cpuBefore) / mb,
    'peak RSS': memoryOf(shipper.pid).peakMb,
    'receiver busy': ((cpuMsOf(receiver.pid) - receiverBefore) / tookMs) * 100,
    ...(bytes === 0 ? {} : { 'on the wire': bytes / work.bytes }),
  };
}
