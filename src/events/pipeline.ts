import { aborted } from '../base/aborted.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log-events.ts';
import { runTasks } from '../base/task-group.ts';
import type { Batch } from './batch.ts';
import { eventsError } from './errors.ts';
import type { SourceCounts } from './event-source.ts';
import { failingShare } from './failing-share.ts';
import { eventsEvent } from './log-events.ts';
import { movement } from './movement.ts';
import { type Outdated, outdated } from './outdated.ts';
import { type Overflow, type OverflowPolicy, overflow } from './overflow.ts';
import { type Departures, departures } from './pipeline/departures.ts';
import { inStep } from './pipeline/in-step.ts';
import { type Intake, intake } from './pipeline/intake.ts';
import { type PipelineLimits, pipelineLimits } from './pipeline/limits.ts';
import { shipping } from './pipeline/shipping.ts';
import type { PipelineSource } from './pipeline/source.ts';
import { spoolTurns } from './pipeline/spool-turns.ts';
import type { Sink } from './sink.ts';
import { type RefusedEvent, type Spool, streamKey } from './spool.ts';
import type { PipelineStatus, SourceStatus } from './status.ts';
import { wake } from './wake.ts';

export interface PipelineOptions {
  readonly sources: readonly PipelineSource[];
  readonly spool: Spool;
  readonly sink: Sink;
  /** What happens while the spool is full; the sources wait when absent. */
  readonly whenFull?: OverflowPolicy;
  /** Bytes of the spool that sources may fill which are not spared; all of it when absent. */
  readonly fillBytesMax?: number;
  /** What has waited for longer goes to the dead letter; nothing does when absent. */
  readonly ageMaxDays?: number;
  readonly limits?: Partial<PipelineLimits>;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Pipeline {
  /** Works until it is drained or `signal` aborts. @throws what the spool throws and trying again cannot mend. */
  run(signal: AbortSignal): Promise<void>;
  /**
   * Ends `run`: takes nothing more in, puts what is in memory into the spool and sends what is there, until it is empty
   * or `deadlineMs` have passed. The rest stays in the spool.
   */
  drain(deadlineMs: number): Promise<void>;
  /** Sends a batch that is no source's. Resolves when it is in the spool. */
  put(batch: Batch, signal: AbortSignal): Promise<void>;
  /**
   * As `put`, and resolves when it was taken, with what was refused of it.
   * @throws EVENTS_TEST_NOT_TAKEN where that takes longer than `withinMs`; it is sent all the same
   */
  putAndWait(batch: Batch, withinMs: number): Promise<readonly RefusedEvent[]>;
  status(): PipelineStatus;
}

/**
 * Sources → batches → spool → sink. Its invariant: **a position is never committed before its bytes are durable.**
 * Positions go to the spool only in the append of the batch that holds their last bytes, appends of a stream are in the
 * order of reading, and the spool keeps both or neither. One that holds what can be read again takes acknowledged for
 * durable (`spool/when-needed.ts`).
 *
 * The only ways to lose an event: what a source could not hold (each source states its guarantee), an event that
 * CloudWatch Logs refuses while the dead letter is full, and the loss of the spool's disk. Each is said.
 */
export function pipeline(options: PipelineOptions): Pipeline {
  const { sink, clock, log } = options;
  const spool = announcing(options.spool, () => {
    share.look();
    step.left();
  });
  const step = inStep(options.spool, clock);
  const limits = { ...pipelineLimits, ...options.limits };
  const intakeStop = new AbortController();
  const ending = new AbortController();
  const opened = wake();
  /** Rejects with what made an append fail that nobody waits for. */
  const broken = Promise.withResolvers<never>();
  broken.promise.catch(() => undefined);
  /** Batches whose end somebody waits for, by their body. */
  const awaited = new Map<Buffer, (refused: readonly RefusedEvent[]) => void>();
  const moving = movement({ wedgedAfterMs: limits.wedgedAfterMs, isWaiting, clock, log });
  const turns = spoolTurns({ spool, limits, onMoved: moving.moved, onTurnEnd: opened.ring, clock, log });
  const leaving = departures();
  const shipped = shipping({
    spool,
    departures: leaving,
    sink,
    turns,
    limits,
    onTaken({ body }, refused) {
      for (const [own, taken] of awaited) if (own.equals(body)) taken(refused);
    },
    onMoved: moving.moved,
    clock,
    log,
  });
  const spill = overflowOf({ ...options, spool, departures: leaving });
  const aging: Outdated | undefined =
    options.ageMaxDays === undefined
      ? undefined
      : outdated({ spool, departures: leaving, ageMaxDays: options.ageMaxDays, clock, log });
  const share = failingShare({ ...options, isFailing: shipped.isFailing });
  const intakes: readonly Intake[] = options.sources.map((source) =>
    intake({
      source,
      spool,
      turns,
      admit,
      // Room for one may be made by dropping another, and each of a role that fails has to fit its part.
      isAdmittedAlone: (stream) => spill !== undefined || share.isBounding(stream),
      prepare(batch) {
        if (step.isNear) sink.prepare?.(batch);
      },
      inStep: () => step.wait(),
      limits,
      onOpened: opened.ring,
      onAppended: shipped.look,
      onBroken: broken.reject,
      clock,
      log,
    }),
  );
  let intakesDone = Promise.resolve();

  async function admit(batch: Batch, isDroppable: boolean, signal: AbortSignal): Promise<boolean> {
    await share.room(batch, signal);
    if (spill === undefined || !isDroppable) return true;
    return turns.untilDone(`admit ${streamKey(batch.stream)}`, () => spill.admit(batch, signal), signal);
  }

  async function flushInTime(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await opened.rung(signal);
      for (let waitMs = untilDueMs(); waitMs !== undefined && !signal.aborted; waitMs = untilDueMs()) {
        await clock.sleep(waitMs, signal);
        for (const each of intakes) each.flushDue(signal);
      }
    }
  }

