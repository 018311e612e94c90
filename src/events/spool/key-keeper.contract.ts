import { describe, expect, it } from 'vitest';
import type { KeyKeeper } from './data-keys.ts';

export interface KeyKeeperFixture {
  /** A keeper of the same keys; each call is another life of the process. */
  keeper(): Promise<KeyKeeper> | KeyKeeper;
  /** Lets time pass, so that keys are told apart by when they were made. */
  pass(): Promise<void>;
}

/** What every keeper of data keys must do. `make` gives one without keys. */
export function keyKeeperContract(
  name: string,
  make: () => Promise<KeyKeeperFixture> | KeyKeeperFixture,
): void {
  describe(`${name} as a KeyKeeper`, () => {
    it('makes the first key, of 32 bytes, under an id that is none of zeros', async () => {
      const keeper = await (await make()).keeper();

      const { keyId, key } = await keeper.current();

      expect(key.length).toBe(32);
      expect(keyId).toMatch(/^(?!0+$)[0-9a-f]{16}$/u);
    });

    it('gives the newest, in its next life too, with when it was made', async () => {
      const fixture = await make();
      const first = await fixture.keeper();
      const old = await first.current();
      await fixture.pass();
      const newest = await first.fresh();

      const again = await (await fixture.keeper()).current();

      expect(newest.keyId).not.toBe(old.keyId);
      expect(newest.key.equals(old.key)).toBe(false);
      expect(newest.madeMs).toBeGreaterThan(old.madeMs);
      expect({ ...again, key: again.key.equals(newest.key) }).toEqual({ ...newest, key: true });
    });

    it('opens each by its id, whatever whoever had it before did with it', async () => {
      const fixture = await make();
      const keeper = await fixture.keeper();
      const made = [await keeper.current(), await keeper.fresh(), await keeper.fresh()];
      const bytes = made.map(({ key }) => Buffer.from(key.revealBytes()));
      for (const { key } of made) key.dispose();

      for (const [index, { keyId, madeMs }] of made.entries()) {
        const opened = await keeper.open(keyId);
        expect(opened.key.revealBytes().equals(bytes[index] ?? Buffer.of())).toBe(true);
        expect(opened).toMatchObject({ keyId, madeMs });
      }
    });

    it('does not know a key that it never made', async () => {
      const keeper = await (await make()).keeper();
      await keeper.current();

      await expect(keeper.open('00000000000000ff')).rejects.toMatchObject({ code: 'EVENTS_SPOOL_KEY_LOST' });
    });

    it('lets go of all but those that are needed', async () => {
      const fixture = await make();
      const first = await fixture.keeper();
      const [gone, needed] = [await first.current(), await first.fresh()];
      const keeper = await fixture.keeper();

      keeper.keepOnly([needed.keyId]);

      await expect
        .poll(() => keeper.open(gone.keyId).catch((error: { code: string }) => error.code))
        .toBe('EVENTS_SPOOL_KEY_LOST');
      expect((await keeper.open(needed.keyId)).key.equals(needed.key)).toBe(true);
    });
  });
}
