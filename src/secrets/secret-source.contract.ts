import { describe, expect, it } from 'vitest';
import type { SecretSource } from './secret-source.ts';

const never = new AbortController().signal;

/** One secret of the source under test, and how to change it. */
export interface SecretSourceSubject<Reference> {
  readonly source: SecretSource<Reference>;
  readonly reference: Reference;
  readonly absent: Reference;
  /** Gives the secret this value, in a new version. */
  readonly put: (value: Buffer) => Promise<void> | void;
}

/** What every secret source must do. */
export function secretSourceContract<Reference>(
  name: string,
  make: () => Promise<SecretSourceSubject<Reference>> | SecretSourceSubject<Reference>,
): void {
  describe(`${name} as a SecretSource`, () => {
    it.each([
      ['text', Buffer.from('correct horse')],
      ['bytes that are no text', Buffer.from([0, 255, 10, 195])],
    ])('reads %s as it was put', async (_what, value) => {
      const { source, reference, put } = await make();
      await put(value);

      const reading = await source.read(reference, never);

      expect(reading.value.revealBytes().equals(value)).toBe(true);
    });

    it('gives the same version for the same value, another for a new one', async () => {
      const { source, reference, put } = await make();

      await put(Buffer.from('one'));
      const first = await source.read(reference, never);
      const again = await source.read(reference, never);
      await put(Buffer.from('two'));
      const second = await source.read(reference, never);

      expect(again.version).toBe(first.version);
      expect(second.version).not.toBe(first.version);
      expect(second.value.revealText()).toBe('two');
    });

    it('gives each caller a value of its own', async () => {
      const { source, reference, put } = await make();
      await put(Buffer.from('one'));

      const first = await source.read(reference, never);
      first.value.dispose();

      expect((await source.read(reference, never)).value.revealText()).toBe('one');
    });

    it('fails with a typed error for a secret that is not there', async () => {
      const { source, absent } = await make();

      await expect(source.read(absent, never)).rejects.toMatchObject({ name: 'GatehouseError' });
    });

    it('gives up with the reason of an aborted signal', async () => {
      const { source, reference, put } = await make();
      await put(Buffer.from('one'));
      const reason = new Error('stopping');

      await expect(source.read(reference, AbortSignal.abort(reason))).rejects.toBe(reason);
    });
  });
}
