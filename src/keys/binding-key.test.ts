import { describe, expect, it } from 'vitest';
import { memoryKms } from '../../test/support/memory-kms.ts';
import type { LogEvent } from '../base/log-events.ts';
import { bindingKey } from './binding-key.ts';
import { keysError } from './errors.ts';

const never = new AbortController().signal;
const context = { 'gatehouse:purpose': 'spool', 'gatehouse:agent': 'web-1' };

function setup() {
  const kms = memoryKms();
  const keyArn = kms.addKey({ alias: 'alias/binding' });
  const events: LogEvent[] = [];
  const resolve = (keyId = 'alias/binding', trustedKeys: string[] = []) =>
    bindingKey(
      { keyId, trustedKeys, region: 'eu-west-1', kmsFor: () => kms, log: (event) => events.push(event) },
      never,
    );
  return { kms, keyArn, events, resolve };
}

describe('bindingKey', () => {
  it('resolves an alias once, and never uses it again', async () => {
    const { kms, keyArn, events, resolve } = setup();

    const key = await resolve();
    const dataKey = await key.newDataKey(context, never);
    await key.openDataKey(dataKey.wrapped, context, never);

    expect(key.keyArn).toBe(keyArn);
    expect(kms.calls).toEqual([`DescribeKey ${keyArn}`, `GenerateDataKey ${keyArn}`, `Decrypt ${keyArn}`]);
    expect(events).toMatchObject([{ name: 'key.resolved', fields: { keyId: 'alias/binding', keyArn } }]);
  });

  it('opens the data key it made, with the same context only', async () => {
    const { resolve } = setup();
    const key = await resolve();
    const { plaintext, wrapped } = await key.newDataKey(context, never);

    const opened = await key.openDataKey(wrapped, context, never);

    expect(opened.plaintext.length).toBe(32);
    expect(opened.plaintext.equals(plaintext)).toBe(true);
    await expect(
      key.openDataKey(wrapped, { ...context, 'gatehouse:agent': 'web-2' }, never),
    ).rejects.toMatchObject({
      code: 'KEY_CIPHERTEXT_REFUSED',
    });
  });

  it('opens with a retired key and says so, and with no other', async () => {
    const { kms, events, resolve } = setup();
    const retired = kms.addKey();
    const { wrapped } = await kms.newDataKey(retired, context, never);
    const trusting = await resolve('alias/binding', [retired]);
    const strict = await resolve();

    expect((await trusting.openDataKey(wrapped, context, never)).openedBy).toBe(retired);
    expect(events).toContainEqual(expect.objectContaining({ name: 'key.retired-used' }));
    await expect(strict.openDataKey(wrapped, context, never)).rejects.toMatchObject({
      code: 'KEY_NOT_TRUSTED',
    });
  });

  it('asks the key first that is said to have wrapped it, and no RSA key', async () => {
    const { kms, resolve } = setup();
    const [retired, rsa] = [kms.addKey(), kms.addKey({ rsa: 2048 })];
    const { wrapped } = await kms.newDataKey(retired, context, never);
    const key = await resolve('alias/binding', [rsa, retired]);
    kms.calls.length = 0;

    expect(await key.openDataKey(wrapped, context, never, retired)).toMatchObject({ openedBy: retired });
    expect(kms.calls).toEqual([`Decrypt ${retired}`]);
    expect(await key.openDataKey(wrapped, context, never)).toMatchObject({ openedBy: retired });
  });

  it('may be an RSA key, which opens no data keys itself', async () => {
    const { kms, resolve } = setup();
    const retired = kms.addKey();
    const { wrapped } = await kms.newDataKey(retired, context, never);
    const rsa = kms.addKey({ rsa: 2048 });
    const key = await resolve(rsa, [retired]);
    kms.calls.length = 0;

    const opened = await key.openDataKey(wrapped, context, never);

    expect(key.kind).toBe('rsa');
    expect(opened.openedBy).toBe(retired);
    expect(kms.calls).toEqual([`Decrypt ${retired}`]);
  });

  it.each([
    ['Disabled', 'KEY_DISABLED'],
    ['PendingDeletion', 'KEY_PENDING_DELETION'],
    ['Unavailable', 'KEY_STORE_UNAVAILABLE'],
    ['Creating', 'KEY_UNUSABLE'],
  ])('refuses a key that is %s: %s', async (state, code) => {
    const { kms, keyArn, resolve } = setup();
    kms.setState(keyArn, state);

    await expect(resolve()).rejects.toMatchObject({ code });
  });

  it('is known for RSA by its public key where DescribeKey is denied', async () => {
    const { kms, keyArn, resolve } = setup();
    const rsa = kms.addKey({ rsa: 2048 });
    kms.failWith(keysError('KEY_DENIED'), 'DescribeKey');

    expect((await resolve(rsa)).kind).toBe('rsa');
    expect((await resolve(keyArn)).kind).toBe('symmetric');
    kms.setState(rsa, 'Disabled');
    await expect(resolve(rsa)).rejects.toMatchObject({ code: 'KEY_DISABLED' });
  });

  it('takes an ARN at its word where DescribeKey is denied, but not an alias', async () => {
    const { kms, keyArn, events, resolve } = setup();
    kms.failWith(keysError('KEY_DENIED'));

    expect((await resolve(keyArn)).keyArn).toBe(keyArn);
    expect(events[0]).toMatchObject({ name: 'key.state-unknown' });
    await expect(resolve()).rejects.toMatchObject({ code: 'KEY_DENIED' });
  });
});
