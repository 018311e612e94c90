import { systemError } from './errors.ts';
import { openDirectory } from './files.ts';

/** Consumers pass through it to what is theirs. */
const mode = 0o755;
const writableByOthers = 0o022;

/**
 * Makes sure that the runtime directory is there and that only we or root can change what is in it.
 * @throws RUNTIME_DIRECTORY_UNSAFE, FILE_…
 */
export async function ensureRuntimeDirectory(path: string): Promise<void> {
  const directory = await openDirectory(path, { within: [path], mode });
  await directory.close();
  const isOurs = directory.uid === 0 || directory.uid === process.getuid?.();
  if (!isOurs || (directory.mode & writableByOthers) !== 0) {
    const details = { path, ownerUid: directory.uid, mode: directory.mode.toString(8) };
    throw systemError('RUNTIME_DIRECTORY_UNSAFE', details);
  }
}
