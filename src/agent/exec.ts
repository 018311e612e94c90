import { isUtf8 } from 'node:buffer';
import type { Writable } from 'node:stream';
import { aborted } from '../base/aborted.ts';
import type { Clock } from '../base/clock.ts';
import { outputStreams } from '../events/source/output.ts';
import { StopRequested } from '../system/signals.ts';
import { onPassedSignal, startWorkload, type Workload, workloadEnvironment } from '../system/workload.ts';
import { agentError } from './errors.ts';
import type { Events } from './events.ts';
import type { Launch } from './launch.ts';
import { agentEvent } from './log-events.ts';
import { type Ready, run } from './run.ts';

/** The terminal, or whatever this process was given. */
export interface ExecStreams {
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly isTerminal: boolean;
}

/** Of the stop time-out, for the workload to end by itself, and then for draining. */
const endShare = 0.5;
const drainShare = 0.4;
/** After its end, how long nothing may come: what it left behind may hold the pipes. */
const restMs = 1_000;
/** And how much may come then: more than two pipes hold, made as large as anybody but root can make them. */
const restBytesMax = 4 * 2 ** 20;
/** And how often something may have come meanwhile: a daemon that it left behind logs for ever. */
const restLooksMax = 5;

/**
 * Runs the agent, and in it the workload once the agent is ready; both end together. Signals go to the workload. Its
 * output stays where it is, and is shipped as well where a source asks for it.
 *
 * Resolves with the exit code of the workload, 128 + n where signal n ended it. @throws what `run` throws,
 * WORKLOAD_NOT_FOUND, WORKLOAD_NOT_STARTED, WORKLOAD_SECRET_MISSING, WORKLOAD_SECRET_UNFIT
 */
export async function exec(launch: Launch, argv: readonly string[], streams: ExecStreams): Promise<number> {
  const stop = new AbortController();
  const attendance = attendWorkload(launch, argv, streams);

  onPassedSignal(streams.isTerminal, (name, isTold) => {
    const ends = name === 'SIGTERM' || name === 'SIGINT';
    // What is in the spool stays there; output that found no room in it is lost, as docs/exec.md says.
    if (ends && attendance.exitCode !== undefined) process.exit(attendance.exitCode);
    if (attendance.isStarted) attendance.signal(name, isTold);
    else if (ends) stop.abort(new StopRequested(name));
  });

  await run(launch, stop.signal, {
    drainShare,
    async attend(ready, signal) {
      await attendance.attend(ready, signal);
      stop.abort(new Error('the command has ended'));
    },
  });
  if (attendance.exitCode !== undefined) return attendance.exitCode;
  throw stop.signal.reason;
}

/** A workload, from its start to its end. */
export interface Attendance {
  readonly isStarted: boolean;
  /** Undefined until it has ended. */
  readonly exitCode: number | undefined;
  /** Passes a signal on, unless it was told already. After a SIGTERM it has to end in time. */
  signal(name: NodeJS.Signals, isTold: boolean): void;
  /** Until it has ended. When `signal` aborts it is asked to. */
  attend(ready: Ready, signal: AbortSignal): Promise<void>;
}

