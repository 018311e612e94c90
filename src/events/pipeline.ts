import { aborted } from '../base/aborted.ts';
import type { Clock } from '../base/clock.ts';
import { asGatehouseError, GatehouseError, reportOf } from '../base/errors.ts';
import type { Log } from '../base/log-events.ts';
import { backoffMs, retrying } from '../base/retry.ts';
import { runTasks } from '../base/task-group.ts';
import { type Batch, encodeChunk, type OpenBatch, openBatch, type StreamName } from './batch.ts';
import { returnBody } from './body-memory.ts';
import { eventsError } from './errors.ts';
import type { Chunk, EventSource, Position } from './event-source.ts';
import { failingShare } from './failing-share.ts';
import { eventsEvent } from './log-events.ts';
import { movement } from './movement.ts';
import { type Outdated, outdated } from './outdated.ts';
import { type Overflow, type OverflowPolicy, overflow } from './overflow.ts';
import type { Sink } from './sink.ts';
import {
  type RefusedEvent,
  type RereadableSource,
  type SourcePosition,
  type Spool,
  type SpooledBatch,
  streamKey,
} from './spool.ts';
import type { PipelineStatus, SourceStatus } from './status.ts';
import { wake } from './wake.ts';

export interface PipelineSource {
  readonly name: string;
  readonly source: EventSource;
  /** What was read is still there after a crash, and is read again from its position: files, journals. */
  readonly canBeReadAgain?: boolean;
  /** Nothing of it is dropped, whatever `whenFull` says: audit. */
  readonly isSpared?: boolean;
  /**
   * Where a chunk goes; `file` and `fields` are the chunk's. The same file always goes to the same stream, unless
   * `isSpread`.
   */
  streamOf(file: string | undefined, fields?: readonly string[]): StreamName;
  /** Lines of one file go to several streams. */
  readonly isSpread?: boolean;
}

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

export interface PipelineLimits {
  /** A batch goes to the spool this long after its first line came, full or not. */
  readonly flushAfterMs: number;
  /** Positions that move without any line to go with go to the spool this long after the first did. */
  readonly keepAfterMs: number;
  /** Of one source, in batches that are not durable yet: with more it is not read on. Each of many streams has one. */
  readonly openBytesMax: number;
  /** Streams that are sent to at the same time under one role. Each has one batch under way, which keeps its order. */
  readonly sendsMax: number;
  /** One try to send, all calls of it together. */
  readonly sendTimeoutMs: number;
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
  /** Events that wait while nothing ends, well or badly, for so long are wedged. */
  readonly wedgedAfterMs: number;
}

export const pipelineLimits: PipelineLimits = {
  flushAfterMs: 250,
  keepAfterMs: 10_000,
  openBytesMax: 32 * 2 ** 20,
  sendsMax: 8,
  sendTimeoutMs: 60_000,
  backoffBaseMs: 200,
  backoffCapMs: 30_000,
  wedgedAfterMs: 5 * 60_000,
};

/** Batches that one stream sends before another may have its place. */
const sendsInTurnMax = 16;

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

/** A batch that is being filled, and where its sources go on once it is durable. */
interface Filling {
  readonly batch: OpenBatch;
  readonly positions: Map<string, Position>;
  readonly sinceMs: number;
  /** Some of it may soon be gone from where it was read. */
  isAtRisk: boolean;
  /** Told once it is durable. */
  readonly waiting: (() => void)[];
  jsonBytes: number;
}

interface Moved {
  readonly positions: Map<string, Position>;
  readonly sinceMs: number;
}

/** A stream whose last try failed. */
interface Failing {
  readonly roleOf: string | undefined;
  readonly failures: number;
  readonly code: string;
}

