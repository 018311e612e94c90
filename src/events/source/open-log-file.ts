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
import { dirname, isAbsolute, join, sep } from 'node:path';

/** A file that may be read: a regular one, under an allowed prefix, reached through no link planted by a stranger. */
export interface OpenLogFile {
  readonly handle: number;
  readonly stat: Stats;
}

/** Why a path is not read: `directory`, `not-a-regular-file`, `outside-allow-read-from`, `foreign-link`, or an errno. */
export interface RefusedPath {
  readonly refused: string;
}

/** Links followed on the way to one file; Linux itself stops at 40. */
const linksMax = 40;

/**
 * Opens a log file for reading without trusting whoever may write beside it. A link on the way counts only if root or
 * the owner of what it leads to made it, and the file it leads to must lie, as the kernel says after opening it, under
 * one of the prefixes.
 */
export function openLogFile(path: string, readFrom: readonly string[]): OpenLogFile | RefusedPath {
  let handle: number | undefined;
  try {
    const real = realpathSync(path);
    // Not blocking: a FIFO that nobody writes to would stop the worker before it is seen to be none of ours.
    handle = openSync(
      real,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY,
    );
    const stat = fstatSync(handle);
    const refused = refusal(path, handle, stat, readFrom);
    if (refused === undefined) return { handle, stat };
    closeSync(handle);
    return { refused };
  } catch (error) {
    if (handle !== undefined) closeSync(handle);
    return { refused: errnoOf(error) };
  }
}

function refusal(path: string, handle: number, stat: Stats, readFrom: readonly string[]): string | undefined {
  if (stat.isDirectory()) return 'directory';
  if (!stat.isFile()) return 'not-a-regular-file';
  // Not the path that was opened but where the opened file is: between the two, folders may have been exchanged.
  const place = readlinkSync(`/proc/self/fd/${handle}`);
  if (!readFrom.some((prefix) => isUnder(place, prefix))) return 'outside-allow-read-from';
  if (linkOwners(path).some((owner) => owner !== 0 && owner !== stat.uid)) return 'foreign-link';
  return undefined;
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

/** The owners of all links on the way to a file. */
function linkOwners(path: string): number[] {
  const owners: number[] = [];
  let left = path.split(sep).filter((part) => part !== '');
  let at: string = sep;
  while (left.length > 0 && owners.length < linksMax) {
    const [part = '', ...rest] = left;
    const next = join(at, part);
    const stat = lstatSync(next);
    if (!stat.isSymbolicLink()) {
      at = next;
      left = rest;
      continue;
    }
    owners.push(stat.uid);
    const target = readlinkSync(next);
    const resolved = isAbsolute(target) ? target : join(dirname(next), target);
    left = [...resolved.split(sep).filter((each) => each !== ''), ...rest];
    at = sep;
  }
  return owners;
}

export function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown';
}
