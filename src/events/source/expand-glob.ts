import { type Dirent, lstatSync, opendirSync } from 'node:fs';
import { join, matchesGlob } from 'node:path';
import { errnoOf } from './open-log-file.ts';

export interface Expansion {
  readonly matches: readonly string[];
  /** Folders that cannot be read, with an errno. */
  readonly refused: readonly { readonly path: string; readonly reason: string }[];
  /** Whether there was more to look at than `entriesMax`; the rest was left out. */
  readonly isCut: boolean;
}

/**
 * The paths that match a glob, as `globSync` has them, whose memory and time have no bound: a folder with a million
 * names would stop the worker. A wildcard leads into folders but through no link.
 */
export function expandGlob(pattern: string, entriesMax: number): Expansion {
  const matches = new Set<string>();
  const refused = new Map<string, string>();
  const folders = new Map<string, readonly Dirent[]>();
  let left = entriesMax;
  let isCut = false;

  function walk(folder: string, [part, ...rest]: readonly string[]): void {
    if (isCut || part === undefined) return;
    const go = (path: string): void => {
      if (rest.length > 0) walk(path, rest);
      else matches.add(path);
    };
    if (part === '**') {
      if (rest.length > 0) walk(folder, rest);
      if (rest[0] === '**') return;
      for (const entry of entriesOf(folder).filter(({ name }) => !name.startsWith('.'))) {
        if (rest.length === 0) matches.add(join(folder, entry.name));
        if (entry.isDirectory()) walk(join(folder, entry.name), [part, ...rest]);
      }
    } else if (isWild(part)) {
      for (const entry of entriesOf(folder)) {
        const isWay = rest.length === 0 || entry.isDirectory();
        if (isWay && matchesGlob(entry.name, part)) go(join(folder, entry.name));
      }
    } else if (rest.length > 0 || isThere(join(folder, part))) {
      go(join(folder, part));
    }
  }

  function entriesOf(folder: string): readonly Dirent[] {
    const known = folders.get(folder) ?? read(folder);
    folders.set(folder, known);
    return known;
  }

  function read(folder: string): readonly Dirent[] {
    const entries: Dirent[] = [];
    try {
      const open = opendirSync(folder, { bufferSize: 256 });
      try {
        for (let entry = open.readSync(); entry !== null; entry = open.readSync()) {
          isCut = left === 0;
          if (isCut) break;
          left -= 1;
          entries.push(entry);
        }
      } finally {
        open.closeSync();
      }
    } catch (error) {
      const reason = errnoOf(error);
      if (reason !== 'ENOENT' && reason !== 'ENOTDIR') refused.set(folder, reason);
    }
    return entries;
  }

  for (const each of withoutBraces(pattern)) {
    walk(
      '/',
      each.split('/').filter((part) => part !== ''),
    );
  }
  return { matches: [...matches], refused: [...refused].map(([path, reason]) => ({ path, reason })), isCut };
}

/** True as well where it cannot be told: the caller finds out why. */
function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}

function isWild(part: string): boolean {
  return /[*?[\]{}()\\]/u.test(part);
}

const alternativesMax = 1_000;

/** A pattern for each alternative of its braces: `/a/{b,c/d}` names two places. */
function withoutBraces(pattern: string): readonly string[] {
  let patterns = [pattern];
  for (;;) {
    const next = patterns.flatMap((each) => {
      const [braces, inside] = /\{([^{}]*,[^{}]*)\}/u.exec(each) ?? [];
      if (braces === undefined || inside === undefined) return [each];
      return inside.split(',').map((alternative) => each.replace(braces, () => alternative));
    });
    if (next.length === patterns.length || next.length > alternativesMax) return patterns;
    patterns = next;
  }
}
