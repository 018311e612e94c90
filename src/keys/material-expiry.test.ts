import { describe, expect, it, onTestFinished } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { LogEvent } from '../base/log-events.ts';
import { materialExpiry } from './material-expiry.ts';

const dayMs = 24 * 60 * 60 * 1000;
const keyArn = 'arn:aws:kms:eu-west-1:123456789012:key/1b5f2a3c-0d4e-4f6a-8b7c-9d0e1f2a3b4c';

/** A key whose material ends in so many days; `imported` gives it another end, or none. */
function setup(days: number | undefined) {
  const clock = fakeClock();
  const stop = new AbortController();
  const events: LogEvent[] = [];
  const inDays = (count: number | undefined) =>
    count === undefined ? undefined : new Date(clock.now().getTime() + count * dayMs);
  let end = inDays(days);
  let isReachable = true;
  const expiry = materialExpiry({
    keyArn,
    expiresAt: end,
    ask: async () => {
      if (!isReachable) throw new Error('away');
      return end;
    },
    clock,
    log: (event) => events.push(event),
  });
  const ended = expiry.run(stop.signal).catch((error: unknown) => error);
  onTestFinished(async () => {
    stop.abort();
    await ended;
  });
  return {
    expiry,
    said: () => events.map(({ name, fields }) => [name, fields['days']]),
    pass: (count: number) => clock.advance(count * dayMs),
    imported: (count: number | undefined) => (end = inDays(count)),
    cut: () => (isReachable = false),
  };
}

describe('the end of imported key material', () => {
  it('is warned of 30, 7 and 1 days ahead, each once, and said when it has come', async () => {
    const { said, pass } = setup(40.2);

    for (let day = 0; day < 45; day += 0.5) await pass(0.5);

    expect(said()).toEqual([
      ['key.material-expiring', 29],
      ['key.material-expiring', 6],
      ['key.material-expiring', 0],
      ['key.material-expired', -1],
    ]);
  });

  it('is warned of at once where it is near at the start', () => {
    expect(setup(5.5).said()).toEqual([['key.material-expiring', 5]]);
  });

  it('is another one once the material was imported again', async () => {
    const { expiry, said, pass, imported } = setup(5.5);
    imported(300);

    await pass(1);
    imported(undefined);
    await pass(1);

    expect(said()).toHaveLength(1);
    expect(expiry.expiresAt()).toBeUndefined();
  });

  it('is what was known last while KMS is away', async () => {
    const { said, pass, cut } = setup(8);
    cut();

    for (let day = 0; day < 2; day += 0.5) await pass(0.5);

    expect(said()).toEqual([
      ['key.material-expiring', 8],
      ['key.material-expiring', 7],
    ]);
  });
});
