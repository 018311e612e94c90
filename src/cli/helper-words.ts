/** The name that AWS's own helper has; Gatehouse under this name, by a link, does as it does. */
const helperName = 'aws_signing_helper';

/** Commands that are read and run without anything that the agent needs: SDKs wait for them. */
const helperWords: ReadonlySet<string> = new Set([
  'credential-process',
  'read-certificate-data',
  'sign-string',
]);

/** Those of its commands that go on until they are stopped: nobody waits for their start. */
const lastingWords: ReadonlySet<string> = new Set(['serve', 'update']);

/** The command line as Gatehouse knows it, when `program` may be the helper's name. */
export function argumentsAs(program: string, argv: readonly string[]): readonly string[] {
  const isHelper = program.slice(program.lastIndexOf('/') + 1) === helperName;
  return isHelper && argv[0] === 'version' ? ['--version', ...argv.slice(1)] : argv;
}

export function isHelperCommand([word = '']: readonly string[]): boolean {
  return helperWords.has(word);
}

/** Whether its flags are those of AWS's helper. */
export function hasHelperFlags([word = '']: readonly string[]): boolean {
  return helperWords.has(word) || lastingWords.has(word);
}
