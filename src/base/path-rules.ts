import { posix } from 'node:path';

const pathCharactersMax = 4096;

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
