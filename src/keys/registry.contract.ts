import { describe, expect, it } from 'vitest';
import type { Registry, RegistryEntry } from './registry.ts';

const never = new AbortController().signal;
const now = new Date('2026-01-02T03:04:05.006Z');
const later = (minutes: number) => new Date(now.getTime() + minutes * 60_000);

export const registryEntry: RegistryEntry = {
  generation: 1,
  state: 'current',
  bindingKeyArn: 'arn:aws:kms:eu-west-1:123456789012:key/1b5f2a3c-0d4e-4f6a-8b7c-9d0e1f2a3b4c',
  algorithm: 'SYMMETRIC_DEFAULT',
  fingerprint: 'a'.repeat(32),
  wrapped: Buffer.from('wrapped'),
  changedBy: 'arn:aws:iam::123456789012:user/operator',
  changedAt: now,
};

/**
 * What every registry must do. `make` gives one that nobody else writes to, and that is empty. `saysWho` is false where
 * what is behind it does not say what made a condition fail.
 */
export function registryContract(
  name: string,
  make: () => Promise<Registry> | Registry,
  { saysWho = true }: { readonly saysWho?: boolean } = {},
): void {
  const held = (details: Readonly<Record<string, string>>) => ({
    code: 'REGISTRY_LEASED',
    row: { exitCode: 75 },
    ...(saysWho ? { details } : {}),
  });

  describe(`${name} as a Registry`, () => {
    it('gives back what was put into it, each host its own, by generation', async () => {
      const registry = await make();
      const second = { ...registryEntry, generation: 12, fingerprint: 'b'.repeat(32) };
      const first = { ...registryEntry, generation: 2, state: 'retired' } as const;
      await registry.check(never);

      await registry.put('web-1', second, never);
      await registry.put('web-1', first, never);
      await registry.put('web-2', registryEntry, never);

      expect(await registry.list('web-1', never)).toEqual([first, second]);
      expect(await registry.list('web-2', never)).toEqual([registryEntry]);
      expect(await registry.list('web-3', never)).toEqual([]);
    });

    it('changes an entry of the same key, never to another key', async () => {
      const registry = await make();
      await registry.put('web-1', registryEntry, never);
      const rewrapped = { ...registryEntry, state: 'retired', wrapped: Buffer.from('anew') } as const;

      await registry.put('web-1', rewrapped, never);

      const other = { ...registryEntry, fingerprint: 'c' };
      await expect(registry.put('web-1', other, never)).rejects.toMatchObject({
        code: 'REGISTRY_DISAGREES',
        details: { agent: 'web-1', generation: 1 },
      });
      expect(await registry.list('web-1', never)).toEqual([rewrapped]);
    });

    it('leases a host to one at a time, and says to whom and until when', async () => {
      const registry = await make();
      await registry.lease('web-1', { holder: 'one', until: later(10) }, now, never);

      await expect(
        registry.lease('web-1', { holder: 'other', until: later(20) }, later(9), never),
      ).rejects.toMatchObject(held({ holder: 'one', until: later(10).toISOString() }));
      await registry.lease('web-2', { holder: 'other', until: later(20) }, now, never);
      await registry.lease('web-1', { holder: 'one', until: later(30) }, later(9), never);
      await expect(
        registry.lease('web-1', { holder: 'other', until: later(40) }, later(11), never),
      ).rejects.toMatchObject({ code: 'REGISTRY_LEASED' });
    });

    it('leases anew what was given back, or what a holder that died left to run out', async () => {
      const registry = await make();
      await registry.lease('web-1', { holder: 'one', until: later(10) }, now, never);
      await registry.release('web-1', 'one', never);
      await registry.lease('web-1', { holder: 'died', until: later(10) }, now, never);

      await registry.lease('web-1', { holder: 'other', until: later(30) }, later(11), never);
      await registry.release('web-1', 'died', never);

      await expect(
        registry.lease('web-1', { holder: 'third', until: later(30) }, later(12), never),
      ).rejects.toMatchObject(held({ holder: 'other' }));
    });

    it('knows the highest version of each secret, each host its own, and never lowers one', async () => {
      const registry = await make();

      await registry.raise('web-1', new Map(numbered(3)), never);
      await registry.raise(
        'web-1',
        new Map([
          ['secret-0', 9],
          ['secret-1', 4],
          ['new', 1],
        ]),
        never,
      );
      await registry.raise('web-1', new Map([['secret-0', 2]]), never);
      await registry.raise('web-2', new Map([['secret-0', 1]]), never);

      expect(await registry.seen('web-1', never)).toEqual(
        new Map([
          ['secret-0', { version: 9 }],
          ['secret-1', { version: 5 }],
          ['secret-2', { version: 5 }],
          ['new', { version: 1 }],
        ]),
      );
      expect(await registry.seen('web-2', never)).toEqual(new Map([['secret-0', { version: 1 }]]));
      expect(await registry.list('web-1', never)).toEqual([]);
    });

    it('holds more names than one item has room for', async () => {
      const registry = await make();
      await registry.raise('web-1', new Map(numbered(4_500)), never);

      await registry.raise('web-1', new Map([['secret-4499', 6]]), never);

      const seen = await registry.seen('web-1', never);
      expect(seen.size).toBe(4_500);
      expect(seen.get('secret-4499')).toEqual({ version: 6 });
    });

    it('loses nothing that several raise at once', async () => {
      const registry = await make();

      await Promise.all(
        [1, 2, 3, 4].map((each) =>
          registry.raise(
            'web-1',
            new Map([
              ['shared', each],
              [`own-${each}`, each],
            ] as const),
            never,
          ),
        ),
      );

      const seen = await registry.seen('web-1', never);
      expect(seen.get('shared')).toEqual({ version: 4 });
      expect(seen.size).toBe(5);
    });

    it('lets an older version come back once an operator allows it', async () => {
      const registry = await make();
      await registry.raise('web-1', new Map([['tls-key', 7]]), never);

      expect(await registry.allowOlder('web-1', 'tls-key', never)).toBe(7);
      expect(await registry.allowOlder('web-1', 'tls-key', never)).toBe(7);
      expect(await registry.allowOlder('web-1', 'never-seen', never)).toBeUndefined();

      expect(await registry.seen('web-1', never)).toEqual(
        new Map([['tls-key', { version: 0, loweredFrom: 7 }]]),
      );
      await registry.raise('web-1', new Map([['tls-key', 3]]), never);
      expect(await registry.seen('web-1', never)).toEqual(new Map([['tls-key', { version: 3 }]]));
    });

    it('gives up with the reason of an aborted signal', async () => {
      const registry = await make();
      const reason = new Error('stopping');
      const aborted = AbortSignal.abort(reason);

      await expect(registry.check(aborted)).rejects.toBe(reason);
      await expect(registry.list('web-1', aborted)).rejects.toBe(reason);
      await expect(registry.seen('web-1', aborted)).rejects.toBe(reason);
      await expect(registry.raise('web-1', new Map([['x', 1]]), aborted)).rejects.toBe(reason);
    });
  });
}

function numbered(count: number): [string, number][] {
  return Array.from({ length: count }, (_each, number) => [`secret-${number}`, 5]);
}
