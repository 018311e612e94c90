import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { gzipSync } from 'node:zlib';
import { assert, boolean, property, uint8Array } from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Canary, canary, searchCanaries } from './canary.ts';
import { temporaryDirectory } from './temporary-directory.ts';

describe('a canary is found in a stream', () => {
  const secret = canary('password');

  test.each<[string, string]>([
    ['as it is', `before ${secret.value} after`],
    ['JSON-escaped', JSON.stringify({ password: secret.value })],
    ['URL-encoded', `https://example.com/?p=${encodeURIComponent(secret.value)}`],
    ['URL-encoded', String(new URLSearchParams({ p: secret.value }))],
    ['hex', Buffer.from(`x${secret.value}`).toString('hex')],
    ['hex', Buffer.from(secret.value).toString('hex').toUpperCase()],
    ['base64url', Buffer.from(secret.value).toString('base64url')],
    ['in part', secret.value.replaceAll('"', '&quot;')],
  ])('%s', (form, text) => {
    const { findings } = searchCanaries([secret], { buffers: { stdout: text } });

    expect(findings).toEqual([expect.objectContaining({ canary: 'password', form, place: 'stdout' })]);
  });

  test('in base64, whatever stands around it', () => {
    assert(
      property(uint8Array(), uint8Array(), boolean(), (before, after, plain) => {
        const one = canary('any', { plain });
        const encoded = Buffer.concat([before, Buffer.from(one.value), after]).toString('base64');

        expect(findingsIn(encoded, one)).toHaveLength(1);
      }),
    );
  });

  test('in what is gzipped, with other bytes around it', () => {
    const bytes = Buffer.concat([Buffer.from('head'), gzipSync(secret.value), Buffer.from('tail')]);

    const { findings } = searchCanaries([secret], { buffers: { body: bytes } });

    expect(findings).toEqual([expect.objectContaining({ place: 'body (gunzipped)' })]);
  });
});

describe('a canary is found on the disk', () => {
  test('in a file, with its offset', () => {
    const { secret, directory } = setup();
    mkdirSync(join(directory, 'a/b'), { recursive: true });
    writeFileSync(join(directory, 'a/b/log'), `12345${secret.value}`);

    const { findings } = searchCanaries([secret], { directories: [directory] });

    expect(findings).toEqual([expect.objectContaining({ place: join(directory, 'a/b/log'), offset: 5 })]);
  });

  test('across the pieces in which a large file is read', () => {
    const { secret, directory } = setup();
    const before = Buffer.alloc(8 * 1024 * 1024 - 10, 'x');
    writeFileSync(join(directory, 'large'), Buffer.concat([before, Buffer.from(secret.value), before]));

    const { findings } = searchCanaries([secret], { directories: [directory] });

    expect(findings).toEqual([expect.objectContaining({ offset: before.length })]);
  });

  test('in a database, though it is still in the write-ahead log', () => {
    const { secret, directory } = setup();
    const database = new DatabaseSync(join(directory, 'spool.db'));
    onTestFinished(() => database.close());
    database.exec('PRAGMA journal_mode = WAL; CREATE TABLE batch (body BLOB)');
    database.prepare('INSERT INTO batch VALUES (?)').run(Buffer.from(secret.value));

    const { findings } = searchCanaries([secret], { directories: [directory] });

    expect(findings.map(({ place }) => place)).toContain(join(directory, 'spool.db-wal'));
  });

  test('in a large value of a database, which no file holds in one piece', () => {
    const { secret, directory } = setup();
    const file = join(directory, 'spool.db');
    const database = new DatabaseSync(file);
    database.exec('PRAGMA page_size = 512; CREATE TABLE batch (id INTEGER, body BLOB)');
    // Each page begins with the number of the next: somewhere in here one falls into the secret.
    const large = Buffer.concat(Array.from({ length: 600 }, (_, n) => Buffer.from(`${n} `)));
    for (let shift = 0; shift < 512; shift += 16) {
      const body = Buffer.concat([large, Buffer.alloc(shift, 'x'), gzipSync(secret.value), large]);
      database.prepare('INSERT INTO batch VALUES (?, ?)').run(shift, body);
    }
    database.close();

    const places = searchCanaries([secret], { directories: [directory] }).findings.map(({ place }) => place);

    expect(places).toContain(`table batch of ${file} (gunzipped)`);
  });

  test('in a database that its writer holds locked', () => {
    const { secret, directory } = setup();
    const file = join(directory, 'spool.db');
    const database = new DatabaseSync(file);
    onTestFinished(() => database.close());
    database.exec('PRAGMA journal_mode = WAL; PRAGMA locking_mode = EXCLUSIVE; CREATE TABLE log (text TEXT)');
    database.prepare('INSERT INTO log VALUES (?)').run(secret.value);

    const places = searchCanaries([secret], { directories: [directory] }).findings.map(({ place }) => place);

    expect(places).toContain(`table log of ${file}`);
  });

  test('in the name of a file', () => {
    const { secret, directory } = setup({ plain: true });
    writeFileSync(join(directory, secret.value), '');

    expect(searchCanaries([secret], { directories: [directory] }).findings).toHaveLength(1);
  });

  test('in the target of a link', () => {
    const { secret, directory } = setup({ plain: true });
    symlinkSync(`/nowhere/${secret.value}`, join(directory, 'link'));

    expect(searchCanaries([secret], { directories: [directory] }).findings).toHaveLength(1);
  });

  test('but not behind a link to a folder, which may lead anywhere', () => {
    const { secret, directory } = setup();
    mkdirSync(join(directory, 'searched'));
    mkdirSync(join(directory, 'elsewhere'));
    writeFileSync(join(directory, 'elsewhere/file'), secret.value);
    symlinkSync(join(directory, 'elsewhere'), join(directory, 'searched/link'));

    const { findings, searched } = searchCanaries([secret], { directories: [join(directory, 'searched')] });

    expect(findings).toEqual([]);
    expect(searched.places).toContain(`link ${join(directory, 'searched/link')}`);
  });

  test('but not reported where it is meant to be', () => {
    const { secret, directory } = setup();
    const delivered = join(directory, 'delivered');
    writeFileSync(delivered, secret.value);

    const { findings } = searchCanaries([secret], {
      directories: [directory],
      except: (path) => path === delivered,
    });

    expect(findings).toEqual([]);
  });
});

