import { helperCommands } from './helper-commands.ts';
import { outcomeOf } from './outcome.ts';
import { plainArguments } from './plain-arguments.ts';

/**
 * Runs a command of aws_signing_helper. An SDK starts it for every process that wants credentials, and waits: so this
 * is one file of its own in dist/, a twentieth of what all commands are together. Undefined for what is not plain
 * (`--help`, a flag that is not known) and for what needs the bootstrap config: that is for who knows all.
 */
export async function signingHelper(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<number | undefined> {
  const plain = plainArguments(argv, helperCommands());
  if (plain === undefined) return undefined;
  const { command, args } = plain;
  const isSession = 'trust-anchor-arn' in command.options;
  const isWhole = args['trust-anchor-arn'] !== undefined || args['consumer'] !== undefined;
  if (isSession && !isWhole) return undefined;
  return outcomeOf(argv, env, (_argv, invocation) => command.run(args, invocation));
}
