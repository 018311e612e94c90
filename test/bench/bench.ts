import { parseArgs } from 'node:util';
import { backlog } from './backlog.ts';
import { credentialProcess } from './credential-process.ts';
import { endpoints } from './endpoints.ts';
import { eventsBenches } from './events-cases.ts';
import { idle } from './idle.ts';
import { latency } from './latency.ts';
import { machine } from './machine.ts';
import { type Bench, type BenchOptions, measure, type Report } from './measure.ts';
import { type Program, programHere, programOf } from './program.ts';
import { reportText } from './report-text.ts';
import { seal } from './seal.ts';
import { start } from './start.ts';
import { steady } from './steady.ts';

const benches: readonly Bench[] = [
  start,
  credentialProcess,
  ...eventsBenches,
  latency,
  backlog,
  idle,
  steady,
  endpoints,
  seal,
];
const names = benches.map(({ name }) => name);

const usage = `usage: npm run bench -- [${names.join('|')}]… [--json] [--quick] [--rounds N] [--mb N] [--compare REF] [--built]

  --json         one JSON document on stdout, nothing else
  --quick        few short runs: tells that the bench works, not how fast anything is
  --rounds N     how often each subject is measured
  --mb N         megabytes of log that an events bench ships and backlog drains; 250 without: two seconds' worth
  --compare REF  builds REF in a temporary worktree and measures it and this tree alternately
  --built        measures dist/ as it is, instead of building it first
`;

/** Runs the benches that the command line names, the usual ones without a name; resolves with the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      mb: { type: 'string' },
      compare: { type: 'string' },
      built: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const usual = benches.filter(({ isByName }) => isByName !== true).map(({ name }) => name);
  const wanted = positionals.length === 0 ? usual : positionals;
  const strange = wanted.find((name) => !names.includes(name));
  const [rounds, mb] = [values.rounds, values.mb].map((given) =>
    given === undefined ? undefined : Number(given),
  );
  const isWrong = [rounds, mb].some((given) => given !== undefined && !(given >= 1));
  if (values.help || strange !== undefined || isWrong) {
    process.stderr.write(strange === undefined ? usage : `no bench is called ${strange}\n${usage}`);
    return values.help ? 0 : 64;
  }

  await using opened = new AsyncDisposableStack();
  const programs: Program[] = [await programHere({ isBuilt: values.built })];
  if (values.compare !== undefined) programs.push(await programOf(values.compare, opened));
  const options: BenchOptions = { programs, isQuick: values.quick, rounds, mb, say };
  const report: Report = { machine: machine(programs), benches: [] };
  for (const bench of benches.filter(({ name }) => wanted.includes(name))) {
    const result = await measure(bench, options);
    report.benches.push(result);
    if (!values.json) process.stdout.write(`${reportText(result)}\n`);
  }
  if (values.json) process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
  return 0;
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

process.exitCode = await main(process.argv.slice(2));
