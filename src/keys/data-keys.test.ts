import { describe, expect, it } from 'vitest';
import { memoryKms } from '../../test/support/memory-kms.ts';
import type { LogEvent } from '../base/log-events.ts';
import { Secret } from '../base/secret.ts';
import { bindingKey } from './binding-key.ts';
import { dataKeys } from './data-keys.ts';
import { keysError } from './errors.ts';

const never = new AbortController().signal;
const context = { 'gatehouse:purpose': 'spool', 'gatehouse:key': '1' };
const same = { opens: context, anew: context };

function setup() {
  const kms = memoryKms();
  const events: LogEvent[] = [];
  const log = (event: LogEvent): void => void events.push(event);
  const masterKeys = [Secret.ofText('a'.repeat(32)), Secret.ofText('b'.repeat(32))];
  const under = async (keyId: string, trustedKeys: readonly string[] = [], sealing: number | Error = 1) =>
    dataKeys({
      bindingKey: await bindingKey(
        { keyId, trustedKeys, region: 'eu-west-1', kmsFor: () => kms, log },
        never,
      ),
      masterKeyOf: async (generation) => masterKeys[generation - 1] ?? Secret.ofText(''),
      sealingGeneration() {
        if (typeof sealing === 'number') return sealing;
        throw sealing;
      },
      log,
    });
  return { kms, events, under, symmetric: kms.addKey(), rsa: kms.addKey({ rsa: 2048 }) };
}

describe.each(['symmetric', 'rsa'] as const)('data keys under a binding key that is %s', (kind) => {
  it('open to what they were, with the same context only', async () => {
    const { under, ...keys } = setup();
    const data = await under(keys[kind]);

    const made = await data.create(context, never);

    const { plaintext, rewrapped } = await data.open(made, same, never);
    expect(plaintext.length).toBe(32);
    expect(plaintext.equals(made.plaintext)).toBe(true);
    expect(rewrapped).toBeUndefined();
    expect(made.wrapped.includes(made.plaintext.revealBytes())).toBe(false);
    const opens = { ...context, 'gatehouse:key': '2' };
    await expect(data.open(made, { opens, anew: context }, never)).rejects.toMatchObject({
      code: kind === 'rsa' ? 'MASTER_KEY_MISMATCH' : 'KEY_CIPHERTEXT_REFUSED',
    });
  });

  it('are refused with any bit of them flipped, and cut anywhere', async () => {
    const { under, ...keys } = setup();
    const data = await under(keys[kind]);
    const { wrapped, wrappedBy } = await data.create(context, never);

    for (let bit = 0; bit < wrapped.length * 8; bit += 1) {
      const flipped = Buffer.from(wrapped);
      flipped[Math.floor(bit / 8)] = (flipped[Math.floor(bit / 8)] ?? 0) ^ (1 << (bit % 8));
      await expect(
        data.open({ wrapped: flipped, wrappedBy }, same, never),
        `bit ${bit}`,
      ).rejects.toHaveProperty('code');
    }
    for (let length = 0; length < wrapped.length; length += 1) {
      const cut = { wrapped: wrapped.subarray(0, length), wrappedBy };
      await expect(data.open(cut, same, never), `${length} bytes`).rejects.toHaveProperty('code');
    }
  });

  it('are wrapped anew where something else wrapped them, under the new context, and that is said', async () => {
    const { under, events, ...keys } = setup();
    const [before, after] =
      kind === 'rsa' ? [keys.symmetric, keys.rsa] : ([keys.rsa, keys.symmetric] as const);
    const made = await (await under(before)).create(context, never);
    const data = await under(after, [before]);
    const anew = { ...context, 'gatehouse:agent': 'web-1' };

    const { plaintext, rewrapped } = await data.open(made, { opens: context, anew }, never);
    const again = await (await under(after)).open(rewrapped ?? made, { opens: anew, anew }, never);

    expect(plaintext.equals(made.plaintext)).toBe(true);
    expect(again.plaintext.equals(made.plaintext)).toBe(true);
    expect(again.rewrapped).toBeUndefined();
    expect(data.isCurrent(made.wrappedBy)).toBe(false);
    expect(data.isCurrent(rewrapped?.wrappedBy)).toBe(true);
    expect(events.filter(({ name }) => name === 'key.rewrapped')).toMatchObject([
      {
        audit: 'success',
        fields:
          kind === 'rsa'
            ? { generation: 1, retiredKeyArn: keys.symmetric }
            : { keyArn: keys.symmetric, retiredGeneration: 1 },
      },
    ]);
  });
});

describe('data keys', () => {
  it('that cannot be wrapped anew stay good, and that is said', async () => {
    const { kms, events, under, symmetric } = setup();
    const made = await (await under(symmetric)).create(context, never);
    const next = kms.addKey();
    const data = await under(next, [symmetric]);
    kms.failWith(keysError('KEY_DENIED'), 'Encrypt');

    const opened = await data.open(made, same, never);

    expect(opened.plaintext.equals(made.plaintext)).toBe(true);
    expect(opened.rewrapped).toBeUndefined();
    expect(events.at(-1)).toMatchObject({
      name: 'key.rewrap-failed',
      fields: { keyArn: next, retiredKeyArn: symmetric, error: { code: 'KEY_DENIED' } },
    });
  });

  it('follow the master key to its next generation', async () => {
    const { under, rsa } = setup();
    const made = await (await under(rsa)).create(context, never);

    const { rewrapped } = await (await under(rsa, [], 2)).open(made, same, never);

    expect(made.wrappedBy).toEqual({ generation: 1 });
    expect(rewrapped?.wrappedBy).toEqual({ generation: 2 });
  });

  it('are made under an RSA key only where there is a master key, and opened whatever is known of it', async () => {
    const { under, rsa } = setup();
    const made = await (await under(rsa)).create(context, never);
    const data = await under(rsa, [], keysError('LEDGER_BUSY'));

    await expect(data.create(context, never)).rejects.toMatchObject({ code: 'LEDGER_BUSY' });
    expect((await data.open(made, same, never)).rewrapped).toBeUndefined();
  });
});
