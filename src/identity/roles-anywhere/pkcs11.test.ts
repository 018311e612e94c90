import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Pkcs11Error, tokenSignature, wantedBy } from './pkcs11.ts';
import { shownUri } from './token-uri.ts';

describe('a pkcs11: URI', () => {
  test('names token and object, decoded', () => {
    const wanted = wantedBy(
      'pkcs11:token=My%20token;object=web-1;id=%01%FF;type=private?module-path=/usr/lib/m.so',
    );

    expect(Object.fromEntries(wanted)).toEqual({
      token: 'My token',
      object: 'web-1',
      id: '\u0001\u00FF',
      type: 'private',
      'module-path': '/usr/lib/m.so',
    });
  });

  test.each([
    'token=a',
    'pkcs11:token',
    'pkcs11:colour=red',
    'pkcs11:token=a;token=b',
    'pkcs11:token=%',
    'pkcs11:token=a?pin-value=1234',
  ])('is not %s', (uri) => {
    expect(() => wantedBy(uri)).toThrow(expect.objectContaining({ code: 'URI_INVALID' }));
  });

  test.each([
    ['pkcs11:token=a?pin-value=1234', 'pkcs11:token=a?pin-value=[secret]'],
    ['pkcs11:token=a?pin-source=file:/etc/pin', 'pkcs11:token=a?pin-source=[secret]'],
    ['pkcs11:token=a;PIN%2Dvalue=12=34;object=b', 'pkcs11:token=a;PIN%2Dvalue=[secret];object=b'],
    ['pkcs11:pin-value=1234&module-path=/m.so', 'pkcs11:pin-value=[secret]&module-path=/m.so'],
    ['pkcs11:token=My%20token;object=web-1', 'pkcs11:token=My%20token;object=web-1'],
  ])('of %s is shown without a PIN', (uri, shown) => {
    expect(shownUri(uri)).toBe(shown);
  });

  test('of anything at all is read, or refused with a typed error', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(failureOf(`pkcs11:${text}`)).toSatisfy(
          (failure) => failure === undefined || failure instanceof Pkcs11Error,
        );
      }),
    );
  });

  test('without a module, or with one that is none, leads nowhere', () => {
    expect(sign(undefined)).toThrow(expect.objectContaining({ code: 'UNAVAILABLE' }));
    expect(sign('/nonexistent.so')).toThrow(expect.objectContaining({ code: 'UNAVAILABLE' }));
  });
});

function sign(module: string | undefined): () => Buffer {
  return () => tokenSignature({ uri: 'pkcs11:token=a', module }, undefined, Buffer.alloc(1), 'sha256');
}

function failureOf(uri: string): unknown {
  try {
    wantedBy(uri);
    return undefined;
  } catch (error) {
    return error;
  }
}
