import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { isatty } from 'node:tty';

const root = dirname(import.meta.dirname);
const modules = join(root, 'node_modules');
const folders = ['src', 'sandbox', 'test', 'scripts', 'vitest.config.ts'];

const isColoured = isatty(process.stdout.fd);

interface Check {
  readonly name: string;
  /** A program and its arguments; `node` is ours. */
  readonly argv: readonly [string, ...string[]];
}

const node = join(modules, '.bin/node');
const program = (name: string): string => join(modules, '.bin', name);

const checks: readonly Check[] = [
  { name: 'types', argv: [program('tsc'), '--pretty', String(isColoured)] },
  { name: 'format', argv: [program('biome'), 'check', `--colors=${isColoured ? 'force' : 'off'}`] },
  { name: 'lint', argv: [program('oxlint'), '--type-aware', '--deny-warnings', ...folders] },
  { name: 'unused', argv: [program('knip'), '--no-progress', '--treat-config-hints-as-errors'] },
  { name: 'layers', argv: [node, join(import.meta.dirname, 'check-layers.ts')] },
  { name: 'assembly', argv: [node, join(import.meta.dirname, 'assembly.ts'), '--check'] },
  { name: 'docs', argv: [node, join(import.meta.dirname, 'generate-docs.ts'), '--check'] },
];

interface Result {
  readonly name: string;
  readonly isGood: boolean;
  readonly seconds: number;
  readonly output: string;
}

async function run({ name, argv: [file, ...args] }: Check): Promise<Result> {
  const started = performance.now();
  const child = spawn(file, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  const output: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => output.push(piece));
  child.stderr.on('data', (piece: Buffer) => output.push(piece));
  const status = await once(child, 'close').then(
    ([code]: unknown[]) => code,
    (error: unknown) => output.push(Buffer.from(String(error))),
  );
  const seconds = (performance.now() - started) / 1000;
  return { name, isGood: status === 0, seconds, output: Buffer.concat(output).toString() };
}

const started = performance.now();
const results = await Promise.all(
  checks.map(async (check) => {
    const result = await run(check);
    process.stdout.write(
      `${result.isGood ? 'ok    ' : 'FAILED'} ${result.name.padEnd(8)} ${result.seconds.toFixed(1)} s\n`,
    );
    return result;
  }),
);

const failed = results.filter(({ isGood }) => !isGood);
for (const { name, output } of failed) process.stdout.write(`\n--- ${name}\n${output.trimEnd()}\n`);
const seconds = ((performance.now() - started) / 1000).toFixed(1);
process.stdout.write(
  `\n${results.length - failed.length} checks ok, ${failed.length} failed, ${seconds} s\n`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
