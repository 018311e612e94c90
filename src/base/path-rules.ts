import { posix } from 'node:path';

const pathCharactersMax = 4096;

/** Of sun_path, without the zero at its end, unix(7): nobody could connect to a longer one. */
const socketBytesMax = 107;

/** Begins the name of the folder in which a socket is bound before it has its own; `mkdtemp` adds six characters. */
export const socketFolderPrefix = '.socket-';

/**
 * What a path in a config never holds: nobody means it, and it hides from whoever reads the path in a log, a terminal
 * or a rule.
 */
const controlCharacter = /\p{Cc}/u;

/** Whether a path, or a glob, is absolute and holds no control character, not even a line's end. */
export function isAbsolutePath(path: string): boolean {
  return path.startsWith('/') && path.length <= pathCharactersMax && !controlCharacter.test(path);
}

/** Whether a path is absolute, below `/`, and written the one shortest way: no `.`, `..`, `//` or trailing slash. */
export function isPlainAbsolutePath(path: string): boolean {
  return isAbsolutePath(path) && posix.normalize(path) === path && !path.endsWith('/');
}

/** How long the path of a unix socket may be, in bytes. Its name may be shorter than the one under which it is bound. */
export function socketPathBytesMax(path: string): number {
  const boundAt = posix.join(posix.dirname(path), `${socketFolderPrefix}XXXXXX`, 's');
  return socketBytesMax - Math.max(0, Buffer.byteLength(boundAt) - Buffer.byteLength(path));
}
