import { lstatSync, opendirSync, type Stats, statSync } from 'node:fs';
import { dirname, join, matchesGlob } from 'node:path';
import { expandGlob } from './expand-glob.ts';
import { inodeOf } from './file-record.ts';
import { errnoOf } from './open-log-file.ts';

export interface FoundFile {
  readonly path: string;
  readonly stat: Stats;
}

/** What globs lead to. Never a throw: whoever may write under a log folder decides what is found there. */
export interface Findings {
  /** Oldest change first; links are followed, what is gone again is left out. */
  readonly found: readonly FoundFile[];
  /** Matches, and folders on the way, that cannot be looked at, with an errno or `name-not-utf-8`. */
  readonly refused: readonly { readonly path: string; readonly reason: string }[];
  /** Globs of which only a part was looked at, because there was more than `entriesMax` to look at. */
  readonly cut: readonly string[];
}

/** Matches of `files` that no glob of `exclude` matches; of each glob at most `entriesMax` entries are looked at. */
export function findFiles(
  files: readonly string[],
  exclude: readonly string[],
  entriesMax: number,
): Findings {
  const found: FoundFile[] = [];
  const refused: { path: string; reason: string }[] = [];
  const cut: string[] = [];
  const paths = new Set<string>();
  for (const pattern of files) {
    const expansion = expandGlob(pattern, entriesMax);
    for (const path of expansion.matches) paths.add(path);
    refused.push(...expansion.refused);
    if (expansion.isCut) cut.push(pattern);
  }
  for (const path of [...paths].toSorted()) {
    if (exclude.some((pattern) => matchesGlob(path, pattern))) continue;
    try {
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat !== undefined) found.push({ path, stat });
      else if (isMangled(path)) refused.push({ path, reason: 'name-not-utf-8' });
    } catch (error) {
      refused.push({ path, reason: errnoOf(error) });
    }
  }
  return { found: found.toSorted((one, other) => one.stat.mtimeMs - other.stat.mtimeMs), refused, cut };
}

/** Whether bytes of a name were lost when it became text: it then leads nowhere. */
function isMangled(path: string): boolean {
  return path.includes('\u{fffd}');
}

/** Entries of a folder that are looked at for a file that was renamed out of the globs. */
const siblingsMax = 10_000;

/** The files of folders, links not followed. Each folder is read once: for the many questions of one look. */
export interface Siblings {
  /** Where a file went that is no longer at its path: the entry of the same folder with its inode. */
  renamed(path: string, item: string): FoundFile | undefined;
  /** The files beside a path, oldest change first. */
  beside(path: string): readonly FoundFile[];
  /** The files of a folder, oldest change first. */
  inside(folder: string): readonly FoundFile[];
}

export function siblings(): Siblings {
  const folders = new Map<string, ReadonlyMap<number, FoundFile>>();

  function filesIn(folder: string): ReadonlyMap<number, FoundFile> {
    const files = folders.get(folder) ?? filesByInode(folder);
    folders.set(folder, files);
    return files;
  }

  const inside = (folder: string): readonly FoundFile[] =>
    [...filesIn(folder).values()].toSorted((one, other) => one.stat.mtimeMs - other.stat.mtimeMs);

  return {
    renamed: (path, item) => filesIn(dirname(path)).get(inodeOf(item)),
    beside: (path) => inside(dirname(path)).filter((file) => file.path !== path),
    inside,
  };
}

function filesByInode(folder: string): ReadonlyMap<number, FoundFile> {
  const files = new Map<number, FoundFile>();
  try {
    const entries = opendirSync(folder);
    try {
      for (let left = siblingsMax; left > 0; left -= 1) {
        const entry = entries.readSync();
        if (entry === null) break;
        const path = join(folder, entry.name);
        const stat = lstatSync(path, { throwIfNoEntry: false });
        if (stat?.isFile() === true) files.set(stat.ino, { path, stat });
      }
    } finally {
      entries.closeSync();
    }
  } catch {
    // The folder is gone or closed to us: then the file is not found, which the caller says.
  }
  return files;
}

/** The folders to watch for files to come: each pattern's part before its first wildcard. */
export function foldersOf(patterns: readonly string[]): readonly string[] {
  return patterns.map((pattern) => {
    const wildcard = pattern.search(/[*?[{!(]/u);
    return dirname(wildcard < 0 ? pattern : `${pattern.slice(0, wildcard)}x`);
  });
}

/** The folders in which matches of these patterns may be now. */
export function foldersNow(patterns: readonly string[], entriesMax: number): ReadonlySet<string> {
  const ways = patterns.flatMap((pattern) => expandGlob(dirname(pattern), entriesMax).matches);
  return new Set([...foldersOf(patterns), ...ways]);
}
