import { describe, expect, it } from 'vitest';
import { scriptedCommands } from '../../test/support/scripted-commands.ts';
import type { LogEvent } from '../base/log-events.ts';
import { systemError } from './errors.ts';
import { notifySystemd } from './notify.ts';

type Outcome = number | Error;

/** A systemd-notify that ends as `outcomes` says, turn by turn, and with 0 after that. */
function setup(env: Record<string, string> = {}, outcomes: Outcome[] = []) {
  const events: LogEvent[] = [];
  const { run: runCommand, calls } = scriptedCommands({
    'systemd-notify'() {
      const outcome = outcomes.shift() ?? 0;
      return outcome instanceof Error ? outcome : { exitCode: outcome };
    },
  });
  const notify = notifySystemd({
    env,
    pid: 42,
    monotonicUsec: () => 1_234_567n,
    runCommand,
    log: (event) => events.push(event),
  });
  return { notify, calls, told: () => calls.map(({ argv }) => argv.slice(1)), events };
}

const socket = '/run/systemd/notify';
const supervised = { NOTIFY_SOCKET: socket };

describe('systemd', () => {
  it('is told of ready, reload, life and stop, each in its own words and in order', async () => {
    const { notify, told } = setup(supervised);

    await Promise.all([
      notify.ready('ready'),
      notify.alive(),
      notify.reloading(),
      notify.status('degraded: 1 failing'),
      notify.stopping(20_000),
    ]);

    expect(told()).toEqual([
      ['READY=1', 'STATUS=ready'],
      ['WATCHDOG=1'],
      ['RELOADING=1', 'MONOTONIC_USEC=1234567', 'STATUS=reloading'],
      ['STATUS=degraded: 1 failing'],
      ['STOPPING=1', 'EXTEND_TIMEOUT_USEC=20000000', 'STATUS=stopping'],
    ]);
  });

  it('is told at its socket, be it a path or abstract', async () => {
    const { notify, calls } = setup({ NOTIFY_SOCKET: '@/org/freedesktop/systemd1/notify/1' });

    await notify.alive();

    expect(calls[0]?.argv[0]).toBe('systemd-notify');
    expect(calls[0]?.limits.notifySocket).toBe('@/org/freedesktop/systemd1/notify/1');
  });

  it('is not told anything where there is none', async () => {
    const { notify, calls, events } = setup({ WATCHDOG_USEC: '3000000' });

    await notify.ready('ready');

    expect(calls).toEqual([]);
    expect(events).toEqual([]);
    expect(notify).toMatchObject({ isHeard: false, watchdogMs: undefined });
  });

  it('cannot be told two things by one status', async () => {
    const { notify, told } = setup(supervised);

    await notify.status('ready\nMAINPID=1');

    expect(told()).toEqual([['STATUS=ready MAINPID=1']]);
  });

  it('that did not hear of ready hears of it with the next sign of life', async () => {
    const { notify, told } = setup(supervised, [1, 1, 0, 0]);

    await notify.ready('ready');
    await notify.alive();
    await notify.alive();
    await notify.alive();

    expect(told().slice(1)).toEqual([['READY=1', 'WATCHDOG=1'], ['READY=1', 'WATCHDOG=1'], ['WATCHDOG=1']]);
  });

  it('is not told ready while the agent reloads or stops', async () => {
    const { notify, told } = setup(supervised, [1, 0]);

    await notify.ready('ready');
    await notify.stopping(1000);

    expect(told()[1]?.[0]).toBe('STOPPING=1');
  });

  it('out of reach is said once, and once more when it is back', async () => {
    const absent = systemError('COMMAND_NOT_FOUND', { command: 'systemd-notify' });
    const { notify, events } = setup(supervised, [absent, 1, 0, 0]);

    for (let turn = 0; turn < 4; turn += 1) await notify.alive();

    expect(events.map(({ name }) => name)).toEqual(['supervisor.unreachable', 'supervisor.reachable']);
    expect(events[0]?.fields).toMatchObject({ socket, error: { code: 'COMMAND_NOT_FOUND' } });
  });
});

describe('the watchdog', () => {
  it.each([
    ['has the time that systemd gives', { WATCHDOG_USEC: '3000000' }, 3000],
    ['watches the process it names', { WATCHDOG_USEC: '3000000', WATCHDOG_PID: '42' }, 3000],
    ['of another process is not ours', { WATCHDOG_USEC: '3000000', WATCHDOG_PID: '41' }, undefined],
    ['without a time is none', {}, undefined],
    ['with a time that is no number is none', { WATCHDOG_USEC: 'soon' }, undefined],
    ['with no time left is none', { WATCHDOG_USEC: '0' }, undefined],
  ])('%s', (_fact, env, expected) => {
    expect(setup({ ...supervised, ...env }).notify.watchdogMs).toBe(expected);
  });
});
