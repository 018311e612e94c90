import { argumentsAs, isHelperCommand } from './cli/helper-words.ts';
import { giveHome } from './system/home.ts';

const nodeMajorMin = 26;
/** Words of the command that is started by others, who wait for it. */
const agentWords: ReadonlySet<string> = new Set(['run', 'start']);

const nodeMajor = Number.parseInt(process.versions.node, 10);
if (nodeMajor < nodeMajorMin) {
  process.stderr.write(
    `error: Gatehouse needs Node ${nodeMajorMin} or newer and this is ${process.versions.node}: ` +
      'run it through npm (npm run -s gatehouse -- …) or with node_modules/.bin/node.\n',
  );
  process.exitCode = 78;
} else {
  giveHome(process.env);
  const argv = argumentsAs(process.argv[1] ?? '', process.argv.slice(2));
  process.exitCode = (await helped(argv)) ?? (await started(argv)) ?? (await commanded(argv));
}

/** SDKs wait for the commands of aws_signing_helper, so those load nothing that they do not need. */
async function helped(argv: readonly string[]): Promise<number | undefined> {
  if (!isHelperCommand(argv)) return undefined;
  const { signingHelper } = await import('./cli/signing-helper.ts');
  return signingHelper(argv, process.env);
}

/** What the agent needs is in few files of its own. */
async function started(argv: readonly string[]): Promise<number | undefined> {
  if (!agentWords.has(argv[0] ?? '')) return undefined;
  await withCompiledCode();
  const { agent } = await import('./cli/agent.ts');
  return agent(argv, process.env);
}

async function commanded(argv: readonly string[]): Promise<number> {
  await withCompiledCode();
  const { main } = await import('./cli/cli.ts');
  return main(argv, process.env);
}

/** First: only what is loaded after it comes out of the cache. */
async function withCompiledCode(): Promise<void> {
  const { keepCompiledCode } = await import('./system/code-cache.ts');
  keepCompiledCode(process.env['CACHE_DIRECTORY']);
}
