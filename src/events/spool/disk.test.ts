import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { failure } from '../../../test/support/memory-storage.ts';
import { killed, memoryFolders, spoolFixture } from '../../../test/support/spool-fixture.ts';
import { append, numbers, settleOldest, texts, three } from '../../../test/support/spool-texts.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { Secret } from '../../base/secret.ts';
import { eventsOf } from '../batch.ts';
import { a, b, batchOf, never, spoolContract, textOf } from '../spool.contract.ts';
import { type DataKey, keyRing } from './data-keys.ts';
import { diskSpool } from './disk.ts';
import { folderStorage } from './folder-storage.ts';

spoolContract('diskSpool, sealed', (making) => spoolFixture().open(memoryFolders(), making));
spoolContract('diskSpool, in clear', (making) =>
  spoolFixture({ keys: undefined, allowClearSpool: true }).open(memoryFolders(), making),
);
spoolContract('diskSpool, in a folder', async (making) =>
  spoolFixture().open(await foldersIn(temporaryDirectory()), making),
);

async function foldersIn(path: string) {
  return {
    spool: await folderStorage(join(path, 'spool')),
    deadLetter: await folderStorage(join(path, 'dead-letter')),
    quarantine: await folderStorage(join(path, 'quarantine')),
  };
}

const noKey = (): Promise<never> => Promise.reject(new Error('no other key'));

/** A spool of three whose first is settled, after the second was asked for, which `atSecond` may refuse. */
async function firstRead(atSecond: () => void) {
  const { open, folders } = await three();
  const spool = await open(folders);
  const isRead = Promise.withResolvers<void>();
  let reads = 0;
  folders.spool.onCall = (call) => {
    if (call !== 'read') return;
    reads += 1;
    if (reads < 2) return;
    isRead.resolve();
    atSecond();
  };
  const [first] = await spool.read({ stream: a, batchesMax: 1 }, never);
  await isRead.promise;
  if (first !== undefined) await spool.settle(first, []);
  return { spool, folders };
}

describe('the batch after one that is read', () => {
  test('is read ahead, so that it waits for no disk', async () => {
    const { spool, folders } = await firstRead(() => undefined);
    folders.spool.onCall = () => {
      throw failure('EIO');
    };

    const [second] = await spool.read({ stream: a, batchesMax: 1 }, never);

    expect(second && numbers([textOf(second)])).toEqual(['2']);
  });

  test('is read again where reading ahead failed', async () => {
    const { spool, folders } = await firstRead(() => {
      throw failure('EIO');
    });
    folders.spool.onCall = () => undefined;

    expect(numbers(await texts(spool))).toEqual(['2', '3']);
  });
});

describe('a spool that is opened again', () => {
  test('has what was appended, and its positions', async () => {
    const { open, clock } = spoolFixture();
    const folders = memoryFolders();
    const first = await open(folders);
    await append(first, 'one', '1');
    await append(first, 'two');
    await first.keep([{ source: '.notes', item: 'n', value: 'v' }]);
    await first.close();
    const addedMs = clock.now().getTime();
    await clock.advance(60_000);

    const again = await open(folders);

    expect(await texts(again)).toEqual(['one', 'two']);
    expect((await again.read({ stream: a, batchesMax: 9 }, never)).map((batch) => batch.addedMs)).toEqual([
      addedMs,
      addedMs,
    ]);
    expect(again.position('s').get('i')).toBe('1');
    expect(again.position('.notes').get('n')).toBe('v');
    expect(again.streams()).toEqual([a]);
    expect(again.counts()).toMatchObject({ batches: 2, isSealed: true });
  });

  test('after a kill has what was acknowledged, and says nothing of damage', async () => {
    const { open, events } = spoolFixture();
    const folders = memoryFolders();
    const first = await open(folders);
    await append(first, 'one', '1');
    await append(first, 'two', '2');
    await settleOldest(first);

    const again = await open(killed(folders));

    expect(await texts(again)).toEqual(['two']);
    expect(again.position('s').get('i')).toBe('2');
    expect(events).toEqual([]);
  });

  test('knows of batches and letters whether they may have metrics', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const first = await open(folders);
    for (const mayHaveMetrics of [true, false]) {
      const batch = { ...batchOf(a, 'text'), mayHaveMetrics };
      await first.append(batch, [], never);
      await first.refuse(batch, [{ reason: 'invalid', timestamp: 1, message: 'bad' }]);
    }
    await first.close();

    const again = await open(folders);

    const kept = [...(await again.read({ stream: a, batchesMax: 9 }, never)), ...again.deadLetters(9)];
    expect(kept.map(({ mayHaveMetrics = false }) => mayHaveMetrics)).toEqual([true, false, true, false]);
  });

  test('has on the disk what a killed process wrote without a sync, once somebody relies upon it', async () => {
    const { open } = spoolFixture();
    const before = memoryFolders();
    const first = await open(before);
    const isWritten = Promise.withResolvers<void>();
    before.spool.onCall = async (call) => {
      if (call !== 'sync') return;
      isWritten.resolve();
      await new Promise(() => {});
    };
    void append(first, 'one', '1');
    await isWritten.promise;

    const folders = killed(before);
    const relied = (await open(folders)).position('s').get('i');
    const again = await open({ ...folders, spool: folders.spool.unplugged(() => 0) });

    expect(relied).toBe('1');
    expect(await texts(again)).toEqual(['one']);
    expect(again.position('s').get('i')).toBe('1');
  });

  test('after an orderly end and a power loss has nothing again that was settled', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const first = await open(folders);
    await append(first, 'one');
    await append(first, 'two');
    await settleOldest(first);
    await first.close();

    const again = await open({ ...folders, spool: folders.spool.unplugged(() => 0) });

    expect(await texts(again)).toEqual(['two']);
  });

  test('takes nothing more after its end', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const first = await open(folders);
    await append(first, 'one');
    await first.close();

    await expect(append(first, 'two')).rejects.toMatchObject({ code: 'EVENTS_SPOOL_UNWRITABLE' });

    expect(await texts(await open(folders))).toEqual(['one']);
  });

  test('never uses the id of a batch again', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const first = await open(folders);
    await append(first, 'one');
    const [one] = await first.read({ stream: a, batchesMax: 1 }, never);
    await settleOldest(first);
    await first.close();

    const again = await open(folders);
    await append(again, 'two');

    const [two] = await again.read({ stream: a, batchesMax: 1 }, never);
    expect(two?.id).toBeGreaterThan(one?.id ?? Infinity);
  });

  test('forgets positions that were given up, also in a later segment', async () => {
    const { open } = spoolFixture({ segmentBytes: 1000 });
    const folders = memoryFolders();
    const first = await open(folders);
    await append(first, 'one', '1');
    await first.append(batchOf(a, 'x'.repeat(2000)), [{ source: 's', item: 'i', value: undefined }], never);
    await append(first, 'three');
    await first.close();

    const again = await open(folders);

    expect(again.position('s').size).toBe(0);
  });
});

