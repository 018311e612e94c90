import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { memoryKms } from '../../test/support/memory-kms.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { bindingKey } from '../keys/binding-key.ts';
import { keysError } from '../keys/errors.ts';
import { spoolKey } from './spool-key.ts';

const { signal } = new AbortController();

async function setup() {
  const kms = memoryKms();
  const path = temporaryDirectory();
  const bind = (keyId: string, trustedKeys: readonly string[] = []) =>
    bindingKey({ keyId, trustedKeys, region: 'eu-west-1', kmsFor: () => kms, log: () => undefined }, signal);
  const keyArn = kms.addKey();
  const state = (hostId = 'host-1') => ({ path, hostId, release: () => undefined });
  return { kms, keyArn, key: await bind(keyArn), bind, state, file: join(path, 'spool-key') };
}

test('the first start makes a key of 32 bytes and keeps it wrapped, private and nowhere in clear', async () => {
  const { key, state, file } = await setup();

  const made = await spoolKey(state(), key, signal);

  expect(made.length).toBe(32);
  expect((statSync(file).mode & 0o777).toString(8)).toBe('600');
  expect(readFileSync(file).includes(made.revealBytes())).toBe(false);
  expect(readdirSync(state().path)).toEqual(['spool-key']);
});

test('every further start opens the same key and makes none', async () => {
  const { kms, keyArn, key, state } = await setup();
  const made = await spoolKey(state(), key, signal);
  kms.calls.length = 0;

  const opened = await spoolKey(state(), key, signal);

  expect(opened.equals(made)).toBe(true);
  expect(kms.calls).toEqual([`Decrypt ${keyArn}`]);
});

test('a key that was copied to another host does not open there', async () => {
  const { key, state } = await setup();
  await spoolKey(state('host-1'), key, signal);

  await expect(spoolKey(state('host-2'), key, signal)).rejects.toMatchObject({
    code: 'KEY_CIPHERTEXT_REFUSED',
  });
});

test('a damaged key is refused and never replaced: the spool would be lost with it', async () => {
  const { key, state, file } = await setup();
  writeFileSync(file, Buffer.alloc(60, 1));

  await expect(spoolKey(state(), key, signal)).rejects.toMatchObject({ code: 'KEY_CIPHERTEXT_REFUSED' });

  expect(readFileSync(file)).toEqual(Buffer.alloc(60, 1));
});

test('after the binding key was changed, the retired one still opens it, and only if trusted', async () => {
  const { kms, keyArn, key, bind, state } = await setup();
  const made = await spoolKey(state(), key, signal);
  const next = kms.addKey();

  await expect(spoolKey(state(), await bind(next), signal)).rejects.toMatchObject({
    code: 'KEY_NOT_TRUSTED',
  });
  const opened = await spoolKey(state(), await bind(next, [keyArn]), signal);

  expect(opened.equals(made)).toBe(true);
});

test('a key that a retired one opened is wrapped anew, so that the retired one can be dropped', async () => {
  const { kms, keyArn, key, bind, state, file } = await setup();
  const made = await spoolKey(state(), key, signal);
  const next = kms.addKey();
  await spoolKey(state(), await bind(next, [keyArn]), signal);

  const opened = await spoolKey(state(), await bind(next), signal);

  expect(opened.equals(made)).toBe(true);
  expect((statSync(file).mode & 0o777).toString(8)).toBe('600');
  expect(readdirSync(state().path)).toEqual(['spool-key']);
});

test('a key that cannot be wrapped anew stays as it is, and still opens', async () => {
  const { kms, keyArn, key, bind, state, file } = await setup();
  const made = await spoolKey(state(), key, signal);
  const before = readFileSync(file);
  const next = await bind(kms.addKey(), [keyArn]);
  kms.failWith(keysError('KEY_DENIED'), 'Encrypt');

  const opened = await spoolKey(state(), next, signal);

  expect(opened.equals(made)).toBe(true);
  expect(readFileSync(file)).toEqual(before);
});

test('KMS out of reach leaves no file', async () => {
  const { kms, key, state } = await setup();
  kms.failWith(new Error('no route'));

  await expect(spoolKey(state(), key, signal)).rejects.toThrow('no route');

  expect(readdirSync(state().path)).toEqual([]);
});
