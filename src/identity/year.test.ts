import { expect, test } from 'vitest';
import { type Clock, withDeadline } from '../base/clock.ts';
import type { LogEvent } from '../base/log-events.ts';
import { Secret } from '../base/secret.ts';
import type { CredentialSource, Credentials } from './credential-source.ts';
import { denials } from './denials.ts';
import { identityError, type identityErrors } from './errors.ts';
import { refreshing } from './refreshing.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const yearDays = 365;

type Trouble = keyof typeof identityErrors;

interface Spell {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly trouble: Trouble;
}

/** What goes wrong in that year, and when: the shorter outage is bridged, the longer one cannot be. */
const spells: readonly Spell[] = [
  // Ten minutes every six hours for a week: a fleet that asks for too much.
  ...Array.from({ length: 28 }, (_spell, index) => ({
    fromMs: 40 * dayMs + index * 6 * hourMs,
    untilMs: 40 * dayMs + index * 6 * hourMs + 10 * minuteMs,
    trouble: 'CREDENTIALS_THROTTLED' as const,
  })),
  { fromMs: 100 * dayMs, untilMs: 100 * dayMs + 9 * minuteMs, trouble: 'CREDENTIALS_STS_UNREACHABLE' },
  { fromMs: 200 * dayMs, untilMs: 200 * dayMs + 3 * hourMs, trouble: 'CREDENTIALS_STS_UNREACHABLE' },
];

/** Days on which what is in hand is revoked: a rotation of what the sessions are given for. */
const revokedOn = [91, 182, 273];

/** A year of hour-long sessions, on a clock that moves when told. */
function setup(seed: number) {
  const clock = swiftClock();
  const logged: LogEvent[] = [];
  const random = dice(seed);
  const world = { loads: 0, refused: 0, revoked: new Set<string>() };
  const trouble = (atMs = clock.monotonic()): Trouble | undefined =>
    spells.find(({ fromMs, untilMs }) => atMs >= fromMs && atMs < untilMs)?.trouble;
  const source: CredentialSource = {
    name: 'fake',
    absence: 'never',
    async load() {
      world.loads += 1;
      const now = trouble();
      if (now !== undefined) {
        world.refused += 1;
        throw identityError(now);
      }
      return {
        accessKeyId: `ASIA${world.loads}`,
        secretAccessKey: Secret.ofText('s'),
        sessionToken: Secret.ofText('t'),
        expiration: new Date(clock.now().getTime() + hourMs),
        source: 'fake',
      };
    },
  };
  const log = (event: LogEvent) => void logged.push(event);
  const credentials = refreshing(source, { clock, log, random });
  const denied = denials(credentials, { clock, log, random });
  const count = (name: string): number => logged.filter((event) => event.name === name).length;
  return { clock, world, credentials, denied, trouble, count };
}

/** How many promises deep a wake-up may go before time moves on. */
const promisesDeep = 40;

async function settled(): Promise<void> {
  for (let depth = 0; depth < promisesDeep; depth += 1) await Promise.resolve();
}

/**
 * A clock that moves when told, for half a million wake-ups: it waits for promises, and not for turns of the event loop
 * as `fakeClock` does. Of one sleeper at a time.
 */
function swiftClock() {
  const start = Date.parse('2026-01-01T00:00:00Z');
  let elapsed = 0;
  let sleeper: { readonly at: number; readonly wake: () => void } | undefined;
  const clock: Clock & { advance(ms: number): Promise<void> } = {
    now: () => new Date(start + elapsed),
    monotonic: () => elapsed,
    async sleep(ms, signal) {
      signal.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const onAbort = (): void => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      // Whole milliseconds, as timers have: less than the clock can show would be no progress.
      sleeper = { at: elapsed + Math.max(1, Math.ceil(ms)), wake: resolve };
      await promise;
      signal.removeEventListener('abort', onAbort);
    },
    deadline: (ms, what, signal, work) => withDeadline(clock, ms, what, signal, work),
    async advance(ms) {
      const target = elapsed + ms;
      await settled();
      while (sleeper !== undefined && sleeper.at <= target) {
        const { at, wake } = sleeper;
        sleeper = undefined;
        elapsed = at;
        wake();
        await settled();
      }
      elapsed = target;
    },
  };
  return clock;
}

/** A small generator with a seed, so that a year that fails can be had again. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test.each([20_261_126])(
  'a year of hourly sessions uses no expired ones while others could be had: %i',
  { timeout: 120_000 },
  async (seed) => {
    const { clock, world, credentials, denied, trouble, count } = setup(seed);
    const stop = new AbortController();
    const never = new AbortController().signal;
    const ended = credentials.run(stop.signal).catch(() => undefined);
    const made = { calls: 0, withExpired: 0, withoutAny: 0, withoutNeed: 0, deniedTwice: 0 };
    let held: Credentials | undefined;

    /** One call to AWS, as a client makes it. */
    async function call(): Promise<void> {
      made.calls += 1;
      held = await credentials.current(never).catch(() => undefined);
      if (held === undefined) {
        made.withoutAny += 1;
        return;
      }
      if ((held.expiration ?? clock.now()) <= clock.now()) made.withExpired += 1;
      const { accessKeyId } = held;
      if (!world.revoked.has(accessKeyId)) {
        denied.accepted('STS', accessKeyId);
        return;
      }
      const denial = { service: 'STS', awsError: 'ExpiredToken', accessKeyId, mayBePermission: false };
      const isNewer = await denied.renew(denial, never).catch(() => false);
      const again = await credentials.current(never);
      if (!isNewer || world.revoked.has(again.accessKeyId)) made.deniedTwice += 1;
    }

    for (let step = 0; step < yearDays * 24 * 4; step += 1) {
      const day = step / (24 * 4);
      const { accessKeyId = '' } = credentials.state();
      if (revokedOn.includes(day)) world.revoked.add(accessKeyId);
      await call();
      // A source that was out of reach is asked at least each minute.
      const couldHave = trouble() === undefined && trouble(clock.monotonic() - minuteMs) === undefined;
      if (held === undefined && couldHave) made.withoutNeed += 1;
      await clock.advance(15 * minuteMs);
    }
    stop.abort();
    await ended;

    expect(made.calls).toBe(35_040);
    expect(made.withExpired).toBe(0);
    expect(made.deniedTwice).toBe(0);
    // Only in the outage that is longer than a session, and not beyond it.
    expect(made.withoutAny).toBeGreaterThanOrEqual(8);
    expect(made.withoutAny).toBeLessThanOrEqual(12);
    expect(made.withoutNeed).toBe(0);
    // 8760 hours by sessions used for two thirds to five sixths of their hour: 10,512 to 13,140, and three revocations.
    const renewals = world.loads - world.refused;
    expect(renewals).toBeGreaterThanOrEqual(10_400);
    expect(renewals).toBeLessThanOrEqual(13_143);
    // Tries during trouble: seconds to a minute apart in the outages, 20 s to 5 min while throttled.
    expect(world.refused).toBeLessThan(28 * 12 + 200 + 500);
    expect(count('credentials.expired')).toBe(1);
    expect(count('credentials.renewed-early')).toBe(revokedOn.length);
    expect(count('credentials.denied')).toBe(0);
    expect(count('credentials.recovered')).toBe(count('credentials.renewal-failed'));
  },
);
