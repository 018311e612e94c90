import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BenchHost, type BenchHostOptions, benchHost } from './bench-host.ts';
import { startNode } from './child.ts';
import { importOnly } from './import-only.ts';
import type { Bench, BenchOptions, Sample, Subject } from './measure.ts';
import { cpuMsOf } from './process-usage.ts';
import type { Program } from './program.ts';

const bareNode = 'node -e 0';
const imports = 'import only';
const usual = 'agent';
const withSealed = 'agent, 20 sealed files';
const underRsa = 'agent, 20 sealed files under an RSA key';
const warmStarts = 2;

/**
 * From the start of the process to `agent.ready` on its stderr. The AWS is the sandbox in the bench's process, so its
 * answers, 2 ms or so each, are in the figures. Decrypts are calls to KMS: the spool's own keys are among them. State
 * directory and compile cache are those of an earlier start, but in a quick run, whose figures nobody keeps.
 */
export const start: Bench = {
  name: 'start',
  summary: 'from process start to agent.ready',
  units: { wall: 'ms', cpu: 'ms', decrypts: 'calls' },
  baselines: [bareNode, imports],
  aims: [
    { subject: usual, quantity: 'wall', most: 200, above: bareNode },
    { subject: withSealed, quantity: 'wall', most: 300, above: bareNode },
    { subject: underRsa, quantity: 'wall', most: 300, above: bareNode },
  ],
  rounds: { usual: 11, quick: 1 },
  prepare,
};

async function prepare(
  { programs, isQuick }: BenchOptions,
  opened: AsyncDisposableStack,
): Promise<readonly Subject[]> {
  const subjects: Subject[] = [{ name: bareNode, measure: bare }];
  const starts = isQuick ? 0 : warmStarts;
  for (const program of programs) {
    const host = await warmHost(program, {}, opened, starts);
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'));
    opened.defer(() => rmSync(folder, { recursive: true, force: true }));
    const importer = await importOnly(host, folder);
    subjects.push({ name: imports, program, measure: () => importing(program, importer, folder) });
    await importing(program, importer, folder);
    const smallest = await warmHost(program, { isBare: true }, opened, starts);
    subjects.push({ name: 'agent, gateway config only', program, measure: () => ready(smallest) });
    subjects.push({ name: usual, program, measure: () => ready(host) });
    const sealed = await warmHost(program, { sealedFiles: isQuick ? 2 : 20 }, opened, starts);
    subjects.push({ name: withSealed, program, measure: () => ready(sealed) });
    const rsa = { sealedFiles: isQuick ? 2 : 20, masterKeyUnder: 'RSA_2048' } as const;
    const oneCall = await warmHost(program, rsa, opened, starts);
    subjects.push({ name: underRsa, program, measure: () => ready(oneCall) });
  }
  return subjects;
}

/** A host whose agent was started before, and stopped in order: what a start leaves for the next is there. */
export async function warmHost(
  program: Program,
  options: BenchHostOptions,
  opened: AsyncDisposableStack,
  starts = warmStarts,
): Promise<BenchHost> {
  const host = await benchHost(program, options, opened);
  for (let started = 0; started < starts; started += 1) await ready(host);
  return host;
}

async function bare(): Promise<Sample> {
  await using node = startNode(['-e', '0']);
  return { wall: (await node.ended) - node.startedMs };
}

async function importing(program: Program, importer: string, folder: string): Promise<Sample> {
  await using node = startNode([...program.nodeFlags, importer], {
    NODE_COMPILE_CACHE: join(folder, 'cache'),
  });
  const { atMs } = await node.line('imported');
  const cpu = cpuMsOf(node.pid);
  await node.stop();
  return { wall: atMs - node.startedMs, cpu };
}

/** A start of the agent, and its end in order. */
export async function ready(host: BenchHost): Promise<Sample> {
  const counted = { service: 'kms', operation: 'Decrypt' } as const;
  const before = host.sandbox.calls.count(counted);
  const { agent, readyMs } = await host.started();
  await using stopped = agent;
  const cpu = cpuMsOf(agent.pid);
  const decrypts = host.sandbox.calls.count(counted) - before;
  await stopped.stop();
  return { wall: readyMs - agent.startedMs, cpu, decrypts };
}
