import { matchesGlob } from 'node:path';
import type { FileRecord } from './file-record.ts';
import type { FoundFile, Siblings } from './find-files.ts';
import { isGenerationOf, isNamedLikeCopy } from './rotated-name.ts';

/** A file beside one that was read. */
export interface Generation {
  readonly file: FoundFile;
  /** Whether it came after what is known, so that all of it was missed unless it turns out to be a copy. */
  readonly isLater: boolean;
}

/**
 * What may have been rotated away from a file since it was looked at last, oldest first. By name and time only: what is
 * in it decides. With `isRestWanted` also what may be a copy of the file itself.
 */
export function generationsOf(
  { path, writtenMs }: FileRecord,
  isRestWanted: boolean,
  siblings: Siblings,
  exclude: readonly string[],
): readonly Generation[] {
  if (writtenMs === undefined) return [];
  return siblings.beside(path).flatMap((file): Generation[] => {
    const isLater = file.stat.mtimeMs > writtenMs && isGenerationOf(file.path, path);
    const isCopy = isRestWanted && file.stat.mtimeMs >= writtenMs && isNamedLikeCopy(file.path, path);
    const isLeftOut = exclude.some((pattern) => matchesGlob(file.path, pattern));
    return (isLater || isCopy) && !isLeftOut ? [{ file, isLater }] : [];
  });
}