interface Intake extends PipelineSource {
  readonly counts: { bytes: number; events: number; escapedLines: number; splitEvents: number };
  /** By stream. */
  readonly filling: Map<string, Filling>;
  /** Positions that moved without bytes; they go with the next batch of their stream, or after a while by themselves. */
  readonly moved: Map<string, Moved>;
  /** Where a source that is spread goes on once all of its open batches are durable. */
  spread: Moved | undefined;
  /** Batches on their way to the disk: reading goes on meanwhile, up to the next that is full. */
  underWay: Promise<void>;
  /** The stream that a chunk is being put into. Its open batch waits for the chunk's positions, however long that takes. */
  busy: string | undefined;
  /** What it has in memory, by the size of its JSON. */
  openBytes: number;
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
  const spool = announcing(options.spool, () => share.look());
  const limits = { ...pipelineLimits, ...options.limits };
  const intakes: readonly Intake[] = options.sources.map((source) => ({
    ...source,
    counts: { bytes: 0, events: 0, escapedLines: 0, splitEvents: 0 },
    filling: new Map(),
    moved: new Map(),
    spread: undefined,
    underWay: Promise.resolve(),
    busy: undefined,
    openBytes: 0,
  }));
  const intakeStop = new AbortController();
  const ending = new AbortController();
  const opened = wake();
  const appended = wake();
  /** Rejects with what made an append fail that nobody waits for. */
  const broken = Promise.withResolvers<never>();
  broken.promise.catch(() => undefined);
  const sent = { events: 0, bytes: 0, batches: 0, refused: 0, failures: 0 };
  let lastSentAtMs: number | undefined;
  /** Streams whose last try failed, by key. */
  const failing = new Map<string, Failing>();
  let lastError: PipelineStatus['lastError'];
  const spill = overflowOf({ ...options, spool });
  const aging: Outdated | undefined =
    options.ageMaxDays === undefined
      ? undefined
      : outdated({ spool, ageMaxDays: options.ageMaxDays, clock, log });
  const share = failingShare({ ...options, isFailing: (roleOf) => failuresUnder(roleOf).length > 0 });
  /** What the spool does not do just now, for which stream: small batches may fit where a large one does not. */
  const spoolFailing = new Set<string>();
  /** Batches whose end somebody waits for, by their body. */
  const awaited = new Map<Buffer, (refused: readonly RefusedEvent[]) => void>();
  const moving = movement({ wedgedAfterMs: limits.wedgedAfterMs, isWaiting, clock, log });
  let intakesDone = Promise.resolve();
  let senders = 0;

  async function take(intake: Intake, signal: AbortSignal): Promise<void> {
    const stop = AbortSignal.any([signal, intakeStop.signal]);
    try {
      for await (const chunk of intake.source.chunks(spool.position(intake.name), stop)) {
        await fill(intake, chunk, signal);
        if (intake.openBytes > limits.openBytesMax) await flushAll(intake, signal);
      }
      if (intake.isSpread === true) await flushSpread(intake, signal);
      for (const key of intake.filling.keys()) await flush(intake, key, signal);
      await intake.underWay;
      for (const [key, moved] of intake.moved) {
        await inTurn(key, () => spool.keep(positionsOf(intake, moved)));
      }
    } catch (error) {
      if (!ending.signal.aborted) throw error;
    }
  }

  async function fill(intake: Intake, chunk: Chunk, signal: AbortSignal): Promise<void> {
    const stream = intake.streamOf(chunk.file, chunk.fields);
    const key = streamKey(stream);
    const { pieces, escapedLines, splitEvents } = encodeChunk(chunk.bytes, chunk.timeMs, chunk);
    intake.busy = key;
    for (const piece of pieces) {
      const isFull = intake.filling.get(key)?.batch.fits(piece) === false;
      const before = isFull ? flushBeside(intake, key, signal) : undefined;
      // Before anything is waited for: another source's chunk is encoded in the same memory.
      const filling = intake.filling.get(key) ?? start(intake, key, stream);
      filling.batch.add(piece);
      filling.jsonBytes += piece.json.length;
      intake.openBytes += piece.json.length;
      filling.isAtRisk ||= chunk.isAtRisk === true;
      intake.counts.events += piece.events;
      await before;
    }
    intake.counts.bytes += chunk.bytes.length;
    if (intake.isSpread === true) {
      say(intake, escapedLines, splitEvents);
      await spread(intake, chunk, signal);
      return;
    }
    // Only now: the batch that holds the chunk's last bytes may not be the one that holds its first.
    const moved = intake.filling.get(key) ?? intake.moved.get(key) ?? newMoved();
    for (const position of chunk.positions) moved.positions.set(position.item, position);
    intake.busy = undefined;
    opened.ring();
    if (!intake.filling.has(key)) await keepMoved(intake, key, moved, signal);
    say(intake, escapedLines, splitEvents);
    if (chunk.onDurable !== undefined) await tellWhenDurable(intake, key, chunk.onDurable, signal);
  }

