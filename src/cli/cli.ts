import type { Argv } from 'yargs';
import { exitCode } from '../base/exit-code.ts';
import { auditCommand } from './audit.ts';
import { type Command, globalOptions, type Invocation } from './command.ts';
import { configCommand } from './config.ts';
import type { ConfiguredIdentity } from './credential-process.ts';
import { decommissionCommand } from './decommission.ts';
import { demoCommand } from './demo.ts';
import { eventsCommand } from './events.ts';
import { execCommand } from './exec.ts';
import { helperCommands } from './helper-commands.ts';
import { refuseForeignFlags } from './helper-options.ts';
import { hasHelperFlags } from './helper-words.ts';
import { installProfileCommand } from './install-profile.ts';
import { kmsCommand } from './kms.ts';
import { logLevelCommand } from './log-level.ts';
import { masterKeyCommand } from './master-key.ts';
import { outcomeOf } from './outcome.ts';
import { plainArguments } from './plain-arguments.ts';
import { runCommand } from './run.ts';
import { sandboxCommand } from './sandbox.ts';
import { sealCommand } from './seal.ts';
import { serveCommand } from './serve.ts';
import { statusCommand } from './status.ts';
import { topCommand } from './top.ts';
import { refuseTypographicDashes } from './typographic.ts';
import { unsealCommand } from './unseal.ts';
import { updateCommand } from './update.ts';
import { firstWord, helpAsFlag, nameACommand, refuseUnheard, usageErrorOf } from './usage-error.ts';
import { version } from './version.ts';
import { whoamiCommand } from './whoami.ts';

const configured: ConfiguredIdentity = async (launch) => {
  const { configuredIdentity } = await import('../agent/signing-helper/configured-identity.ts');
  return configuredIdentity(launch);
};

/** Every command, in the order that help and reference show them. */
export const commands: readonly Command[] = [
  runCommand,
  execCommand,
  statusCommand,
  topCommand,
  logLevelCommand,
  whoamiCommand,
  configCommand,
  eventsCommand,
  auditCommand,
  sealCommand,
  unsealCommand,
  ...helperCommands(configured),
  serveCommand(configured),
  updateCommand(configured),
  masterKeyCommand,
  installProfileCommand,
  kmsCommand,
  decommissionCommand,
  sandboxCommand,
  demoCommand,
];

/** Runs a command line. Resolves with the exit code; what failed has been said on stderr by then. */
export function main(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  return outcomeOf(argv, env, runCommandLine);
}

async function runCommandLine(all: readonly string[], given: Invocation): Promise<number> {
  const { argv, invocation } = withOperands(all, given);
  const plain = plainArguments(argv, commands);
  if (plain !== undefined) return plain.command.run(plain.args, invocation);
  refuseTypographicDashes(argv);
  refuseUnheard(argv, commands);
  if (hasHelperFlags(argv) || argv[0] === 'install-profile') refuseForeignFlags(argv);
  const { default: yargs } = await import('yargs');
  let result: number | undefined;
  const parser = yargs([...helpAsFlag(argv)])
    .scriptName('gatehouse')
    .usage('$0 COMMAND\n\nA host agent that keeps no long-lived secret.')
    .options(globalOptions)
    .version(version)
    .help()
    .alias('h', 'help')
    .detectLocale(false)
    .strict()
    .strictCommands()
    .demandCommand(1, nameACommand)
    .parserConfiguration({ 'duplicate-arguments-array': false })
    .wrap(Math.min(110, invocation.stdout.columns ?? 110))
    .exitProcess(false)
    .fail((message, error) => {
      // What a command threw stays what it is.
      if (error !== undefined && error.name !== 'YError') throw error;
      throw usageErrorOf(message ?? error?.message ?? '', argv, commands);
    });
  for (const each of commands) {
    register(parser, each, invocation, (code) => {
      result = code;
    });
  }

  const { help, version: isVersion } = await parser.parseAsync();
  if (result !== undefined) return result;
  if (help === true || isVersion === true) return exitCode.done;
  // A command behind `--` is an operand to yargs, and nobody's.
  throw usageErrorOf(nameACommand, argv, commands);
}

/** Takes what is behind `--` away from a command line, where its command wants it as it is. */
function withOperands(all: readonly string[], given: Invocation) {
  const end = all.indexOf('--');
  const argv = end < 0 ? all : all.slice(0, end);
  const taking = commands.find(({ usage, takesOperands }) => takesOperands === true && argv.includes(usage));
  if (end < 0 || taking === undefined) return { argv: all, invocation: given };
  // Its streams are made when they are asked for.
  const invocation: Invocation = Object.create(given, { operands: { value: all.slice(end + 1) } });
  return { argv, invocation };
}

function register(
  parser: Argv,
  declared: Command,
  invocation: Invocation,
  exit: (code: number) => void,
): void {
  parser.command({
    command: declared.usage,
    aliases: [...(declared.aliases ?? [])],
    describe: declared.summary,
    builder(inner: Argv) {
      inner.options({ ...declared.options });
      for (const [name, positional] of Object.entries(declared.positionals ?? {})) {
        inner.positional(name, positional);
        // Else yargs makes of `-`, which stands for stdin, an empty string.
        if ('type' in positional && positional.type === 'string') inner.nargs(name, 1);
      }
      for (const below of declared.subcommands ?? []) register(inner, below, invocation, exit);
      return declared.subcommands === undefined
        ? inner
        : inner.demandCommand(1, `Name what to do: ${words(declared)}.`);
    },
    async handler(args) {
      if (declared.subcommands === undefined) exit(await declared.run(args, invocation));
    },
  });
}

function words(declared: Command): string {
  return (declared.subcommands ?? []).map(({ usage }) => firstWord(usage)).join(', ');
}
