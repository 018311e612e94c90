import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const magic = Buffer.from('SQLite format 3\0');

export interface Cell {
  readonly table: string;
  readonly bytes: Buffer;
}

/** Whether a file is a SQLite database, by how it begins. */
export function isDatabase(start: Buffer): boolean {
  return start.subarray(0, magic.length).equals(magic);
}

/** How often a copy is taken anew because the writer moved pages between its two files meanwhile. */
const copiesMax = 5;

/**
 * Every text and blob of a database, whole. In the file a large one lies in pieces, one to a page, so that a search of
 * the raw bytes may miss what is in it. Reads a copy: the writer may hold the database locked.
 * @throws what SQLite throws of a damaged one
 */
export function cellsOf(path: string): Cell[] {
  for (let copies = 1; ; copies += 1) {
    try {
      return cellsOfCopy(path);
    } catch (error) {
      if (copies === copiesMax) throw error;
    }
  }
}

function cellsOfCopy(path: string): Cell[] {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-cells-'));
  try {
    const copy = join(directory, 'copy.db');
    copyFileSync(path, copy);
    if (existsSync(`${path}-wal`)) copyFileSync(`${path}-wal`, `${copy}-wal`);
    return cellsIn(copy);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function cellsIn(file: string): Cell[] {
  const database = new DatabaseSync(file);
  try {
    const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
    return tables.flatMap(({ name }) => {
      const rows = database.prepare(`SELECT * FROM "${String(name).replaceAll('"', '""')}"`);
      rows.setReadBigInts(true);
      return rows.all().flatMap((row) =>
        Object.values(row).flatMap((value) => {
          if (typeof value !== 'string' && !(value instanceof Uint8Array)) return [];
          return [{ table: String(name), bytes: Buffer.from(value) }];
        }),
      );
    });
  } finally {
    database.close();
  }
}
