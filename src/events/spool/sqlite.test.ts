import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { Secret } from '../../base/secret.ts';
import { eventsOf } from '../batch.ts';
import { a, batchOf, never, spoolContract, textOf } from '../spool.contract.ts';
import { type SqliteSpoolOptions, sqliteSpool } from './sqlite.ts';

function setup(options: Partial<SqliteSpoolOptions> = {}) {
  const directory = temporaryDirectory();
  const path = join(directory, 'spool.sqlite');
  const key = randomBytes(32);
  const events: LogEvent[] = [];
  const open = (changed: Partial<SqliteSpoolOptions> = {}) => {
    const spool = sqliteSpool({
      path,
      bytesMax: 2 ** 24,
      dataKey: Secret.ofBytes(key),
      allowClearSpool: false,
      clock: fakeClock(),
      log: (event) => events.push(event),
      ...options,
      ...changed,
    });
    onTestFinished(() => {
      try {
        spool.close();
      } catch {
        // Closed by the test itself.
      }
    });
    return spool;
  };
  return { directory, path, key, open, events };
}

function found(directory: string, text: string): boolean {
  return readdirSync(directory).some((name) => readFileSync(join(directory, name)).includes(text));
}

spoolContract('sqliteSpool, sealed', (making) => setup().open(making));
spoolContract('sqliteSpool, in clear', (making) =>
  setup({ dataKey: undefined, allowClearSpool: true }).open(making),
);

test('what was appended is there after the spool is opened again', async () => {
  const { open } = setup();
  const first = open();
  await first.append(batchOf(a, 'one'), [{ source: 's', item: 'i', value: 'v' }], never);
  await first.append(batchOf(a, 'two'), [], never);
  first.close();

  const again = open();

  const batches = await again.read({ stream: a, batchesMax: 9 }, never);
  expect(batches.map(textOf)).toEqual(['one', 'two']);
  expect(again.position('s').get('i')).toBe('v');
  expect(again.streams()).toEqual([a]);
  expect(again.counts()).toMatchObject({ batches: 2, isSealed: true });
});

test('the id of a batch is never used again', async () => {
  const { open } = setup();
  const first = open();
  await first.append(batchOf(a, 'one'), [], never);
  const [one] = await first.read({ stream: a, batchesMax: 1 }, never);
  if (one !== undefined) await first.settle(one, []);
  first.close();

  const again = open();
  await again.append(batchOf(a, 'two'), [], never);

  const [two] = await again.read({ stream: a, batchesMax: 1 }, never);
  expect(two?.id).toBe((one?.id ?? 0) + 1);
});

test('no line is in clear on the disk when there is a key, dead letter included', async () => {
  const { directory, open } = setup();
  const spool = open();
  await spool.append(batchOf(a, 'canary-line'), [], never);
  const [batch] = await spool.read({ stream: a, batchesMax: 1 }, never);
  if (batch !== undefined)
    await spool.settle(batch, [{ reason: 'invalid', timestamp: 1, message: 'canary-line' }]);
  await spool.append(batchOf(a, 'canary-line'), [], never);

  expect(found(directory, 'canary-line')).toBe(false);
  spool.close();
  expect(found(directory, 'canary-line')).toBe(false);
  expect(found(directory, a.logGroup)).toBe(true);
});

test('the file is for its owner only, also when it was not', async () => {
  const { directory, path, open } = setup();
  writeFileSync(path, '');
  chmodSync(path, 0o644);

  await open().append(batchOf(a, 'x'), [], never);

  for (const name of readdirSync(directory)) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
});

test('a spool that is a link is not opened', () => {
  const { directory, path, open } = setup();
  writeFileSync(join(directory, 'elsewhere'), '');
  symlinkSync(join(directory, 'elsewhere'), path);

  expect(() => open()).toThrow(expect.objectContaining({ code: 'EVENTS_SPOOL_UNWRITABLE' }));
});

test('without a key there is no spool unless a clear one is allowed', () => {
  const { open } = setup();

  expect(() => open({ dataKey: undefined })).toThrow(
    expect.objectContaining({ code: 'EVENTS_SPOOL_KEY_MISSING' }),
  );
});

test('batches left in clear are read after a key came', async () => {
  const { open } = setup();
  const clear = open({ dataKey: undefined, allowClearSpool: true });
  await clear.append(batchOf(a, 'old'), [], never);
  clear.close();

  const sealed = open();
  await sealed.append(batchOf(a, 'new'), [], never);

  expect((await sealed.read({ stream: a, batchesMax: 9 }, never)).map(textOf)).toEqual(['old', 'new']);
});

