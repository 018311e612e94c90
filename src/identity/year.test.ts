import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { authority } from '../../test/support/certificates.ts';
import { testMsMax } from '../../test/support/patience.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { type Clock, withDeadline } from '../base/clock.ts';
import type { LogEvent } from '../base/log-events.ts';
import type { CredentialSource, Credentials } from './credential-source.ts';
import { denials } from './denials.ts';
import { refreshing } from './refreshing.ts';
import type { Post } from './roles-anywhere/create-session.ts';
import { rolesAnywhere } from './roles-anywhere/roles-anywhere.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const yearDays = 365;
const yearStart = Date.parse('2026-01-01T00:00:00Z');

interface Spell {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly trouble: 'throttled' | 'away';
}

/** What goes wrong in that year, and when: the shorter outage is bridged, the longer one cannot be. */
const spells: readonly Spell[] = [
  // Ten minutes every six hours for a week: a fleet that asks for too much.
  ...Array.from({ length: 28 }, (_spell, index) => ({
    fromMs: 40 * dayMs + index * 6 * hourMs,
    untilMs: 40 * dayMs + index * 6 * hourMs + 10 * minuteMs,
    trouble: 'throttled' as const,
  })),
  { fromMs: 100 * dayMs, untilMs: 100 * dayMs + 9 * minuteMs, trouble: 'away' },
  { fromMs: 200 * dayMs, untilMs: 200 * dayMs + 3 * hourMs, trouble: 'away' },
];

/** Days on which the certificate is replaced: the key first, an hour later the certificate that goes with it. */
const rotatedOn = [91, 182, 273];
const rotationMs = hourMs;

/** Days on which what is in hand is revoked. */
const revokedOn = [60, 150, 300];

/** A year of hour-long sessions of a certificate in a file, on a clock that moves when told. */
async function setup(seed: number) {
  const world = {
    loads: 0,
    /** Calls to AWS. */
    posts: 0,
    refused: 0,
    revoked: new Set<string>(),
    /** Serial numbers that signed, and how often one did outside of its validity. */
    signers: new Set<string>(),
    outdated: 0,
    /** How many slept when the load under way began. It reads files, for which a clock that moves would not wait. */
    loadingSince: undefined as number | undefined,
  };
  const clock = swiftClock(() => world.loadingSince);
  const logged: LogEvent[] = [];
  const random = dice(seed);
  const trouble = (atMs = clock.monotonic()): Spell['trouble'] | undefined =>
    spells.find(({ fromMs, untilMs }) => atMs >= fromMs && atMs < untilMs)?.trouble;
  const post: Post = async ({ headers }) => {
    world.posts += 1;
    const x509 = new X509Certificate(Buffer.from(headers['x-amz-x509'] ?? '', 'base64'));
    world.signers.add(x509.serialNumber);
    const now = clock.now();
    if (x509.validFromDate > now || x509.validToDate < now) world.outdated += 1;
    const date = now.toUTCString();
    const reply = (status: number, body: object) => ({
      status,
      header: (name: string) => (name === 'date' ? date : undefined),
      body: JSON.stringify(body),
    });
    const met = trouble();
    if (met === 'away') throw new Error('ECONNREFUSED');
    if (met === 'throttled') return reply(429, { __type: 'ThrottlingException', message: 'Rate exceeded' });
    const credentials = {
      accessKeyId: `ASIA${world.posts}`,
      secretAccessKey: 's',
      sessionToken: 't',
      expiration: new Date(now.getTime() + hourMs).toISOString(),
    };
    return reply(201, { credentialSet: [{ credentials, roleArn: arns.roleArn }] });
  };
  const log = (event: LogEvent) => void logged.push(event);
  const folder = temporaryDirectory();
  const files = { certificate: join(folder, 'host.pem'), privateKey: join(folder, 'host.key') };
  const certificates = await quarterly();
  const rotate = {
    key: (index: number) => put(files.privateKey, certificates[index]?.keyPem ?? ''),
    certificate: (index: number) => put(files.certificate, certificates[index]?.pem ?? ''),
  };
  rotate.key(0);
  rotate.certificate(0);
  const endpoint = { endpoint: undefined, useFips: false, useDualstack: false };
  const signing = rolesAnywhere({ ...arns, ...files }, { env: {}, clock, log, endpoint, post });
  const source: CredentialSource = {
    ...signing,
    async load(signal) {
      world.loads += 1;
      world.loadingSince = clock.sleeping();
      try {
        return await signing.load(signal);
      } catch (error) {
        world.refused += 1;
        throw error;
      } finally {
        world.loadingSince = undefined;
      }
    },
  };
  const credentials = refreshing(source, { clock, log, random });
  const denied = denials(credentials, { clock, log, random });
  const count = (name: string): number => logged.filter((event) => event.name === name).length;
  return { clock, world, credentials, denied, trouble, count, rotate };
}

