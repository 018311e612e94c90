import { lstatSync } from 'node:fs';
import { enableCompileCache, flushCompileCache, getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';

/** What CacheDirectory=gatehouse of a systemd unit stands for, and where the container image has one. */
const usualDirectory = '/var/cache/gatehouse';
const writableByOthers = 0o022;

/**
 * Keeps what V8 makes of the program's code from one start to the next, which halves the time to start. `directories`
 * is systemd's CACHE_DIRECTORY, a list with colons.
 *
 * Whoever can write there can make this process run what he likes: a folder counts only if it is this user's own and
 * nobody else's to write. A command that root types leaves the agent's cache alone. Without such a folder nothing is
 * kept, and none is made.
 */
export function keepCompiledCode(directories: string | undefined): void {
  const [directory = usualDirectory] = directories?.split(':') ?? [];
  if (isOurs(directory)) enableCompileCache(directory);
}

/** Writes what is not kept yet, at a moment when nobody waits: a killed agent keeps it too. */
export function flushCompiledCode(): void {
  flushCompileCache();
}

/** The environment of a worker that is to use the same cache: it is turned on for each thread. */
export function codeCacheEnvironment(): Record<string, string> {
  const own = getCompileCacheDir();
  // A folder of its own for each version of Node and each user, below the one that was named.
  return own === undefined ? {} : { NODE_COMPILE_CACHE: dirname(own) };
}

function isOurs(path: string): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return (
    stat?.isDirectory() === true && stat.uid === process.getuid?.() && (stat.mode & writableByOthers) === 0
  );
}