describe('a canary is found in a process', () => {
  test('in its arguments', async () => {
    const { secret } = setup();
    const pid = await running(['-c', 'read line', secret.value], {});

    expect(searchCanaries([secret], { pids: [pid] }).findings).toEqual([
      expect.objectContaining({ place: `process ${pid} argv` }),
    ]);
  });

  test('in its environment', async () => {
    const { secret } = setup();
    const pid = await running(['-c', 'read line'], { PASSWORD: secret.value });

    expect(searchCanaries([secret], { pids: [pid] }).findings).toEqual([
      expect.objectContaining({ place: `process ${pid} environment` }),
    ]);
  });

  test('in the environment of a child of its child', async () => {
    const { secret } = setup();
    const pid = await running(
      ['-c', `sh -c 'PASSWORD="$0" sh -c "echo up; sleep 60; :"; :' "$(cat)"; :`],
      {},
      secret,
    );

    const places = searchCanaries([secret], { pids: [pid] }).findings.map(({ place }) => place);

    expect(places).toContainEqual(expect.stringMatching(/^process \d+ environment$/u));
  });
});

describe('a search', () => {
  test('finds nothing where nothing is, and says what it looked at', () => {
    const { secret, directory } = setup();
    writeFileSync(join(directory, 'log'), canary('other').value);

    const { findings, searched } = searchCanaries([secret], {
      directories: [directory],
      buffers: { stderr: 'ready' },
      pids: [process.pid],
    });

    expect(findings).toEqual([]);
    expect(searched.places).toEqual(
      expect.arrayContaining(['stderr', join(directory, 'log'), `process ${process.pid} argv`]),
    );
  });

  test('never repeats the value', () => {
    const { secret } = setup();

    const { findings } = searchCanaries([secret], { buffers: { stdout: secret.value } });

    expect(findingsIn(JSON.stringify(findings), secret)).toEqual([]);
  });

  test('of a directory or a process that is not there is an error', () => {
    const { secret, directory } = setup();

    expect(() => searchCanaries([secret], { directories: [join(directory, 'none')] })).toThrow('ENOENT');
    expect(() => searchCanaries([secret], { pids: [2 ** 30] })).toThrow('ENOENT');
  });
});

function setup(options: { plain?: boolean } = {}) {
  return { secret: canary('password', options), directory: temporaryDirectory() };
}

function findingsIn(text: string, secret: Canary) {
  return searchCanaries([secret], { buffers: { text } }).findings;
}

/** A shell that waits until the test is over: its pid, once it runs (with `input`: once it printed something). */
async function running(args: string[], env: Record<string, string>, input?: Canary): Promise<number> {
  const child = spawn('sh', args, { env: { PATH: process.env['PATH'], ...env }, detached: true });
  onTestFinished(() => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  });
  await once(child, 'spawn');
  if (input !== undefined) {
    child.stdin.end(input.value);
    await once(child.stdout, 'data');
  }
  return child.pid ?? 0;
}
