import { globSync, lstatSync, readdirSync, type Stats, statSync } from 'node:fs';
import { dirname, join, matchesGlob } from 'node:path';
import { inodeOf } from './file-record.ts';

export interface FoundFile {
  readonly path: string;
  readonly stat: Stats;
}

/** What matches the globs now, oldest change first; links are followed, what is gone again is left out. */
export function findFiles(files: readonly string[], exclude: readonly string[]): FoundFile[] {
  const paths = new Set(files.flatMap((pattern) => globSync(pattern)));
  const found: FoundFile[] = [];
  for (const path of [...paths].toSorted()) {
    if (exclude.some((pattern) => matchesGlob(path, pattern))) continue;
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat !== undefined) found.push({ path, stat });
  }
  return found.toSorted((one, other) => one.stat.mtimeMs - other.stat.mtimeMs);
}

/** Entries of a folder that are looked at for a file that was renamed out of the globs. */
const siblingsMax = 10_000;

/** Where a file went that is no longer at its path: the entry of the same folder with its inode. */
export function findRenamed(path: string, item: string): string | undefined {
  const folder = dirname(path);
  const inode = inodeOf(item);
  try {
    for (const name of readdirSync(folder).slice(0, siblingsMax)) {
      const sibling = join(folder, name);
      const stat = lstatSync(sibling, { throwIfNoEntry: false });
      if (stat?.isFile() === true && stat.ino === inode) return sibling;
    }
  } catch {
    // The folder is gone or closed to us: then the file is not found, which the caller says.
  }
  return undefined;
}

/** The folders to watch for files to come: each pattern's part before its first wildcard. */
export function foldersOf(patterns: readonly string[]): readonly string[] {
  return patterns.map((pattern) => {
    const wildcard = pattern.search(/[*?[{!(]/u);
    return dirname(wildcard < 0 ? pattern : `${pattern.slice(0, wildcard)}x`);
  });
}