  /** Until the oldest open batch is due that could be flushed; undefined when there is none. */
  function untilDueMs(): number | undefined {
    const since = intakes.map(({ openSinceMs }) => openSinceMs).filter((each) => each !== undefined);
    if (since.length === 0) return undefined;
    return Math.max(1, Math.min(...since) + limits.flushAfterMs - clock.monotonic());
  }

  function isWaiting(): boolean {
    return spool.counts().batches > 0 || turns.isBusy || intakes.some(({ isOpen }) => isOpen);
  }

  async function put(batch: Batch, signal: AbortSignal): Promise<void> {
    const key = streamKey(batch.stream);
    await turns.inTurn(key, async () => {
      await turns.untilDone(`append ${key}`, () => spool.append(batch, [], signal), signal);
    });
    shipped.look();
  }

  async function putAndWait(batch: Batch, withinMs: number): Promise<readonly RefusedEvent[]> {
    const taken = Promise.withResolvers<readonly RefusedEvent[]>();
    const over = new AbortController();
    const notTaken = (): void => {
      const code = shipped.failureOf(batch.stream);
      const cause = code === undefined ? {} : { code };
      taken.reject(eventsError('EVENTS_TEST_NOT_TAKEN', { ...batch.stream, ...cause }));
    };
    clock.sleep(withinMs, over.signal).then(notTaken, () => undefined);
    awaited.set(batch.body, taken.resolve);
    try {
      // Its own end is not waited for: a spool that is full is told in the same way.
      put(batch, new AbortController().signal).catch((error: unknown) => taken.reject(error));
      return await taken.promise;
    } finally {
      awaited.delete(batch.body);
      over.abort();
    }
  }

