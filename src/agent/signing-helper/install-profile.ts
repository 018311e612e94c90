import { realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { GatehouseError } from '../../base/errors.ts';
import { sectionIn, withSettings } from '../../identity/aws-config-text.ts';
import {
  type RolesAnywhereIdentity,
  rolesAnywhereProblems,
} from '../../identity/roles-anywhere/roles-anywhere.ts';
import { placeOf } from '../../identity/roles-anywhere/session-request.ts';
import { systemError } from '../../system/errors.ts';
import { contentIn, type OpenDirectory, openDirectory } from '../../system/files.ts';
import { agentError } from '../errors.ts';
import type { Launch } from '../launch.ts';
import { awsFileText } from './aws-file-text.ts';

export interface ProfileRequest {
  readonly profile: string;
  readonly identity: RolesAnywhereIdentity;
  /** How this program is started: a path, or Node and a path. */
  readonly program: readonly string[];
  /** Further words of the command line, such as `--with-proxy`. */
  readonly flags: readonly string[];
  /** Replaces a credential_process that is another. */
  readonly isForced: boolean;
}

export interface InstalledProfile {
  readonly profile: string;
  readonly file: string;
  /** Absent where there was no file before, and where nothing was changed. */
  readonly backup?: string;
  readonly isChanged: boolean;
  /** What is not as it should be and was no reason to stop. */
  readonly warnings: readonly GatehouseError[];
}

const configBytesMax = 1024 * 1024;

/** What else a profile can get credentials by. Most of it goes before a credential_process. */
const otherCredentials = [
  'aws_access_key_id',
  'role_arn',
  'sso_session',
  'sso_start_url',
  'web_identity_token_file',
  'login_session',
];

/**
 * Writes a profile whose `credential_process` is this program into the user's AWS config: whole or not at all, beside
 * a copy of what was there.
 * @throws PROFILE_…, FILE_…, CERTIFICATE_…, PRIVATE_KEY_…, ROLES_ANYWHERE_…
 */
export async function installProfile(
  { env, clock }: Pick<Launch, 'env' | 'clock'>,
  request: ProfileRequest,
): Promise<InstalledProfile> {
  const { profile, isForced } = request;
  const identity = withAbsolutePaths(request.identity);
  const problems = await rolesAnywhereProblems(identity, { env, clock });
  const wrong = problems.find(({ code }) => code !== 'PRIVATE_KEY_EXPOSED');
  if (wrong !== undefined) throw wrong;

  const home = env['HOME'] || homedir();
  const file = realPath(env['AWS_CONFIG_FILE'] || join(home, '.aws', 'config'));
  const secretsFile = realPath(env['AWS_SHARED_CREDENTIALS_FILE'] || join(home, '.aws', 'credentials'));
  const section = profile === 'default' ? 'default' : `profile ${profile}`;
  const line = commandLine([
    ...request.program,
    'credential-process',
    ...flagsOf(identity),
    ...request.flags,
  ]);

  await using opened = new AsyncDisposableStack();
  const directory = await openedIn(dirname(file), opened);
  const before = await contentIn(directory, basename(file), configBytesMax);
  const text = before === undefined ? '' : awsFileText(before.bytes, file);
  const settings = sectionIn(text, section)?.settings ?? new Map<string, string>();
  const beside = await contentIn(
    await openedIn(dirname(secretsFile), opened),
    basename(secretsFile),
    configBytesMax,
  );
  const keys = sectionIn(beside?.bytes.toString('utf8') ?? '', profile)?.settings;
  beside?.bytes.fill(0);
  if (keys?.has('aws_access_key_id'))
    throw agentError('PROFILE_OVERSHADOWED', { profile, file: secretsFile });
  const other = otherCredentials.find((name) => settings.has(name));
  if (other !== undefined) throw agentError('PROFILE_TAKEN', { profile, file, setting: other });
  const current = settings.get('credential_process');
  const warnings = problems;
  if (current === line) return { profile, file, isChanged: false, warnings };
  if (current !== undefined && !isForced) {
    throw agentError('PROFILE_TAKEN', { profile, file, setting: 'credential_process' });
  }

  const region = settings.has('region')
    ? undefined
    : placeOf(identity.trustAnchorArn, 'trust-anchor')?.region;
  const fresh = { credential_process: line, ...(region === undefined ? {} : { region }) };
  const backup = before && (await backedUp(directory, file, before, clock.now()));
  await rewritten(directory, file, before, Buffer.from(withSettings(text, section, fresh)));
  return { profile, file, ...(backup === undefined ? {} : { backup }), isChanged: true, warnings };
}

type ConfigFile = NonNullable<Awaited<ReturnType<typeof contentIn>>>;

/** It names programs to run: others may read it where they could, and write it no longer. */
function ownerOf({ mode, uid, gid }: ConfigFile) {
  return { mode: mode & ~0o002, uid, gid };
}

/** More than anybody installs within a second. */
const backupsMax = 1000;

/** Puts the file as it is beside itself, over no copy that was made before. Resolves with its path. @throws FILE_… */
async function backedUp(
  directory: OpenDirectory,
  file: string,
  before: ConfigFile,
  now: Date,
): Promise<string> {
  const stamp = now.toISOString().replaceAll(/[-:]|\.\d{3}/gu, '');
  for (let number = 1; number <= backupsMax; number += 1) {
    const path = `${file}.gatehouse-${stamp}${number === 1 ? '' : `-${number}`}`;
    if (await isStored(directory, basename(path), before.bytes, ownerOf(before), 'nothing')) return path;
  }
  throw systemError('FILE_EXISTS', { path: `${file}.gatehouse-${stamp}` });
}

/** @throws FILE_CHANGED where somebody else wrote the file since it was read, and FILE_… */
async function rewritten(
  directory: OpenDirectory,
  file: string,
  before: ConfigFile | undefined,
  bytes: Buffer,
): Promise<void> {
  const isOurs =
    before === undefined
      ? await isStored(directory, basename(file), bytes, { mode: 0o600 }, 'nothing')
      : await isStored(directory, basename(file), bytes, ownerOf(before), { of: before.identity });
  if (!isOurs) throw systemError('FILE_CHANGED', { path: file });
}

/** False where the name is not as it is to be: free, or that of the file that was read. */
async function isStored(
  directory: OpenDirectory,
  name: string,
  bytes: Uint8Array,
  owner: { readonly mode: number; readonly uid?: number; readonly gid?: number },
  over: 'nothing' | { readonly of: string },
): Promise<boolean> {
  const staged = await directory.stage(name, bytes, { ...owner, prefix: '.gatehouse-' });
  try {
    const isOurs = staged.commit(over);
    if (isOurs) staged.sync();
    return isOurs;
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'FILE_EXISTS') return false;
    throw error;
  } finally {
    staged.discard();
  }
}

