import type { Clock } from '../base/clock.ts';
import { GatehouseError } from '../base/errors.ts';
import type { Secret } from '../base/secret.ts';
import type { RolesAnywhereConfig } from './config.ts';
import { type CredentialSource, type Credentials, unexpired } from './credential-source.ts';
import { identityError } from './errors.ts';
import { processOutput } from './process-output.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** What this room needs of a child-process runner; `runCommand` of system/command.ts is one. */
export type RunHelper = (
  argv: readonly string[],
  limits: { timeoutMs: number; outputBytesMax: number; env: Readonly<Record<string, string>> },
  signal: AbortSignal,
) => Promise<{ stdout: Buffer; stderr: Secret; exitCode: number }>;

const name = 'roles-anywhere';

/** It tries three times and waits between; measured, one try takes 10 to 50 ms. */
const timeoutMs = 30_000;

/** Session tokens are about 1 KiB; their documented maximum is not stated. */
const outputBytesMax = 64 * 1024;

/**
 * Credentials for an X.509 certificate, from IAM Roles Anywhere, signed by the external `aws_signing_helper`. What the
 * helper says on standard error is never repeated: it can hold what it was given.
 */
export function rolesAnywhereHelper(
  config: RolesAnywhereConfig & { readonly helper: string },
  run: RunHelper,
  env: Env,
  clock: Pick<Clock, 'now'>,
): CredentialSource {
  const argv = helperArguments(config, env);
  const limits = { timeoutMs, outputBytesMax, env: helperEnvironment(env) };
  const { helper } = config;
  return {
    name,
    absence: 'it always applies',

    async load(signal) {
      const { stdout, stderr, exitCode } = await run(argv, limits, signal).catch((error: unknown) => {
        signal.throwIfAborted();
        throw notRun(error, helper);
      });
      try {
        if (exitCode !== 0) throw failed(helper, exitCode, stderr);
        return unexpired(credentialsOf(stdout, helper), clock.now());
      } finally {
        stdout.fill(0);
        stderr.dispose();
      }
    },
  };
}

/** Stands in `auto` where Roles Anywhere is not configured, so that it is said to have been passed over. */
export const unconfiguredRolesAnywhere: CredentialSource = {
  name,
  absence: 'credentials.rolesAnywhere is not configured',
  async load(signal) {
    signal.throwIfAborted();
    return undefined;
  },
};

/** The command line of `aws_signing_helper credential-process`. */
export function helperArguments(
  config: RolesAnywhereConfig & { readonly helper: string },
  env: Env,
): readonly string[] {
  const endpoint = env['AWS_ENDPOINT_URL_ROLESANYWHERE'] || env['AWS_ENDPOINT_URL'];
  const argv = [config.helper, 'credential-process'];
  argv.push('--certificate', config.certificate, '--private-key', config.privateKey);
  if (config.intermediates !== undefined) argv.push('--intermediates', config.intermediates);
  argv.push('--trust-anchor-arn', config.trustAnchorArn, '--profile-arn', config.profileArn);
  argv.push('--role-arn', config.roleArn, '--session-duration', String(config.sessionDurationSeconds));
  if (config.roleSessionName !== undefined) argv.push('--role-session-name', config.roleSessionName);
  if (endpoint) argv.push('--endpoint', endpoint);
  if (proxyOf(env) !== undefined) argv.push('--with-proxy');
  return argv;
}

/** Go programs read these; nothing else of our environment concerns the helper. */
function helperEnvironment(env: Env): Readonly<Record<string, string>> {
  const proxy = proxyOf(env);
  const noProxy = env['NO_PROXY'] || env['no_proxy'];
  const caBundle = env['AWS_CA_BUNDLE'];
  return {
    ...(proxy ? { HTTPS_PROXY: proxy } : {}),
    ...(noProxy ? { NO_PROXY: noProxy } : {}),
    ...(caBundle ? { SSL_CERT_FILE: caBundle } : {}),
  };
}

function proxyOf(env: Env): string | undefined {
  return env['HTTPS_PROXY'] || env['https_proxy'] || undefined;
}

function credentialsOf(stdout: Buffer, helper: string): Credentials {
  const output = processOutput(stdout, { sessionOnly: true });
  if ('credentials' in output) return { ...output.credentials, source: name };
  if (output.isJson) throw identityError('CREDENTIALS_HELPER_INCOMPLETE', { helper, fields: output.fields });
  // Without the cause: its message quotes what it read.
  throw identityError('CREDENTIALS_HELPER_NOT_JSON', { helper, bytes: stdout.length });
}

function notRun(error: unknown, helper: string): GatehouseError {
  const code = error instanceof GatehouseError ? error.code : undefined;
  if (code === 'COMMAND_TIMED_OUT') {
    return identityError('CREDENTIALS_HELPER_TIMED_OUT', { helper, timeoutMs }, error);
  }
  if (code === 'COMMAND_OUTPUT_TOO_LARGE') {
    return identityError('CREDENTIALS_HELPER_OUTPUT_TOO_LARGE', { helper, outputBytesMax }, error);
  }
  return identityError('CREDENTIALS_HELPER_NOT_STARTED', { helper }, error);
}

/** The helper exits with 1 whatever went wrong; the AWS error name in what it says is the one thing worth telling. */
function failed(helper: string, exitCode: number, stderr: Secret): GatehouseError {
  const awsError = awsErrorIn(stderr);
  const details = { helper, exitCode, ...(awsError === undefined ? {} : { awsError }) };
  if (awsError === undefined) return identityError('CREDENTIALS_HELPER_FAILED', details);
  if (refusals.has(awsError)) return identityError('CREDENTIALS_REFUSED', details);
  if (throttles.has(awsError)) return identityError('CREDENTIALS_THROTTLED', details);
  return identityError('CREDENTIALS_HELPER_FAILED', details);
}

const refusals: ReadonlySet<string> = new Set([
  'AccessDeniedException',
  'ResourceNotFoundException',
  'ValidationException',
]);
const throttles: ReadonlySet<string> = new Set(['ThrottlingException', 'TooManyRequestsException']);

/** Capitalised words run together and ending in Exception: an error's name, and no shape that a key or token has. */
function awsErrorIn(stderr: Secret): string | undefined {
  const shape = /(?<![\w/+=-])(?:[A-Z][a-z]{1,20}){1,5}Exception(?![\w/+=-])/u;
  return shape.exec(stderr.revealBytes().toString('latin1'))?.[0];
}
