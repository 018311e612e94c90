import { readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { memoryKms } from '../../../test/support/memory-kms.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { Secret } from '../../base/secret.ts';
import { keyKeeperContract } from '../../events/spool/key-keeper.contract.ts';
import { bindingKey } from '../../keys/binding-key.ts';
import { dataKeys } from '../../keys/data-keys.ts';
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
  const master = { keys: [Secret.ofText('1'.repeat(32)), Secret.ofText('2'.repeat(32))], sealing: 1 };
  const keysOf = async (
    keyId = keyArn,
    trustedKeys: readonly string[] = [],
    { hostId = 'host-1', agentName }: { hostId?: string; agentName?: string } = { agentName: 'web-1' },
  ) =>
    spoolKeys({
      state: { path, hostId },
      dataKeys: dataKeys({
        bindingKey: await bindingKey(
          { keyId, trustedKeys, region: 'eu-west-1', kmsFor: () => kms, log },
          signal,
        ),
        masterKeyOf: async (generation) => {
          const key = master.keys[generation - 1];
          if (key === undefined) throw keysError('MASTER_KEY_GENERATION_UNKNOWN', { generation });
          return key;
        },
        sealingGeneration: () => master.sealing,
        log,
      }),
      agentName,
      clock,
      log,
    });
  const files = (): string[] => readdirSync(folder).toSorted();
  return { kms, keyArn, path, folder, clock, events, keysOf, files, master };
}

keyKeeperContract('spoolKeys under a symmetric key', async () => {
  const { clock, keysOf } = await setup();
  return { keeper: () => keysOf(), pass: () => clock.advance(1000) };
});

