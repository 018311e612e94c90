import type { Position } from '../event-source.ts';
import type { Fingerprint } from './fingerprint.ts';

/** What a file source remembers of a file: the value of its position. */
export interface FileRecord {
  /** The path under which it was first found. */
  readonly path: string;
  readonly offset: number;
  readonly fingerprint: Fingerprint;
}

/** A position's item: unique among the files that exist at one time. */
export function fileItem({ dev, ino }: { readonly dev: number; readonly ino: number }): string {
  return `${dev}:${ino}`;
}

export function inodeOf(item: string): number {
  return Number(item.slice(item.indexOf(':') + 1));
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
  if (!isObject(value, ['fingerprint', 'offset', 'path'])) return false;
  const { path, offset, fingerprint } = value;
  return (
    typeof path === 'string' &&
    isCount(offset) &&
    isObject(fingerprint, ['head', 'headBytes', 'tail', 'tailBytes']) &&
    typeof fingerprint['head'] === 'string' &&
    isCount(fingerprint['headBytes']) &&
    typeof fingerprint['tail'] === 'string' &&
    isCount(fingerprint['tailBytes'])
  );
}

/** With these keys, in alphabetical order, and no others. */
function isObject<Key extends string>(value: unknown, keys: readonly Key[]): value is Record<Key, unknown> {
  return typeof value === 'object' && value !== null && Object.keys(value).toSorted().join() === keys.join();
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
