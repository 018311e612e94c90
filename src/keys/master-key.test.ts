import { describe, expect, it } from 'vitest';
import { memoryKms, type RsaBits } from '../../test/support/memory-kms.ts';
import { Secret } from '../base/secret.ts';
import { type Binding, kmsBinding } from './binding.ts';
import {
  fingerprintOf,
  masterKeyContext,
  newMasterKey,
  openMasterKey,
  wrapMasterKey,
  wrappingOf,
} from './master-key.ts';
import { masterKeys } from './master-keys.ts';
import { messageSealer } from './message-sealer.ts';
import { isPassword, newVerifier } from './password.ts';
import { sealRsaEnvelope } from './rsa-envelope.ts';
import { parseSealedMessage } from './sealed-message.ts';

const never = new AbortController().signal;

function setup(rsa?: RsaBits) {
  const kms = memoryKms();
  const keyArn = kms.addKey(rsa === undefined ? {} : { rsa });
  const kind = rsa === undefined ? 'symmetric' : 'rsa';
  const binding = kmsBinding({ keyArn, kind, kmsFor: () => kms });
  return { kms, keyArn, binding };
}

/** A wrapped key of this content, as nobody makes one. */
async function wrappedOf(binding: Binding, payload: Buffer): Promise<Buffer> {
  if (binding.kind === 'symmetric') {
    return messageSealer(binding).seal(payload, masterKeyContext('web-1', 1), never);
  }
  const claims = { keyArn: binding.keyArn, agentName: 'web-1', generation: 1 };
  return sealRsaEnvelope(claims, payload, await binding.publicKey(never));
}

describe.each([
  ['a symmetric key', undefined],
  ['RSA-2048', 2048],
] as const)('a master key wrapped under %s', (_name, bits) => {
  it('opens to the same key, with the verifier of its password inside', async () => {
    const { binding } = setup(bits);
    const verifier = await newVerifier(Secret.ofText('correct horse'));
    const masterKey = newMasterKey(3, verifier);

    const wrapped = await wrapMasterKey(masterKey, 'web-1', binding, never);
    const opened = await openMasterKey(wrapped, { agentName: 'web-1', generation: 3 }, binding, never);

    expect(opened.key.equals(masterKey.key)).toBe(true);
    expect(opened.password).toEqual(verifier);
    expect(await isPassword(Secret.ofText('correct horse'), opened.password ?? verifier)).toBe(true);
    expect(wrapped.includes(verifier.hash)).toBe(false);
    expect(wrapped.includes(verifier.salt)).toBe(false);
  });

  it('is bound to host, purpose and generation', async () => {
    const { binding, keyArn } = setup(bits);
    const wrapped = await wrapMasterKey(newMasterKey(1), 'web-1', binding, never);

    expect(wrappingOf(wrapped).keyArn).toBe(keyArn);
    for (const wanted of [
      { agentName: 'web-2', generation: 1 },
      { agentName: 'web-1', generation: 2 },
    ]) {
      await expect(openMasterKey(wrapped, wanted, binding, never)).rejects.toMatchObject({
        code: 'SEALED_CONTEXT_MISMATCH',
      });
    }
  });

  it('is not opened when any single bit of it is flipped, or any suffix cut', {}, async () => {
    const { binding } = setup(bits);
    const wrapped = await wrapMasterKey(newMasterKey(1), 'web-1', binding, never);
    const open = (bytes: Buffer) =>
      openMasterKey(bytes, { agentName: 'web-1', generation: 1 }, binding, never);

    for (let bit = 0; bit < wrapped.length * 8; bit += 1) {
      const flipped = Buffer.from(wrapped);
      const at = Math.floor(bit / 8);
      flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << (bit % 8)), at);
      await expect(open(flipped), `bit ${bit}`).rejects.toHaveProperty('code');
    }
    for (let length = 0; length < wrapped.length; length += 1) {
      await expect(open(wrapped.subarray(0, length)), `${length} bytes`).rejects.toHaveProperty('code');
    }
    await expect(open(Buffer.concat([wrapped, Buffer.of(0)]))).rejects.toHaveProperty('code');
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['another version', Buffer.concat([Buffer.of(2), Buffer.alloc(33)])],
    ['a key that is cut', Buffer.concat([Buffer.of(1), Buffer.alloc(32)])],
    [
      'a verifier that is cut',
      Buffer.concat([Buffer.of(1), Buffer.alloc(32), Buffer.of(1), Buffer.alloc(59)]),
    ],
    ['neither with a password nor without', Buffer.concat([Buffer.of(1), Buffer.alloc(32), Buffer.of(2)])],
  ])('that holds %s is refused', async (_what, payload) => {
    const { binding } = setup(bits);
    const wrapped = await wrappedOf(binding, payload);

    await expect(
      openMasterKey(wrapped, { agentName: 'web-1', generation: 1 }, binding, never),
    ).rejects.toMatchObject({ code: 'MASTER_KEY_DAMAGED' });
  });
});

describe('a master key', () => {
  it('is known by a fingerprint that says nothing of it', () => {
    const [one, other] = [newMasterKey(1), newMasterKey(1)];

    expect(fingerprintOf(one)).toMatch(/^[0-9a-f]{32}$/u);
    expect(fingerprintOf(one)).toBe(fingerprintOf({ key: Secret.ofBytes(one.key.revealBytes()) }));
    expect(fingerprintOf(one)).not.toBe(fingerprintOf(other));
    expect(one.key.revealBytes().includes(Buffer.from(fingerprintOf(one), 'hex').subarray(0, 4))).toBe(false);
  });
});