export function attendWorkload(
  { env, clock }: Pick<Launch, 'env' | 'clock'>,
  [command = '', ...args]: readonly string[],
  streams: ExecStreams,
): Attendance {
  let workload: Workload | undefined;
  let exitCode: number | undefined;
  const asked = Promise.withResolvers<void>();

  function signal(name: NodeJS.Signals, isTold: boolean): void {
    if (!isTold) workload?.kill(name);
    if (name === 'SIGTERM') asked.resolve();
  }

  /** Kills it where it was asked to end and does not. */
  async function endInTime({ pid, ended, kill }: Workload, ready: Ready, over: AbortSignal): Promise<void> {
    await Promise.race([asked.promise, aborted(over)]);
    if (over.aborted) return;
    const afterMs = ready.stopTimeoutSeconds * 1000 * endShare;
    const isLate = await Promise.race([
      ended.then(() => false),
      clock.sleep(afterMs, over).then(
        () => true,
        () => false,
      ),
    ]);
    if (!isLate) return;
    ready.log(agentEvent('workload.killed', { pid, afterMs }));
    kill('SIGKILL');
  }

  return {
    get isStarted() {
      return workload !== undefined;
    },
    get exitCode() {
      return exitCode;
    },
    signal,

    async attend(ready, failing) {
      const { gateway, events, log } = ready;
      const given = secretsOf(ready);
      const isShipped = Object.values(gateway.events?.sources ?? {}).some((source) => source.exec === true);
      workload = await startWorkload({
        command,
        args,
        env: workloadEnvironment(env, given),
        pipesIn: isShipped ? ready.runtimeDirectory : undefined,
      });
      const { pid, ended } = workload;
      log(agentEvent('workload.started', { command, pid, secrets: Object.keys(given) }));
      const over = new AbortController();
      failing.addEventListener('abort', () => signal('SIGTERM', false), { once: true });
      if (failing.aborted) signal('SIGTERM', false);
      const flow = { bytes: 0, busy: 0 };
      const shipped = shipOutput(workload, streams, events, flow, over.signal);
      const bounded = endInTime(workload, ready, over.signal);
      exitCode = await ended;
      await readRest(shipped, flow, clock);
      over.abort();
      await Promise.all([shipped, bounded]);
      log(agentEvent('workload.ended', { pid, exitCode }));
    },
  };
}

/** @throws WORKLOAD_SECRET_MISSING, WORKLOAD_SECRET_UNFIT: without its secrets a workload is not started */
function secretsOf({ gateway, workload }: Ready): Record<string, string> {
  return Object.fromEntries(
    Object.entries(gateway.exec.environment).map(([variable, secret]) => {
      const value = workload.value(secret);
      if (value === undefined) throw agentError('WORKLOAD_SECRET_MISSING', { variable, secret });
      const text = value.revealText();
      // Node would repeat the value in its error.
      if (text.includes('\0') || !isUtf8(value.revealBytes())) {
        throw agentError('WORKLOAD_SECRET_UNFIT', { variable, secret });
      }
      return [variable, text];
    }),
  );
}

/** Output on its way. */
interface Flow {
  bytes: number;
  /** Pieces that are not handed on yet. */
  busy: number;
}

/**
 * What a workload wrote before it ended is still in its pipes. What it left behind may go on writing into them: that must
 * not keep us. Where it is we who are slow, as while the spool is full, all of it is waited for.
 */
async function readRest(shipped: Promise<void>, flow: Flow, clock: Clock): Promise<void> {
  const over = new AbortController();
  const ended = shipped.then(() => over.abort());
  const most = flow.bytes + restBytesMax;
  const isMore = (seen: number): boolean => flow.bytes < most && (flow.busy > 0 || flow.bytes > seen);
  for (let seen = -1, looks = 0; isMore(seen) && looks < restLooksMax; ) {
    seen = flow.bytes;
    if (flow.busy === 0) looks += 1;
    await Promise.race([ended, clock.sleep(restMs, over.signal).catch(() => undefined)]);
    if (over.signal.aborted) return;
  }
}

/** Until both are at their end, or `over` aborts: what comes then is not read. */
async function shipOutput(
  workload: Workload,
  streams: ExecStreams,
  events: Pick<Events, 'output'> | undefined,
  flow: Flow,
  over: AbortSignal,
): Promise<void> {
  await Promise.all(
    outputStreams.map(async (name) => {
      const from = workload[name];
      if (from === undefined) return;
      const end = (): void => void from.destroy();
      over.addEventListener('abort', end, { once: true });
      try {
        for await (const piece of from as AsyncIterable<Buffer>) {
          flow.bytes += piece.length;
          flow.busy += 1;
          await Promise.all([written(streams[name], piece), events?.output(name, Uint8Array.from(piece))]);
          flow.busy -= 1;
        }
      } catch (error) {
        if (!over.aborted) throw error;
      } finally {
        over.removeEventListener('abort', end);
        await events?.output(name, undefined);
      }
    }),
  );
}

/** A reader that has gone away is no reason to ship nothing. */
async function written(to: Writable, piece: Buffer): Promise<void> {
  if (to.destroyed || to.write(piece)) return;
  await new Promise<void>((resolve) => {
    const events = ['drain', 'close', 'error'] as const;
    const done = (): void => {
      for (const event of events) to.off(event, done);
      resolve();
    };
    for (const event of events) to.once(event, done);
  });
}
