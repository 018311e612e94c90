import { createCipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import {
  buildClient,
  CommitmentPolicy,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from '@aws-crypto/client-node';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Secret } from '../base/secret.ts';
import { keysError } from './errors.ts';
import { masterKeyNamespace, masterKeyring, masterKeyUnwrapper } from './master-keyring.ts';
import { openMessage, sealMessage } from './message-cipher.ts';
import { messageSealer, openBytes, openVerified } from './message-sealer.ts';
import { headerBytes, parseSealedMessage, suiteId, uint } from './sealed-message.ts';
import { sealerContract } from './sealer.contract.ts';

const never = new AbortController().signal;
const context = { 'gatehouse:name': 'tls-key', 'gatehouse:purpose': 'sealed-file', 'gatehouse:version': '1' };

function setup() {
  const keys = new Map([1, 2, 12].map((generation) => [generation, Secret.ofBytes(randomBytes(32))]));
  const keyOf = async (generation: number) => {
    const key = keys.get(generation);
    if (key === undefined) throw keysError('MASTER_KEY_GENERATION_UNKNOWN', { generation });
    return key;
  };
  const seal = (bytes: Uint8Array, generation = 1) =>
    messageSealer(masterKeyring(generation, keyOf)).seal(bytes, context, never);
  const open = (sealed: Uint8Array) => openBytes(sealed, context, masterKeyUnwrapper(keyOf), never);
  return { keys, keyOf, seal, open };
}

/** The official SDK, with the master key of a generation as its raw AES keyring. */
function officialSdk(key: Secret, generation: number) {
  const client = buildClient({
    commitmentPolicy: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
    maxEncryptedDataKeys: 1,
  });
  const keyring = new RawAesKeyringNode({
    keyName: String(generation),
    keyNamespace: masterKeyNamespace,
    unencryptedMasterKey: Uint8Array.from(key.revealBytes()),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
  return {
    open: (sealed: Buffer) => client.decrypt(keyring, sealed),
    seal: async (bytes: Buffer, frameLength: number) => {
      const options = { suiteId, encryptionContext: context, frameLength };
      return (await client.encrypt(keyring, bytes, options)).result;
    },
  };
}

sealerContract('a sealer under the master key', () => {
  const { keyOf } = setup();
  return messageSealer(masterKeyring(1, keyOf));
});

describe('what the master key seals', () => {
  it.each([0, 1, 65_535, 65_536, 65_537, 200_000])(
    'opens with the official SDK: %i bytes',
    async (length) => {
      const { keys, seal } = setup();
      const bytes = randomBytes(length);
      const sealed = await seal(bytes, 12);

      const { plaintext, messageHeader } = await officialSdk(keys.get(12) ?? Secret.ofText(''), 12).open(
        sealed,
      );

      expect(plaintext.equals(bytes)).toBe(true);
      expect({ ...messageHeader.encryptionContext }).toEqual(context);
    },
  );

  it.each([0, 1, 4096, 10_000])('opens when the official SDK sealed it: %i bytes', async (length) => {
    const { keys, open } = setup();
    const bytes = randomBytes(length);
    const sealed = await officialSdk(keys.get(2) ?? Secret.ofText(''), 2).seal(bytes, 4096);

    const opened = await open(sealed);

    expect(opened.bytes.equals(bytes)).toBe(true);
    expect(opened.openedBy).toEqual({ generation: 2 });
  });

  it('is not opened when any single bit of it is flipped', async () => {
    const { seal, open } = setup();
    const sealed = await seal(Buffer.from('x'));

    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const flipped = Buffer.from(sealed);
      const at = Math.floor(bit / 8);
      flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << (bit % 8)), at);
      await expect(open(flipped), `bit ${bit}`).rejects.toMatchObject({
        code: expect.stringMatching(
          /^(?:SEALED_|KEY_NOT_TRUSTED|MASTER_KEY_(?:MISMATCH|GENERATION_UNKNOWN))/u,
        ),
      });
    }
  });

  it('is not opened with the frames of another, or with its own in another order', async () => {
    const { seal, open } = setup();
    const content = randomBytes(3 * 65_536);
    const [one, other] = [await seal(content), await seal(content)];
    const headerLength = one.length - (2 * frameBytes + 4 + frameBytes + 4);
    const frame = (sealed: Buffer, n: number) =>
      sealed.subarray(headerLength + n * frameBytes, headerLength + (n + 1) * frameBytes);
    const rest = one.subarray(headerLength + 2 * frameBytes);
    const header = one.subarray(0, headerLength);

    const whole = Buffer.concat([header, frame(one, 0), frame(one, 1), rest]);
    expect(whole.equals(one)).toBe(true);
    for (const forged of [
      [header, frame(one, 0), frame(other, 1), rest],
      [header, frame(one, 1), frame(one, 0), rest],
      [other.subarray(0, headerLength), frame(one, 0), frame(one, 1), rest],
      [header, rest],
    ]) {
      await expect(open(Buffer.concat(forged))).rejects.toHaveProperty(
        'code',
        expect.stringMatching(/^(?:SEALED_DAMAGED|MASTER_KEY_MISMATCH)$/u),
      );
    }
  });

  it('tells a generation that is not here from a key that is another’s', async () => {
    const mine = setup();
    const theirs = setup();
    const sealed = await theirs.seal(Buffer.from('x'), 2);

    await expect(mine.open(sealed)).rejects.toMatchObject({
      code: 'MASTER_KEY_MISMATCH',
      details: { generation: 2 },
    });
    mine.keys.delete(2);
    await expect(mine.open(sealed)).rejects.toMatchObject({ code: 'MASTER_KEY_GENERATION_UNKNOWN' });
  });

  it('names its generation and no KMS key', async () => {
    const { seal } = setup();

    const { wrappedKeys, keyArns } = parseSealedMessage(await seal(Buffer.from('x'), 12));

    expect(keyArns).toEqual([]);
    expect(wrappedKeys.map(({ provider, info }) => [provider, info.subarray(0, 2).toString()])).toEqual([
      ['gatehouse/master-key', '12'],
    ]);
  });
});