it('under a symmetric key is an Encryption SDK message with its context', async () => {
  const { binding, keyArn } = setup();

  const wrapped = await wrapMasterKey(newMasterKey(1), 'web-1', binding, never);

  expect(parseSealedMessage(wrapped)).toMatchObject({
    context: { 'gatehouse:agent': 'web-1', 'gatehouse:purpose': 'master-key', 'gatehouse:generation': '1' },
    keyArns: [keyArn],
  });
  expect(wrappingOf(wrapped).algorithm).toBe('SYMMETRIC_DEFAULT');
});

it.each([2048, 3072, 4096] as const)(
  'with a password fits RSA-%i, is wrapped without a word to KMS of the key, and opens with one call',
  async (bits) => {
    const { kms, keyArn, binding } = setup(bits);
    const masterKey = newMasterKey(7, await newVerifier(Secret.ofText('correct horse')));

    const wrapped = await wrapMasterKey(masterKey, 'web-1', binding, never);
    const opened = await openMasterKey(wrapped, { agentName: 'web-1', generation: 7 }, binding, never);

    expect(opened.key.equals(masterKey.key)).toBe(true);
    expect(opened.password).toEqual(masterKey.password);
    expect(kms.calls).toEqual([`GetPublicKey ${keyArn}`, `Decrypt ${keyArn}`]);
    expect(wrappingOf(wrapped)).toEqual({ keyArn, algorithm: 'RSAES_OAEP_SHA_256' });
  },
);

it('moves from a symmetric key to RSA and back, and stays the same', async () => {
  const kms = memoryKms();
  const kmsFor = () => kms;
  const symmetric = kmsBinding({ keyArn: kms.addKey(), kind: 'symmetric', kmsFor });
  const rsa = kmsBinding({ keyArn: kms.addKey({ rsa: 2048 }), kind: 'rsa', kmsFor });
  const wanted = { agentName: 'web-1', generation: 1 };
  const first = newMasterKey(1);

  let masterKey = first;
  for (const binding of [symmetric, rsa, symmetric]) {
    const wrapped = await wrapMasterKey(masterKey, 'web-1', binding, never);
    masterKey = await openMasterKey(wrapped, wanted, binding, never);
    const other = binding === rsa ? symmetric : rsa;
    await expect(openMasterKey(wrapped, wanted, other, never)).rejects.toMatchObject({
      code: 'KEY_NOT_TRUSTED',
    });
  }

  expect(masterKey.key.equals(first.key)).toBe(true);
});

describe('masterKeys', () => {
  it('open each generation with one call to KMS, whoever asks at once', async () => {
    const { kms, binding } = setup();
    const wrapped = await wrapMasterKey(newMasterKey(1), 'web-1', binding, never);
    kms.calls.length = 0;
    const keys = masterKeys({ agentName: 'web-1', readWrapped: async () => wrapped, bindingKey: binding });

    await Promise.all(Array.from({ length: 20 }, () => keys.keyOf(1, never)));
    await keys.keyOf(1, never);

    expect(kms.calls).toHaveLength(1);
  });

  it('refuse another key than is on record, and overwrite it', async () => {
    const { kms, keyArn, binding } = setup(2048);
    const masterKey = newMasterKey(1);
    const readWrapped = () => wrapMasterKey(masterKey, 'web-1', binding, never);
    const under = (onRecord: string | undefined) =>
      masterKeys({
        agentName: 'web-1',
        readWrapped,
        bindingKey: binding,
        fingerprintOnRecord: () => onRecord,
      });

    for (const onRecord of [undefined, fingerprintOf(masterKey)]) {
      expect((await under(onRecord).keyOf(1, never)).length).toBe(32);
    }
    await expect(under(fingerprintOf(newMasterKey(1))).keyOf(1, never)).rejects.toMatchObject({
      code: 'MASTER_KEY_REPLACED',
    });
    expect(kms.calls.at(-1)).toBe(`Decrypt ${keyArn}`);
  });

  it('try again what failed', async () => {
    const { kms, binding, keyArn } = setup();
    const wrapped = await wrapMasterKey(newMasterKey(1), 'web-1', binding, never);
    const keys = masterKeys({ agentName: 'web-1', readWrapped: async () => wrapped, bindingKey: binding });
    kms.setState(keyArn, 'Disabled');
    await expect(keys.keyOf(1, never)).rejects.toMatchObject({ code: 'KEY_DISABLED' });
    kms.setState(keyArn, 'Enabled');

    expect((await keys.keyOf(1, never)).length).toBe(32);
  });

  it('say which generation is not here, and overwrite the keys at the end', async () => {
    const { binding } = setup();
    const keys = masterKeys({ agentName: 'web-1', readWrapped: async () => undefined, bindingKey: binding });
    const masterKey = newMasterKey(2);
    keys.add(masterKey);
    await expect(keys.keyOf(1, never)).rejects.toMatchObject({
      code: 'MASTER_KEY_GENERATION_UNKNOWN',
      details: { generation: 1 },
    });

    keys.close();
    await keys.keyOf(1, never).catch(() => undefined);

    expect(masterKey.key.revealBytes().every((byte) => byte === 0)).toBe(true);
  });
});