  /** Of a source that is spread, a chunk's positions wait for the batches of all streams, not for that of its own. */
  async function spread(intake: Intake, chunk: Chunk, signal: AbortSignal): Promise<void> {
    intake.busy = undefined;
    intake.spread ??= newMoved();
    for (const position of chunk.positions) intake.spread.positions.set(position.item, position);
    opened.ring();
    const isLate = clock.monotonic() - intake.spread.sinceMs >= limits.keepAfterMs;
    if (chunk.onDurable !== undefined || (isLate && intake.filling.size === 0)) {
      await flushSpread(intake, signal);
    }
    chunk.onDurable?.();
  }

  /** Makes all open batches of a source durable: while the spool is full, each of many streams would fill one. */
  async function flushAll(intake: Intake, signal: AbortSignal): Promise<void> {
    if (intake.isSpread === true) return flushSpread(intake, signal);
    for (const key of intake.filling.keys()) void flushBeside(intake, key, signal);
    await intake.underWay;
  }

  /** Makes all open batches of a source that is spread durable, and then where it goes on after them. */
  async function flushSpread(intake: Intake, signal: AbortSignal): Promise<void> {
    const moved = intake.spread ?? newMoved();
    intake.spread = undefined;
    for (const key of intake.filling.keys()) void flushBeside(intake, key, signal);
    const before = intake.underWay;
    // In turn with those that were asked for before: a position must not move back.
    await inTurn(intake.name, async () => {
      await before;
      const positions = positionsOf(intake, moved);
      if (positions.length === 0) return;
      await untilDone(`keep ${intake.name}`, () => spool.keep(positions), signal);
    });
  }

  function newMoved(): Moved {
    return { positions: new Map(), sinceMs: clock.monotonic() };
  }

  /** Of a source whose filter lets nothing pass, positions alone move: they must not wait for ever. */
  async function keepMoved(intake: Intake, key: string, moved: Moved, signal: AbortSignal): Promise<void> {
    intake.moved.set(key, moved);
    if (clock.monotonic() - moved.sinceMs < limits.keepAfterMs) return;
    intake.moved.delete(key);
    const positions = positionsOf(intake, moved);
    await inTurn(key, () => untilDone(`keep ${key}`, () => spool.keep(positions), signal));
  }

  /** Begins to make a batch durable; returns those before it, which a full one is to wait for. */
  function flushBeside(intake: Intake, key: string, signal: AbortSignal): Promise<void> {
    const before = intake.underWay;
    intake.underWay = Promise.all([before, flush(intake, key, signal)]).then(() => undefined);
    // Its source may have no more to say, and nobody would wait for it.
    intake.underWay.catch((error: unknown) => broken.reject(error));
    return before;
  }

  async function tellWhenDurable(
    intake: Intake,
    key: string,
    tell: () => void,
    signal: AbortSignal,
  ): Promise<void> {
    const filling = intake.filling.get(key);
    filling?.waiting.push(tell);
    await flush(intake, key, signal);
    // It was flushed meanwhile: then it is durable when its turn is over.
    if (filling === undefined) await inTurn(key, async () => tell());
  }

  function start(intake: Intake, key: string, stream: StreamName): Filling {
    const { positions } = intake.moved.get(key) ?? newMoved();
    intake.moved.delete(key);
    const sinceMs = clock.monotonic();
    const filling = {
      batch: openBatch(stream),
      positions,
      sinceMs,
      isAtRisk: false,
      waiting: [],
      jsonBytes: 0,
    };
    intake.filling.set(key, filling);
    opened.ring();
    return filling;
  }

