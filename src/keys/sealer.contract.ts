import { describe, expect, it } from 'vitest';
import type { Sealer } from './sealer.ts';

const context = { 'gatehouse:name': 'database-password', 'gatehouse:purpose': 'test' };
const never = new AbortController().signal;

/** What every sealer must do. `make` gives a new one; all of one test are under the same key. */
export function sealerContract(name: string, make: () => Promise<Sealer> | Sealer): void {
  describe(`${name} as a Sealer`, () => {
    it.each([0, 1, 4_095, 4_096, 4_097, 100_000])('opens the %i bytes it sealed', async (length) => {
      const sealer = await make();
      const bytes = Buffer.alloc(length, 'secret ');

      const sealed = await sealer.seal(bytes, context, never);

      expect((await sealer.open(sealed, context, never)).equals(bytes)).toBe(true);
    });

    it('hides what it sealed, and seals it differently each time', async () => {
      const sealer = await make();
      const bytes = Buffer.from('correct horse battery staple');

      const one = await sealer.seal(bytes, context, never);
      const two = await sealer.seal(bytes, context, never);

      expect(one.includes(bytes)).toBe(false);
      expect(one.equals(two)).toBe(false);
    });

    it.each([
      ['another value', { ...context, 'gatehouse:name': 'other' }],
      ['a pair less', { 'gatehouse:purpose': 'test' }],
      ['a pair more', { ...context, 'gatehouse:agent': 'web-1' }],
      ['no pairs', {}],
    ])('refuses to open with %s in the context', async (_what, other) => {
      const sealer = await make();
      const sealed = await sealer.seal(Buffer.from('x'), context, never);

      await expect(sealer.open(sealed, other, never)).rejects.toMatchObject({
        code: 'SEALED_CONTEXT_MISMATCH',
      });
    });

    it('refuses a message with any byte changed, missing or added', async () => {
      const sealer = await make();
      const sealed = await sealer.seal(Buffer.from('x'), context, never);

      for (let at = 0; at < sealed.length; at += 1) {
        const changed = Buffer.from(sealed);
        changed.writeUInt8(changed.readUInt8(at) ^ 0x20, at);
        await expect(sealer.open(changed, context, never), `byte ${at} changed`).rejects.toHaveProperty(
          'code',
        );
        await expect(
          sealer.open(sealed.subarray(0, at), context, never),
          `cut at ${at}`,
        ).rejects.toHaveProperty('code');
      }
      await expect(sealer.open(Buffer.concat([sealed, Buffer.of(0)]), context, never)).rejects.toMatchObject({
        code: 'SEALED_DAMAGED',
      });
    });

    it('gives up with the reason of an aborted signal', async () => {
      const sealer = await make();
      const sealed = await sealer.seal(Buffer.from('x'), context, never);
      const reason = new Error('stopping');

      await expect(sealer.seal(Buffer.from('x'), context, AbortSignal.abort(reason))).rejects.toBe(reason);
      await expect(sealer.open(sealed, context, AbortSignal.abort(reason))).rejects.toBe(reason);
    });
  });
}
