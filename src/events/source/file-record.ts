import type { Stats } from 'node:fs';
import type { Position } from '../event-source.ts';
import { type Fingerprint, hashOf } from './fingerprint.ts';

/** What a file source remembers of a file: the value of its position. */
export interface FileRecord {
  /** The path under which it was first found. */
  readonly path: string;
  readonly offset: number;
  /** When the file was born, in milliseconds since 1970; absent where its file system does not tell. */
  readonly bornMs?: number | undefined;
  /** When it was last written to, when it was last looked at: what is newer was rotated after it. */
  readonly writtenMs?: number | undefined;
  readonly fingerprint: Fingerprint;
  /** Set on a compressed file, whose offset is in what it holds. */
  readonly archive?: { readonly isDone: boolean } | undefined;
  /** How often the file has started over; absent when it never has. */
  readonly restarts?: number | undefined;
  /** Set in the middle of a line too long for one event: where it starts, and how many parts of it were taken. */
  readonly longLine?: LongLine | undefined;
}

export interface LongLine {
  readonly start: number;
  readonly parts: number;
}

/** A position's item: unique among the files that exist at one time. */
export function fileItem({ dev, ino }: { readonly dev: number; readonly ino: number }): string {
  return `${dev}:${ino}`;
}

export function inodeOf(item: string): number {
  return Number(item.slice(item.indexOf(':') + 1));
}

/** A file's birth, which renames leave as it is and a new file under an old inode does not have. */
export function bornMsOf({ birthtimeMs }: { readonly birthtimeMs: number }): number | undefined {
  return birthtimeMs > 0 ? birthtimeMs : undefined;
}

/** What of a file was read from its start to where it started over, or ends: its place in that stays as it is. */
export function generationOf(stat: Pick<Stats, 'dev' | 'ino' | 'birthtimeMs'>, restarts: number): string {
  const content = `${fileItem(stat)}@${bornMsOf(stat) ?? ''}@${restarts}`;
  return hashOf(Buffer.from(content)).slice(0, 16);
}

export function filePosition(item: string, record: FileRecord): Position {
  return { item, value: JSON.stringify(record) };
}

/** Undefined for what this version does not understand: the file is then read again. */
export function parseFileRecord(value: string): FileRecord | undefined {
  try {
    const record: unknown = JSON.parse(value);
    return isFileRecord(record) ? record : undefined;
  } catch {
    return undefined;
  }
}

// By hand: this is all that the worker would load the schema library for, 13 ms of its start and some MB.
function isFileRecord(value: unknown): value is FileRecord {
  if (
    !isObject(
      value,
      ['fingerprint', 'offset', 'path'],
      ['bornMs', 'writtenMs', 'archive', 'longLine', 'restarts'],
    )
  )
    return false;
  const { path, offset, fingerprint, bornMs, writtenMs, archive, longLine, restarts } = value;
  return (
    (bornMs === undefined || (typeof bornMs === 'number' && bornMs > 0)) &&
    (writtenMs === undefined || typeof writtenMs === 'number') &&
    (archive === undefined || (isObject(archive, ['isDone']) && typeof archive.isDone === 'boolean')) &&
    (longLine === undefined || isLongLine(longLine)) &&
    (restarts === undefined || isCount(restarts)) &&
    typeof path === 'string' &&
    isCount(offset) &&
    isObject(fingerprint, ['head', 'headBytes', 'tail', 'tailBytes']) &&
    typeof fingerprint['head'] === 'string' &&
    isCount(fingerprint['headBytes']) &&
    typeof fingerprint['tail'] === 'string' &&
    isCount(fingerprint['tailBytes'])
  );
}

function isLongLine(value: unknown): boolean {
  return isObject(value, ['start', 'parts']) && isCount(value.start) && isCount(value.parts);
}

/** With all of the `required` keys, perhaps the `optional` ones, and no others. */
function isObject<Required extends string, Optional extends string = never>(
  value: unknown,
  required: readonly Required[],
  optional: readonly Optional[] = [],
): value is Record<Required, unknown> & Partial<Record<Optional, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const known = new Set<string>([...required, ...optional]);
  return (
    required.every((key) => Object.hasOwn(value, key)) && Object.keys(value).every((key) => known.has(key))
  );
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
