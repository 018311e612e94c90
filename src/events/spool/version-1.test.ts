import { createCipheriv, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { failure } from '../../../test/support/memory-storage.ts';
import { memoryFolders, spoolFixture } from '../../../test/support/spool-fixture.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { a, b, batchOf, never, textOf } from '../spool.contract.ts';
import { migrateVersion1 } from './version-1.ts';

/** What version 1 made, as its last release had it. */
const schema = `
  PRAGMA journal_mode = WAL;
  CREATE TABLE batch (id INTEGER PRIMARY KEY AUTOINCREMENT, log_group TEXT NOT NULL, log_stream TEXT NOT NULL,
    events INTEGER NOT NULL, bytes INTEGER NOT NULL, seal BLOB, body BLOB NOT NULL) STRICT;
  CREATE INDEX batch_stream ON batch (log_group, log_stream, id);
  CREATE TABLE position (source TEXT NOT NULL, item TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (source, item)) STRICT, WITHOUT ROWID;
  CREATE TABLE dead_letter (id INTEGER PRIMARY KEY AUTOINCREMENT, log_group TEXT NOT NULL, log_stream TEXT NOT NULL,
    reason TEXT NOT NULL, refused_ms INTEGER NOT NULL, seal BLOB, event BLOB NOT NULL) STRICT;
  PRAGMA user_version = 1;
`;

function setup(batches = 3) {
  const fixture = spoolFixture();
  const path = join(temporaryDirectory(), 'spool.db');
  const key = randomBytes(32);
  fixture.keeper.keys.set('0000000000000001', { bytes: key, madeMs: 0 });
  const database = new DatabaseSync(path);
  database.exec(schema);
  const sealed = (kind: string, id: number, stream: typeof a, bytes: Buffer) => {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, nonce);
    cipher.setAAD(Buffer.from(JSON.stringify([kind, id, stream.logGroup, stream.logStream])));
    const body = Buffer.concat([cipher.update(bytes), cipher.final()]);
    return { body, seal: Buffer.concat([nonce, cipher.getAuthTag()]) };
  };
  const insert = database.prepare('INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?)');
  for (let id = 11; id < 11 + batches; id += 1) {
    const stream = id % 2 === 0 ? b : a;
    const batch = batchOf(stream, `batch ${id} ${'x'.repeat(2000)}`);
    const { body, seal } = sealed('batch', id, stream, batch.body);
    insert.run(id, stream.logGroup, stream.logStream, batch.events, batch.bytes, seal, body);
  }
  database.exec("INSERT INTO position VALUES ('app', 'inode-1', '4711'), ('.retention', '/g', '')");
  const event = sealed(
    'dead letter',
    5,
    a,
    Buffer.from(JSON.stringify({ timestamp: 3, message: 'refused' })),
  );
  database
    .prepare("INSERT INTO dead_letter VALUES (5, ?, ?, 'too-old', 99, ?, ?)")
    .run(a.logGroup, a.logStream, event.seal, event.body);
  database.close();
  const folders = memoryFolders();
  const migrate = () => migrateVersion1({ database: path, folders, log: fixture.log });
  return { ...fixture, path, folders, migrate };
}

test('a spool of version 1 is taken over: batches, positions, dead letters, and the ids go on', async () => {
  const { path, folders, migrate, open, named } = setup();

  await migrate();

  const spool = await open(folders);
  const read = async (stream: typeof a) =>
    (await spool.read({ stream, batchesMax: 9 }, never)).map((batch) => textOf(batch).split(' x')[0]);
  expect(await read(a)).toEqual(['batch 11', 'batch 13']);
  expect(await read(b)).toEqual(['batch 12']);
  expect([...spool.position('app')]).toEqual([['inode-1', '4711']]);
  expect([...spool.position('.retention')]).toEqual([['/g', '']]);
  expect(spool.deadLetters(9)).toMatchObject([{ id: 5, stream: a, reason: 'too-old', refusedMs: 99 }]);
  expect(await spool.deadLetter(5)).toEqual({ timestamp: 3, message: 'refused' });
  await spool.append(batchOf(a, 'new'), [], never);
  const [, , last] = await spool.read({ stream: a, batchesMax: 9 }, never);
  expect(last?.id).toBe(14);
  expect(existsSync(path)).toBe(false);
  expect(named('events.spool-migrated')).toMatchObject([{ fields: { batches: 3, deadLetters: 1 } }]);
});

test('an empty one keeps its positions', async () => {
  const { folders, migrate, open } = setup(0);

  await migrate();

  expect([...(await open(folders)).position('app')]).toEqual([['inode-1', '4711']]);
});

test('a migration that was interrupted anywhere begins again, and nothing is there twice', async () => {
  const { path, folders, migrate, open } = setup();
  let failures = 0;
  for (let after = 0; existsSync(path); after += 1) {
    let calls = 0;
    folders.spool.onCall = folders.deadLetter.onCall = () => {
      calls += 1;
      if (calls > after) throw failure('ENOSPC');
    };
    await migrate().catch(() => {
      failures += 1;
    });
  }
  folders.spool.onCall = folders.deadLetter.onCall = () => undefined;

  const spool = await open(folders);

  expect(failures).toBeGreaterThan(10);
  expect(spool.counts()).toMatchObject({ batches: 3, deadLetters: 1 });
  expect(spool.position('app').size).toBe(1);
});

test('of a damaged one all that reads is taken over, and the rest is told and put into quarantine', async () => {
  const { path, folders, migrate, open, named } = setup(40);
  const bytes = readFileSync(path);
  bytes.fill(0xee, Math.floor(bytes.length / 2), Math.floor(bytes.length / 2) + 4096);
  writeFileSync(path, bytes);

  await migrate();

  const spool = await open(folders);
  const { batches } = spool.counts();
  expect(batches).toBeGreaterThan(0);
  expect(batches).toBeLessThan(40);
  expect(named('events.spool-damaged')).toHaveLength(1);
  expect(folders.quarantine.files.size).toBe(1);
  expect(existsSync(path)).toBe(false);
});

test('a file that is no database is put into quarantine, and the positions are told to be lost', async () => {
  const { path, folders, migrate, open, named } = setup();
  writeFileSync(path, 'no database at all, but long enough to look at '.repeat(10));

  await migrate();

  expect((await open(folders)).counts().batches).toBe(0);
  expect(named('events.positions-lost')).toHaveLength(1);
  expect(folders.quarantine.files.size).toBe(1);
});

test.each(['EEXIST', 'ENOSPC', 'EIO'])(
  'remains that cannot be put into quarantine, %s, keep no migration from its end',
  async (errno) => {
    const { path, folders, migrate, open, named } = setup();
    writeFileSync(path, 'no database at all, but long enough to look at '.repeat(10));
    // As a crash between the quarantine and the end leaves it.
    if (errno === 'EEXIST') folders.quarantine.replaceFile('spool.db-0', Buffer.from('no data'));
    else {
      folders.quarantine.onCall = (call) => {
        if (call === 'write') throw failure(errno);
      };
    }

    await migrate();

    const isKept = errno === 'EEXIST';
    expect(existsSync(path)).toBe(false);
    expect(named('events.spool-damaged')).toMatchObject([
      { fields: { quarantined: isKept ? ['spool.db-0'] : [] } },
    ]);
    folders.quarantine.onCall = () => undefined;
    expect((await open(folders)).counts().quarantineBytes).toBe(isKept ? 470 : 0);
  },
);
