import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  realpathSync,
  type Stats,
} from 'node:fs';
import { isAbsolute, sep } from 'node:path';

/** A file that may be read: a regular one, under an allowed prefix, reached through no link planted by a stranger. */
export interface OpenLogFile {
  readonly handle: number;
  readonly stat: Stats;
}

/**
 * Why a path is not read: `directory`, `not-a-regular-file`, `outside-allow-read-from`, `foreign-link`,
 * `changed-meanwhile`, or an errno.
 */
export interface RefusedPath {
  readonly refused: string;
}

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants;

/**
 * Not among Node's constants; the same on every architecture that Node runs on. A handle of this kind holds what it
 * stands for, be it a link, without opening it: looking at a device or a FIFO does nothing to it.
 */
const O_PATH = 0x20_0000;

/** Links followed on the way to one file; Linux itself stops at 40. */
const linksMax = 40;

/**
 * Opens a log file for reading without trusting whoever may write beside it. A link on the way counts only if root or
 * the owner of what it leads to made it, and the file it leads to must lie, as the kernel says after opening it, under
 * one of the prefixes. The way is walked step by step, each from the folder that the step before holds: what is
 * exchanged behind it changes nothing.
 */
export function openLogFile(path: string, readFrom: readonly string[]): OpenLogFile | RefusedPath {
  try {
    const way = walk(path);
    if ('refused' in way) return way;
    try {
      return openHeld(way, readFrom);
    } finally {
      closeSync(way.held);
    }
  } catch (error) {
    return { refused: errnoOf(error) };
  }
}

/** The end of a way: an O_PATH handle on what is there, and the owners of the links that led to it. */
interface Way {
  readonly held: number;
  readonly linkOwners: readonly number[];
}

function walk(path: string): Way | RefusedPath {
  const linkOwners: number[] = [];
  const left = partsOf(path);
  let held = openSync(sep, O_PATH | O_DIRECTORY);
  try {
    for (let part = left.shift(); part !== undefined; part = left.shift()) {
      const name = `${selfPath(held)}/${part}`;
      const next = openSync(name, O_PATH | O_NOFOLLOW);
      const stat = fstatSync(next);
      if (!stat.isSymbolicLink()) {
        closeSync(held);
        held = next;
        continue;
      }
      const target = targetOf(name, stat, next);
      if (target === undefined) return { refused: 'changed-meanwhile' };
      linkOwners.push(stat.uid);
      if (linkOwners.length > linksMax) return { refused: 'ELOOP' };
      left.unshift(...partsOf(target));
      if (isAbsolute(target)) {
        closeSync(held);
        held = openSync(sep, O_PATH | O_DIRECTORY);
      }
    }
    const way = { held, linkOwners };
    held = -1;
    return way;
  } finally {
    if (held >= 0) closeSync(held);
  }
}

/**
 * Where a held link leads. No call reads the link itself, so its name must lead to the same one afterwards, not renamed
 * meanwhile; and it is held until then, for its inode would else be free for another. Undefined when it was exchanged.
 */
function targetOf(name: string, stat: Stats, held: number): string | undefined {
  try {
    const target = readlinkSync(name);
    return isSame(stat, lstatSync(name)) ? target : undefined;
  } finally {
    closeSync(held);
  }
}

function openHeld({ held, linkOwners }: Way, readFrom: readonly string[]): OpenLogFile | RefusedPath {
  const stat = fstatSync(held);
  if (stat.isDirectory()) return { refused: 'directory' };
  if (!stat.isFile()) return { refused: 'not-a-regular-file' };
  const place = readlinkSync(selfPath(held));
  if (!readFrom.some((prefix) => isUnder(place, prefix))) return { refused: 'outside-allow-read-from' };
  if (linkOwners.some((owner) => owner !== 0 && owner !== stat.uid)) return { refused: 'foreign-link' };
  const handle = openSync(selfPath(held), O_RDONLY | O_NONBLOCK | O_NOCTTY);
  return { handle, stat };
}

function partsOf(path: string): string[] {
  const parts = path.split(sep).filter((part) => part !== '');
  // A folder is meant, and the kernel insists on it.
  return path.endsWith(sep) ? [...parts, '.'] : parts;
}

function selfPath(handle: number): string {
  return `/proc/self/fd/${handle}`;
}

function isSame(one: Stats, other: Stats): boolean {
  return one.dev === other.dev && one.ino === other.ino && one.ctimeMs === other.ctimeMs;
}

function isUnder(place: string, prefix: string): boolean {
  let real: string;
  try {
    real = realpathSync(prefix);
  } catch {
    return false;
  }
  return place === real || place.startsWith(real.endsWith(sep) ? real : real + sep);
}

/** Undefined where the system tells nothing of it any more: on NFS, say, when its server has deleted it. */
export function statOf(handle: number): Stats | undefined {
  try {
    return fstatSync(handle);
  } catch {
    return undefined;
  }
}

export function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown';
}
