import { describe, expect, it } from 'vitest';
import { Secret } from '../base/secret.ts';
import type { Delivery } from './delivery.ts';

const never = new AbortController().signal;

/** A delivery under test with the eyes of the workload it serves. */
export interface DeliverySubject {
  readonly delivery: Delivery;
  /** What the workload finds; undefined when there is nothing. */
  readonly seen: () => Promise<Buffer | undefined> | Buffer | undefined;
}

const secret = (bytes: string | Buffer, version = 'v1') => ({
  name: 'password',
  value: Secret.ofBytes(Buffer.from(bytes)),
  version,
});

/** What every delivery must do. */
export function deliveryContract(name: string, make: () => Promise<DeliverySubject> | DeliverySubject): void {
  describe(`${name} as a Delivery`, () => {
    it.each([
      ['text', Buffer.from('correct horse')],
      ['bytes that are no text', Buffer.from([0, 255, 10, 195])],
      ['nothing', Buffer.alloc(0)],
      ['much', Buffer.alloc(100_000, 'x')],
    ])('hands over %s as it is', async (_what, bytes) => {
      const { delivery, seen } = await make();

      const { written } = await delivery.deliver(secret(bytes), never);

      expect(written).toBe(true);
      expect((await seen())?.equals(bytes)).toBe(true);
    });

    it('changes nothing for the same value again, even in another version', async () => {
      const { delivery } = await make();
      await delivery.deliver(secret('one'), never);

      expect(await delivery.deliver(secret('one', 'v2'), never)).toEqual({ written: false });
    });

    it('replaces a value by a shorter and by a longer one', async () => {
      const { delivery, seen } = await make();

      for (const value of ['one', 'o', 'one and more']) {
        expect(await delivery.deliver(secret(value), never)).toEqual({ written: true });
        expect((await seen())?.toString()).toBe(value);
      }
    });

    it('takes back what it handed over, once', async () => {
      const { delivery, seen } = await make();
      await delivery.deliver(secret('one'), never);

      expect(await delivery.withdraw(never)).toEqual({ removed: true });
      expect(await seen()).toBeUndefined();
      expect(await delivery.withdraw(never)).toEqual({ removed: false });
    });

    it('has nothing to take back before it handed something over', async () => {
      const { delivery } = await make();

      expect(await delivery.withdraw(never)).toEqual({ removed: false });
    });

    it('hands over again what it took back', async () => {
      const { delivery, seen } = await make();
      await delivery.deliver(secret('one'), never);
      await delivery.withdraw(never);

      expect(await delivery.deliver(secret('one'), never)).toEqual({ written: true });
      expect((await seen())?.toString()).toBe('one');
    });

    it('gives up with the reason of an aborted signal and hands nothing over', async () => {
      const { delivery, seen } = await make();
      const reason = new Error('stopping');

      await expect(delivery.deliver(secret('one'), AbortSignal.abort(reason))).rejects.toBe(reason);
      expect(await seen()).toBeUndefined();
    });
  });
}
