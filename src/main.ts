import { argumentsAs, isHelperCommand } from './cli/helper-words.ts';

const nodeMajorMin = 26;

const nodeMajor = Number.parseInt(process.versions.node, 10);
if (nodeMajor < nodeMajorMin) {
  process.stderr.write(
    `error: Gatehouse needs Node ${nodeMajorMin} or newer and this is ${process.versions.node}: ` +
      'run it through npm (npm run -s gatehouse -- …) or with node_modules/.bin/node.\n',
  );
  process.exitCode = 78;
} else {
  const argv = argumentsAs(process.argv[1] ?? '', process.argv.slice(2));
  process.exitCode = (await helped(argv)) ?? (await commanded(argv));
}

/** SDKs wait for the commands of aws_signing_helper, so those load nothing that they do not need. */
async function helped(argv: readonly string[]): Promise<number | undefined> {
  if (!isHelperCommand(argv)) return undefined;
  const { signingHelper } = await import('./cli/signing-helper.ts');
  return signingHelper(argv, process.env);
}

async function commanded(argv: readonly string[]): Promise<number> {
  // First: only what is loaded after it comes out of the cache.
  const { keepCompiledCode } = await import('./system/code-cache.ts');
  keepCompiledCode(process.env['CACHE_DIRECTORY']);
  const { main } = await import('./cli/cli.ts');
  return main(argv, process.env);
}
