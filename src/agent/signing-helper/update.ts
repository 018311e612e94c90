import { mkdir, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { asGatehouseError, GatehouseError, reportOf } from '../../base/errors.ts';
import { createLogger } from '../../base/logger.ts';
import type { CredentialSource, Credentials } from '../../identity/credential-source.ts';
import { identityError } from '../../identity/errors.ts';
import { renewAfterMs, retryWaitMs } from '../../identity/refreshing.ts';
import { withProfile } from '../../identity/shared-credentials.ts';
import { systemError } from '../../system/errors.ts';
import { contentIn, type OpenDirectory, openDirectory } from '../../system/files.ts';
import { agentError } from '../errors.ts';
import type { Launch } from '../launch.ts';
import { agentEvent } from '../log-events.ts';
import { awsFileText } from './aws-file-text.ts';

export interface UpdateOptions {
  readonly profile: string;
  /** Writes once; what fails is thrown. */
  readonly isOnce: boolean;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
}

/** The AWS CLI reads it whole; people's are a few KiB. */
const fileBytesMax = 1024 * 1024;

/** For the user alone, as the AWS CLI makes it. */
const fileMode = 0o600;
const folderMode = 0o700;

/** Each time at least one of those who write at the same time gets through. */
const writeTriesMax = 100;

/**
 * Keeps one profile of the user's shared credentials file supplied with credentials, ahead of their expiry, until
 * `stop` aborts. No failure ends it: AWS away, a refusal or a full disk are said once, and tried again.
 * @throws CREDENTIALS_FILE_UNKNOWN; with `isOnce` also what the source throws, and FILE_…
 */
export async function update(
  launch: Pick<Launch, 'env' | 'clock' | 'logForm' | 'writeLog'>,
  source: CredentialSource,
  { profile, isOnce, random = Math.random }: UpdateOptions,
  stop: AbortSignal,
): Promise<void> {
  const { clock } = launch;
  const { log } = createLogger({
    level: 'info',
    form: launch.logForm,
    write: (line) => launch.writeLog(line),
  });
  const file = sharedCredentialsFile(launch.env);
  let failures = 0;
  let lastCode: string | undefined;

  async function attempt(): Promise<number> {
    const credentials = await source.load(stop);
    if (credentials === undefined)
      throw identityError('CREDENTIALS_NOT_FOUND', { passedOver: [source.absence] });
    await write(file, profile, credentials);
    const expiration = credentials.expiration?.toISOString();
    log(agentEvent('credentials-file.written', { file, profile, expiration }));
    failures = 0;
    lastCode = undefined;
    return renewAfterMs(credentials, clock.now(), random);
  }

  for (;;) {
    try {
      const waitMs = await attempt();
      if (isOnce) return;
      await clock.sleep(waitMs, stop);
    } catch (error) {
      if (stop.aborted) return;
      if (isOnce) throw error;
      const failure = asGatehouseError(error);
      if (failure.code !== lastCode) {
        log(agentEvent('credentials-file.failed', { file, profile, error: reportOf(failure) }));
      }
      lastCode = failure.code;
      await clock.sleep(retryWaitMs(failure, failures, random), stop).catch(() => undefined);
      failures += 1;
    }
  }
}

/** @throws CREDENTIALS_FILE_UNKNOWN */
function sharedCredentialsFile(env: Launch['env']): string {
  const { AWS_SHARED_CREDENTIALS_FILE: named, HOME: home } = env;
  if (named) return named;
  if (home) return join(home, '.aws', 'credentials');
  throw agentError('CREDENTIALS_FILE_UNKNOWN');
}

async function write(file: string, profile: string, credentials: Credentials): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: folderMode });
  // Where it is a link, what it leads to is replaced, and not the link.
  const target = await realpath(file).catch(() => resolve(file));
  await using opened = new AsyncDisposableStack();
  const directory = await openDirectory(dirname(target));
  opened.defer(() => directory.close());
  for (let tries = 0; tries < writeTriesMax; tries += 1) {
    if (await isReplaced(directory, basename(target), profile, credentials)) return;
  }
  throw systemError('FILE_CHANGED', { path: target });
}

/** False where somebody else wrote the file meanwhile: another `update`, with a profile of its own, or the AWS CLI. */
async function isReplaced(
  directory: OpenDirectory,
  name: string,
  profile: string,
  credentials: Credentials,
): Promise<boolean> {
  const before = await contentIn(directory, name, fileBytesMax);
  const text = before === undefined ? '' : awsFileText(before.bytes, join(directory.path, name));
  const bytes = Buffer.from(withProfile(text, profile, credentials));
  before?.bytes.fill(0);
  const owner = before === undefined ? {} : { uid: before.uid, gid: before.gid };
  // A group may have been let in on purpose; everybody is let in by a umask.
  const mode = before === undefined || (before.mode & 0o007) !== 0 ? fileMode : before.mode;
  try {
    const staged = await directory.stage(name, bytes, { ...owner, mode, prefix: '.gatehouse-' });
    try {
      const isOurs = staged.commit(before === undefined ? 'nothing' : { of: before.identity });
      if (isOurs) staged.sync();
      return isOurs;
    } finally {
      staged.discard();
    }
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'FILE_EXISTS') return false;
    throw error;
  } finally {
    bytes.fill(0);
  }
}
