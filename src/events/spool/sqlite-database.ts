import { closeSync, constants, fchmodSync, openSync } from 'node:fs';
import { DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import type { GatehouseError } from '../../base/errors.ts';
import type { StreamName } from '../batch.ts';
import { eventsError } from '../errors.ts';
import { type RefusalReason, refusalReasons } from '../spool.ts';

const schemaVersion = 1;

const schema = `
  CREATE TABLE batch (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    log_group TEXT NOT NULL,
    log_stream TEXT NOT NULL,
    events INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    seal BLOB,
    body BLOB NOT NULL
  ) STRICT;
  CREATE INDEX batch_stream ON batch (log_group, log_stream, id);
  CREATE TABLE position (
    source TEXT NOT NULL,
    item TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (source, item)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE dead_letter (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    log_group TEXT NOT NULL,
    log_stream TEXT NOT NULL,
    reason TEXT NOT NULL,
    refused_ms INTEGER NOT NULL,
    seal BLOB,
    event BLOB NOT NULL
  ) STRICT;
  PRAGMA user_version = ${schemaVersion};
`;

/** Pages of WAL before SQLite copies them into the file: 16 MiB, so that what is sent soon is often never copied. */
const checkpointPages = 2048;
const pageBytes = 8192;

type Row = Readonly<Record<string, SQLOutputValue>>;

export function numberIn(row: Row | undefined, column: string): number {
  return Number(row?.[column] ?? 0);
}

export function textIn(row: Row, column: string): string {
  return String(row[column]);
}

export function bytesIn(row: Row | undefined, column: string): Uint8Array {
  const value = row?.[column];
  if (value instanceof Uint8Array) return value;
  throw eventsError('EVENTS_SPOOL_DAMAGED', { column });
}

export function streamIn(row: Row): StreamName {
  return { logGroup: textIn(row, 'log_group'), logStream: textIn(row, 'log_stream') };
}

export function reasonIn(row: Row): RefusalReason {
  const reason = refusalReasons.find((each) => each === row['reason']);
  if (reason === undefined) throw eventsError('EVENTS_SPOOL_DAMAGED', { column: 'reason' });
  return reason;
}

/** @throws EVENTS_SPOOL_NEWER, EVENTS_SPOOL_LOCKED, EVENTS_SPOOL_DAMAGED, EVENTS_SPOOL_UNWRITABLE */
export function openDatabase(path: string): DatabaseSync {
  try {
    // Made here, not by SQLite, for its mode: -wal and -shm take theirs from it. A link is not followed.
    const handle = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    fchmodSync(handle, 0o600);
    closeSync(handle);
  } catch (error) {
    throw eventsError('EVENTS_SPOOL_UNWRITABLE', { path }, error);
  }
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    prepare(database, path);
    return database;
  } catch (error) {
    database.close();
    throw spoolError(error, path);
  }
}

function prepare(database: DatabaseSync, path: string): void {
  // Exclusive: one agent per spool, and no shared-memory file beside it.
  database.exec(`
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA page_size = ${pageBytes};
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = ${checkpointPages};
    PRAGMA journal_size_limit = ${2 * checkpointPages * pageBytes};
    PRAGMA trusted_schema = OFF;
  `);
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  if (version > schemaVersion) {
    throw eventsError('EVENTS_SPOOL_NEWER', { path, version, newestKnown: schemaVersion });
  }
  if (version === 0) inTransaction(database, () => database.exec(schema));
}

export function statementsOf(database: DatabaseSync) {
  const sql = (text: string): StatementSync => database.prepare(text);
  return {
    insertBatch: sql(
      'INSERT INTO batch (id, log_group, log_stream, events, bytes, seal, body) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ),
    deleteBatch: sql('DELETE FROM batch WHERE id = ?'),
    batchSizes: sql('SELECT id, log_group, log_stream, length(body) AS size FROM batch'),
    heads: sql(
      'SELECT id, events, bytes FROM batch WHERE log_group = ? AND log_stream = ? ORDER BY id LIMIT ?',
    ),
    body: sql('SELECT seal, body FROM batch WHERE id = ?'),
    lastBatchId: sql("SELECT seq FROM sqlite_sequence WHERE name = 'batch'"),
    putPosition: sql('INSERT OR REPLACE INTO position (source, item, value) VALUES (?, ?, ?)'),
    deletePosition: sql('DELETE FROM position WHERE source = ? AND item = ?'),
    positions: sql('SELECT item, value FROM position WHERE source = ?'),
    insertLetter: sql(
      'INSERT INTO dead_letter (id, log_group, log_stream, reason, refused_ms, seal, event) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ),
    lastLetterId: sql("SELECT seq FROM sqlite_sequence WHERE name = 'dead_letter'"),
    letterCounts: sql('SELECT count(*) AS count, coalesce(sum(length(event)), 0) AS bytes FROM dead_letter'),
    deleteOldestLetter: sql(
      'DELETE FROM dead_letter WHERE id = (SELECT min(id) FROM dead_letter) RETURNING length(event) AS size',
    ),
    letters: sql(
      'SELECT id, log_group, log_stream, reason, refused_ms, seal, event FROM dead_letter ORDER BY id LIMIT ?',
    ),
  };
}

export function inTransaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    // SQLite has rolled back by itself after some errors, disk full among them.
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

/** https://www.sqlite.org/rescode.html, primary codes. */
const sqliteCode = { busy: 5, corrupt: 11, notADatabase: 26 } as const;

/** SQLite's errors as ours; any other as it is. */
export function spoolError(error: unknown, path: string): unknown {
  const code = sqliteCodeOf(error);
  if (code === undefined) return error;
  const details = { path, sqliteCode: code };
  const say = (name: Parameters<typeof eventsError>[0]): GatehouseError => eventsError(name, details, error);
  if (code === sqliteCode.busy) return say('EVENTS_SPOOL_LOCKED');
  if (code === sqliteCode.corrupt || code === sqliteCode.notADatabase) return say('EVENTS_SPOOL_DAMAGED');
  return say('EVENTS_SPOOL_UNWRITABLE');
}

function sqliteCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number')
    return undefined;
  return error.errcode & 0xff;
}
