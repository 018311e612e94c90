import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { LogEvent } from '../base/log-events.ts';
import { secretsMsMin, startMsMax, startTime } from './start-time.ts';

const { signal } = new AbortController();
const neverAnswered = () => new Promise<never>(() => undefined);

function setup() {
  const clock = fakeClock();
  const logged: LogEvent[] = [];
  return { clock, logged, time: startTime({ clock, log: (event) => logged.push(event) }) };
}

it('parts share one deadline, which leaves room for the secrets', async () => {
  const { clock, time } = setup();

  const slow = time.part('credentials', signal, (within) => clock.sleep(50_000, within));
  await clock.advance(50_000);
  await slow;
  const hung = time.part('KMS', signal, neverAnswered).catch((error: unknown) => error);
  await clock.advance(startMsMax - secretsMsMin - 50_000);

  const afterMs = startMsMax - secretsMsMin - 50_000;
  expect(await hung).toMatchObject({ code: 'DEADLINE_EXCEEDED', details: { what: 'KMS', afterMs } });
  expect(time.leftForSecrets()).toBe(secretsMsMin);
});

it('what is waited for is said after ten seconds, and quick parts say nothing', async () => {
  const { clock, logged, time } = setup();

  await time.part('credentials', signal, async () => undefined);
  const hung = time.part('KMS', signal, neverAnswered).catch(() => undefined);
  await clock.advance(9_999);
  expect(logged).toEqual([]);
  await clock.advance(1);
  expect(logged).toMatchObject([
    { name: 'agent.start-waits', fields: { what: 'KMS', withinMs: startMsMax - secretsMsMin } },
  ]);
  await clock.advance(startMsMax);
  await hung;

  expect(logged).toHaveLength(1);
  expect(clock.sleeping).toBe(0);
});

it('what it waits for is told meanwhile, with since when and how long', async () => {
  const { clock, logged, time } = setup();
  await clock.advance(1_000);

  expect(time.waitsFor()).toBeUndefined();
  const slow = time.wait('secrets', 15_000.6, () => clock.sleep(12_000, signal));
  expect(time.waitsFor()).toEqual({
    what: 'secrets',
    since: '2026-11-22T12:00:01.000Z',
    withinSeconds: 16,
  });
  await clock.advance(12_000);
  await slow;

  expect(time.waitsFor()).toBeUndefined();
  expect(logged).toMatchObject([
    { name: 'agent.start-waits', fields: { what: 'secrets', withinMs: 15_001 } },
  ]);
});

it('what failed is not waited for any more', async () => {
  const { time } = setup();

  await expect(time.part('KMS', signal, () => Promise.reject(new Error('no')))).rejects.toThrow('no');

  expect(time.waitsFor()).toBeUndefined();
});

it('a start that is over limits nothing any more', () => {
  const { time } = setup();

  time.over();

  expect(time.leftForSecrets()).toBeUndefined();
});

it('a part that is told to stop ends for that reason', async () => {
  const { time } = setup();
  const stop = new AbortController();

  const hung = time.part('KMS', stop.signal, neverAnswered).catch((error: unknown) => error);
  stop.abort(new Error('SIGTERM'));

  expect(await hung).toEqual(new Error('SIGTERM'));
});

it('is shorter than what systemd gives a start, by what deliveries and records may take after the secrets', () => {
  const unit = readFileSync(new URL('../../systemd/gatehouse.service', import.meta.url), 'utf8');
  const [, seconds] = /^TimeoutStartSec=(\d+)$/mu.exec(unit) ?? [];

  expect(startMsMax).toBeLessThanOrEqual(Number(seconds) * 1000 - 20_000);
});