  /** Said when it starts, not for each line. */
  function say({ name, counts }: Intake, escapedLines: number, splitEvents: number): void {
    const isFirst = { escaped: counts.escapedLines === 0, split: counts.splitEvents === 0 };
    counts.escapedLines += escapedLines;
    counts.splitEvents += splitEvents;
    if (escapedLines > 0 && isFirst.escaped) {
      log(eventsEvent('events.text-escaped', { source: name, lines: counts.escapedLines }));
    }
    if (splitEvents > 0 && isFirst.split) {
      log(eventsEvent('events.line-split', { source: name, events: counts.splitEvents }));
    }
  }

  /** Makes a batch durable with its positions; waits while the spool is full or cannot be written. */
  async function flush(intake: Intake, key: string, signal: AbortSignal): Promise<void> {
    const filling = intake.filling.get(key);
    if (filling === undefined) return;
    intake.filling.delete(key);
    const batch = filling.batch.seal();
    const positions = positionsOf(intake, filling);
    // Somebody who is told when it is durable can wait, and nothing of it is dropped.
    const from = rereadable(intake, filling);
    const isDroppable = spill !== undefined && intake.isSpared !== true && filling.waiting.length === 0;
    await inTurn(key, async () => {
      await share.room(batch, signal);
      const isKept =
        !isDroppable || (await untilDone(`admit ${key}`, () => spill.admit(batch, signal), signal));
      await untilDone(
        `append ${key}`,
        async () => {
          if (isKept) await spool.append(batch, positions, signal, from);
          else await spool.keep(positions);
        },
        signal,
      );
    });
    intake.openBytes -= filling.jsonBytes;
    for (const tell of filling.waiting) tell();
    appended.ring();
  }

  /** Tries again while the spool cannot do it: a full disk comes back, and so does a key. */
  async function untilDone<T>(what: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const policy = {
      baseMs: limits.backoffBaseMs,
      capMs: limits.backoffCapMs,
      attemptsMax: Infinity,
      isRetryable: (error: unknown) => error instanceof GatehouseError && error.row.retry,
      onRetry(error: unknown) {
        if (spoolFailing.size === 0) log(eventsEvent('events.spool-failed', { error: reportOf(error) }));
        spoolFailing.add(what);
        moving.moved();
      },
    };
    const done = await retrying(work, policy, clock, signal);
    moving.moved();
    if (spoolFailing.delete(what) && spoolFailing.size === 0) log(eventsEvent('events.spool-recovered', {}));
    return done;
  }

  const turns = new Map<string, Promise<void>>();

  /** A stream's appends one after the other: one that is tried again must not be overtaken. */
  async function inTurn(key: string, work: () => Promise<void>): Promise<void> {
    const before = turns.get(key);
    const turn = before === undefined ? work() : before.then(work);
    turns.set(key, turn);
    try {
      await turn;
    } finally {
      if (turns.get(key) === turn) turns.delete(key);
      opened.ring();
    }
  }