test.each([
  ['may be sent again when the power goes at once', 0, ['one']],
  ['are not sent again when sixteen others were appended since', 16, []],
])('settled batches %s', async (_what, others, again) => {
  const { open } = spoolFixture();
  const folders = memoryFolders();
  const spool = await open(folders);
  await append(spool, 'one');
  await settleOldest(spool);
  for (let number = 0; number < others; number += 1) await append(spool, 'other', undefined, b);

  const after = await open({ ...folders, spool: folders.spool.unplugged(() => 0) });

  expect(await texts(after)).toEqual(again);
  expect(await texts(after, b)).toHaveLength(others);
});

test('its folders and files are private', async () => {
  const path = temporaryDirectory();
  const { open } = spoolFixture();
  const spool = await open(await foldersIn(path));
  onTestFinished(() => spool.close());
  await append(spool, 'one');

  const modes = readdirSync(path, { recursive: true, encoding: 'utf8' }).map(
    (name) => statSync(join(path, name)).mode & 0o777,
  );
  expect(new Set(modes)).toEqual(new Set([0o700, 0o600]));
});

test('positions and batches agree after a process was killed between or inside appends', async () => {
  const path = temporaryDirectory();
  const key = randomBytes(32);
  let acknowledged = 0;
  for (const afterLines of [1, 7, 40]) acknowledged = await appendUntilKilled(path, key, afterLines);

  const { clock, log } = spoolFixture();
  const first: DataKey = { keyId: '00000000000000ab', key: Secret.ofBytes(key), madeMs: Date.now() };
  const keeper = { current: noKey, fresh: noKey, open: noKey, keepOnly: () => undefined };
  const spool = await diskSpool({
    folders: await foldersIn(path),
    bytesMax: 2 ** 30,
    keys: keyRing(keeper, { first, clock, log }),
    allowClearSpool: false,
    deadLetterBytesMax: 2 ** 24,
    clock,
    log,
  });
  onTestFinished(() => spool.close());

  const batches = await spool.read(
    { stream: { logGroup: 'g', logStream: 's' }, batchesMax: 1_000_000 },
    never,
  );
  const found = batches.flatMap((batch) =>
    eventsOf(batch).map(({ message }) => Number.parseInt(message, 10)),
  );
  expect(found).toEqual(found.map((_, index) => index));
  expect(spool.position('numbers').get('next')).toBe(String(found.length));
  expect(found.length).toBeGreaterThanOrEqual(acknowledged);
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

test('where the dead letter does not open no file of the spool stays open: forgotten ones end the process', async () => {
  const directory = temporaryDirectory();
  const { open } = spoolFixture();
  const { deadLetter, quarantine } = memoryFolders();
  const folders = { spool: await folderStorage(directory), deadLetter, quarantine };
  const spool = await open(folders);
  await spool.append(batchOf(a, 'one'), [], never);
  const openBefore = filesOpenIn(directory);
  await spool.close();

  deadLetter.onCall = () => {
    throw failure('EIO');
  };
  await expect(open(folders)).rejects.toMatchObject({ code: 'EIO' });

  expect(openBefore).not.toEqual([]);
  expect(filesOpenIn(directory)).toEqual([]);
});

function filesOpenIn(directory: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((name) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${name}`);
      return path.startsWith(directory) ? [path] : [];
    } catch {
      return [];
    }
  });
}
