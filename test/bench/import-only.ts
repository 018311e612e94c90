import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type BenchHost, readyLine } from './bench-host.ts';

/**
 * Writes a program that imports every module which an agent of this host loads until it is ready, in the same order, in
 * as many threads, and does nothing else. Returns its path.
 */
export async function importOnly(host: BenchHost, folder: string): Promise<string> {
  const trace = join(folder, 'modules.txt');
  writeFileSync(trace, '');
  const preload = new URL(`./trace-modules.mjs?to=${encodeURIComponent(trace)}`, import.meta.url).href;
  await using agent = host.start(['--import', preload]);
  await agent.line(readyLine);
  const loaded = readFileSync(trace, 'utf8').trim().split('\n');

  const modulesOf = (thread: string): string[] =>
    loaded
      .filter((line) => line.startsWith(`${thread} `))
      .map((line) => line.slice(thread.length + 1))
      .filter((url) => !url.endsWith('/trace-modules.mjs') && !url.includes('trace-modules.mjs?'))
      // The program itself would run.
      .filter((url) => !url.endsWith('/gatehouse.mjs'));
  const workerModules = modulesOf('worker');
  const worker = join(folder, 'import-only-worker.mjs');
  const main = join(folder, 'import-only.mjs');
  writeFileSync(worker, `${imports(workerModules)}process.exit(0);\n`);
  const startsWorker = `import { Worker } from 'node:worker_threads';
const worker = new Worker(new URL(${JSON.stringify(pathToFileURL(worker).href)}), {
  env: { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE },
});
worker.postMessage(undefined);
await new Promise((resolve) => worker.on('exit', resolve));
`;
  // Its compiled code is kept when it exits by itself.
  const says =
    "process.once('SIGTERM', () => process.exit());\nprocess.stdout.write('imported\\n');\nsetInterval(() => undefined, 1e6);\n";
  writeFileSync(main, imports(modulesOf('main')) + (workerModules.length === 0 ? '' : startsWorker) + says);
  return main;
}

/** The worker's entry is told of no work, or throws for want of it; by then all that it needs is loaded. */
function imports(urls: readonly string[]): string {
  return urls.map((url) => `await import(${JSON.stringify(url)}).catch(() => undefined);\n`).join('');
}
