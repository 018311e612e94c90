const nodeMajorMin = 26;

const nodeMajor = Number.parseInt(process.versions.node, 10);
if (nodeMajor < nodeMajorMin) {
  process.stderr.write(
    `error: Gatehouse needs Node ${nodeMajorMin} or newer and this is ${process.versions.node}: ` +
      'run it through npm (npm run -s gatehouse -- …) or with node_modules/.bin/node.\n',
  );
  process.exitCode = 78;
} else {
  // First: only what is loaded after it comes out of the cache.
  const { keepCompiledCode } = await import('./system/code-cache.ts');
  keepCompiledCode(process.env['CACHE_DIRECTORY']);
  const { main } = await import('./cli/cli.ts');
  process.exitCode = await main(process.argv.slice(2), process.env);
}