/** Number, nonce, content and tag. */
const frameBytes = 4 + 12 + 65_536 + 16;

describe('a stream', () => {
  it('is refused without the commitment to its key, however well all of it is authenticated', async () => {
    const dataKey = randomBytes(32);
    const forged = (commitment: (right: Buffer) => Buffer) => {
      const messageId = randomBytes(32);
      const derive = (info: string | Buffer) => Buffer.from(hkdfSync('sha512', dataKey, messageId, info, 32));
      const key = derive(Buffer.concat([uint(2, suiteId), Buffer.from('DERIVEKEY')]));
      const wrappedKeys = [{ provider: 'x', info: Buffer.from('x'), wrapped: Buffer.from('x') }];
      const whole = { messageId, context, wrappedKeys, frameLength: 4096 };
      const header = headerBytes({ ...whole, commitment: commitment(derive('COMMITKEY')) });
      const cipher = createCipheriv('aes-256-gcm', key, Buffer.alloc(12)).setAAD(header);
      cipher.final();
      return Buffer.concat([header, cipher.getAuthTag()]);
    };
    const opened = (header: Buffer) =>
      buffer(openMessage([header], async () => Secret.ofBytes(dataKey))).catch((error: unknown) => error);

    // The right one is missed only for what comes after it.
    expect(await opened(forged((right) => right))).toMatchObject({ details: { what: 'cut short' } });
    expect(await opened(forged(() => randomBytes(32)))).toMatchObject({
      details: { what: 'key commitment' },
    });
  });

  it('to which something was appended is refused before its first byte', async () => {
    const { keyOf, seal } = setup();
    const sealed = Buffer.concat([await seal(Buffer.from('x')), Buffer.of(0)]);
    const opening = openVerified(
      () => [sealed],
      () => undefined,
      masterKeyUnwrapper(keyOf),
      never,
    );

    await expect(opening).rejects.toMatchObject({ details: { what: 'bytes after the end' } });
  });

  it('comes out as it went in, however both are cut into pieces', async () => {
    const { keyOf } = setup();
    const keyring = masterKeyring(1, keyOf);
    const cutting = fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 12 });

    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 200_000 }), cutting, cutting, async (length, one, other) => {
        const bytes = randomBytes(length);
        const sealed = await collected(
          sealMessage(cut(bytes, one), context, await keyring.wrap(context, never)),
        );
        const unwrap = async (header: Parameters<typeof keyring.unwrap>[0]) =>
          (await keyring.unwrap(header, never)).dataKey;

        const opened = await collected(openMessage(cut(sealed, other), unwrap));

        expect(opened.equals(bytes)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  it('that is opened verified gives not one byte when its end is damaged', async () => {
    const { keyOf, seal } = setup();
    const sealed = await seal(randomBytes(1_000_000));
    sealed.writeUInt8(sealed.readUInt8(sealed.length - 1) ^ 1, sealed.length - 1);
    const opening = openVerified(
      () => [sealed],
      () => undefined,
      masterKeyUnwrapper(keyOf),
      never,
    );

    await expect(opening).rejects.toMatchObject({ code: 'SEALED_DAMAGED' });
  });

  it('that is another one at the second reading is refused before its first byte', async () => {
    const { keyOf, seal } = setup();
    const versions = [await seal(Buffer.from('one')), await seal(Buffer.from('other'))];
    const opening = await openVerified(
      () => [versions.shift() ?? Buffer.alloc(0)],
      () => undefined,
      masterKeyUnwrapper(keyOf),
      never,
    );

    await expect(opening.pieces.next()).rejects.toMatchObject({ code: 'SEALED_DAMAGED' });
  });
});

function* cut(bytes: Buffer, lengths: readonly number[]): Generator<Buffer> {
  for (let at = 0, n = 0; at < bytes.length; n += 1) {
    const length = lengths[n % lengths.length] ?? 1;
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

async function collected(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  return buffer(pieces);
}
