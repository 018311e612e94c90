import { generateKeyPairSync, type KeyObject, privateDecrypt } from 'node:crypto';
import { array, assert, constantFrom, integer, property, string, uint8Array } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GatehouseError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { contentOf, isRsaEnvelope, parseRsaEnvelope, sealRsaEnvelope } from './rsa-envelope.ts';

const keyArn = 'arn:aws:kms:eu-west-1:123456789012:key/1b5f2a3c-0d4e-4f6a-8b7c-9d0e1f2a3b4c';
const claims = { keyArn, agentName: 'web-1', generation: 3 };
const content = Buffer.from('thirty-two bytes and some more of it');
const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const spki = (key: KeyObject) => key.export({ type: 'spki', format: 'der' });

function opened(envelope: Uint8Array): Buffer {
  const parsed = parseRsaEnvelope(envelope);
  return contentOf(parsed, decrypted(parsed.ciphertext));
}

function decrypted(ciphertext: Buffer): Secret {
  return Secret.ofBytes(privateDecrypt({ key: pair.privateKey, oaepHash: 'sha256' }, ciphertext));
}

/** False where anything else than a typed error comes of it. */
function isParsedOrRefused(bytes: Uint8Array): boolean {
  try {
    parseRsaEnvelope(bytes);
    return true;
  } catch (error) {
    return error instanceof GatehouseError;
  }
}

describe('an RSA envelope', () => {
  it('says which key, host and generation it is for, and opens to its content', () => {
    const envelope = sealRsaEnvelope(claims, content, spki(pair.publicKey));

    expect(parseRsaEnvelope(envelope)).toMatchObject(claims);
    expect(isRsaEnvelope(envelope)).toBe(true);
    expect(opened(envelope).equals(content)).toBe(true);
    expect(envelope.includes(content)).toBe(false);
  });

  it('ends with the ciphertext, which any RSA-OAEP opens: the digest of the header, then the content', () => {
    const envelope = sealRsaEnvelope(claims, content, spki(pair.publicKey));

    const plaintext = decrypted(envelope.subarray(-256)).revealBytes();

    expect(plaintext.length).toBe(32 + content.length);
    expect(plaintext.subarray(32).equals(content)).toBe(true);
  });

  it.each([
    ['host', { agentName: 'web-2' }],
    ['generation', { generation: 4 }],
    ['key', { keyArn: keyArn.replace('4c', '4d') }],
  ])('whose ciphertext was put behind the header of another %s is refused', (_what, other) => {
    const one = parseRsaEnvelope(sealRsaEnvelope(claims, content, spki(pair.publicKey)));
    const another = parseRsaEnvelope(sealRsaEnvelope({ ...claims, ...other }, content, spki(pair.publicKey)));

    const forged = Buffer.concat([another.header, one.ciphertext]);

    expect(() => opened(forged)).toThrow(expect.objectContaining({ code: 'SEALED_DAMAGED' }));
  });

  it('with any bit of its header flipped is refused, if not before then by what was encrypted', () => {
    const envelope = sealRsaEnvelope(claims, content, spki(pair.publicKey));
    const headerBits = parseRsaEnvelope(envelope).header.length * 8;

    for (let bit = 0; bit < headerBits; bit += 1) {
      const flipped = Buffer.from(envelope);
      const at = Math.floor(bit / 8);
      flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << (bit % 8)), at);
      expect(() => opened(flipped), `bit ${bit}`).toThrow(GatehouseError);
    }
  });

  it('cut anywhere, or gone on, is refused before anybody is asked', () => {
    const envelope = sealRsaEnvelope(claims, content, spki(pair.publicKey));

    for (let length = 0; length < envelope.length; length += 1) {
      expect(() => parseRsaEnvelope(envelope.subarray(0, length)), `${length} bytes`).toThrow(GatehouseError);
    }
    expect(() => parseRsaEnvelope(Buffer.concat([envelope, Buffer.of(0)]))).toThrow(GatehouseError);
  });

  it('of any name and content opens to the same', () => {
    assert(
      property(
        string({ unit: 'grapheme', maxLength: 200 }),
        integer({ min: 1, max: 999_999_999 }),
        uint8Array({ maxLength: 158 }),
        (agentName, generation, bytes) => {
          const envelope = sealRsaEnvelope({ keyArn, agentName, generation }, bytes, spki(pair.publicKey));
          expect(parseRsaEnvelope(envelope)).toMatchObject({ keyArn, agentName, generation });
          expect(opened(envelope).equals(bytes)).toBe(true);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('is told from noise by a typed error and nothing else', () => {
    const envelope = sealRsaEnvelope(claims, content, spki(pair.publicKey));
    const change = array(
      constantFrom('flip', 'cut', 'insert').chain((how) =>
        integer({ min: 0, max: envelope.length - 1 }).map((at) => ({ how, at })),
      ),
      { minLength: 1, maxLength: 4 },
    );
    assert(
      property(change, uint8Array({ maxLength: 40 }), (changes, noise) => {
        let bytes = Buffer.from(envelope);
        for (const { how, at } of changes) {
          if (how === 'flip' && at < bytes.length) bytes.writeUInt8(bytes.readUInt8(at) ^ 0x41, at);
          if (how === 'cut') bytes = bytes.subarray(0, at);
          if (how === 'insert') bytes = Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]);
        }
        return isParsedOrRefused(bytes);
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ['an elliptic curve', spki(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey)],
    ['RSA of 1024 bits', spki(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey)],
    ['no key', Buffer.from('noise')],
  ])('is not made under %s', (_what, key) => {
    expect(() => sealRsaEnvelope(claims, content, key)).toThrow(
      expect.objectContaining({ code: 'KEY_PUBLIC_KEY_UNUSABLE' }),
    );
  });
});
