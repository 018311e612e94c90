import { createPrivateKey, generateKeyPairSync, type KeyObject, verify } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GatehouseError } from '../../base/errors.ts';
import { Secret } from '../../base/secret.ts';
import { privateKeyIn } from './private-key.ts';

const pairs = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  'P-256': generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'P-384': generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  'P-521': generateKeyPairSync('ec', { namedCurve: 'P-521' }),
} as const;
type Kind = keyof typeof pairs;
const kinds: readonly Kind[] = ['rsa', 'P-256', 'P-384', 'P-521'];
const password = 'correct horse';
const encryption = { cipher: 'aes-256-cbc', passphrase: password };

const forms: Readonly<Record<string, (key: KeyObject) => string | Buffer>> = {
  'PKCS#8, PEM': (key) => key.export({ type: 'pkcs8', format: 'pem' }),
  'PKCS#8, DER': (key) => key.export({ type: 'pkcs8', format: 'der' }),
  'PKCS#8, encrypted, PEM': (key) => key.export({ type: 'pkcs8', format: 'pem', ...encryption }),
  'PKCS#8, encrypted, DER': (key) => key.export({ type: 'pkcs8', format: 'der', ...encryption }),
  'the traditional form, PEM': (key) => key.export({ type: traditional(key), format: 'pem' }),
  'the traditional form, DER': (key) => key.export({ type: traditional(key), format: 'der' }),
  'the traditional form, encrypted, PEM': (key) =>
    key.export({ type: traditional(key), format: 'pem', ...encryption }),
  'what openssl ecparam -genkey writes': (key) =>
    `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${key.export({ type: traditional(key), format: 'pem' })}`,
};

function traditional(key: KeyObject): 'pkcs1' | 'sec1' {
  return key.asymmetricKeyType === 'rsa' ? 'pkcs1' : 'sec1';
}

describe('a private key', () => {
  test.each(kinds.flatMap((kind) => Object.keys(forms).map((form) => [kind, form] as const)))(
    '%s is read from %s, and signs over SHA-256',
    async (kind, form) => {
      const { privateKey, publicKey } = pairs[kind];
      const content = Buffer.from(forms[form]?.(privateKey) ?? '');

      const key = privateKeyIn(content, 'file', Secret.ofText(password));

      const text = Buffer.from('to be signed');
      expect(verify('sha256', text, publicKey, await key.sign(text))).toBe(true);
    },
  );

  test.each(['ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87'] as const)(
    '%s signs the bytes themselves',
    async (kind) => {
      const { privateKey, publicKey } = generateKeyPairSync(kind);
      const content = Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' }));

      const signature = await privateKeyIn(content, 'file', undefined).sign(Buffer.from('text'));

      expect(verify(undefined, Buffer.from('text'), publicKey, signature)).toBe(true);
    },
  );

  test.each(Object.keys(forms).filter((form) => form.includes('encrypted')))(
    'from %s needs its password',
    (form) => {
      const content = Buffer.from(forms[form]?.(pairs['P-256'].privateKey) ?? '');

      expect(() => privateKeyIn(content, 'file', undefined)).toThrow(
        expect.objectContaining({ code: 'PRIVATE_KEY_PASSWORD_MISSING' }),
      );
      expect(() => privateKeyIn(content, 'file', Secret.ofText('wrong'))).toThrow(
        expect.objectContaining({ code: 'PRIVATE_KEY_PASSWORD_WRONG' }),
      );
    },
  );

  test('of anything at all is read, or refused with a typed error', () => {
    const whole = Object.values(forms).map((form) => Buffer.from(form(pairs['P-256'].privateKey)));
    const mangled = fc
      .tuple(fc.constantFrom(...whole), fc.nat(1000), fc.nat(255), fc.nat(1000))
      .map(([bytes, at, byte, end]) => {
        const copy = Buffer.from(bytes);
        copy[at % copy.length] = byte;
        return copy.subarray(0, Math.max(end % copy.length, copy.length - 30));
      });
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes)),
      mangled,
    );

    fc.assert(
      fc.property(anything, (bytes) => {
        const failure = errorOf(() => privateKeyIn(bytes, 'file', Secret.ofText(password)));
        expect([undefined, 'PRIVATE_KEY_INVALID', 'PRIVATE_KEY_PASSWORD_WRONG']).toContain(failure?.code);
      }),
      { numRuns: 500 },
    );
  });

  test('that cannot sign is said to be none', async () => {
    const { privateKey } = generateKeyPairSync('x25519');
    const content = Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' }));

    await expect(privateKeyIn(content, 'file', undefined).sign(Buffer.from('text'))).rejects.toMatchObject({
      code: 'PRIVATE_KEY_INVALID',
      details: { path: 'file', type: 'x25519', problem: 'it does not sign' },
    });
  });

  test('that is refused does not show', () => {
    const content = forms['PKCS#8, PEM']?.(pairs['P-256'].privateKey).toString() ?? '';
    const inside = createPrivateKey(content).export({ type: 'pkcs8', format: 'der' }).toString('base64');
    const broken = content.replace(/\n.{4}/u, '\n!!!!');

    const failure = errorOf(() => privateKeyIn(Buffer.from(broken), 'file', undefined));

    expect(failure).toMatchObject({ code: 'PRIVATE_KEY_INVALID' });
    expect(JSON.stringify(failure)).not.toContain(inside.slice(0, 20));
  });
});

/** One of our errors; anything else is thrown on. */
function errorOf(work: () => unknown): GatehouseError | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof GatehouseError) return error;
    throw error;
  }
}
