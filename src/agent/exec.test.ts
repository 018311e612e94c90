import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, test, vi } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { patient } from '../../test/support/patience.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { GatehouseError } from '../base/errors.ts';
import type { LogEvent } from '../base/log-events.ts';
import { Secret } from '../base/secret.ts';
import { gatewaySchema } from './config.ts';
import { attendWorkload } from './exec.ts';
import type { Ready } from './run.ts';

function setup(script: string, { secret = Buffer.from('value'), isShipped = true } = {}) {
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const shipped = { stdout: '', stderr: '' };
  /** What is awaited before more output is taken. */
  const taking: { next: () => Promise<void> } = { next: () => Promise.resolve() };
  const gateway = gatewaySchema.parse({
    version: 1,
    secrets: { token: { secretsManager: { secretId: 'token' } } },
    exec: { environment: { TOKEN: 'token' } },
    events: { spool: { allowClearSpool: true }, sources: isShipped ? { work: { exec: true } } : {} },
  });
  const ready: Ready = {
    gateway,
    workload: { value: () => Secret.ofBytes(secret) },
    events: {
      async output(stream, bytes) {
        shipped[stream] += Buffer.from(bytes ?? []).toString();
        if (bytes !== undefined) await taking.next();
      },
    },
    stopTimeoutSeconds: 20,
    runtimeDirectory: temporaryDirectory(),
    log: (event) => void events.push(event),
  };
  const streams = { stdout: new PassThrough(), stderr: new PassThrough(), isTerminal: false };
  const env = { PATH: process.env['PATH'], GATEHOUSE_NAME: 'x' };
  const attendance = attendWorkload({ env, clock }, ['/bin/sh', '-c', script], streams);
  const failing = new AbortController();
  return {
    clock,
    shipped,
    taking,
    streams,
    attendance,
    failing,
    attend: () => attendance.attend(ready, failing.signal),
    said: () => events.map(({ name }) => name),
  };
}

const endless = 'echo up; while :; do sleep 0.02; done';

test('its output goes where it did, and is shipped', async () => {
  const { attend, attendance, shipped, streams, said } = setup('echo "$TOKEN"; echo err >&2; exit 5');

  await attend();
  streams.stdout.end();

  expect(attendance.exitCode).toBe(5);
  expect(await text(streams.stdout)).toBe('value\n');
  expect(shipped).toEqual({ stdout: 'value\n', stderr: 'err\n' });
  expect(said()).toEqual(['workload.started', 'workload.ended']);
});

test('what it opens by name is its output too', async () => {
  const { attend, attendance, shipped } = setup('echo out >/dev/stdout && echo err >/dev/stderr');

  await attend();

  expect(attendance.exitCode).toBe(0);
  expect(shipped).toEqual({ stdout: 'out\n', stderr: 'err\n' });
});

test('when the agent fails it is asked to end, and killed where it does not', async () => {
  const { attend, attendance, failing, shipped, clock, said } = setup(`trap "echo asked" TERM; ${endless}`);
  const done = attend();
  await vi.waitFor(() => expect(shipped.stdout).toBe('up\n'), patient);

  failing.abort(new Error('the worker died'));
  await vi.waitFor(() => expect(shipped.stdout).toBe('up\nasked\n'), patient);
  await clock.advance(9_999);
  expect(attendance.exitCode).toBeUndefined();
  await clock.advance(1);
  await vi.waitFor(() => expect(attendance.exitCode).toBe(137), patient);
  await clock.advance(1_000);
  await done;

  expect(said()).toEqual(['workload.started', 'workload.killed', 'workload.ended']);
});

test('a signal that the terminal gave it already does not come twice', async () => {
  const { attend, attendance, shipped, clock } = setup(`trap "echo int" INT; trap "exit 0" TERM; ${endless}`);
  const done = attend();
  await vi.waitFor(() => expect(shipped.stdout).toBe('up\n'), patient);

  attendance.signal('SIGINT', true);
  attendance.signal('SIGTERM', false);
  await vi.waitFor(() => expect(attendance.exitCode).toBe(0), patient);
  await clock.advance(1_000);
  await done;

  expect(shipped.stdout).toBe('up\n');
});

test('what it left behind does not hold its end up', async () => {
  const { attend, clock, attendance } = setup('sleep 30 & echo $!; exit 0');
  const done = attend();
  await vi.waitFor(() => expect(attendance.exitCode).toBe(0), patient);

  await clock.advance(1_000);

  await done;
});

test('nor when that goes on writing', async () => {
  const { attend, clock, attendance, shipped, said } = setup('while echo more; do sleep 0.01; done & exit 0');
  const done = attend();
  await vi.waitFor(() => expect(attendance.exitCode).toBe(0), patient);

  for (let seconds = 0; seconds < 10 && !said().includes('workload.ended'); seconds += 1) {
    const { length } = shipped.stdout;
    await vi.waitFor(() => expect(shipped.stdout.length).toBeGreaterThan(length), patient);
    await clock.advance(1_000);
    await vi.waitFor(
      () => expect(clock.sleeping === 1 || said().includes('workload.ended')).toBe(true),
      patient,
    );
  }

  expect(said()).toContain('workload.ended');
  await done;
});

test('nor when that writes faster than it is taken', async () => {
  const { attend, clock, attendance, streams, taking, said } = setup('yes & exit 0');
  const taken: (() => void)[] = [];
  taking.next = () => new Promise((resolve) => taken.push(resolve));
  streams.stdout.resume();
  const done = attend();
  await vi.waitFor(() => expect(attendance.exitCode).toBe(0), patient);

  for (let seconds = 0; seconds < 1_000 && !said().includes('workload.ended'); seconds += 1) {
    await vi.waitFor(() => expect(taken.length > 0 || said().includes('workload.ended')).toBe(true), patient);
    await clock.advance(1_000);
    taken.shift()?.();
  }

  expect(said()).toContain('workload.ended');
  await done;
});

test.each([Buffer.from('a\0b'), Buffer.from([0xff, 0xfe])])(
  'a secret that no variable can hold starts nothing',
  async (secret) => {
    const { attend, attendance } = setup('exit 0', { secret });

    const failure: unknown = await attend().catch((error: unknown) => error);

    expect(failure).toBeInstanceOf(GatehouseError);
    expect(failure).toMatchObject({ code: 'WORKLOAD_SECRET_UNFIT', details: { variable: 'TOKEN' } });
    expect(attendance.isStarted).toBe(false);
  },
);
