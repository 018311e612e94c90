import { buildClient, CommitmentPolicy, KmsKeyringNode } from '@aws-crypto/client-node';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memoryKms } from '../../test/support/memory-kms.ts';
import { parseSealedMessage, wrappedKeysMax } from './sealed-message.ts';

const never = new AbortController().signal;
const keyArn = 'arn:aws:kms:eu-west-1:123456789012:key/1b5f2a3c-0d4e-4f6a-8b7c-9d0e1f2a3b4c';

const u16 = (value: number) => Buffer.from([value >> 8, value & 255]);
const u32 = (value: number) =>
  Buffer.from([value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255]);
const field = (bytes: string | Buffer) => Buffer.concat([u16(Buffer.byteLength(bytes)), Buffer.from(bytes)]);
const frame = (number: number, length = 4) => Buffer.concat([u32(number), Buffer.alloc(12 + length + 16)]);
const lastFrame = (number: number, length = 1) =>
  Buffer.concat([u32(0xffff_ffff), u32(number), Buffer.alloc(12), u32(length), Buffer.alloc(length + 16)]);

/** A message by its parts, whose tags are all zero: only its structure is right. */
function message(
  parts: { pairs?: string[][]; keys?: string[]; contentType?: number; frames?: Buffer[] } = {},
) {
  const { pairs = [['a', 'b']], keys = [keyArn], contentType = 2, frames = [lastFrame(1)] } = parts;
  const context = Buffer.concat([u16(pairs.length), ...pairs.flat().map(field)]);
  return Buffer.concat([
    Buffer.from('020478', 'hex'),
    Buffer.alloc(32),
    field(pairs.length === 0 ? '' : context),
    u16(keys.length),
    ...keys.flatMap((key) => [field('aws-kms'), field(key), field('wrapped')]),
    Buffer.from([contentType]),
    u32(4),
    Buffer.alloc(32 + 16),
    ...frames,
  ]);
}

const damaged = (what: string) => expect.objectContaining({ code: 'SEALED_DAMAGED', details: { what } });

describe('parseSealedMessage', () => {
  it('reads context and keys of a message with several frames', () => {
    const frames = [frame(1), frame(2), lastFrame(3, 0)];

    expect(parseSealedMessage(message({ frames }))).toMatchObject({ context: { a: 'b' }, keyArns: [keyArn] });
    expect(parseSealedMessage(message({ pairs: [] })).context).toEqual({});
  });

  it.each([
    ['frame number', { frames: [frame(2), frame(1), lastFrame(3)] }],
    ['frame number', { frames: [frame(1), frame(1), lastFrame(3)] }],
    ['frame number', { frames: [frame(1), lastFrame(3)] }],
    ['length of the last frame', { frames: [lastFrame(1, 5)] }],
    ['cut short', { frames: [frame(1)] }],
    ['bytes after the end', { frames: [lastFrame(1), lastFrame(2)] }],
    [
      'a context key twice',
      {
        pairs: [
          ['a', 'b'],
          ['a', 'c'],
        ],
      },
    ],
    ['number of wrapped keys', { keys: [] }],
    ['number of wrapped keys', { keys: Array.from({ length: wrappedKeysMax + 1 }, () => keyArn) }],
  ])('refuses a message with a wrong structure: %s', (what, parts) => {
    expect(() => parseSealedMessage(message(parts))).toThrow(damaged(what));
  });

  it('refuses a message without frames and one in base64', () => {
    const unknown = expect.objectContaining({ code: 'SEALED_FORMAT_UNKNOWN' });

    expect(() => parseSealedMessage(message({ contentType: 1 }))).toThrow(unknown);
    expect(() => parseSealedMessage(Buffer.from(message().toString('base64')))).toThrow(unknown);
  });

  it('meets any bytes with a typed error, never with another', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (tail, isHeaded) => {
        const bytes = isHeaded ? Buffer.concat([Buffer.from('020478', 'hex'), Buffer.alloc(32), tail]) : tail;

        expect(() => parseSealedMessage(bytes)).toThrow(expect.objectContaining({ name: 'GatehouseError' }));
      }),
    );
  });

  it('refuses a signed message and names what it expected', async () => {
    const kms = memoryKms();
    const signingKey = kms.addKey();
    const keyring = new KmsKeyringNode({
      generatorKeyId: signingKey,
      clientProvider: () => ({
        async generateDataKey({ EncryptionContext = {} }) {
          const key = await kms.newDataKey(signingKey, EncryptionContext, never);
          return {
            KeyId: keyArn,
            CiphertextBlob: key.wrapped,
            Plaintext: Buffer.from(key.plaintext.revealBytes()),
          };
        },
        encrypt: () => Promise.reject(new Error('unused')),
        decrypt: () => Promise.reject(new Error('unused')),
      }),
    });
    const client = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
    const { result } = await client.encrypt(keyring, Buffer.from('x'));

    expect(() => parseSealedMessage(result)).toThrow(
      expect.objectContaining({ code: 'SEALED_FORMAT_UNKNOWN' }),
    );
  });
});
