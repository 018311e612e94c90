import { describe, expect, it } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { LogEvent } from '../base/log-events.ts';
import { Secret } from '../base/secret.ts';
import { deliveriesConfig } from './config.ts';
import { deliveries } from './deliveries.ts';
import { deliveryContract } from './delivery.contract.ts';
import type { Delivery } from './delivery.ts';
import { deliveryError } from './errors.ts';

const never = new AbortController().signal;

/** A delivery into memory that can be told to fail or to hang. */
function memoryDelivery() {
  let seen: Buffer | undefined;
  let failure: Error | 'hang' | undefined;
  let attempts = 0;
  const delivery: Delivery = {
    async deliver({ value }, signal) {
      signal.throwIfAborted();
      attempts += 1;
      if (failure === 'hang') await new Promise<void>(() => undefined);
      else if (failure !== undefined) throw failure;
      if (seen?.equals(value.revealBytes()) === true) return { written: false };
      seen = Buffer.from(value.revealBytes());
      return { written: true };
    },

    async withdraw(signal) {
      signal.throwIfAborted();
      attempts += 1;
      if (failure === 'hang') await new Promise<void>(() => undefined);
      else if (failure !== undefined) throw failure;
      const removed = seen !== undefined;
      seen = undefined;
      return { removed };
    },
  };
  return {
    delivery,
    seen: () => seen,
    failWith: (error: Error | 'hang' | undefined) => {
      failure = error;
    },
    attempts: () => attempts,
  };
}

deliveryContract('the delivery in memory', memoryDelivery);

function setup() {
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const places = new Map<string, ReturnType<typeof memoryDelivery>>();
  const values = new Map<string, { value: Secret; version: string }>();
  const all = deliveries({
    make({ file }) {
      const made = places.get(file) ?? memoryDelivery();
      places.set(file, made);
      return made.delivery;
    },
    secretOf: (name) => values.get(name),
    log: (event) => events.push(event),
    clock,
    random: () => 0.5,
  });
  const config = deliveriesConfig.parse([
    { secret: 'a', file: '/run/a' },
    { secret: 'b', file: '/run/b' },
  ]);
  all.configure(config);
  const put = (name: string, text: string) =>
    values.set(name, { value: Secret.ofText(text), version: `${text}-version` });
  const place = (file: string) => {
    const found = places.get(file);
    if (found === undefined) throw new Error(`nothing is delivered to ${file}`);
    return found;
  };
  const seen = (file: string) => place(file).seen()?.toString();
  const names = () => events.map(({ name, fields }) => [name, fields.delivery]);
  return { all, clock, config, events, names, place, put, seen };
}