const arns = {
  trustAnchorArn: 'arn:aws:rolesanywhere:eu-west-1:123456789012:trust-anchor/a',
  profileArn: 'arn:aws:rolesanywhere:eu-west-1:123456789012:profile/p',
  roleArn: 'arn:aws:iam::123456789012:role/Host',
  sessionDurationSeconds: 3600,
};

function put(file: string, text: string): void {
  writeFileSync(file, text, { mode: 0o600 });
}

/** The moment from which the certificate of this number is valid. */
function certified(index: number): number {
  return yearStart + (index * 91 - 1) * dayMs;
}

/** Certificates of a hundred days, a new one every 91, each with a key of its own. */
async function quarterly() {
  const root = await authority();
  return Promise.all(
    [0, 1, 2, 3].map((index) =>
      root.issue({
        notBefore: new Date(certified(index)),
        notAfter: new Date(certified(index) + 100 * dayMs),
      }),
    ),
  );
}

/** How many promises deep a wake-up may go before time moves on. */
const promisesDeep = 40;

/**
 * A clock that moves when told, for half a million wake-ups: it waits for promises, and not for turns of the event loop
 * as `fakeClock` does, but while something is read.
 */
function swiftClock(loadingSince: () => number | undefined) {
  let elapsed = 0;
  const sleepers = new Set<{ readonly at: number; readonly wake: () => void }>();

  const isReading = (): boolean => sleepers.size <= (loadingSince() ?? -1);

  /** Promises are done, and whatever is read is read, or waits for the clock. */
  async function settled(): Promise<void> {
    do {
      if (isReading()) await turn();
      for (let depth = 0; depth < promisesDeep; depth += 1) await Promise.resolve();
    } while (isReading());
  }

  const clock: Clock & {
    advance(ms: number): Promise<void>;
    /** Moves until this is done; returns how far. */
    while(work: Promise<unknown>): Promise<number>;
    sleeping(): number;
  } = {
    now: () => new Date(yearStart + elapsed),
    monotonic: () => elapsed,
    sleeping: () => sleepers.size,
    async sleep(ms, signal) {
      signal.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const onAbort = (): void => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      // Whole milliseconds, as timers have: less than the clock can show would be no progress.
      const own = { at: elapsed + Math.max(1, Math.ceil(ms)), wake: resolve };
      sleepers.add(own);
      try {
        await promise;
      } finally {
        signal.removeEventListener('abort', onAbort);
        sleepers.delete(own);
      }
    },
    deadline: (ms, what, signal, work) => withDeadline(clock, ms, what, signal, work),
    async advance(ms) {
      const target = elapsed + ms;
      await settled();
      for (;;) {
        const [next] = [...sleepers].toSorted((one, other) => one.at - other.at);
        if (next === undefined || next.at > target) break;
        elapsed = next.at;
        next.wake();
        await settled();
      }
      elapsed = target;
    },
    async while(work) {
      const from = elapsed;
      const progress = { isDone: false };
      const done = work.finally(() => {
        progress.isDone = true;
      });
      await settled();
      while (!progress.isDone) await clock.advance(1000);
      await done;
      return elapsed - from;
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

/** It waits for nobody: twelve seconds of a core of its own, and ten minutes of one that twenty others want. */
const computingMsMax = 6 * testMsMax;

test.each([20_261_126])(
  'a year of hourly sessions uses no expired ones while others could be had: %i',
  async (seed) => {
    const { clock, world, credentials, denied, trouble, count, rotate } = await setup(seed);
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
      const rotation = rotatedOn.findIndex((each) => day === each || day === each + rotationMs / dayMs) + 1;
      if (rotation > 0) (rotatedOn.includes(day) ? rotate.key : rotate.certificate)(rotation);
      const waitedMs = await clock.while(call());
      // A source that was out of reach is asked at least each minute.
      const couldHave = trouble() === undefined && trouble(clock.monotonic() - minuteMs) === undefined;
      if (held === undefined && couldHave) made.withoutNeed += 1;
      await clock.advance(15 * minuteMs - waitedMs);
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
    // A session that is used to its end would be 8760.
    const renewals = world.loads - world.refused;
    expect(renewals).toBeGreaterThanOrEqual(10_400);
    expect(renewals).toBeLessThanOrEqual(13_143);
    // Tries during trouble: seconds to a minute apart in the outages, 20 s to 5 min while throttled.
    expect(world.refused).toBeLessThan(28 * 12 + 200 + 500);
    // Three attempts of each, and one of every other.
    expect(world.posts).toBe(renewals + 3 * world.refused);
    // Each certificate has signed, and none before or after its time; the hour in between went by with the one before.
    expect(world.signers.size).toBe(4);
    expect(world.outdated).toBe(0);
    expect(count('certificate.files-unusable')).toBe(rotatedOn.length);
    expect(count('credentials.expired')).toBe(1);
    expect(count('credentials.renewed-early')).toBe(revokedOn.length);
    expect(count('credentials.denied')).toBe(0);
    expect(count('credentials.recovered')).toBe(count('credentials.renewal-failed'));
  },
  computingMsMax,
);
