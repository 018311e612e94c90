import { X509Certificate } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pkcs12Password, pkcs12Vectors } from '../../../test/support/pkcs12-vectors.ts';
import { openPkcs12, Pkcs12Error } from './pkcs12.ts';

const vector = (name: keyof typeof pkcs12Vectors) => Buffer.from(pkcs12Vectors[name], 'base64');
const password = Buffer.from(pkcs12Password);

describe('a PKCS#12 file', () => {
  test.each(['aes256', 'aes128Sha512', 'tripleDes', 'clearUnderMac'] as const)(
    'gives its key and certificate, protected by %s',
    (name) => {
      const { keys, certificates } = openPkcs12(vector(name), password);

      const [certificate] = certificates.map((der) => new X509Certificate(der));
      expect(certificate?.subject).toBe('CN=vector');
      expect(keys.map((key) => certificate?.checkPrivateKey(key))).toEqual([true]);
    },
  );

  test('without a password has an empty one', () => {
    expect(openPkcs12(vector('emptyPassword'), undefined).keys).toHaveLength(1);
    expect(openPkcs12(vector('emptyPassword'), Buffer.alloc(0)).keys).toHaveLength(1);
  });

  test.each([
    ['the wrong password', 'aes256', Buffer.from('wrong'), 'PASSWORD_WRONG'],
    ['no password', 'aes256', undefined, 'PASSWORD_MISSING'],
    ['a cipher of old', 'rc2', password, 'ENCRYPTION_UNSUPPORTED'],
  ] as const)('with %s is refused', (_what, name, given, code) => {
    expect(() => openPkcs12(vector(name), given)).toThrow(expect.objectContaining({ code }));
  });

  test('that was changed anywhere in what its MAC covers is refused', () => {
    const bytes = vector('clearUnderMac');
    const at = bytes.indexOf(Buffer.from('vector'));
    bytes[at] = 0x56;

    expect(() => openPkcs12(bytes, password)).toThrow(expect.objectContaining({ code: 'PASSWORD_WRONG' }));
  });

  test('of anything at all is opened, or refused with a typed error', () => {
    const mangled = fc
      .tuple(
        fc.constantFrom(...(Object.keys(pkcs12Vectors) as (keyof typeof pkcs12Vectors)[])),
        fc.nat(2000),
        fc.nat(255),
        fc.nat(2000),
      )
      .map(([name, at, byte, end]) => {
        const bytes = vector(name);
        bytes[at % bytes.length] = byte;
        return bytes.subarray(0, Math.max(end % bytes.length, bytes.length - 40));
      });
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes)),
      mangled,
    );

    fc.assert(
      fc.property(anything, (bytes) => {
        expect(failureOf(bytes)).toSatisfy(
          (failure) => failure === undefined || failure instanceof Pkcs12Error,
        );
      }),
      { numRuns: 300 },
    );
  });
});

function failureOf(bytes: Buffer): unknown {
  try {
    openPkcs12(bytes, password);
    return undefined;
  } catch (error) {
    return error;
  }
}
