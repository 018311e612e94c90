import { readFile, unlink } from 'node:fs/promises';
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import { errnoOf } from '../../base/errno.ts';
import type { Log } from '../../base/log-events.ts';
import { eventsError } from '../errors.ts';
import { eventsEvent } from '../log-events.ts';
import type { SpoolFolders } from './disk.ts';
import type { RecordDraft } from './group-writer.ts';
import { quarantinedAtOnceMax } from './quarantine.ts';
import { type BodySeal, recordKind, sealBytes } from './record.ts';
import { openRecordLog, type RecordLog } from './record-log.ts';
import { nameOf, segmentNumbers } from './recovery.ts';
import type { Storage } from './storage.ts';

/** The id that the one data key of version 1 has among those of version 2. */
const firstKeyId = '0000000000000001';
const segmentBytes = 64 * 2 ** 20;

export interface Version1Options {
  /** `spool.db` */
  readonly database: string;
  readonly folders: SpoolFolders;
  readonly log: Log;
}

type Row = Readonly<Record<string, SQLOutputValue>>;

/**
 * Takes over the spool of a state directory of version 1: one SQLite database with batches, positions and dead letters.
 * Sealed bodies are taken over as they are, under the ids that they are bound to. The database is removed when all of it
 * is durable; a migration that was interrupted begins again. What of a damaged one does not read is told of.
 * @throws EVENTS_SPOOL_UNWRITABLE: not enough room for both
 */
export async function migrateVersion1({ database: path, folders, log }: Version1Options): Promise<void> {
  await Promise.all([emptied(folders.spool), emptied(folders.deadLetter)]);
  const damaged: string[] = [];
  const database = new DatabaseSync(path, { timeout: 0 });
  const collect = (table: string, sql: string, rows: Row[]): boolean => {
    try {
      for (const row of database.prepare(sql).iterate()) rows.push(row);
      return true;
    } catch {
      damaged.push(table);
      return false;
    }
  };
  /** Where a page of the table does not read, what lies before it and what lies behind. */
  const rowsOf = (table: string, columns: string, order: readonly string[]): Row[] => {
    const select = `SELECT ${columns} FROM ${table} ORDER BY`;
    const [before, behind]: [Row[], Row[]] = [[], []];
    const isWhole = collect(table, `${select} ${order.join(', ')}`, before);
    if (!isWhole) collect(table, `${select} ${order.map((column) => `${column} DESC`).join(', ')}`, behind);
    return [...before, ...behind.toReversed()];
  };
  let batches = 0;
  let letters = 0;
  try {
    const positions = rowsOf('position', 'source, item, value', ['source', 'item']).map((row) => [
      row['source'],
      row['item'],
      row['value'],
    ]);
    const last = rowsOf('sqlite_sequence', 'name, seq', ['name']).find(({ name }) => name === 'batch');
    const spool = await newLog(folders.spool, { lastId: Number(last?.['seq'] ?? 0), positions });
    // Its checkpoint is what keeps the positions.
    await spool.append({ draft: { kind: recordKind.notes, meta: [] } });
    batches = await copied(spool, rowsOf('batch', 'id', ['id']), 'batch', (id) => {
      const row = database.prepare('SELECT * FROM batch WHERE id = ?').get(id);
      return row === undefined ? undefined : batchOf(row);
    });
    await spool.close();
    const deadLetter = await newLog(folders.deadLetter, 0);
    letters = await copied(deadLetter, rowsOf('dead_letter', 'id', ['id']), 'dead_letter', (id) => {
      const row = database.prepare('SELECT * FROM dead_letter WHERE id = ?').get(id);
      return row === undefined ? undefined : letterOf(row);
    });
    await deadLetter.close();
  } finally {
    database.close();
  }
  if (damaged.length > 0) await tell();
  for (const suffix of ['', '-wal', '-shm', '-journal']) await unlink(`${path}${suffix}`).catch(unlessAbsent);
  log(eventsEvent('events.spool-migrated', { batches, deadLetters: letters }));

  /** One at a time: a long spool does not fit the memory. */
  async function copied(
    to: RecordLog,
    ids: readonly Row[],
    table: string,
    draftOf: (id: number) => RecordDraft | undefined,
  ): Promise<number> {
    let count = 0;
    for (const row of ids) {
      let draft: RecordDraft | undefined;
      try {
        draft = draftOf(Number(row['id']));
      } catch {
        damaged.push(table);
      }
      if (draft === undefined) continue;
      await to.append({ draft });
      count += 1;
    }
    return count;
  }

  async function tell(): Promise<void> {
    const bytes = await readFile(path).catch(() => Buffer.alloc(0));
    const tables = [...new Set(damaged)];
    const quarantined: string[] = [];
    for (let from = 0; from < bytes.length; from += quarantinedAtOnceMax) {
      const name = `spool.db-${from}`;
      if (await isKept(folders.quarantine, name, bytes.subarray(from, from + quarantinedAtOnceMax)))
        quarantined.push(name);
    }
    log(eventsEvent('events.spool-damaged', { folder: 'spool', kind: tables.join(', '), quarantined }));
    if (tables.includes('position')) log(eventsEvent('events.positions-lost', {}));
  }
}

/** False where it cannot be: that is no reason to give up what was taken over, at this start and at each after it. */
async function isKept(quarantine: Storage, name: string, bytes: Buffer): Promise<boolean> {
  try {
    // A migration that was interrupted has left it, or a part of it.
    await quarantine.remove(name).catch(unlessAbsent);
    const file = await quarantine.create(name);
    try {
      await file.write(bytes, 0);
    } finally {
      await file.close();
    }
    return true;
  } catch {
    await quarantine.remove(name).catch(() => undefined);
    return false;
  }
}

async function emptied(storage: Storage): Promise<void> {
  for (const number of segmentNumbers(await storage.list())) await storage.remove(nameOf(number));
}

function newLog(storage: Storage, state: unknown): Promise<RecordLog> {
  return openRecordLog({
    storage,
    segmentBytes,
    sealer: async () => undefined,
    state: () => state,
    restore() {},
    replay() {},
    held: () => [],
    onDamage: async () => undefined,
    onCut() {},
  });
}

function batchOf(row: Row): RecordDraft {
  const meta = {
    id: Number(row['id']),
    group: String(row['log_group']),
    stream: String(row['log_stream']),
    events: Number(row['events']),
    bytes: Number(row['bytes']),
    positions: [],
  };
  return { kind: recordKind.batch, meta, body: bytesOf(row['body']), sealed: sealOf(row['seal']) };
}

function letterOf(row: Row): RecordDraft {
  const meta = {
    id: Number(row['id']),
    batch: 0,
    index: 0,
    group: String(row['log_group']),
    stream: String(row['log_stream']),
    reason: String(row['reason']),
    refusedMs: Number(row['refused_ms']),
  };
  return { kind: recordKind.letter, meta, body: bytesOf(row['event']), sealed: sealOf(row['seal']) };
}

function bytesOf(value: SQLOutputValue | undefined): Buffer {
  if (!(value instanceof Uint8Array)) throw eventsError('EVENTS_SPOOL_DAMAGED');
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

function sealOf(value: SQLOutputValue | undefined): BodySeal | undefined {
  if (!(value instanceof Uint8Array)) return undefined;
  if (value.length !== sealBytes) throw eventsError('EVENTS_SPOOL_DAMAGED');
  return { keyId: firstKeyId, seal: value };
}

function unlessAbsent(error: unknown): void {
  if (errnoOf(error) !== 'ENOENT') throw error;
}
