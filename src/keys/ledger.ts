import { closeSync, constants, fchmodSync, fchownSync, openSync } from 'node:fs';
import { DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { keysError } from './errors.ts';

/** What becomes of a generation: made, in use, no more used to seal, given up before it was ever alone. */
export type GenerationState = 'next' | 'current' | 'retired' | 'abandoned';

export interface Generation {
  readonly number: number;
  readonly state: GenerationState;
  readonly createdAt: Date;
  /** What was found when the wrapped key was last opened; absent where it never was on this host. */
  readonly proof?: Proof;
}

export interface Proof {
  /** See `fingerprintOf`. */
  readonly fingerprint: string;
  readonly hasPassword: boolean;
  readonly at: Date;
}

/** A generation that is made or found. */
export type NewGeneration = Omit<Generation, 'state'>;

/** What is known of a secret's versions. */
export interface Seen {
  /** The highest that was seen; 0 before any, and where an operator allowed any, from that on. */
  readonly version: number;
  /** What it was before an operator allowed an older one. */
  readonly loweredFrom?: number;
}

/** A change of the master key that is under way, in a running process or since one that died. */
export interface Change {
  readonly from: number;
  readonly to: number;
  /** Files go to `to`, or, once it was given up, back to `from`. */
  readonly direction: 'forth' | 'back';
  readonly startedAt: Date;
}

/**
 * What is known of this host's master key beside the wrapped keys: generations, the files sealed under them, a change
 * that is under way, the highest version of each secret. No secret is in it. Several processes share it; every method
 * is one transaction, durable when it returns.
 *
 * The files say themselves under which generation they are sealed, so that nothing here has to be believed after a
 * crash: it says where to look.
 */
export interface Ledger {
  /** By number. */
  generations(): Generation[];
  /** The generation to seal under now; undefined before there is one. */
  sealing(): number | undefined;
  change(): Change | undefined;

  /** Takes the first generation, or one that was found, into use. */
  adopt(generation: NewGeneration): void;
  /** Takes over all that was recovered, as what it is there. */
  restore(generations: readonly Generation[]): void;
  /** Records that the wrapped key of the generation was opened. */
  proven(number: number, proof: Proof): void;
  /** From here on everything is sealed under the new generation. @throws MASTER_KEY_CHANGING */
  begin(next: NewGeneration): Change;
  /** From here on everything is sealed under the old generation again. */
  turnBack(): void;
  /** Ends the change, if no file is left behind; false where some are. */
  finish(): boolean;

  /**
   * Records a file that is going to be sealed, before it is there, so that none is missed; or one that was found, with
   * its generation. One that is on record stays as it is.
   */
  expect(path: string, generation?: number): void;
  /**
   * Runs `commit`, which puts a file sealed under `generation` in its place, unless something else is to be sealed
   * under by now: then nothing is done and the answer is false. `brought` is the version of a secret that it brings.
   */
  sealed(
    path: string,
    generation: number,
    brought: { readonly name: string; readonly version: number },
    commit: () => void,
  ): boolean;
  /** Runs `commit` with nobody else committing, then records where the files that it tells are by now. */
  moved(commit: () => ReadonlyMap<string, number>): void;
  /** Files not known to be at the generation, after this path. */
  filesNotAt(generation: number, after: string, limit: number): string[];
  files(after: string, limit: number): string[];
  /** Those at the generation, and all. */
  count(generation: number): { readonly at: number; readonly all: number };
  /** Takes files out that are no more, or are sealed by something else now. */
  forget(paths: readonly string[]): void;

  /** Has files brought to the generation again that were at it. */
  lookAgain(paths: readonly string[]): void;

  /** The registry's table that this host is bound to. */
  registryTable(): string | undefined;
  bindTable(table: string | undefined): void;

  seen(name: string): Seen;
  /** By name. */
  allSeen(): ReadonlyMap<string, Seen>;
  /** Records what opened: versions of secrets, and files that were found, with the generation that they are under. */
  met(versions: ReadonlyMap<string, number>, files: ReadonlyMap<string, number>): void;
  /** Lets the next version be any. The version that was the highest; undefined where none was seen. */
  allowOlder(name: string): number | undefined;

  close(): void;
}

export interface LedgerOptions {
  /** Longest wait for another process's transaction; each is a few renames and one write. It stops this thread. */
  readonly busyMsMax: number;
  /** Whose the file is to be where it is made: root works on the state of another user. */
  readonly owner: { readonly uid: number; readonly gid: number };
}

const schema = `
  CREATE TABLE IF NOT EXISTS generation (
    number INTEGER PRIMARY KEY, state TEXT NOT NULL, created_ms INTEGER NOT NULL, fingerprint TEXT,
    has_password INTEGER, proven_ms INTEGER) STRICT;
  CREATE TABLE IF NOT EXISTS change (
    id INTEGER PRIMARY KEY CHECK (id = 1), from_number INTEGER NOT NULL, to_number INTEGER NOT NULL,
    direction TEXT NOT NULL, started_ms INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS file (path TEXT PRIMARY KEY, generation INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS file_generation ON file (generation, path);
  CREATE TABLE IF NOT EXISTS registry (id INTEGER PRIMARY KEY CHECK (id = 1), table_name TEXT) STRICT;
  CREATE TABLE IF NOT EXISTS seen (
    name TEXT PRIMARY KEY, version INTEGER NOT NULL, lowered_from INTEGER) STRICT, WITHOUT ROWID;`;

/** A file that is expected is at no generation. */
const none = 0;

/** Opens the ledger in this SQLite file, which is made where there is none. @throws LEDGER_UNUSABLE */
export function openLedger(file: string, options: LedgerOptions): Ledger {
  const database = openedDatabase(file, options);
  const statements = new Map<string, StatementSync>();
  /** Each is compiled once: a re-encryption runs the same few for every file. */
  const prepared = (sql: string): StatementSync => {
    const known = statements.get(sql) ?? database.prepare(sql);
    statements.set(sql, known);
    return known;
  };
  const all = (sql: string, ...values: (string | number)[]) => prepared(sql).all(...values);
  const run = (sql: string, ...values: (string | number | null)[]) => prepared(sql).run(...values);

  function transaction<T>(work: () => T): T {
    return translated(file, () => {
      database.exec('BEGIN IMMEDIATE');
      try {
        const result = work();
        database.exec('COMMIT');
        return result;
      } catch (error) {
        rollBack();
        throw error;
      }
    });
  }

  /** SQLite itself rolls back on some errors, a full disk among them. */
  function rollBack(): void {
    if (database.isTransaction) database.exec('ROLLBACK');
  }

  const insert = ({ number, createdAt, proof }: NewGeneration, state: GenerationState) => {
    run(
      'INSERT OR REPLACE INTO generation (number, state, created_ms) VALUES (?, ?, ?)',
      number,
      state,
      createdAt.getTime(),
    );
    if (proof !== undefined) prove(number, proof);
  };
  const prove = (number: number, { fingerprint, hasPassword, at }: Proof) =>
    run(
      'UPDATE generation SET fingerprint = ?, has_password = ?, proven_ms = ? WHERE number = ?',
      fingerprint,
      hasPassword ? 1 : 0,
      at.getTime(),
      number,
    );
  const mark = (number: number, state: GenerationState) =>
    run('UPDATE generation SET state = ? WHERE number = ?', state, number);

  function change(): Change | undefined {
    const [row] = all('SELECT * FROM change');
    return row === undefined
      ? undefined
      : {
          from: integer(row['from_number']),
          to: integer(row['to_number']),
          direction: row['direction'] === 'back' ? 'back' : 'forth',
          startedAt: new Date(integer(row['started_ms'])),
        };
  }

  function sealing(): number | undefined {
    const underWay = change();
    if (underWay !== undefined) return targetOf(underWay);
    const [row] = all("SELECT MAX(number) AS number FROM generation WHERE state = 'current'");
    return typeof row?.['number'] === 'number' ? row['number'] : undefined;
  }

  function count(generation: number) {
    const [row] = all('SELECT COUNT(*) AS total, SUM(generation = ?) AS there FROM file', generation);
    return { at: integer(row?.['there'] ?? 0), all: integer(row?.['total']) };
  }

  const place = (path: string, generation: number) =>
    run(
      'INSERT INTO file VALUES (?, ?) ON CONFLICT (path) DO UPDATE SET generation = excluded.generation',
      path,
      generation,
    );
  const raise = (name: string, version: number) =>
    run(
      `INSERT INTO seen (name, version) VALUES (?, ?)
       ON CONFLICT (name) DO UPDATE SET version = MAX(version, excluded.version), lowered_from = NULL`,
      name,
      version,
    );

  const seen = (name: string): Seen =>
    seenIn(all('SELECT version, lowered_from FROM seen WHERE name = ?', name)[0]);
  const isOnRecord = (path: string): boolean => all('SELECT 1 FROM file WHERE path = ?', path).length > 0;
  const add = (path: string, generation: number) =>
    run('INSERT OR IGNORE INTO file VALUES (?, ?)', path, generation);

  return {
    generations: () =>
      translated(file, () => all('SELECT * FROM generation ORDER BY number').map(generationOf)),
    sealing: () => translated(file, sealing),
    change: () => translated(file, change),

    adopt: (generation) =>
      transaction(() => {
        run("UPDATE generation SET state = 'retired' WHERE state = 'current'");
        insert(generation, 'current');
      }),

    restore: (generations) =>
      transaction(() => {
        for (const { state, ...generation } of generations) insert(generation, state);
      }),

    proven: (number, proof) =>
      transaction(() => {
        prove(number, proof);
      }),

    begin: (next) =>
      transaction(() => {
        const from = sealing();
        const underWay = change();
        if (underWay !== undefined || from === undefined) {
          const { at: done, all: of } = count(next.number);
          throw keysError('MASTER_KEY_CHANGING', { done, of });
        }
        insert(next, 'next');
        run("INSERT INTO change VALUES (1, ?, ?, 'forth', ?)", from, next.number, next.createdAt.getTime());
        return { from, to: next.number, direction: 'forth', startedAt: next.createdAt };
      }),

    turnBack: () =>
      transaction(() => {
        run("UPDATE change SET direction = 'back'");
      }),

    finish: () =>
      transaction(() => {
        const underWay = change();
        if (underWay === undefined) return true;
        const target = targetOf(underWay);
        const { at, all: of } = count(target);
        if (at < of) return false;
        mark(underWay.from, target === underWay.from ? 'current' : 'retired');
        mark(underWay.to, target === underWay.to ? 'current' : 'abandoned');
        run('DELETE FROM change');
        return true;
      }),

    expect(path, generation = none) {
      if (translated(file, () => isOnRecord(path))) return;
      transaction(() => {
        add(path, generation);
      });
    },

    sealed: (path, generation, brought, commit) =>
      transaction(() => {
        if (sealing() !== generation) return false;
        commit();
        place(path, generation);
        raise(brought.name, brought.version);
        return true;
      }),

    moved: (commit) =>
      transaction(() => {
        for (const [path, generation] of commit()) place(path, generation);
      }),

    filesNotAt: (generation, after, limit) =>
      translated(file, () =>
        all(
          'SELECT path FROM file WHERE generation <> ? AND path > ? ORDER BY path LIMIT ?',
          generation,
          after,
          limit,
        ).map(({ path }) => String(path)),
      ),
    files: (after, limit) =>
      translated(file, () =>
        all('SELECT path FROM file WHERE path > ? ORDER BY path LIMIT ?', after, limit).map(({ path }) =>
          String(path),
        ),
      ),
    count: (generation) => translated(file, () => count(generation)),

    forget: (paths) =>
      transaction(() => {
        for (const path of paths) run('DELETE FROM file WHERE path = ?', path);
      }),

    lookAgain: (paths) =>
      transaction(() => {
        for (const path of paths) place(path, none);
      }),

    registryTable: () =>
      translated(file, () => {
        const table = all('SELECT table_name FROM registry')[0]?.['table_name'];
        return typeof table === 'string' ? table : undefined;
      }),
    bindTable: (table) =>
      transaction(() => {
        run('INSERT OR REPLACE INTO registry VALUES (1, ?)', table ?? null);
      }),

    seen: (name) => translated(file, () => seen(name)),
    allSeen: () =>
      translated(
        file,
        () => new Map(all('SELECT * FROM seen').map((row) => [String(row['name']), seenIn(row)])),
      ),
    met(versions, files) {
      // Asked first: a running agent meets the same files again and again, and need not write for it.
      const found = translated(file, () => [...files].filter(([path]) => !isOnRecord(path)));
      if (versions.size + found.length === 0) return;
      transaction(() => {
        for (const [name, version] of versions) raise(name, version);
        for (const [path, generation] of found) add(path, generation);
      });
    },
    allowOlder: (name) =>
      transaction(() => {
        const { version } = seen(name);
        if (version === 0) return undefined;
        run('UPDATE seen SET version = 0, lowered_from = ? WHERE name = ?', version, name);
        return version;
      }),

    close: () => database.close(),
  };
}

/** The generation that files are brought to. */
export function targetOf({ from, to, direction }: Change): number {
  return direction === 'forth' ? to : from;
}

function openedDatabase(file: string, { busyMsMax, owner }: LedgerOptions): DatabaseSync {
  return translated(file, () => {
    made(file, owner);
    const database = new DatabaseSync(file, { timeout: busyMsMax });
    try {
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
      const version = database.prepare('PRAGMA user_version').get()?.['user_version'];
      if (version === 0) database.exec(`BEGIN IMMEDIATE; ${schema} PRAGMA user_version = 1; COMMIT`);
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  });
}

/** Made here, not by SQLite, for its mode and owner: what SQLite puts beside it takes them over. No link is followed. */
function made(file: string, { uid, gid }: LedgerOptions['owner']): void {
  try {
    const handle = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    fchmodSync(handle, 0o600);
    if (process.geteuid?.() === 0) fchownSync(handle, uid, gid);
    closeSync(handle);
  } catch (error) {
    throw keysError('LEDGER_UNUSABLE', { file }, error);
  }
}

function generationOf(row: Record<string, SQLOutputValue>): Generation {
  const { state, fingerprint } = row;
  return {
    number: integer(row['number']),
    state: state === 'next' || state === 'retired' || state === 'abandoned' ? state : 'current',
    createdAt: new Date(integer(row['created_ms'])),
    ...(typeof fingerprint !== 'string'
      ? {}
      : {
          proof: {
            fingerprint,
            hasPassword: row['has_password'] === 1,
            at: new Date(integer(row['proven_ms'])),
          },
        }),
  };
}

function seenIn(row: Record<string, SQLOutputValue> | undefined): Seen {
  const loweredFrom = row?.['lowered_from'];
  return {
    version: integer(row?.['version'] ?? 0),
    ...(typeof loweredFrom === 'number' ? { loweredFrom } : {}),
  };
}

function integer(value: SQLOutputValue | undefined): number {
  if (typeof value !== 'number') throw new TypeError('the ledger holds something that is no number');
  return value;
}

/** SQLite's errors as ours; https://www.sqlite.org/rescode.html */
function translated<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') throw error;
    const code = error.errcode & 0xff;
    if (code === 5 || code === 6) throw keysError('LEDGER_BUSY', { file }, error);
    if (code === 8 || code === 13) throw keysError('LEDGER_UNWRITABLE', { file, errcode: code }, error);
    throw keysError('LEDGER_UNUSABLE', { file, errcode: code }, error);
  }
}