test('sealed batches do not open under another key, nor without one', async () => {
  const { open } = setup();
  const first = open();
  await first.append(batchOf(a, 'x'), [], never);
  first.close();

  const other = open({ dataKey: Secret.ofBytes(randomBytes(32)) });
  await expect(other.read({ stream: a, batchesMax: 1 }, never)).rejects.toMatchObject({
    code: 'EVENTS_SPOOL_DAMAGED',
  });
  other.close();
  const none = open({ dataKey: undefined, allowClearSpool: true });
  await expect(none.read({ stream: a, batchesMax: 1 }, never)).rejects.toMatchObject({
    code: 'EVENTS_SPOOL_KEY_MISSING',
  });
});

test('a sealed batch that was moved to another place does not open', async () => {
  const { path, open } = setup();
  const first = open();
  await first.append(batchOf(a, 'x'), [], never);
  first.close();
  const database = new DatabaseSync(path);
  database.exec("UPDATE batch SET log_stream = 'elsewhere'");
  database.close();

  const again = open();

  await expect(
    again.read({ stream: { ...a, logStream: 'elsewhere' }, batchesMax: 1 }, never),
  ).rejects.toMatchObject({ code: 'EVENTS_SPOOL_DAMAGED' });
});

test('a spool of a newer version is refused', () => {
  const { path, open } = setup();
  const database = new DatabaseSync(path);
  database.exec('PRAGMA user_version = 2');
  database.close();

  expect(() => open()).toThrow(expect.objectContaining({ code: 'EVENTS_SPOOL_NEWER' }));
});

test('a spool that is open elsewhere is refused', async () => {
  const { open } = setup();
  await open().append(batchOf(a, 'x'), [], never);

  expect(() => open()).toThrow(expect.objectContaining({ code: 'EVENTS_SPOOL_LOCKED' }));
});

test('a file that is no database is told as damaged', () => {
  const { path, open } = setup();
  writeFileSync(path, 'no database at all, but long enough to look at '.repeat(10));

  expect(() => open()).toThrow(expect.objectContaining({ code: 'EVENTS_SPOOL_DAMAGED' }));
});

test('a full dead letter loses its oldest events and says so', async () => {
  const { open, events } = setup();
  const spool = open({ deadLetterBytesMax: 1000 });
  await spool.append(batchOf(a, 'x'), [], never);
  const [batch] = await spool.read({ stream: a, batchesMax: 1 }, never);
  if (batch === undefined) throw new Error('nothing read');
  const refused = [1, 2, 3].map((timestamp) => ({
    reason: 'expired' as const,
    timestamp,
    message: 'x'.repeat(400),
  }));

  await spool.settle(batch, refused);

  expect(spool.deadLetters(10).map(({ timestamp }) => timestamp)).toEqual([2, 3]);
  expect(events).toMatchObject([{ name: 'events.dead-letter-full', fields: { events: 1 } }]);
});

test('positions and batches agree after a process was killed between or inside appends', async () => {
  const { path, key, open } = setup();
  let acknowledged = 0;
  for (const afterLines of [1, 7, 20]) acknowledged = await appendUntilKilled(path, key, afterLines);

  const spool = open({ bytesMax: 2 ** 30 });

  const stream = { logGroup: 'g', logStream: 's' };
  const batches = await spool.read({ stream, batchesMax: 1_000_000 }, never);
  const numbers = batches.flatMap((batch) =>
    eventsOf(batch).map(({ message }) => Number.parseInt(message, 10)),
  );
  expect(numbers).toEqual(numbers.map((_, index) => index));
  expect(spool.position('numbers').get('next')).toBe(String(numbers.length));
  expect(numbers.length).toBeGreaterThanOrEqual(acknowledged);
});

/** Resolves with the number up to which the process had said that it is done. */
function appendUntilKilled(path: string, key: Buffer, afterLines: number): Promise<number> {
  const program = fileURLToPath(new URL('append-until-killed.ts', import.meta.url));
  const child = spawn(process.execPath, [program, path, key.toString('hex')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (said.split('\n').length > afterLines) child.kill('SIGKILL');
  });
  return new Promise((resolve) => {
    child.on('close', () => {
      const complete = said.slice(0, said.lastIndexOf('\n')).split('\n');
      resolve(Number(complete.at(-1)));
    });
  });
}
