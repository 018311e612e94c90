import { asGatehouseError } from '../base/errors.ts';
import { StopRequested } from '../system/signals.ts';
import type { Invocation } from './command.ts';
import { failureText } from './failure.ts';
import { unminded, watchOutput } from './output.ts';

/** Runs a command line. Resolves with the exit code; what failed has been said on stderr by then. */
export async function outcomeOf(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  run: (argv: readonly string[], invocation: Invocation) => Promise<number>,
): Promise<number> {
  const invocation: Invocation = {
    env,
    stdout: process.stdout,
    // Made when they are asked for: each costs a millisecond or more, and credential-process needs neither.
    get stderr() {
      return unminded(process.stderr);
    },
    get stdin() {
      return process.stdin;
    },
  };
  const isJson = asksForJson(argv);
  const output = watchOutput(invocation);
  // Node would print the message, which may be one that repeats what it must not.
  process.on('uncaughtException', (error) => {
    invocation.stderr.write(failureText(error, isJson));
    process.exit(asGatehouseError(error).row.exitCode);
  });

  try {
    const code = await run(argv, invocation);
    await output.flushed();
    return code;
  } catch (error) {
    // Whoever interrupts a command knows that it did not end by itself.
    if (error instanceof StopRequested) return error.exitCode;
    invocation.stderr.write(failureText(error, isJson));
    return asGatehouseError(error).row.exitCode;
  }
}

/** Errors of the command line itself come before any flag of it was understood. */
function asksForJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  const flags = end === -1 ? argv : argv.slice(0, end);
  return flags.some((flag) => flag === '--json' || flag === '--json=true');
}
