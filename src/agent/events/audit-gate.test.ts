import { describe, expect, test } from 'vitest';
import { GatehouseError } from '../../base/errors.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { Secret } from '../../base/secret.ts';
import { eventsError } from '../../events/errors.ts';
import { announced, auditGate, gated } from './audit-gate.ts';

const never = new AbortController().signal;
const secret = { name: 'password', value: Secret.ofText('x'), version: 'v1' };

/** A delivery and a source behind the gate, with all that happens in its order. */
function setup(whenFull: 'allow' | 'deny' = 'deny') {
  const happened: string[] = [];
  let isBlocked = false;
  const gate = auditGate(
    { whenFull },
    {
      async audited() {
        happened.push('gate');
        if (isBlocked) throw eventsError('EVENTS_AUDIT_BLOCKED');
      },
    },
  );
  const log = (event: LogEvent): void => void happened.push(event.name);
  const delivery = announced(
    gate,
    '/run/password',
    {
      async deliver() {
        happened.push('delivered');
        return { written: true };
      },
      async withdraw() {
        happened.push('withdrawn');
        return { removed: true };
      },
    },
    log,
  );
  const source = gated(gate, {
    async read() {
      happened.push('read');
      return { value: secret.value, version: 'v1' };
    },
  });
  return {
    happened,
    delivery,
    source,
    block: (blocked: boolean) => {
      isBlocked = blocked;
    },
  };
}

const codeOf = (error: unknown): string => (error instanceof GatehouseError ? error.code : String(error));

describe('where a full audit denies access', () => {
  test('a delivery is made after its record is durable', async () => {
    const { delivery, happened } = setup();

    await delivery.deliver(secret, never);

    expect(happened).toEqual(['delivery.begun', 'gate', 'delivered']);
  });

  test('a delivery whose record cannot be kept is not made, and is announced again', async () => {
    const { delivery, happened, block } = setup();

    block(true);
    const code = await delivery.deliver(secret, never).catch(codeOf);
    block(false);
    await delivery.deliver(secret, never);

    expect(code).toBe('EVENTS_AUDIT_BLOCKED');
    expect(happened).toEqual(['delivery.begun', 'gate', 'delivery.begun', 'gate', 'delivered']);
  });

  test('the same version is announced once, and still asks', async () => {
    const { delivery, happened } = setup();

    await delivery.deliver(secret, never);
    await delivery.deliver(secret, never);
    await delivery.deliver({ ...secret, version: 'v2' }, never);

    expect(happened.join(' ')).toBe(
      'delivery.begun gate delivered gate delivered delivery.begun gate delivered',
    );
  });

  test('what was delivered is taken back, however full the audit is', async () => {
    const { delivery, happened, block } = setup();
    block(true);

    expect(await delivery.withdraw(never)).toEqual({ removed: true });
    expect(happened).toEqual(['withdrawn']);
  });

  test('a secret is not read', async () => {
    const { source, happened, block } = setup();
    block(true);

    expect(await source.read({}, never).catch(codeOf)).toBe('EVENTS_AUDIT_BLOCKED');
    expect(happened).toEqual(['gate']);
  });
});

test('where it allows access, nothing waits and nothing is announced', async () => {
  const { delivery, source, happened, block } = setup('allow');
  block(true);

  await delivery.deliver(secret, never);
  await source.read({}, never);

  expect(happened).toEqual(['delivered', 'read']);
});