  async function emptied(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && (spool.counts().batches > 0 || !shipped.isIdle)) {
      await clock.sleep(limits.flushAfterMs / 10, signal).catch(() => undefined);
    }
  }

  return {
    async run(signal) {
      const { batches, bytes } = spool.counts();
      log(
        eventsEvent('events.started', {
          sources: intakes.length,
          spooledBatches: batches,
          spooledBytes: bytes,
        }),
      );
      const taken: Promise<void>[] = [];
      const intakeTasks = intakes.map((each) => async (group: AbortSignal) => {
        const task = each.take(AbortSignal.any([group, intakeStop.signal]), group).catch((error: unknown) => {
          if (!ending.signal.aborted) throw error;
        });
        taken.push(task.catch(() => undefined));
        await task;
      });
      const work = runTasks(
        [
          ...intakeTasks,
          flushInTime,
          shipped.run,
          (group) => moving.watch(group),
          ...(aging === undefined ? [] : [aging.watch]),
          (group) => Promise.race([broken.promise, aborted(group)]),
        ],
        AbortSignal.any([signal, ending.signal]),
      );
      intakesDone = Promise.all(taken).then(() => undefined);
      try {
        await work;
      } finally {
        spill?.end();
      }
      const left = spool.counts();
      log(eventsEvent('events.stopped', { spooledBatches: left.batches, spooledBytes: left.bytes }));
    },

    async drain(deadlineMs) {
      const over = new AbortController();
      const deadline = clock.sleep(deadlineMs, over.signal).then(
        () => over.abort(),
        () => undefined,
      );
      intakeStop.abort();
      await Promise.race([intakesDone.then(() => emptied(over.signal)), deadline]);
      over.abort();
      // What was taken from a pipe or a socket is nowhere else, and where the deadline passed because nothing had a turn
      // of the processor it has not begun to be kept.
      const kept = new AbortController();
      await Promise.race([intakesDone, clock.sleep(keepMsMax, kept.signal).catch(() => undefined)]);
      kept.abort();
      ending.abort();
    },

    put,
    putAndWait,

    status: () => {
      const { deadLetters, deadLetterBytes, ...counts } = spool.counts();
      const { wedgedMs } = moving;
      return {
        sources: intakes.map((each, index) => statusWith(each, options.sources[index]?.source.counts())),
        spool: {
          ...counts,
          isFailing: counts.isFailing || turns.isFailing,
          isFull: counts.isFull || share.isWaitedFor,
        },
        ...(wedgedMs === undefined ? {} : { wedgedMs }),
        ...shipped.status(),
        deadLetter: { events: deadLetters, bytes: deadLetterBytes },
        ...(spill === undefined ? {} : { dropped: { ...spill.dropped } }),
        ...(aging === undefined ? {} : { outdated: { ...aging.moved } }),
      };
    },
  };
}

function statusWith(each: Intake, counts: SourceCounts | undefined): SourceStatus {
  const status = each.status();
  return counts?.failing === undefined ? status : { ...status, failing: counts.failing };
}

/** What is in memory at the end has so long beyond the deadline to become durable. */
const keepMsMax = 1_000;

/** A spool that tells when batches have left it, whoever settled them. */
function announcing(spool: Spool, onSettled: () => void): Spool {
  return {
    ...spool,
    async settle(batch, refused) {
      const isRemoved = await spool.settle(batch, refused);
      onSettled();
      return isRemoved;
    },
  };
}

function overflowOf({
  spool,
  departures: leaving,
  whenFull = 'pause',
  fillBytesMax,
  sources,
  clock,
  log,
}: PipelineOptions & { readonly departures: Departures }): Overflow | undefined {
  if (whenFull === 'pause') return undefined;
  const spared = sources.filter(({ isSpared }) => isSpared === true);
  return overflow({
    spool,
    departures: leaving,
    policy: whenFull,
    spared: new Set(spared.map((source) => streamKey(source.streamOf(undefined)))),
    bytesMax: fillBytesMax ?? spool.counts().bytesMax,
    clock,
    log,
  });
}
