import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { errnoOf } from '../base/errno.ts';
import { identityError } from './errors.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** One profile as the AWS SDKs read it: both files joined, the credentials file over the config file. */
export type Profile = Readonly<Record<string, string | undefined>>;

export interface ProfileFiles {
  readonly config: string;
  readonly credentials: string;
}

export type ProfilesReading =
  | { readonly profiles: ReadonlyMap<string, Profile> }
  /** Why there are none to read. */
  | { readonly absence: string };

const fileBytesMax = 1024 * 1024;

/** Where `AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE` say, else in `~/.aws`. */
export function profileFiles(env: Env): ProfileFiles {
  const home = env['HOME'] || homedir();
  const expanded = (path: string): string => (path.startsWith('~/') ? join(home, path.slice(2)) : path);
  return {
    config: expanded(env['AWS_CONFIG_FILE'] || '~/.aws/config'),
    credentials: expanded(env['AWS_SHARED_CREDENTIALS_FILE'] || '~/.aws/credentials'),
  };
}

/**
 * The profiles of both files. One that is not there, or lies where this user cannot look, counts as empty.
 * @throws CREDENTIALS_PROFILE_FILE_REFUSED for a file that others could have written: it names programs to run.
 */
export async function readProfiles(files: ProfileFiles): Promise<ProfilesReading> {
  const found = await Promise.all([isThere(files.config), isThere(files.credentials)]);
  if (!found.includes(true)) {
    return { absence: `there is neither ${files.config} nor ${files.credentials}` };
  }
  // The SDK's parser, and only where there is something to parse: most hosts have no profiles.
  const { parseKnownFiles } = await import('@smithy/core/config');
  const { config: configFilepath, credentials: filepath } = files;
  const parsed = await parseKnownFiles({ configFilepath, filepath, ignoreCache: true });
  return { profiles: new Map(Object.entries(parsed)) };
}

async function isThere(file: string): Promise<boolean> {
  const found = await stat(file).catch((error: unknown) => {
    const errno = errnoOf(error);
    // EACCES is what a unit with ProtectHome= meets in the home of its user.
    if (errno === 'ENOENT' || errno === 'ENOTDIR' || errno === 'EACCES') return undefined;
    throw refused(file, 'cannot be read', error);
  });
  if (found === undefined) return false;
  if (!found.isFile()) throw refused(file, 'is not a regular file');
  if (found.size > fileBytesMax) throw refused(file, 'is too large');
  const owners = [0, process.getuid?.() ?? 0];
  if (!owners.includes(found.uid)) throw refused(file, 'belongs to another user');
  if ((found.mode & 0o002) !== 0) throw refused(file, 'can be written by everybody');
  if ((found.mode & 0o020) !== 0) throw refused(file, 'can be written by its group');
  return true;
}

function refused(file: string, problem: string, cause?: unknown) {
  return identityError('CREDENTIALS_PROFILE_FILE_REFUSED', { file, problem }, cause);
}
