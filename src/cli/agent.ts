import { outcomeOf } from './outcome.ts';
import { plainArguments } from './plain-arguments.ts';
import { runCommand } from './run.ts';

/**
 * Runs the agent where its command line is as plain as the unit's: then nothing of the other commands is loaded, and what
 * is lies in files that it shares with none of them (`programs` of scripts/build.ts). Undefined for any other command line.
 */
export async function agent(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<number | undefined> {
  const plain = plainArguments(argv, [runCommand]);
  if (plain === undefined) return undefined;
  const { command, args } = plain;
  return outcomeOf(argv, env, (_argv, invocation) => command.run(args, invocation));
}
