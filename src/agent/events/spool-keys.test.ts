import { readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { memoryKms } from '../../../test/support/memory-kms.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { bindingKey } from '../../keys/binding-key.ts';
import { keysError } from '../../keys/errors.ts';
import { spoolKeys } from './spool-keys.ts';

const { signal } = new AbortController();

async function setup() {
  const kms = memoryKms();
  const path = temporaryDirectory();
  const folder = join(path, 'spool-keys');
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const log = (event: LogEvent): void => void events.push(event);
  const keyArn = kms.addKey();
  const keysOf = async (keyId = keyArn, trustedKeys: readonly string[] = [], hostId = 'host-1') =>
    spoolKeys(
      { path, hostId },
      await bindingKey({ keyId, trustedKeys, region: 'eu-west-1', kmsFor: () => kms, log }, signal),
      clock,
      log,
    );
  const files = (): string[] => readdirSync(folder).toSorted();
  return { kms, keyArn, path, folder, clock, events, keysOf, files };
}

test('the first start makes a key of 32 bytes and keeps it wrapped, private and nowhere in clear', async () => {
  const { folder, keysOf, files } = await setup();

  const { keyId, key } = await (await keysOf()).current();

  expect(key.length).toBe(32);
  expect(files()).toEqual([keyId]);
  expect((statSync(join(folder, keyId)).mode & 0o777).toString(8)).toBe('600');
  expect((statSync(folder).mode & 0o777).toString(8)).toBe('700');
  const kept = readFileSync(join(folder, keyId));
  expect(kept.includes(key.revealBytes())).toBe(false);
  expect(kept.includes(key.revealBytes().toString('base64'))).toBe(false);
});

test('every further start opens the newest key and makes none', async () => {
  const { kms, keyArn, clock, keysOf } = await setup();
  const keys = await keysOf();
  await keys.current();
  await clock.advance(1000);
  const newest = await keys.fresh();
  kms.calls.length = 0;

  const opened = await (await keysOf()).current();

  expect(opened.keyId).toBe(newest.keyId);
  expect(opened.key.equals(newest.key)).toBe(true);
  expect(opened.madeMs).toBe(newest.madeMs);
  expect(kms.calls).toEqual([`DescribeKey ${keyArn}`, `Decrypt ${keyArn}`]);
});

test('an older key is opened by its id', async () => {
  const { keysOf } = await setup();
  const keys = await keysOf();
  const first = await keys.current();
  await keys.fresh();

  const opened = await keys.open(first.keyId);

  expect(opened.key.equals(first.key)).toBe(true);
});

test('a key whose file is gone, damaged or of another host is lost; the file stays', async () => {
  const { folder, keysOf, files } = await setup();
  const keys = await keysOf();
  const { keyId } = await keys.current();

  await expect(keys.open('00000000000000ff')).rejects.toMatchObject({ code: 'EVENTS_SPOOL_KEY_LOST' });
  await expect((await keysOf(undefined, [], 'host-2')).open(keyId)).rejects.toMatchObject({
    code: 'EVENTS_SPOOL_KEY_LOST',
  });
  writeFileSync(join(folder, keyId), 'noise');
  await expect(keys.open(keyId)).rejects.toMatchObject({ code: 'EVENTS_SPOOL_KEY_LOST' });
  expect(files()).toEqual([keyId]);
});

test('where the newest key is lost a new one is made, and that is said', async () => {
  const { folder, events, keysOf, files } = await setup();
  const { keyId } = await (await keysOf()).current();
  const kept = JSON.parse(readFileSync(join(folder, keyId), 'utf8'));
  writeFileSync(
    join(folder, keyId),
    JSON.stringify({ ...kept, wrapped: Buffer.alloc(60, 1).toString('base64') }),
  );

  const next = await (await keysOf()).current();

  expect(next.keyId).not.toBe(keyId);
  expect(files()).toHaveLength(2);
  expect(events.filter(({ name }) => name === 'events.key-lost')).toMatchObject([
    { fields: { keyId }, audit: 'failure' },
  ]);
});

test('a key that KMS does not open now is out of reach, not lost', async () => {
  const { kms, keysOf, files } = await setup();
  const keys = await keysOf();
  const { keyId } = await keys.current();
  kms.failWith(keysError('KEY_UNREACHABLE'));

  await expect(keys.open(keyId)).rejects.toMatchObject({
    code: 'EVENTS_SPOOL_KEY_UNAVAILABLE',
    details: { code: 'KEY_UNREACHABLE' },
  });
  await expect(keys.fresh()).rejects.toMatchObject({ code: 'EVENTS_SPOOL_KEY_UNAVAILABLE' });
  await expect(keys.current()).rejects.toMatchObject({ code: 'KEY_UNREACHABLE' });
  expect(files()).toEqual([keyId]);
});

test('after the binding key was changed, the retired one still opens, and only if trusted', async () => {
  const { kms, keyArn, keysOf } = await setup();
  const made = await (await keysOf()).current();
  const next = kms.addKey();

  await expect((await keysOf(next)).current()).rejects.toMatchObject({ code: 'KEY_NOT_TRUSTED' });
  const opened = await (await keysOf(next, [keyArn])).current();

  expect(opened.key.equals(made.key)).toBe(true);
});

test('all keys are wrapped anew, so that the retired binding key can be dropped', async () => {
  const { kms, keyArn, keysOf } = await setup();
  const keys = await keysOf();
  const made = [await keys.current(), await keys.fresh(), await keys.fresh()];
  const next = kms.addKey();

  await (await keysOf(next, [keyArn])).rewrap();

  const after = await keysOf(next);
  for (const { keyId, key } of made) expect((await after.open(keyId)).key.equals(key)).toBe(true);
  kms.calls.length = 0;
  await after.rewrap();
  expect(kms.calls).toEqual([]);
});

test('a key that cannot be wrapped anew stays as it is, and still opens', async () => {
  const { kms, keyArn, folder, keysOf } = await setup();
  const { keyId, key } = await (await keysOf()).current();
  const before = readFileSync(join(folder, keyId));
  const next = await keysOf(kms.addKey(), [keyArn]);
  kms.failWith(keysError('KEY_DENIED'), 'Encrypt');

  const opened = await next.current();

  expect(opened.key.equals(key)).toBe(true);
  expect(readFileSync(join(folder, keyId))).toEqual(before);
});

test('keys that nothing is sealed under are removed, but none that was made just now', async () => {
  const { keysOf, files } = await setup();
  const before = await keysOf();
  const [first, second] = [await before.current(), await before.fresh()];
  const keys = await keysOf();
  const third = await keys.fresh();

  keys.keepOnly([second.keyId]);
  await expect.poll(files).toEqual([second.keyId, third.keyId].toSorted());

  expect(files()).not.toContain(first.keyId);
});

test('the one key of a state directory of version 1 is taken over', async () => {
  const { path, folder, kms, keyArn, keysOf, files } = await setup();
  const { plaintext, wrapped } = await kms.newDataKey(
    keyArn,
    { 'gatehouse:purpose': 'spool', 'gatehouse:host': 'host-1' },
    signal,
  );
  writeFileSync(join(path, 'spool-key'), wrapped);

  const { keyId, key } = await (await keysOf()).current();

  expect(key.equals(plaintext)).toBe(true);
  expect(files()).toEqual([keyId]);
  expect(readdirSync(path)).toEqual(['spool-keys']);
  // A copy that an interrupted start left is no other key.
  renameSync(join(folder, keyId), join(folder, `${keyId}x`));
  writeFileSync(join(path, 'spool-key'), wrapped);
  expect((await (await keysOf()).current()).keyId).toBe(keyId);
});

test('KMS out of reach leaves no file', async () => {
  const { kms, keysOf, files } = await setup();
  const keys = await keysOf();
  kms.failWith(new Error('no route'));

  await expect(keys.current()).rejects.toThrow('no route');

  expect(files()).toEqual([]);
});