describe('deliveries', () => {
  it('hands every secret over, says so, and knows since when', async () => {
    const { all, clock, put, seen, events } = setup();
    put('a', 'one');
    put('b', 'two');

    await all.deliver(undefined, never);

    expect([seen('/run/a'), seen('/run/b')]).toEqual(['one', 'two']);
    expect(all.status()).toEqual([
      { delivery: '/run/a', secret: 'a', version: 'one-version', deliveredAt: clock.now().toISOString() },
      { delivery: '/run/b', secret: 'b', version: 'two-version', deliveredAt: clock.now().toISOString() },
    ]);
    expect(events[0]).toMatchObject({
      name: 'delivery.written',
      audit: 'success',
      fields: { delivery: '/run/a', secret: 'a', version: 'one-version' },
    });
    expect(JSON.stringify(events)).not.toMatch(/"(?:one|two)"/u);
  });

  it('hands the others over when one fails or was never read', async () => {
    const { all, place, put, seen } = setup();
    put('b', 'two');

    await all.deliver(undefined, never);
    expect(seen('/run/b')).toBe('two');
    expect(all.status()[0]).toEqual({ delivery: '/run/a', secret: 'a', failing: 'DELIVERY_SECRET_MISSING' });

    put('a', 'one');
    put('b', 'three');
    place('/run/a').failWith(deliveryError('DELIVERY_NOT_IN_MEMORY'));
    await all.deliver(undefined, never);
    expect(seen('/run/b')).toBe('three');
    expect(all.status()[0]).toMatchObject({ failing: 'DELIVERY_NOT_IN_MEMORY' });
  });

  it('delivers only what the named secrets touch', async () => {
    const { all, place, put } = setup();
    put('a', 'one');
    put('b', 'two');

    await all.deliver(['b'], never);

    expect([place('/run/a').attempts(), place('/run/b').attempts()]).toEqual([0, 1]);
  });

  it('says a failure once until it changes, and its end', async () => {
    const { all, place, put, names } = setup();
    put('a', 'one');
    const a = place('/run/a');

    for (const failure of [
      'DELIVERY_NOT_IN_MEMORY',
      'DELIVERY_NOT_IN_MEMORY',
      'DELIVERY_FOLDER_UNSAFE',
    ] as const) {
      a.failWith(deliveryError(failure));
      await all.deliver(['a'], never);
    }
    a.failWith(undefined);
    await all.deliver(['a'], never);
    await all.deliver(['a'], never);

    expect(names()).toEqual([
      ['delivery.failed', '/run/a'],
      ['delivery.failed', '/run/a'],
      ['delivery.written', '/run/a'],
      ['delivery.recovered', '/run/a'],
      ['delivery.current', '/run/a'],
    ]);
  });

  it('tries a failed delivery again, less and less often, until it succeeds', async () => {
    const { all, clock, place, put, seen } = setup();
    put('a', 'one');
    put('b', 'two');
    place('/run/a').failWith(deliveryError('DELIVERY_FOLDER_UNSAFE'));
    const stop = new AbortController();
    const running = all.run(stop.signal);
    await all.deliver(undefined, never);

    await clock.advance(500);
    expect(place('/run/a').attempts()).toBe(2);
    await clock.advance(999);
    expect(place('/run/a').attempts()).toBe(2);
    await clock.advance(1);
    expect(place('/run/a').attempts()).toBe(3);

    place('/run/a').failWith(undefined);
    await clock.advance(2_000);
    expect(seen('/run/a')).toBe('one');
    await clock.advance(600_000);
    expect(place('/run/a').attempts()).toBe(4);
    expect(place('/run/b').attempts()).toBe(1);

    stop.abort();
    await running;
    expect(clock.sleeping).toBe(0);
  });

  it('gives up on a delivery that hangs, and the others are long done', async () => {
    const { all, clock, place, put, seen } = setup();
    put('a', 'one');
    put('b', 'two');
    place('/run/a').failWith('hang');

    const delivering = all.deliver(undefined, never);
    await clock.advance(1);
    expect(seen('/run/b')).toBe('two');
    await clock.advance(10_000);
    await delivering;

    expect(all.status()[0]?.failing).toBe('DELIVERY_TOO_LATE');
  });

  it('keeps what it knows of a delivery that a new config leaves as it is', async () => {
    const { all, config, put } = setup();
    put('a', 'one');
    put('b', 'two');
    await all.deliver(undefined, never);

    all.configure(
      structuredClone(config).map((item) =>
        item.secret === 'b' ? Object.assign(item, { mode: '0440' }) : item,
      ),
    );

    expect(all.status().map(({ version }) => version)).toEqual(['one-version', undefined]);
  });

  it('removes what a delivery handed over that leaves the config, once the others are done', async () => {
    const { all, config, put, seen, events } = setup();
    put('a', 'one');
    put('b', 'two');
    await all.deliver(undefined, never);
    events.length = 0;

    all.configure(config.slice(1));
    expect(seen('/run/a')).toBe('one');
    await all.deliver(undefined, never);
    await all.deliver(undefined, never);

    expect([seen('/run/a'), seen('/run/b')]).toEqual([undefined, 'two']);
    expect(events.filter(({ level }) => level !== 'debug')).toMatchObject([
      {
        name: 'delivery.removed',
        audit: 'success',
        fields: { delivery: '/run/a', secret: 'a', version: 'one-version' },
      },
    ]);
    expect(all.status().map(({ delivery }) => delivery)).toEqual(['/run/b']);
  });

  it('removes the file before when a delivery gets another one', async () => {
    const { all, config, put, seen } = setup();
    put('a', 'one');
    put('b', 'two');
    await all.deliver(undefined, never);

    all.configure(
      structuredClone(config).map((item) => Object.assign(item, { file: item.file.replace('a', 'c') })),
    );
    await all.deliver(undefined, never);

    expect([seen('/run/a'), seen('/run/b'), seen('/run/c')]).toEqual([undefined, 'two', 'one']);
  });

  it('removes nothing of a delivery whose file stays, whatever else of it changes', async () => {
    const { all, config, put, seen, events } = setup();
    put('a', 'one');
    put('b', 'two');
    await all.deliver(undefined, never);

    all.configure(structuredClone(config).map((item) => Object.assign(item, { secret: 'b' })));
    await all.deliver(undefined, never);

    expect([seen('/run/a'), seen('/run/b')]).toEqual(['two', 'two']);
    expect(events.map(({ name }) => name)).not.toContain('delivery.removed');
  });

  it('tries a removal again that failed, and says so once', async () => {
    const { all, clock, config, place, put, seen, events } = setup();
    put('a', 'one');
    put('b', 'two');
    await all.deliver(undefined, never);
    place('/run/a').failWith(deliveryError('DELIVERY_TOO_LATE'));
    events.length = 0;
    const stop = new AbortController();
    const running = all.run(stop.signal);

    all.configure(config.slice(1));
    await all.deliver(undefined, never);
    await clock.advance(10_000);
    place('/run/a').failWith(undefined);
    await clock.advance(60_000);

    expect(seen('/run/a')).toBeUndefined();
    expect(events.filter(({ level }) => level !== 'debug')).toMatchObject([
      { name: 'delivery.remove-failed', audit: 'failure', fields: { version: 'one-version' } },
      { name: 'delivery.removed' },
    ]);
    const attempts = place('/run/a').attempts();
    await clock.advance(600_000);
    expect(place('/run/a').attempts()).toBe(attempts);
    stop.abort();
    await running;
    expect(clock.sleeping).toBe(0);
  });

  it('does not try again to remove what others changed', async () => {
    const { all, clock, config, place, put } = setup();
    put('a', 'one');
    await all.deliver(['a'], never);
    place('/run/a').failWith(deliveryError('DELIVERY_CHANGED_BY_OTHERS'));
    const stop = new AbortController();
    const running = all.run(stop.signal);

    all.configure(config.slice(1));
    await all.deliver(undefined, never);
    const attempts = place('/run/a').attempts();
    await clock.advance(600_000);

    expect(place('/run/a').attempts()).toBe(attempts);
    stop.abort();
    await running;
  });

  it('does not remove a file whose delivery is back before it could be removed', async () => {
    const { all, clock, config, place, put, seen } = setup();
    put('a', 'one');
    put('b', 'two');
    await all.deliver(undefined, never);
    place('/run/a').failWith(deliveryError('DELIVERY_TOO_LATE'));
    const stop = new AbortController();
    const running = all.run(stop.signal);
    all.configure(config.slice(1));
    await all.deliver(undefined, never);

    all.configure(config);
    place('/run/a').failWith(undefined);
    await all.deliver(undefined, never);
    await clock.advance(600_000);

    expect(seen('/run/a')).toBe('one');
    expect(all.status()[0]).toMatchObject({ delivery: '/run/a', version: 'one-version' });
    stop.abort();
    await running;
  });

  it('delivers no more to a file that left while its turn had not come', async () => {
    const { all, config, place, put } = setup();
    put('a', 'one');

    const delivering = all.deliver(['a'], never);
    all.configure(config.slice(1));
    await delivering;

    expect(place('/run/a').attempts()).toBe(0);
  });

  it('does not remove a file whose delivery is back while the removal had to wait', async () => {
    const { all, clock, config, place, put, seen } = setup();
    put('a', 'one');
    put('b', 'two');
    await all.deliver(undefined, never);
    place('/run/a').failWith('hang');
    const delivering = all.deliver(['a'], never);
    await clock.advance(1);
    place('/run/a').failWith(undefined);
    all.configure(config.slice(1));
    const removing = all.deliver(undefined, never);
    await clock.advance(1);

    all.configure(config);
    await clock.advance(10_000);
    await Promise.all([delivering, removing]);

    expect(seen('/run/a')).toBe('one');
  });

  it('stops with the reason of an aborted signal', async () => {
    const { all, events } = setup();
    const reason = new Error('stopping');

    await expect(all.deliver(undefined, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(events).toEqual([]);
  });
});

describe('deliveriesConfig', () => {
  const delivery = { secret: 'a', file: '/run/gatehouse/a' };

  it('fills in the safe defaults', () => {
    expect(deliveriesConfig.parse([delivery])).toEqual([{ ...delivery, mode: '0400', allowDisk: false }]);
  });

  it.each([
    { ...delivery, mode: '0404' },
    { ...delivery, mode: '0407' },
    { ...delivery, mode: '4400' },
    { ...delivery, mode: '0000' },
    { ...delivery, mode: '400 ' },
    { ...delivery, file: 'relative' },
    { ...delivery, file: '/run/../etc/shadow' },
    { ...delivery, file: '/run/./a' },
    { ...delivery, file: '/run//a' },
    { ...delivery, file: '/run/a/' },
    { ...delivery, file: '/run/..' },
    { ...delivery, file: '/..' },
    { ...delivery, file: '/' },
    { ...delivery, file: '/run/a\0b' },
    { ...delivery, owner: '-x' },
    { ...delivery, owner: 'a:b' },
    { ...delivery, secret: '' },
    { ...delivery, world: true },
  ])('refuses %o', (item) => {
    expect(deliveriesConfig.safeParse([item]).success).toBe(false);
  });

  it.each([
    { ...delivery, file: '/run/.hidden' },
    { ...delivery, file: '/run/a..b/c.' },
    { ...delivery, owner: '1000', group: 'app-1' },
    { ...delivery, owner: 'machine$' },
  ])('accepts %o', (item) => {
    expect(deliveriesConfig.safeParse([item]).success).toBe(true);
  });
});
