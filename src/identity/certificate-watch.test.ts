import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Authority, authority } from '../../test/support/certificates.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import type { LogEvent } from '../base/log-events.ts';
import { Secret } from '../base/secret.ts';
import { certificateWatch } from './certificate-watch.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const start = new Date('2026-11-22T12:00:00Z');

interface Life {
  readonly days: number;
  /** What the command does each time it is run, and its exit code. */
  readonly renewal?: (renew: (days: number) => Promise<void>, runs: number) => Promise<number>;
}

/** A certificate that lives so many days from now on, and the watch over it. */
async function setup({ days, renewal }: Life) {
  const clock = fakeClock(start);
  const root: Authority = await authority();
  const path = join(temporaryDirectory(), 'certificate.pem');
  const issue = async (lifeDays: number): Promise<void> => {
    const notBefore = clock.now();
    const notAfter = new Date(notBefore.getTime() + lifeDays * dayMs);
    writeFileSync(path, (await root.issue({ notBefore, notAfter })).pem);
  };
  await issue(days);
  const events: LogEvent[] = [];
  const ran: string[][] = [];
  const renewals: (Promise<number> | undefined)[] = [];
  const watch = certificateWatch(
    {
      certificate: path,
      privateKey: join(path, '..', 'private-key.pem'),
      ...(renewal === undefined ? {} : { renewCommand: ['/usr/bin/renew', '--now'] }),
    },
    {
      env: {},
      clock,
      log: (event) => void events.push(event),
      random: () => 0,
      run: async (argv) => {
        ran.push([...argv]);
        const renewed = renewal?.(issue, ran.length);
        renewals.push(renewed);
        const exitCode = (await renewed) ?? 0;
        return { stdout: Buffer.alloc(0), stderr: Secret.ofText(''), exitCode };
      },
    },
  );
  const stop = new AbortController();
  const running = watch.run(stop.signal).catch((error: unknown) => error);
  // The first look.
  await clock.advance(0);
  onTestFinished(async () => {
    stop.abort(new Error('the test is over'));
    expect(await running).toBe(stop.signal.reason);
  });
  const said = () =>
    events.map(({ name, fields }) => [name, fields['daysLeft']].filter((each) => each !== undefined));
  /** In leaps: the watch looks at the wall clock each minute, and a year of minutes takes long. */
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += hourMs) {
      clock.jump(hourMs - minuteMs);
      await clock.advance(minuteMs);
      // Certificates are made by threads of their own, which the clock does not wait for.
      await Promise.all(renewals.map(async (each) => each));
      await clock.advance(0);
    }
  };
  return { clock, path, issue, events, ran, watch, said, pass };
}

describe('a certificate', () => {
  test('is the one that the key is of, wherever it stands in its file', async () => {
    const { clock, path, watch } = await setup({ days: 90 });
    const root = await authority();
    const leaf = await root.issue();
    writeFileSync(join(path, '..', 'private-key.pem'), leaf.keyPem, { mode: 0o600 });
    writeFileSync(path, `${root.pem}${leaf.pem}`);

    await clock.advance(minuteMs);

    expect(watch.state()?.serialNumber).toBe(
      BigInt(`0x${new X509Certificate(leaf.der).serialNumber}`).toString(),
    );
  });

  test('is warned of 30, 7 and 1 days ahead, once each, and when it has expired', async () => {
    const { said, pass, watch } = await setup({ days: 90 });

    await pass(59 * dayMs);
    expect(said()).toEqual([]);
    await pass(32 * dayMs);

    expect(said()).toEqual([
      ['certificate.expires-soon', 30],
      ['certificate.expires-soon', 7],
      ['certificate.expires-soon', 1],
      ['certificate.expired'],
    ]);
    expect(watch.state()?.expires).toEqual(new Date(start.getTime() + 90 * dayMs));
  });

  test('that lives for a day is warned of once', async () => {
    const { said, pass } = await setup({ days: 1 });

    await pass(17 * hourMs);
    expect(said()).toEqual([]);
    await pass(6 * hourMs);

    expect(said()).toEqual([['certificate.expires-soon', 0]]);
  });

  test('that is replaced is said to be, and warned of anew', async () => {
    const { said, pass, issue, clock } = await setup({ days: 90 });
    await pass(62 * dayMs);

    await issue(90);
    await clock.advance(minuteMs);
    await pass(62 * dayMs);

    expect(said()).toEqual([
      ['certificate.expires-soon', 30],
      ['certificate.replaced'],
      ['certificate.expires-soon', 29],
    ]);
  });

  test('that cannot be read for a while changes nothing', async () => {
    const { said, path, issue, clock, watch } = await setup({ days: 90 });
    const before = watch.state();
    writeFileSync(path, 'half a certif');

    await clock.advance(minuteMs);
    expect(watch.state()).toEqual(before);
    await issue(90);
    await clock.advance(minuteMs);

    expect(said()).toEqual([['certificate.replaced']]);
  });
});

describe('the command that renews', () => {
  test('is run with a third of the life left, and again in the life of what it brought', async () => {
    const { ran, pass, said } = await setup({
      days: 90,
      renewal: async (renew) => {
        await renew(90);
        return 0;
      },
    });

    await pass(59 * dayMs);
    expect(ran).toEqual([]);
    await pass(2 * dayMs);
    expect(ran).toEqual([['/usr/bin/renew', '--now']]);
    await pass(60 * dayMs);

    expect(ran).toHaveLength(2);
    expect(said().filter(([name]) => name === 'certificate.renewed')).toHaveLength(2);
    expect(said().filter(([name]) => name === 'certificate.expired')).toEqual([]);
  });

  test('that fails is run again, more often towards the end; it is said once, and its success', async () => {
    const { ran, pass, events, watch } = await setup({
      days: 30,
      renewal: async (renew, runs) => {
        if (runs < 10) return 1;
        await renew(30);
        return 0;
      },
    });

    await pass(20.5 * dayMs);
    expect(watch.state()?.renewalFailing).toMatchObject({ code: 'CERTIFICATE_RENEWAL_FAILED' });
    await pass(5 * dayMs);

    expect(ran).toHaveLength(10);
    expect(watch.state()?.renewalFailing).toBeUndefined();
    const names = events.map(({ name }) => name).filter((name) => name.includes('renew'));
    expect(names).toEqual(['certificate.renewal-failed', 'certificate.renewed']);
  });

  test('that ends well and changes nothing has failed', async () => {
    const { pass, watch } = await setup({ days: 30, renewal: async () => 0 });

    await pass(21 * dayMs);

    expect(watch.state()?.renewalFailing).toMatchObject({ code: 'CERTIFICATE_NOT_RENEWED' });
  });
});
