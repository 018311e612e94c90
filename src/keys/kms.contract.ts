import { constants, createPublicKey, publicEncrypt } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Secret } from '../base/secret.ts';
import type { Kms } from './kms.ts';

const never = new AbortController().signal;
const context = { 'gatehouse:purpose': 'test', 'gatehouse:name': 'x' };

export interface KmsFixture {
  readonly kms: Kms;
  /** Makes a key and gives its ARN. */
  readonly addKey: (options?: { readonly alias?: string; readonly rsa?: 2048 }) => Promise<string>;
  readonly putInto: (state: 'Disabled' | 'PendingDeletion', keyArn: string) => Promise<void>;
}

/** What every KMS must do. `make` gives one without keys. */
export function kmsContract(name: string, make: () => Promise<KmsFixture> | KmsFixture): void {
  describe(`${name} as a Kms`, () => {
    it('describes a key, by its ARN or an alias', async () => {
      const { kms, addKey, putInto } = await make();
      const symmetric = await addKey({ alias: 'alias/symmetric' });
      const rsa = await addKey({ rsa: 2048 });
      await putInto('Disabled', rsa);

      const described = { arn: symmetric, state: 'Enabled', kind: 'symmetric' };
      expect(await kms.describeKey('alias/symmetric', never)).toEqual(described);
      expect(await kms.describeKey(symmetric, never)).toEqual(described);
      expect(await kms.describeKey(rsa, never)).toEqual({ arn: rsa, state: 'Disabled', kind: 'rsa' });
    });

    it('makes data keys of 32 bytes, another each time, and opens them under the same context', async () => {
      const { kms, addKey } = await make();
      const keyArn = await addKey();

      const [one, other] = [
        await kms.newDataKey(keyArn, context, never),
        await kms.newDataKey(keyArn, context, never),
      ];
      const reordered = Object.fromEntries(Object.entries(context).toReversed());
      const opened = await kms.openDataKey(keyArn, one.wrapped, reordered, never);

      expect([one.keyArn, one.plaintext.length]).toEqual([keyArn, 32]);
      expect(opened.equals(one.plaintext)).toBe(true);
      expect(one.plaintext.equals(other.plaintext)).toBe(false);
      expect(one.wrapped.includes(one.plaintext.revealBytes())).toBe(false);
    });

    it('wraps a data key that is there already', async () => {
      const { kms, addKey } = await make();
      const keyArn = await addKey();
      const dataKey = Secret.ofText('a data key that is there already');

      const wrapped = await kms.wrapDataKey(keyArn, dataKey, context, never);

      expect((await kms.openDataKey(keyArn, wrapped, context, never)).equals(dataKey)).toBe(true);
    });

    it.each([
      ['another value', { ...context, 'gatehouse:name': 'y' }],
      ['a pair less', { 'gatehouse:purpose': 'test' }],
      ['a pair more', { ...context, 'gatehouse:agent': 'web-1' }],
    ])('opens nothing with %s in the context', async (_what, other) => {
      const { kms, addKey } = await make();
      const keyArn = await addKey();
      const { wrapped } = await kms.newDataKey(keyArn, context, never);

      await expect(kms.openDataKey(keyArn, wrapped, other, never)).rejects.toMatchObject({
        code: 'KEY_CIPHERTEXT_REFUSED',
      });
    });

    it('tells what another key wrapped from noise', async () => {
      const { kms, addKey } = await make();
      const [one, other] = [await addKey(), await addKey()];
      const { wrapped } = await kms.newDataKey(one, context, never);

      await expect(kms.openDataKey(other, wrapped, context, never)).rejects.toMatchObject({
        code: 'KEY_WRONG',
      });
      await expect(kms.openDataKey(one, Buffer.alloc(100, 7), context, never)).rejects.toMatchObject({
        code: 'KEY_CIPHERTEXT_REFUSED',
      });
    });

    it('opens by RSA what was encrypted under the public half, and under no other', async () => {
      const { kms, addKey } = await make();
      const [one, other] = [await addKey({ rsa: 2048 }), await addKey({ rsa: 2048 })];
      const spki = await kms.publicKey(one, never);
      const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
      const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
      const ciphertext = publicEncrypt({ key, ...padding }, Buffer.from('master key'));

      expect((await kms.decryptRsa(one, ciphertext, never)).revealText()).toBe('master key');
      await expect(kms.decryptRsa(other, ciphertext, never)).rejects.toMatchObject({
        code: 'KEY_CIPHERTEXT_REFUSED',
      });
    });

    it('has no data keys under RSA, and no public half of a symmetric key', async () => {
      const { kms, addKey } = await make();
      const [symmetric, rsa] = [await addKey(), await addKey({ rsa: 2048 })];
      const { plaintext, wrapped } = await kms.newDataKey(symmetric, context, never);

      for (const refused of [
        kms.newDataKey(rsa, context, never),
        kms.wrapDataKey(rsa, plaintext, context, never),
        kms.openDataKey(rsa, wrapped, context, never),
        kms.publicKey(symmetric, never),
      ]) {
        await expect(refused).rejects.toMatchObject({ code: 'KEY_KIND_UNSUITABLE' });
      }
    });

    it.each([
      ['Disabled', 'KEY_DISABLED'],
      ['PendingDeletion', 'KEY_PENDING_DELETION'],
    ] as const)('does nothing with a key that is %s, and says so', async (state, code) => {
      const { kms, addKey, putInto } = await make();
      const [symmetric, rsa] = [await addKey(), await addKey({ rsa: 2048 })];
      const { plaintext, wrapped } = await kms.newDataKey(symmetric, context, never);
      for (const keyArn of [symmetric, rsa]) await putInto(state, keyArn);

      for (const refused of [
        kms.newDataKey(symmetric, context, never),
        kms.wrapDataKey(symmetric, plaintext, context, never),
        kms.openDataKey(symmetric, wrapped, context, never),
        kms.publicKey(rsa, never),
        kms.decryptRsa(rsa, Buffer.alloc(256, 1), never),
      ]) {
        await expect(refused).rejects.toMatchObject({ code });
      }
    });

    it('does not know a key that is not there', async () => {
      const { kms, addKey } = await make();
      const keyArn = (await addKey()).replace(/[0-9a-f-]{36}$/u, '11111111-2222-4333-8444-555555555555');

      for (const refused of [
        kms.describeKey(keyArn, never),
        kms.newDataKey(keyArn, context, never),
        kms.publicKey(keyArn, never),
      ]) {
        await expect(refused).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
      }
    });

    it('gives up with the reason of an aborted signal', async () => {
      const { kms, addKey } = await make();
      const keyArn = await addKey();
      const reason = new Error('stopping');
      const aborted = AbortSignal.abort(reason);

      for (const refused of [
        kms.describeKey(keyArn, aborted),
        kms.newDataKey(keyArn, context, aborted),
        kms.openDataKey(keyArn, Buffer.of(1), context, aborted),
        kms.publicKey(keyArn, aborted),
        kms.decryptRsa(keyArn, Buffer.of(1), aborted),
      ]) {
        await expect(refused).rejects.toBe(reason);
      }
    });
  });
}