async function openedIn(path: string, opened: AsyncDisposableStack): Promise<OpenDirectory> {
  const directory = await openDirectory(path, { within: [path], mode: 0o700 });
  opened.defer(() => directory.close());
  return directory;
}

/** Where a file really is: a link to it is the user's own, and stays. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

function withAbsolutePaths(identity: RolesAnywhereIdentity): RolesAnywhereIdentity {
  const { certificate, privateKey, intermediates, privateKeyPassword } = identity;
  return {
    ...identity,
    certificate: absolute(certificate),
    privateKey: absolute(privateKey),
    ...(intermediates === undefined ? {} : { intermediates: resolve(intermediates) }),
    ...(privateKeyPassword === undefined ? {} : { privateKeyPassword: resolve(privateKeyPassword) }),
  };
}

/** A token is where it is. */
function absolute(place: string): string {
  return place.startsWith('pkcs11:') ? place : resolve(place);
}

function flagsOf(identity: RolesAnywhereIdentity): string[] {
  const given: Readonly<Record<string, string | undefined>> = {
    '--certificate': identity.certificate,
    '--private-key': identity.privateKey,
    '--private-key-password-file': identity.privateKeyPassword,
    '--intermediates': identity.intermediates,
    '--trust-anchor-arn': identity.trustAnchorArn,
    '--profile-arn': identity.profileArn,
    '--role-arn': identity.roleArn,
    '--pkcs11-lib': identity.pkcs11Module,
    '--role-session-name': identity.roleSessionName,
    '--session-duration': String(identity.sessionDurationSeconds),
    '--region': identity.region,
  };
  return Object.entries(given).flatMap(([flag, value]) => (value === undefined ? [] : [flag, value]));
}

const plainWord = /^[\w./:=,@+-]+$/u;
/** SDKs split the line as a shell does, or have a shell do it; some end it at `#` or `;`. */
const quotableWord = /^[\w./:=,@+ ()!'*~%-]+$/u;

/** @throws PROFILE_UNWRITABLE for a word that not every SDK would read back as it is */
function commandLine(words: readonly string[]): string {
  return words
    .map((word) => {
      if (plainWord.test(word)) return word;
      if (quotableWord.test(word)) return `"${word}"`;
      throw agentError('PROFILE_UNWRITABLE', { word });
    })
    .join(' ');
}
