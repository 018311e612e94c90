import { z } from 'zod';
import type { Position } from '../event-source.ts';

const count = z.int().min(0);

/** What a file source remembers of a file: the value of its position. */
const fileRecord = z.strictObject({
  /** The path under which it was first found. */
  path: z.string(),
  offset: count,
  /** When the file was born, in milliseconds since 1970; absent where its file system does not tell. */
  bornMs: z.number().positive().optional(),
  fingerprint: z.strictObject({ headBytes: count, head: z.string(), tailBytes: count, tail: z.string() }),
});

export type FileRecord = z.output<typeof fileRecord>;

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

export function filePosition(item: string, record: FileRecord): Position {
  return { item, value: JSON.stringify(record) };
}

/** Undefined for what this version does not understand: the file is then read again. */
export function parseFileRecord(value: string): FileRecord | undefined {
  try {
    return fileRecord.parse(JSON.parse(value));
  } catch {
    return undefined;
  }
}
