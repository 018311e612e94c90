import { describe, expect, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { memoryKeeper } from '../../../test/support/spool-fixture.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { Secret } from '../../base/secret.ts';
import { eventsError } from '../errors.ts';
import { type DataKey, keyRing } from './data-keys.ts';
import { keyKeeperContract } from './key-keeper.contract.ts';
import { sealBytes } from './record.ts';

keyKeeperContract('memoryKeeper', () => {
  const clock = fakeClock();
  const keeper = memoryKeeper(clock);
  return { keeper: () => keeper, pass: () => clock.advance(1000) };
});

const dayMs = 24 * 60 * 60 * 1000;

async function setup({ hasFirst = false } = {}) {
  const clock = fakeClock();
  const keeper = memoryKeeper(clock);
  const events: LogEvent[] = [];
  const log = (event: LogEvent): void => void events.push(event);
  const first: { first?: DataKey } = hasFirst ? { first: await keeper.fresh() } : {};
  keeper.asked.length = 0;
  const ring = keyRing(keeper, { ...first, clock, log });
  /** The id of the key that seals a day later, once a new one is there. */
  const nextDay = async (): Promise<string> => {
    await clock.advance(dayMs);
    await ring.current();
    await clock.advance(1);
    return (await ring.current()).keyId;
  };
  return { clock, keeper, ring, nextDay, ...first, names: () => events.map(({ name }) => name) };
}

describe('the ring of data keys', () => {
  test('asks nobody for the key that it was given', async () => {
    const { ring, keeper, first } = await setup({ hasFirst: true });

    const { keyId } = await ring.current();
    await ring.of(keyId);

    expect(keyId).toBe(first?.keyId);
    expect(keeper.asked).toEqual([]);
  });

  test('asks once for the key to seal with, however many need it, and opens with it too', async () => {
    const { ring, keeper } = await setup();

    const [one, other] = await Promise.all([ring.current(), ring.current()]);
    await ring.of(one.keyId);

    expect(other.keyId).toBe(one.keyId);
    expect(keeper.asked).toEqual(['fresh']);
  });

  test('asks once for a key to open with, and again where it could not be had', async () => {
    const { ring, keeper } = await setup();
    const { keyId } = await keeper.fresh();
    keeper.failure = eventsError('EVENTS_SPOOL_KEY_UNAVAILABLE');
    await expect(ring.of(keyId)).rejects.toMatchObject({ code: 'EVENTS_SPOOL_KEY_UNAVAILABLE' });
    keeper.failure = undefined;
    keeper.asked.length = 0;

    const [one, other] = await Promise.all([ring.of(keyId), ring.of(keyId)]);
    const later = await ring.of(keyId);

    expect([other === one, later === one]).toEqual([true, true]);
    expect(keeper.asked).toEqual([keyId]);
  });

  test('opens what it sealed before the key was changed', async () => {
    const { ring, nextDay } = await setup();
    const before = await ring.current();
    const sealed = Buffer.alloc(4);
    const seal = before.seal(Buffer.from('text'), 'here', sealed, 0);

    expect(await nextDay()).not.toBe(before.keyId);

    expect(seal.length).toBe(sealBytes);
    expect((await ring.of(before.keyId)).open(sealed, seal, 'here').toString()).toBe('text');
  });

  test('changes a key once a day, and says so each time', async () => {
    const { ring, nextDay, keeper, clock, names } = await setup();
    const ids = [(await ring.current()).keyId, await nextDay(), await nextDay()];
    await clock.advance(dayMs - 1000);

    ids.push((await ring.current()).keyId);
    await clock.advance(1);

    expect(new Set(ids).size).toBe(3);
    expect(keeper.asked).toEqual(['fresh', 'fresh', 'fresh']);
    expect(names()).toEqual(['events.key-rotated', 'events.key-rotated']);
  });

  test('says that a key could not be changed each time that it begins to fail', async () => {
    const { ring, nextDay, keeper, names } = await setup();
    await ring.current();
    for (const days of [1, 3]) {
      keeper.failure = eventsError('EVENTS_SPOOL_KEY_UNAVAILABLE');
      for (let day = 0; day < days; day += 1) await nextDay();
      keeper.failure = undefined;
      await nextDay();
    }

    expect(names()).toEqual([
      'events.key-rotation-failed',
      'events.key-rotated',
      'events.key-rotation-failed',
      'events.key-rotated',
    ]);
  });

  test('lets go of keys that nothing is sealed under, but of none that something may be sealed under now', async () => {
    const { ring, nextDay, keeper } = await setup();
    const inUse = new Set<string>();
    const first = (await ring.current()).keyId;
    const unused = (await keeper.fresh()).keyId;
    ring.prune(() => inUse);
    const afterPrune = [...keeper.keys.keys()];

    const second = await nextDay();
    const afterSecond = [...keeper.keys.keys()];
    inUse.add(first);
    const third = await nextDay();
    const fourth = await nextDay();
    inUse.clear();
    const fifth = await nextDay();

    expect(afterPrune).toEqual([first]);
    expect(afterPrune).not.toContain(unused);
    expect(afterSecond).toEqual([first, second]);
    expect([...keeper.keys.keys()]).toEqual([fourth, fifth]);
    expect(third).not.toBe(fourth);
  });

  test('lets go of no key before it is known what is sealed under them', async () => {
    const { ring, nextDay, keeper } = await setup();
    const { keyId } = await keeper.fresh();
    await ring.current();

    await nextDay();

    expect(keeper.keys.has(keyId)).toBe(true);
  });

  test('lets go of others as soon as it has a key, where it had none when it was told', async () => {
    const { ring, keeper, clock } = await setup();
    await keeper.fresh();
    await clock.advance(1000);
    const newest = await keeper.fresh();
    ring.prune(() => []);
    const before = keeper.keys.size;

    await ring.current();

    expect(before).toBe(2);
    expect([...keeper.keys.keys()]).toEqual([newest.keyId]);
  });

  test('has no key in memory after its end', async () => {
    const { ring, first } = await setup({ hasFirst: true });

    ring.close();

    expect(first?.key.equals(Secret.ofBytes(Buffer.alloc(32)))).toBe(true);
  });
});
