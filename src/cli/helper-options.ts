import { resolve } from 'node:path';
import type { InferredOptionTypes, Options } from 'yargs';
import { agentError } from '../agent/errors.ts';
import type { RolesAnywhereIdentity } from '../identity/roles-anywhere/roles-anywhere.ts';

const text = (describe: string): Options & { type: 'string' } => ({
  type: 'string',
  describe,
  requiresArg: true,
});

export const debugOption = {
  type: 'boolean',
  default: false,
  describe: 'Taken for the helper’s sake; errors say all there is',
} as const satisfies Options;

/** Of a flag that says nothing that is not known here. */
export const takenForTheHelper = text('Taken for the helper’s sake');

const passwordFileOption = text('File with the password of the key, or the PIN, in its first line');
const pkcs11Lib = text('Module of the token, for a pkcs11: URI');

/** Flags of AWS's helper that name certificate and key. */
export const certificateOption = {
  certificate: text('File with the certificate, or a pkcs11: URI'),
} as const satisfies Record<string, Options>;

export const certificateReadingOptions = {
  ...certificateOption,
  'private-key-password-file': passwordFileOption,
  'pkcs11-lib': pkcs11Lib,
  debug: debugOption,
} as const satisfies Record<string, Options>;

export const privateKeyOptions = {
  'private-key': text('File with the private key, or a pkcs11: URI'),
  'private-key-password-file': passwordFileOption,
  'pkcs11-lib': pkcs11Lib,
  'reuse-pin': {
    type: 'boolean',
    default: false,
    describe: 'Taken for the helper’s sake; the PIN comes from its file',
  },
} as const satisfies Record<string, Options>;

/** The helper's flags of every command that gets credentials. */
export const sessionOptions = {
  ...certificateOption,
  ...privateKeyOptions,
  intermediates: text('File with the certificates between this one and the trust anchor'),
  'trust-anchor-arn': text('ARN of the trust anchor'),
  'profile-arn': text('ARN of the profile'),
  'role-arn': text('ARN of the role'),
  'role-session-name': text('Name of the session, where the profile accepts one'),
  // A number in yargs would take 0x384 and 9e2 for one.
  'session-duration': text('Lifetime of the session in seconds; 3600 without it'),
  region: text('Region to ask in; that of the trust anchor without it'),
  endpoint: text('Endpoint to ask instead of AWS’s'),
  'with-proxy': { type: 'boolean', default: false, describe: 'Go through the proxy that HTTPS_PROXY names' },
  debug: debugOption,
} as const satisfies Record<string, Options>;

export type SessionArguments = InferredOptionTypes<typeof sessionOptions>;

const needed = ['certificate', 'private-key', 'trust-anchor-arn', 'profile-arn', 'role-arn'] as const;

/** Who to be, as the flags say it; undefined where flags are missing. @throws USAGE */
export function sessionIdentity(args: SessionArguments): {
  readonly identity: RolesAnywhereIdentity | undefined;
  readonly missing: readonly string[];
} {
  const {
    certificate,
    'private-key': privateKey,
    'trust-anchor-arn': trustAnchorArn,
    'profile-arn': profileArn,
    'role-arn': roleArn,
  } = args;
  if (
    certificate === undefined ||
    privateKey === undefined ||
    trustAnchorArn === undefined ||
    profileArn === undefined ||
    roleArn === undefined
  ) {
    return { identity: undefined, missing: needed.filter((name) => args[name] === undefined) };
  }
  const identity = {
    certificate,
    privateKey,
    privateKeyPassword: passwordFile(args),
    intermediates: args.intermediates,
    trustAnchorArn,
    profileArn,
    roleArn,
    roleSessionName: args['role-session-name'],
    sessionDurationSeconds: secondsIn(args['session-duration'] ?? '3600'),
    pkcs11Module: args['pkcs11-lib'],
    region: args.region,
  };
  return { identity, missing: [] };
}

const identityFlags = [
  ...needed,
  'private-key-password-file',
  'pkcs11-lib',
  'intermediates',
  'role-session-name',
  'session-duration',
  'region',
] as const;

/** The first flag that is given of those that the bootstrap config would have another word on. */
export function identityFlagOf(args: SessionArguments): string | undefined {
  return identityFlags.find((name) => args[name] !== undefined);
}

/** Where the password is: a bare name would else be that of a systemd credential, as it is in the config. */
export function passwordFile(args: {
  readonly 'private-key-password-file'?: string | undefined;
}): string | undefined {
  const { 'private-key-password-file': file } = args;
  return file === undefined ? undefined : resolve(file);
}

function secondsIn(written: string): number {
  if (/^\d{1,9}$/u.test(written)) return Number(written);
  throw agentError('USAGE', { problem: `--session-duration takes seconds, not ${written}` });
}

const tpmInstead =
  'a key in a TPM is used through its PKCS#11 module (libtpm2_pkcs11.so): give --pkcs11-lib and a pkcs11: URI as --private-key';

/** Flags of AWS's helper that are not carried here, and what to do instead. */
const notCarried: Readonly<Record<string, string>> = {
  'no-verify-ssl': 'name the authority to trust in AWS_CA_BUNDLE',
  'pkcs8-password':
    'every local user can read a command line: put the password into a file and give --private-key-password-file',
  'cert-selector': 'export the certificate to a file and give --certificate and --private-key',
  'system-store-name': 'export the certificate to a file and give --certificate and --private-key',
  'system-store-location': 'export the certificate to a file and give --certificate and --private-key',
  'use-latest-expiring-certificate': 'name the one certificate to use with --certificate',
  'tpm-key-password': tpmInstead,
  'no-tpm-key-password': tpmInstead,
};

/** @throws USAGE for a flag of AWS's helper that is not carried, naming what to use */
export function refuseForeignFlags(argv: readonly string[]): void {
  for (const word of argv) {
    const [, name = ''] = /^--([a-z0-9-]+)/u.exec(word) ?? [];
    const instead = Object.hasOwn(notCarried, name) ? notCarried[name] : undefined;
    if (instead === undefined) continue;
    throw agentError('USAGE', { problem: `--${name} of aws_signing_helper is not carried: ${instead}` });
  }
}
