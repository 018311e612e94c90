import { reportOf } from '../base/errors.ts';
import type { Log } from '../base/log-events.ts';
import type { RunCommand } from './command.ts';
import { systemEvent } from './log-events.ts';

/**
 * What systemd is told of the agent (sd_notify(3)). Never rejects: an agent works without its supervisor's ear. What
 * is told arrives in the order of the calls. Texts can be read by every local user: no secret, and no name of one.
 */
export interface Notify {
  /** Without a word in this time systemd kills the agent; undefined where it does not watch. */
  readonly watchdogMs: number | undefined;
  /** Whether there is anybody to tell. */
  readonly isHeard: boolean;
  /** Up, or up again after `reloading`. */
  ready(status: string): Promise<void>;
  reloading(): Promise<void>;
  /** About to stop, which will take `withinMs` at most. */
  stopping(withinMs: number): Promise<void>;
  /** Alive: the watchdog's time begins anew. */
  alive(): Promise<void>;
  /** One line of text for `systemctl status`. */
  status(status: string): Promise<void>;
}

export interface NotifyParts {
  /** Of NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  /** Microseconds of CLOCK_MONOTONIC, which is what process.hrtime gives. */
  readonly monotonicUsec: () => bigint;
  readonly runCommand: RunCommand;
  readonly log: Log;
}

const ready = 'READY=1';

/** systemd-notify waits until systemd has read the message; a busy PID 1 takes its time. */
const limits = { timeoutMs: 5_000, outputBytesMax: 16 * 1024 };

/**
 * Tells systemd by way of `systemd-notify`: Node cannot open the unix datagram socket that systemd listens on. A call
 * costs a process, some 10 ms of CPU time, and the unit needs `NotifyAccess=all`. Without NOTIFY_SOCKET nothing is
 * done; where telling fails that is said once, and once when it works again.
 */
export function notifySystemd({ env, pid, monotonicUsec, runCommand, log }: NotifyParts): Notify {
  const socket = env['NOTIFY_SOCKET'];
  // Not the agent's stop signal: that it stops is one of the things to tell.
  const { signal } = new AbortController();
  let told: Promise<void> = Promise.resolve();
  let isFailing = false;
  /** That the agent is ready was not heard: systemd would wait for it, and then give up. */
  let owesReady = false;

  async function run(variables: readonly string[], notifySocket: string): Promise<void> {
    try {
      const { exitCode } = await runCommand(
        ['systemd-notify', ...variables],
        { ...limits, notifySocket },
        signal,
      );
      if (exitCode !== 0) return failed(variables, { exitCode });
      owesReady = false;
      if (isFailing) log(systemEvent('supervisor.reachable', { socket: notifySocket }));
      isFailing = false;
    } catch (error) {
      failed(variables, { error: reportOf(error) });
    }
  }

  function failed(
    variables: readonly string[],
    fields: Parameters<typeof systemEvent<'supervisor.unreachable'>>[1],
  ): void {
    owesReady = variables.includes(ready) || (owesReady && isAlive(variables));
    if (!isFailing) log(systemEvent('supervisor.unreachable', { socket, ...fields }));
    isFailing = true;
  }

  function tell(...variables: string[]): Promise<void> {
    if (socket === undefined || socket === '') return Promise.resolve();
    told = told.then(() => run(owesReady && isAlive(variables) ? [ready, ...variables] : variables, socket));
    return told;
  }

  return {
    watchdogMs: socket === undefined ? undefined : watchdogMsOf(env, pid),
    isHeard: socket !== undefined && socket !== '',
    ready: (status) => tell(ready, statusOf(status)),
    reloading: () => tell('RELOADING=1', `MONOTONIC_USEC=${monotonicUsec()}`, 'STATUS=reloading'),
    stopping: (withinMs) =>
      tell('STOPPING=1', `EXTEND_TIMEOUT_USEC=${Math.ceil(withinMs) * 1000}`, 'STATUS=stopping'),
    alive: () => tell('WATCHDOG=1'),
    status: (status) => tell(statusOf(status)),
  };
}

function isAlive([first]: readonly string[]): boolean {
  return first !== 'RELOADING=1' && first !== 'STOPPING=1';
}

/** WATCHDOG_PID names the process that is watched: a variable inherited from somebody else's unit is not for us. */
function watchdogMsOf(env: NotifyParts['env'], pid: number): number | undefined {
  const usec = Number(env['WATCHDOG_USEC'] ?? Number.NaN);
  const watched = env['WATCHDOG_PID'];
  if (!Number.isSafeInteger(usec) || usec <= 0) return undefined;
  return watched === undefined || watched === String(pid) ? usec / 1000 : undefined;
}

/** A line break would begin another variable. */
function statusOf(text: string): string {
  return `STATUS=${text.replaceAll(/\s+/gu, ' ')}`;
}
