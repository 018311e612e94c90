import { GatehouseError } from '../base/errors.ts';
import { wordsOf } from './command-line.ts';
import type { Credentials } from './credential-source.ts';
import { identityError } from './errors.ts';
import { processOutput } from './process-output.ts';
import type { RunHelper } from './roles-anywhere-helper.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** Long enough for somebody to sign in at a browser page that the process opened. */
const timeoutMs = 120_000;
const outputBytesMax = 64 * 1024;

/** What such a program needs to reach AWS and the desktop's key ring; nothing else of our environment concerns it. */
const passedOn = [
  'HTTPS_PROXY',
  'https_proxy',
  'NO_PROXY',
  'no_proxy',
  'DISPLAY',
  'WAYLAND_DISPLAY',
  'XDG_RUNTIME_DIR',
  'DBUS_SESSION_BUS_ADDRESS',
  'SSH_AUTH_SOCK',
  'GPG_TTY',
] as const;

/**
 * Runs the `credential_process` of a profile, without a shell, and takes the credentials it writes. What it says on
 * standard error is never repeated.
 * @throws CREDENTIALS_PROCESS_… and the signal's reason when it aborts.
 */
export async function credentialProcess(
  { profile, line }: { readonly profile: string; readonly line: string },
  { env, runCommand }: { readonly env: Env; readonly runCommand: RunHelper },
  signal: AbortSignal,
): Promise<Omit<Credentials, 'source'>> {
  const argv = wordsOf(line);
  if (argv === undefined || argv.length === 0) {
    throw identityError('CREDENTIALS_PROFILE_INVALID', {
      profile,
      problem: 'credential_process has a quote that does not end',
    });
  }
  const limits = { timeoutMs, outputBytesMax, env: environmentOf(env) };
  const { stdout, stderr, exitCode } = await runCommand(argv, limits, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw notRun(error, profile);
  });
  try {
    if (exitCode !== 0) throw identityError('CREDENTIALS_PROCESS_FAILED', { profile, exitCode });
    const output = processOutput(stdout);
    if ('credentials' in output) return output.credentials;
    const { isJson, fields } = output;
    throw identityError('CREDENTIALS_PROCESS_OUTPUT_INVALID', { profile, isJson, fields });
  } finally {
    stdout.fill(0);
    stderr.dispose();
  }
}

function environmentOf(env: Env): Readonly<Record<string, string>> {
  return Object.fromEntries(
    passedOn.flatMap((variable) => {
      const value = env[variable];
      return value ? [[variable, value]] : [];
    }),
  );
}

function notRun(error: unknown, profile: string): GatehouseError {
  const code = error instanceof GatehouseError ? error.code : undefined;
  if (code === 'COMMAND_TIMED_OUT') {
    return identityError('CREDENTIALS_PROCESS_TIMED_OUT', { profile, timeoutMs }, error);
  }
  if (code === 'COMMAND_OUTPUT_TOO_LARGE') {
    return identityError('CREDENTIALS_PROCESS_OUTPUT_INVALID', { profile, outputBytesMax }, error);
  }
  return identityError('CREDENTIALS_PROCESS_NOT_STARTED', { profile }, error);
}