keyKeeperContract('spoolKeys under an RSA key', async () => {
  const { kms, clock, keysOf } = await setup();
  const rsa = kms.addKey({ rsa: 2048 });
  return { keeper: () => keysOf(rsa), pass: () => clock.advance(1000) };
});

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
  await expect(
    (await keysOf(undefined, [], { hostId: 'host-2', agentName: 'web-1' })).open(keyId),
  ).rejects.toMatchObject({
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

const ofVersion1 = { 'gatehouse:purpose': 'spool', 'gatehouse:host': 'host-1' };

test('a key is bound to purpose, host, id and name', async () => {
  const { kms, keyArn, folder, keysOf } = await setup();

  const { keyId, key } = await (await keysOf()).current();

  const { wrapped } = JSON.parse(readFileSync(join(folder, keyId), 'utf8')) as { wrapped: string };
  const context = { ...ofVersion1, 'gatehouse:key': keyId, 'gatehouse:agent': 'web-1' };
  const opened = await kms.openDataKey(keyArn, Buffer.from(wrapped, 'base64'), context, signal);
  expect(opened.equals(key)).toBe(true);
});

test('a key from before they were bound to names still opens', async () => {
  const { kms, keyArn, folder, keysOf } = await setup();
  const { plaintext, wrapped } = await kms.newDataKey(keyArn, ofVersion1, signal);
  const { keyId } = await (await keysOf()).fresh();
  const text = JSON.stringify({ keyArn, madeMs: 1, wrapped: wrapped.toString('base64') });
  writeFileSync(join(folder, keyId), text);

  expect((await (await keysOf()).open(keyId)).key.equals(plaintext)).toBe(true);
});

test('a host that has another name by now makes a new key where the old one is denied, and says so', async () => {
  const { kms, events, keysOf } = await setup();
  const { keyId } = await (await keysOf()).current();
  const renamed = await keysOf(undefined, [], { agentName: 'web-2' });

  // Where the key's policy allows it, the old key opens.
  expect((await renamed.current()).keyId).toBe(keyId);
  kms.failWith(keysError('KEY_DENIED'), 'Decrypt');
  await expect((await keysOf()).current()).rejects.toMatchObject({ code: 'KEY_DENIED' });

  expect((await renamed.current()).keyId).not.toBe(keyId);
  expect(events.filter(({ name }) => name === 'events.key-lost')).toHaveLength(1);
});

test('a host that has another name by now and is denied everything loses no key for that', async () => {
  const { kms, keysOf } = await setup();
  const { keyId } = await (await keysOf()).current();
  const renamed = await keysOf(undefined, [], { agentName: 'web-2' });

  kms.failWith(keysError('KEY_DENIED'));
  await expect(renamed.open(keyId)).rejects.toMatchObject({ code: 'EVENTS_SPOOL_KEY_UNAVAILABLE' });
  await expect(renamed.current()).rejects.toMatchObject({ code: 'KEY_DENIED' });

  kms.failWith(undefined);
  expect((await renamed.current()).keyId).toBe(keyId);
});

test('under an RSA key the master key wraps them, without a call to KMS', async () => {
  const { kms, folder, keysOf } = await setup();
  const rsa = kms.addKey({ rsa: 2048 });
  const made = await (await keysOf(rsa)).current();

  const opened = await (await keysOf(rsa)).current();

  expect(opened.keyId).toBe(made.keyId);
  expect(opened.key.equals(made.key)).toBe(true);
  expect(kms.calls.filter((call) => !call.startsWith('DescribeKey'))).toEqual([]);
  const kept = readFileSync(join(folder, made.keyId));
  expect(JSON.parse(kept.toString())).toMatchObject({ version: 2, agent: 'web-1', generation: 1 });
  expect(kept.includes(made.key.revealBytes().toString('base64'))).toBe(false);
});

test('after the master key was changed a new key seals, the old ones open and are wrapped anew', async () => {
  const { kms, folder, keysOf, master } = await setup();
  const rsa = kms.addKey({ rsa: 2048 });
  const before = await (await keysOf(rsa)).current();
  master.sealing = 2;

  const keys = await keysOf(rsa);
  const after = await keys.current();
  await keys.rewrap();

  expect(after.keyId).not.toBe(before.keyId);
  master.keys[0] = Secret.ofText('gone'.repeat(8));
  expect((await keys.open(before.keyId)).key.equals(before.key)).toBe(true);
  const kept = JSON.parse(readFileSync(join(folder, before.keyId), 'utf8')) as object;
  expect(kept).toMatchObject({ generation: 2 });
});

test('keys move from a symmetric key to RSA and back, and what wrapped them before can go', async () => {
  const { kms, keyArn, keysOf } = await setup();
  const rsa = kms.addKey({ rsa: 2048 });
  const keys = await keysOf();
  const made = [await keys.current(), await keys.fresh()];

  await (await keysOf(rsa, [keyArn])).rewrap();
  for (const { keyId, key } of made) {
    expect((await (await keysOf(rsa)).open(keyId)).key.equals(key)).toBe(true);
  }
  await (await keysOf(keyArn, [rsa])).rewrap();

  for (const { keyId, key } of made) {
    expect((await (await keysOf(keyArn)).open(keyId)).key.equals(key)).toBe(true);
  }
});

test.each([
  ['any byte of its wrapping', (kept: Kept) => ({ ...kept, wrapped: kept.wrapped.replace(/^./u, flip) })],
  ['its end', (kept: Kept) => ({ ...kept, wrapped: kept.wrapped.slice(0, -4) })],
  ['its generation', (kept: Kept) => ({ ...kept, generation: 2 })],
  ['its generation to one that is not here', (kept: Kept) => ({ ...kept, generation: 9 })],
  ['its name', (kept: Kept) => ({ ...kept, agent: 'web-2' })],
])('a key under the master key is lost when somebody changed %s', async (_what, change) => {
  const { kms, folder, keysOf } = await setup();
  const keys = await keysOf(kms.addKey({ rsa: 2048 }));
  const { keyId } = await keys.current();
  const file = join(folder, keyId);
  writeFileSync(file, JSON.stringify(change(JSON.parse(readFileSync(file, 'utf8')) as Kept)));

  await expect(keys.open(keyId)).rejects.toMatchObject({ code: 'EVENTS_SPOOL_KEY_LOST' });
});

test('a key under the master key does not open as another one', async () => {
  const { kms, folder, keysOf } = await setup();
  const keys = await keysOf(kms.addKey({ rsa: 2048 }));
  const [one, other] = [await keys.fresh(), await keys.fresh()];
  writeFileSync(join(folder, one.keyId), readFileSync(join(folder, other.keyId)));

  await expect(keys.open(one.keyId)).rejects.toMatchObject({ code: 'EVENTS_SPOOL_KEY_LOST' });
});

interface Kept {
  readonly wrapped: string;
}

const flip = (character: string): string => (character === 'A' ? 'B' : 'A');
