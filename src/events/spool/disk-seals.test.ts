import { describe, expect, test } from 'vitest';
import { memoryFolders, spoolFixture } from '../../../test/support/spool-fixture.ts';
import { append, texts } from '../../../test/support/spool-texts.ts';
import { b } from '../spool.contract.ts';

describe('seals', () => {
  test('keep names, counts and positions readable, and nothing else', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const spool = await open(folders);

    await append(spool, 'canary-8d1f', 'place-77');

    const [bytes] = folders.spool.files.values();
    expect(bytes?.includes('place-77')).toBe(true);
    expect(bytes?.includes('canary-8d1f')).toBe(false);
  });

  test('are found missing by the same search in a spool in clear', async () => {
    const { open } = spoolFixture({ keys: undefined, allowClearSpool: true });
    const folders = memoryFolders();
    const spool = await open(folders);

    await append(spool, 'canary-8d1f');

    expect([...folders.spool.files.values()].some((bytes) => bytes.includes('canary-8d1f'))).toBe(true);
  });

  test('without a key there is no spool unless a clear one is allowed', async () => {
    const { open } = spoolFixture();

    await expect(open(memoryFolders(), { keys: undefined })).rejects.toMatchObject({
      code: 'EVENTS_SPOOL_KEY_MISSING',
    });
  });

  test('batches left in clear are read after a key came, and sealed ones wait when it went', async () => {
    const { open } = spoolFixture();
    const folders = memoryFolders();
    const clear = await open(folders, { keys: undefined, allowClearSpool: true });
    await append(clear, 'old');
    await clear.close();

    const sealed = await open(folders);
    await append(sealed, 'new');

    expect(await texts(sealed)).toEqual(['old', 'new']);
    await sealed.close();
    const none = await open(folders, { keys: undefined, allowClearSpool: true });
    await expect(texts(none)).rejects.toMatchObject({ code: 'EVENTS_SPOOL_KEY_UNAVAILABLE' });
  });

  test('bind a batch to its stream and id: moved to another place it does not open', async () => {
    const { open, named } = spoolFixture();
    const folders = memoryFolders();
    const first = await open(folders);
    await append(first, 'x');
    await first.close();
    const { crc32 } = await import('node:zlib');
    const [[name, bytes] = ['', Buffer.alloc(0)]] = folders.spool.files;
    // Another stream of the same length, with the checksum made good.
    const at = bytes.lastIndexOf('GHR\u0001', bytes.indexOf('"one"'), 'latin1');
    bytes.write('"two"', bytes.indexOf('"one"'));
    const head = crc32(bytes.subarray(at + 8, at + 80));
    bytes.writeUInt32LE(crc32(bytes.subarray(at + 88, at + 88 + bytes.readUInt32LE(at + 12)), head), at + 4);
    folders.spool.replaceFile(name, bytes);

    const again = await open(folders);

    expect(again.streams()).toEqual([b]);
    expect(await texts(again, b)).toEqual([]);
    expect(named('events.batches-lost')).toMatchObject([{ fields: { reason: 'damaged', batches: 1 } }]);
  });
});