  async function flushInTime(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await opened.rung(signal);
      for (let waitMs = untilDue(); waitMs !== undefined && !signal.aborted; waitMs = untilDue()) {
        await clock.sleep(waitMs, signal);
        for (const intake of intakes) {
          for (const [key, { sinceMs }] of intake.filling) {
            if (key === intake.busy || turns.has(key)) continue;
            // Not waited for: one that finds no room would hold up those that need none.
            if (clock.monotonic() - sinceMs >= limits.flushAfterMs) {
              flushDue(intake, key, signal);
            }
          }
        }
      }
    }
  }

  function flushDue(intake: Intake, key: string, signal: AbortSignal): void {
    if (intake.isSpread === true) {
      flushSpread(intake, signal).catch((error: unknown) => broken.reject(error));
    } else {
      void flushBeside(intake, key, signal);
    }
  }

  /** Milliseconds until the oldest open batch is due whose stream has no append under way; undefined when there is none. */
  function untilDue(): number | undefined {
    const since = intakes.flatMap(({ filling, busy }) =>
      [...filling].filter(([key]) => key !== busy && !turns.has(key)).map(([, { sinceMs }]) => sinceMs),
    );
    if (since.length === 0) return undefined;
    return Math.max(1, Math.min(...since) + limits.flushAfterMs - clock.monotonic());
  }

  /** Starts a sender for each stream that has batches and none, as many as may be, each stream in its turn. */
  async function ship(signal: AbortSignal): Promise<void> {
    const sending = new Map<string, { readonly roleOf: string | undefined; readonly done: Promise<void> }>();
    const sendingUnder = (roleOf: string | undefined): number =>
      [...sending.values()].filter((sender) => sender.roleOf === roleOf).length;
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    for (let round = 0; !either.aborted; round += 1) {
      const streams = spool.streams();
      const first = streams.length === 0 ? 0 : round % streams.length;
      for (const stream of [...streams.slice(first), ...streams.slice(0, first)]) {
        const key = streamKey(stream);
        const { roleOf } = stream;
        // Of each role, for streams that are tried again and again must not take the place of those of another role.
        if (sending.has(key) || sendingUnder(roleOf) >= limits.sendsMax) continue;
        const done = sendSome(stream, either)
          .catch((error: unknown) => failed.abort(error))
          .finally(() => {
            sending.delete(key);
            senders = sending.size;
            appended.ring();
          });
        sending.set(key, { roleOf, done });
        senders = sending.size;
      }
      await appended.rung(either);
    }
    await Promise.all([...sending.values()].map(({ done }) => done));
    if (!signal.aborted) throw asGatehouseError(failed.signal.reason);
  }

  /** Sends a stream's batches, one after the other, until there are none or others want their turn. */
  async function sendSome(stream: StreamName, signal: AbortSignal): Promise<void> {
    const key = streamKey(stream);
    for (let sends = 0; sends < sendsInTurnMax && !signal.aborted; sends += 1) {
      const [batch] = await untilDone(
        `read ${key}`,
        () => spool.read({ stream, batchesMax: 1 }, signal),
        signal,
      );
      if (batch === undefined) return;
      const refused = await sendUntilTaken(batch, signal);
      if (refused === undefined) return;
      await untilDone(`settle ${key}`, () => spool.settle(batch, refused), signal);
      account(batch, refused);
      // Here and nowhere else: only the sender knows that it sends it no more.
      returnBody(batch.body);
    }
  }

  /** Undefined when it was stopped before the batch was taken. */
  async function sendUntilTaken(
    batch: SpooledBatch,
    signal: AbortSignal,
  ): Promise<readonly RefusedEvent[] | undefined> {
    const backoff = { baseMs: limits.backoffBaseMs, capMs: limits.backoffCapMs };
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        return await clock.deadline(limits.sendTimeoutMs, 'PutLogEvents', signal, (limited) =>
          sink.send(batch, limited),
        );
      } catch (error) {
        if (signal.aborted) return undefined;
        fail(batch, error, attempt + 1);
        await clock.sleep(backoffMs(attempt, backoff), signal).catch(() => undefined);
      }
    }
    return undefined;
  }

  function fail({ stream }: SpooledBatch, error: unknown, failures: number): void {
    const report = reportOf(error);
    moving.moved();
    const { roleOf } = stream;
    // Once for all streams of a role: when AWS is away it is away for each of them.
    const isNew = !failuresUnder(roleOf).some(({ code }) => code === report.code);
    if (isNew) log(eventsEvent('events.send-failed', { ...stream, error: report }));
    failing.set(streamKey(stream), { roleOf, failures, code: report.code });
    sent.failures += 1;
    lastError = { code: report.code, atMs: clock.now().getTime() };
  }

  function failuresUnder(roleOf: string | undefined): Failing[] {
    return [...failing.values()].filter((each) => each.roleOf === roleOf);
  }

  const watchMovement = (signal: AbortSignal): Promise<void> => moving.watch(signal);

  function isWaiting(): boolean {
    return spool.counts().batches > 0 || turns.size > 0 || intakes.some(({ filling }) => filling.size > 0);
  }

  async function put(batch: Batch, signal: AbortSignal): Promise<void> {
    const key = streamKey(batch.stream);
    await inTurn(key, async () => {
      await untilDone(`append ${key}`, () => spool.append(batch, [], signal), signal);
    });
    appended.ring();
  }

  async function putAndWait(batch: Batch, withinMs: number): Promise<readonly RefusedEvent[]> {
    const taken = Promise.withResolvers<readonly RefusedEvent[]>();
    const over = new AbortController();
    const notTaken = (): void => {
      const code = failing.get(streamKey(batch.stream))?.code;
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

  function answerAwaited({ body }: SpooledBatch, refused: readonly RefusedEvent[]): void {
    for (const [own, taken] of awaited) if (own.equals(body)) taken(refused);
  }

  function account(batch: SpooledBatch, refused: readonly RefusedEvent[]): void {
    answerAwaited(batch, refused);
    const { failures = 0 } = failing.get(streamKey(batch.stream)) ?? {};
    failing.delete(streamKey(batch.stream));
    sent.batches += 1;
    sent.events += batch.events - refused.length;
    sent.bytes += batch.bytes;
    sent.refused += refused.length;
    lastSentAtMs = clock.now().getTime();
    if (failures > 0 && failuresUnder(batch.stream.roleOf).length === 0) {
      log(eventsEvent('events.send-recovered', { ...batch.stream, failures }));
    }
    if (refused.length > 0) {
      const reasons = [...new Set(refused.map(({ reason }) => reason))];
      log(eventsEvent('events.refused', { ...batch.stream, events: refused.length, reasons }));
    }
  }

  function statusOf({ name, source, counts, filling }: Intake): SourceStatus {
    const { lagBytes, items, filtered } = source.counts();
    const waitingEvents = [...filling.values()].reduce((sum, { batch }) => sum + batch.events, 0);
    return {
      name,
      ...counts,
      lagBytes,
      items,
      waitingEvents,
      ...(filtered === undefined ? {} : { filteredEvents: filtered }),
    };
  }

  function isIdle(): boolean {
    return spool.counts().batches === 0 && senders === 0;
  }

  async function emptied(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !isIdle()) {
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
      const intakeTasks = intakes.map((intake) => async (group: AbortSignal) => {
        const task = take(intake, group);
        taken.push(task.catch(() => undefined));
        await task;
      });
      const work = runTasks(
        [
          ...intakeTasks,
          flushInTime,
          ship,
          watchMovement,
          ...(aging === undefined ? [] : [aging.watch]),
          (group) => Promise.race([broken.promise, aborted(group)]),
        ],
        AbortSignal.any([signal, ending.signal]),
      );
      intakesDone = Promise.all(taken).then(() => undefined);
      await work;
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
      ending.abort();
    },

    put,
    putAndWait,

    status: () => {
      const { deadLetters, deadLetterBytes, ...counts } = spool.counts();
      const { wedgedMs } = moving;
      return {
        sources: intakes.map(statusOf),
        spool: { ...counts, isFailing: counts.isFailing || spoolFailing.size > 0 },
        ...(wedgedMs === undefined ? {} : { wedgedMs }),
        sent: { ...sent, ...(lastSentAtMs === undefined ? {} : { lastAtMs: lastSentAtMs }) },
        deadLetter: { events: deadLetters, bytes: deadLetterBytes },
        ...(spill === undefined ? {} : { dropped: { ...spill.dropped } }),
        ...(aging === undefined ? {} : { outdated: { ...aging.moved } }),
        failingStreams: failing.size,
        ...(lastError === undefined ? {} : { lastError }),
      };
    },
  };
}

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

/** Positions of a source that is spread wait for all of its batches to be durable; so do those who are told of it. */
function rereadable(
  { name: source, canBeReadAgain, isSpread }: Intake,
  { isAtRisk, waiting }: Filling,
): RereadableSource | undefined {
  if (canBeReadAgain !== true || isSpread === true || waiting.length > 0) return undefined;
  return { source, isAtRisk };
}

function positionsOf({ name: source }: Intake, { positions }: Pick<Moved, 'positions'>): SourcePosition[] {
  return [...positions.values()].map(({ item, value }) => ({ source, item, value }));
}

function overflowOf({
  spool,
  whenFull = 'pause',
  fillBytesMax,
  sources,
  clock,
  log,
}: PipelineOptions): Overflow | undefined {
  if (whenFull === 'pause') return undefined;
  const spared = sources.filter(({ isSpared }) => isSpared === true);
  return overflow({
    spool,
    policy: whenFull,
    spared: new Set(spared.map((source) => streamKey(source.streamOf(undefined)))),
    bytesMax: fillBytesMax ?? spool.counts().bytesMax,
    clock,
    log,
  });
}
