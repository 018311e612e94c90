import { chmodSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

/** A lock held by this process. */
export interface Lock {
  release(): void;
}

/**
 * Takes the lock that this file stands for; undefined when another process has it. Node has no flock: SQLite's exclusive
 * lock does it and vanishes with the process.
 * @throws what the file system or SQLite says
 */
export function takeLock(path: string): Lock | undefined {
  const lock = new DatabaseSync(path);
  try {
    chmodSync(path, 0o600);
    // A rollback journal, not WAL: an exclusive transaction then holds the file against every other opener.
    lock.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE');
    return { release: () => lock.close() };
  } catch (error) {
    lock.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === sqliteBusy) return undefined;
    throw error;
  }
}

/** SQLITE_BUSY, https://www.sqlite.org/rescode.html#busy */
const sqliteBusy = 5;
