import { describe, expect, it } from 'vitest';
import { memoryKms } from '../../test/support/memory-kms.ts';
import type { LogEvent } from '../base/log-events.ts';
import { kmsKeyring, kmsUnwrapper, type Trust, tellingRetired } from './kms-keyring.ts';
import { messageOpener, messageSealer, openBytes } from './message-sealer.ts';
import { parseSealedMessage } from './sealed-message.ts';
import { sealerContract } from './sealer.contract.ts';

const never = new AbortController().signal;
const context = { 'gatehouse:name': 'n', 'gatehouse:purpose': 'sealed-file', 'gatehouse:version': '1' };

function setup() {
  const kms = memoryKms();
  const keyArn = kms.addKey();
  const regions: string[] = [];
  const kmsFor = (region: string) => {
    regions.push(region);
    return kms;
  };
  const seal = (text: string, under = keyArn) =>
    messageSealer(kmsKeyring({ keyArn: under, kmsFor })).seal(Buffer.from(text), context, never);
  const open = (sealed: Uint8Array, trust: Trust = { keyArns: [keyArn] }) =>
    openBytes(sealed, context, kmsUnwrapper({ trust, kmsFor }), never);
  return { kms, keyArn, kmsFor, regions, seal, open };
}

sealerContract('a sealer under KMS', () => {
  const { keyArn, kmsFor } = setup();
  return messageSealer(kmsKeyring({ keyArn, kmsFor }));
});

describe('a message sealed under KMS', () => {
  it('is not opened when any single bit of it is flipped', async () => {
    const { seal, open } = setup();
    const sealed = await seal('x');

    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const flipped = Buffer.from(sealed);
      const at = Math.floor(bit / 8);
      flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << (bit % 8)), at);
      await expect(open(flipped), `bit ${bit}`).rejects.toMatchObject({
        code: expect.stringMatching(/^(?:SEALED_|KEY_NOT_TRUSTED|KEY_CIPHERTEXT_REFUSED)/u),
      });
    }
  });

  it('is not opened when any suffix of it is cut, several frames or one', async () => {
    const { seal, open } = setup();
    const sealed = await seal('x'.repeat(5_000));

    for (let length = 0; length < sealed.length; length += length < 600 || length > 5_400 ? 1 : 61) {
      await expect(open(sealed.subarray(0, length)), `${length} bytes`).rejects.toHaveProperty('code');
    }
  });

  it('is a version 2 message of suite 0x0478 with one wrapped key, and one call to KMS', async () => {
    const { kms, keyArn, seal } = setup();

    const sealed = await seal('x');

    expect(sealed.subarray(0, 3).toString('hex')).toBe('020478');
    expect(parseSealedMessage(sealed)).toMatchObject({ context, keyArns: [keyArn] });
    expect(kms.calls).toEqual([`GenerateDataKey ${keyArn}`]);
  });

  it('is asked of KMS in the region of its key', async () => {
    const { kms, regions, seal, open } = setup();
    const keyArn = kms.addKey({ region: 'us-east-2' });

    await open(await seal('x', keyArn), { keyArns: [keyArn] });

    expect(new Set(regions)).toEqual(new Set(['us-east-2']));
  });
});

describe('who may open', () => {
  it('a key that is not in the list is never asked', async () => {
    const { kms, seal, open } = setup();
    const other = kms.addKey();
    const sealed = await seal('x', other);
    kms.calls.length = 0;

    await expect(open(sealed)).rejects.toMatchObject({
      code: 'KEY_NOT_TRUSTED',
      details: { sealedUnder: [other] },
    });
    expect(kms.calls).toEqual([]);
  });

  it('any key of the own account opens by discovery, which says which did', async () => {
    const { keyArn, seal, open } = setup();

    const opened = await open(await seal('x'), { accountId: '123456789012', partition: 'aws' });

    expect(opened).toEqual({ bytes: Buffer.from('x'), openedBy: { keyArn } });
  });

  it.each([
    { accountId: '210987654321', partition: 'aws' },
    { accountId: '123456789012', partition: 'aws-cn' },
  ])('a key of another account or partition is never asked: $accountId $partition', async (trust) => {
    const { seal, open } = setup();

    await expect(open(await seal('x'), trust)).rejects.toMatchObject({ code: 'KEY_NOT_TRUSTED' });
  });

  it('a retired key opens, and that is said', async () => {
    const { kms, keyArn, kmsFor, seal } = setup();
    const events: LogEvent[] = [];
    const bindingKey = kms.addKey();
    const trust = { keyArns: [bindingKey, keyArn] };
    const unwrapper = tellingRetired(kmsUnwrapper({ trust, kmsFor }), bindingKey, (event) =>
      events.push(event),
    );

    const opened = await messageOpener(unwrapper).open(await seal('x'), context, never);

    expect(opened.toString()).toBe('x');
    expect(events).toMatchObject([{ name: 'key.retired-used', fields: { keyArn } }]);
  });
});

describe('failures of KMS', () => {
  it.each([
    ['Disabled', 'KEY_DISABLED'],
    ['PendingDeletion', 'KEY_PENDING_DELETION'],
    ['PendingImport', 'KEY_MATERIAL_MISSING'],
  ])('a key that is %s keeps its own error: %s', async (state, code) => {
    const { kms, keyArn, seal, open } = setup();
    const sealed = await seal('x');
    kms.setState(keyArn, state);

    await expect(open(sealed)).rejects.toMatchObject({ code });
    await expect(seal('x')).rejects.toMatchObject({ code });
  });
});
