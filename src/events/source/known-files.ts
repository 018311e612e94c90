import type { Stats } from 'node:fs';
import type { Clock } from '../../base/clock.ts';
import type { Position, Positions } from '../event-source.ts';
import { bornMsOf, type FileRecord, fileItem, inodeOf, parseFileRecord } from './file-record.ts';
import { type FingerprintState, headBytesMax, recognize } from './fingerprint.ts';
import { lookItem } from './last-look.ts';
import type { OpenLogFile } from './open-log-file.ts';
import { isNamedLikeCopy } from './rotated-name.ts';

/** A file in which reading goes on. */
export interface KnownFile {
  /** The item under which it was known: another where its disk's number changed or it is a copy. */
  readonly item: string;
  readonly record: FileRecord;
  readonly state: FingerprintState;
}

export interface AbsentFile {
  readonly item: string;
  readonly record: FileRecord;
}

/** What is known of files that are not being read: from before the start, or because they were truncated. */
export interface KnownFiles {
  has(item: string): boolean;
  get(item: string): FileRecord | undefined;
  delete(item: string): void;
  /** All of them. */
  records(): Iterable<AbsentFile>;
  /** What was read of a file that then started over: a copy of it may turn up. Returns the item it is kept under. */
  keepFormer(item: string, record: FileRecord): string;
  /** What was read of a file that was let go: it may turn up again, compressed. */
  keepFinished(item: string, record: FileRecord): void;
  /** What is known of a file that is there and has nothing more to read. */
  keepDone(item: string, record: FileRecord): void;
  /** Its position is no longer needed. */
  forget(item: string): void;
  /** Takes out what is known of an opened plain file; undefined when nothing was read of it. */
  take(path: string, opened: OpenLogFile): KnownFile | undefined;
  /** Those not present that were not told before. Forgets those absent for too long, and the oldest of too many. */
  newlyAbsent(present: ReadonlyMap<string, unknown>): readonly AbsentFile[];
  /** Tells of it once more. */
  tellAgain(item: string): void;
  /** The positions of what was forgotten since the last call: to be committed with whatever comes next. */
  takeForgotten(): readonly Position[];
}

export interface KnownFilesLimits {
  readonly absentFilesMax: number;
  readonly forgetAfterMs: number;
}

export function knownFiles(
  positions: Positions,
  limits: KnownFilesLimits,
  clock: Pick<Clock, 'monotonic'>,
): KnownFiles {
  const records = new Map<string, FileRecord>();
  /** By item, in the order in which they were missed. */
  const absentSinceMs = new Map<string, number>();
  let forgotten: Position[] = [];
  for (const [item, value] of positions) {
    if (item === lookItem) continue;
    const record = parseFileRecord(value);
    if (record === undefined) forgotten.push({ item, value: undefined });
    else records.set(item, record);
  }

  function drop(item: string): void {
    records.delete(item);
    absentSinceMs.delete(item);
  }

  function keepAbsent(item: string, record: FileRecord): void {
    records.set(item, record);
    absentSinceMs.set(item, clock.monotonic());
  }

  function forget(item: string): void {
    drop(item);
    if (!isInMemoryOnly(item)) forgotten.push({ item, value: undefined });
  }

  return {
    has: (item) => records.has(item),
    get: (item) => records.get(item),
    delete: drop,
    forget,

    *records() {
      for (const [item, record] of records) yield { item, record };
    },

    keepFormer(item, record) {
      const former = `${item}@${record.offset}`;
      keepAbsent(former, record);
      return former;
    },

    keepFinished: (item, record) => keepAbsent(`${item}~${record.offset}`, record),
    keepDone: (item, record) => void records.set(item, record),

    take(path, opened) {
      // Never that of a file that is there: two files may well have the same lines.
      for (const item of new Set([fileItem(opened.stat), ...absentSinceMs.keys()])) {
        const record = records.get(item);
        if (record === undefined || record.archive !== undefined) continue;
        if (!isPlausible(item, record, path, opened.stat)) continue;
        const state = recognize(opened.handle, record.fingerprint, record.offset);
        if (state === undefined) continue;
        drop(item);
        return { item, record, state };
      }
      return undefined;
    },

    newlyAbsent(present) {
      const nowMs = clock.monotonic();
      const newly: AbsentFile[] = [];
      for (const [item, record] of records) {
        const sinceMs = absentSinceMs.get(item);
        if (present.has(item)) absentSinceMs.delete(item);
        else if (sinceMs === undefined) {
          absentSinceMs.set(item, nowMs);
          newly.push({ item, record });
        } else if (nowMs - sinceMs >= limits.forgetAfterMs) forget(item);
      }
      const tooMany = Math.max(0, absentSinceMs.size - limits.absentFilesMax);
      for (const item of [...absentSinceMs.keys()].slice(0, tooMany)) forget(item);
      return newly;
    },

    tellAgain: (item) => void absentSinceMs.delete(item),

    takeForgotten() {
      const taken = forgotten;
      forgotten = [];
      return taken;
    },
  };
}

/**
 * Whether an opened file may be the one of a record, before their bytes are compared. That two files have the same
 * bytes proves nothing: a job that writes the same lines each night makes a new file with them, and to take that for
 * the old one loses lines, while to read an old one again only repeats them. So:
 * - device and inode agree, and so does the time of birth, which tells an inode that is used again; or
 * - inode and birth agree, or, where no birth is told, the inode and a head of full length, on a disk whose number
 *   changed, as it may at each boot; or
 * - the file was truncated in place, which is what makes a copy likely, and this one has a name like a copy's and
 *   bytes enough.
 * Anything else, be it a file restored under another inode, is read from its start.
 */
function isPlausible(item: string, record: FileRecord, path: string, stat: Stats): boolean {
  if (record.offset > stat.size) return false;
  const isLong = record.fingerprint.headBytes === headBytesMax;
  if (isFinished(item)) return false;
  if (isFormer(item)) return isLong && path !== record.path && isNamedLikeCopy(path, record.path);
  const bornMs = bornMsOf(stat);
  const hasBirths = record.bornMs !== undefined && bornMs !== undefined;
  if (hasBirths && record.bornMs !== bornMs) return false;
  if (item === fileItem(stat)) return true;
  return record.offset > 0 && inodeOf(item) === stat.ino && (hasBirths || isLong);
}

function isFormer(item: string): boolean {
  return item.includes('@');
}

function isFinished(item: string): boolean {
  return item.includes('~');
}

function isInMemoryOnly(item: string): boolean {
  return isFormer(item) || isFinished(item);
}
