import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import { type Batch, encodeChunk, type OpenBatch, openBatch, type StreamName } from '../batch.ts';
import { returnBody } from '../body-memory.ts';
import type { Chunk, Position } from '../event-source.ts';
import { eventsEvent } from '../log-events.ts';
import {
  type BatchToAppend,
  type RereadableSource,
  type SourcePosition,
  type Spool,
  streamKey,
} from '../spool.ts';
import type { SourceStatus } from '../status.ts';
import type { PipelineLimits } from './limits.ts';
import type { PipelineSource } from './source.ts';
import type { SpoolTurns } from './spool-turns.ts';

/** The way of one source's lines into the spool, in batches, one open for each stream. */
export interface Intake {
  /**
   * Reads until the source ends or `stop` aborts, and makes all of it durable.
   * @throws what the source or the spool throws and trying again cannot mend
   */
  take(stop: AbortSignal, signal: AbortSignal): Promise<void>;
  /** Begins to make durable what has been open for long enough. */
  flushDue(signal: AbortSignal): void;
  /** Since when its oldest open batch waits that could be flushed, on the steady clock; undefined where there is none. */
  readonly openSinceMs: number | undefined;
  /** Whether it has read anything that is not on its way to the disk. */
  readonly isOpen: boolean;
  status(): SourceStatus;
}

export interface IntakeOptions {
  readonly source: PipelineSource;
  readonly spool: Pick<Spool, 'append' | 'appendFirst' | 'keep' | 'position'>;
  readonly turns: SpoolTurns;
  /**
   * Waits for what a batch has to wait for before it may ask for room. False where it is not to be kept, which only
   * happens to one that is droppable.
   */
  readonly admit: (batch: Batch, isDroppable: boolean, signal: AbortSignal) => Promise<boolean>;
  /** Whether each of a stream is to be admitted by itself, and not with the first of several. */
  readonly isAdmittedAlone: (stream: StreamName) => boolean;
  /** Told of each batch before the spool is. */
  readonly prepare: (batch: Batch) => void;
  /** Waits after each full batch until the calls may have caught up. */
  readonly inStep: () => Promise<void>;
  readonly limits: Pick<PipelineLimits, 'flushAfterMs' | 'keepAfterMs' | 'openBytesMax'>;
  readonly onOpened: () => void;
  readonly onAppended: () => void;
  /** An append failed for good that nobody waits for. */
  readonly onBroken: (error: unknown) => void;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
}

/** A batch that is being filled, and where its source goes on once it is durable. */
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

/** A batch that is full or due, as the spool is to have it. */
interface Sealed extends BatchToAppend {
  readonly from: RereadableSource | undefined;
  readonly isDroppable: boolean;
  /** It is durable, or not kept. */
  readonly onDone: () => void;
}

interface Moved {
  readonly positions: Map<string, Position>;
  readonly sinceMs: number;
}

/** Full batches of one source on their way to the disk: with more it is not read on. */
const fullUnderWayMax = 2;

export function intake(options: IntakeOptions): Intake {
  const {
    spool,
    turns,
    admit,
    isAdmittedAlone,
    prepare,
    inStep,
    limits,
    onOpened,
    onAppended,
    onBroken,
    clock,
    log,
  } = options;
  const { name, source, isSpread = false, isSpared = false, canBeReadAgain = false } = options.source;
  const counts = { bytes: 0, events: 0, escapedLines: 0, splitEvents: 0 };
  /** By stream. */
  const filling = new Map<string, Filling>();
  /** Those that are open, and those on their way to the disk: the oldest first. */
  const undurable = new Set<Filling>();
  /** Positions that moved without bytes; they go with the next batch of their stream, or after a while by themselves. */
  const moved = new Map<string, Moved>();
  /** Where a source that is spread goes on once all of its open batches are durable. */
  let spread: Moved | undefined;
  /** By stream: what waits for its turn. All of it goes with the next. */
  const sealed = new Map<string, Sealed[]>();
  /** Batches on their way to the disk: reading goes on meanwhile. */
  let underWay: Promise<void> = Promise.resolve();
  /** The same after each of the last full ones. */
  const underWayAfter: Promise<void>[] = [];
  /** The stream that a chunk is being put into. Its open batch waits for the chunk's positions, however long that takes. */
  let busy: string | undefined;
  /** What it has in memory, by the size of its JSON. */
  let openBytes = 0;

  async function take(stop: AbortSignal, signal: AbortSignal): Promise<void> {
    for await (const chunk of source.chunks(spool.position(name), stop)) {
      await fill(chunk, signal);
      if (openBytes > limits.openBytesMax) await flushAll(signal);
    }
    if (isSpread) await flushSpread(signal);
    for (const key of filling.keys()) await flush(key, signal);
    await underWay;
    for (const [key, { positions }] of moved) {
      await turns.inTurn(key, () => keep(key, positions, signal));
    }
  }

  async function fill(chunk: Chunk, signal: AbortSignal): Promise<void> {
    const stream = options.source.streamOf(chunk.file, chunk.fields);
    const key = streamKey(stream);
    const place = filling.get(key)?.batch.placeFor(chunk.bytes.length);
    const { pieces, escapedLines, splitEvents } = encodeChunk(chunk.bytes, chunk.timeMs, chunk, place);
    busy = key;
    for (const piece of pieces) {
      const last = filling.get(key);
      const full = last?.batch.fits(piece) === false ? last : undefined;
      // Before anything is waited for, and before the full batch is sealed, in whose place it may have been written:
      // another source's chunk is encoded in the same memory.
      const open = last === undefined || full !== undefined ? start(key, stream) : last;
      open.batch.add(piece);
      open.jsonBytes += piece.json.length;
      openBytes += piece.json.length;
      open.isAtRisk ||= chunk.isAtRisk === true;
      counts.events += piece.events;
      const before = full && fullBeside(key, full, signal);
      if (before === undefined) continue;
      await before;
      await inStep();
    }
    counts.bytes += chunk.bytes.length;
    if (isSpread) {
      say(escapedLines, splitEvents);
      await keepSpread(chunk, signal);
      return;
    }
    // Only now: the batch that holds the chunk's last bytes may not be the one that holds its first.
    const last = filling.get(key) ?? moved.get(key) ?? newMoved();
    for (const position of keepable(chunk)) last.positions.set(position.item, position);
    busy = undefined;
    onOpened();
    if (!filling.has(key)) await keepMoved(key, last, chunk.onDurable !== undefined, signal);
    say(escapedLines, splitEvents);
    if (chunk.onDurable !== undefined) await tellWhenDurable(key, chunk.onDurable, signal);
  }

  function keepable({ positions }: Chunk): readonly Position[] {
    const [oldest] = undurable;
    return positions.filter(({ durableByMs = -Infinity }) => durableByMs < (oldest?.sinceMs ?? Infinity));
  }

  /** Of a source that is spread, a chunk's positions wait for the batches of all streams, not for that of its own. */
  async function keepSpread(chunk: Chunk, signal: AbortSignal): Promise<void> {
    busy = undefined;
    spread ??= newMoved();
    for (const position of keepable(chunk)) spread.positions.set(position.item, position);
    onOpened();
    const isLate = clock.monotonic() - spread.sinceMs >= limits.keepAfterMs;
    if (chunk.onDurable !== undefined || (isLate && filling.size === 0)) await flushSpread(signal);
    chunk.onDurable?.();
  }

  /** Makes all open batches durable: while the spool is full, each of many streams would fill one. */
  async function flushAll(signal: AbortSignal): Promise<void> {
    if (isSpread) return flushSpread(signal);
    for (const key of filling.keys()) flushBeside(key, signal);
    await underWay;
  }

  /** Makes all open batches of a source that is spread durable, and then where it goes on after them. */
  async function flushSpread(signal: AbortSignal): Promise<void> {
    const { positions } = spread ?? newMoved();
    spread = undefined;
    for (const key of filling.keys()) flushBeside(key, signal);
    const before = underWay;
    // In turn with those that were asked for before: a position must not move back.
    await turns.inTurn(name, async () => {
      await before;
      await keep(name, positions, signal);
    });
  }

  function newMoved(): Moved {
    return { positions: new Map(), sinceMs: clock.monotonic() };
  }

  /** Of a source whose filter lets nothing pass, positions alone move: they must not wait for ever. */
  async function keepMoved(key: string, last: Moved, isTold: boolean, signal: AbortSignal): Promise<void> {
    moved.set(key, last);
    if (!isTold && clock.monotonic() - last.sinceMs < limits.keepAfterMs) return;
    moved.delete(key);
    await turns.inTurn(key, () => keep(key, last.positions, signal));
  }

  async function keep(
    key: string,
    positions: ReadonlyMap<string, Position>,
    signal: AbortSignal,
  ): Promise<void> {
    if (positions.size === 0) return;
    await turns.untilDone(`keep ${key}`, () => spool.keep(positionsIn(positions)), signal);
  }

  /** Begins to make a batch durable. */
  function flushBeside(key: string, signal: AbortSignal): void {
    noteUnderWay(flush(key, signal));
  }

  /** As `flushBeside`, of one that is full and has a successor; returns what reading is to wait for. */
  function fullBeside(key: string, full: Filling, signal: AbortSignal): Promise<void> | undefined {
    noteUnderWay(makeDurable(key, full, signal));
    underWayAfter.push(underWay);
    return underWayAfter.length > fullUnderWayMax ? underWayAfter.shift() : undefined;
  }

  function noteUnderWay(flushing: Promise<void>): void {
    underWay = Promise.all([underWay, flushing]).then(() => undefined);
    // The source may have no more to say, and nobody would wait for it.
    underWay.catch(onBroken);
  }

  async function tellWhenDurable(key: string, tell: () => void, signal: AbortSignal): Promise<void> {
    const open = filling.get(key);
    open?.waiting.push(tell);
    await flush(key, signal);
    // It was flushed meanwhile: then it is durable when its turn is over.
    if (open === undefined) await turns.inTurn(key, async () => tell());
  }

  function start(key: string, stream: StreamName): Filling {
    const { positions } = moved.get(key) ?? newMoved();
    moved.delete(key);
    const open = {
      batch: openBatch(stream, options.source.embeddedMetrics),
      positions,
      sinceMs: clock.monotonic(),
      isAtRisk: false,
      waiting: [],
      jsonBytes: 0,
    };
    filling.set(key, open);
    undurable.add(open);
    onOpened();
    return open;
  }

  /** Said when it starts, not for each line. */
  function say(escapedLines: number, splitEvents: number): void {
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

  async function flush(key: string, signal: AbortSignal): Promise<void> {
    const open = filling.get(key);
    filling.delete(key);
    if (open !== undefined) await makeDurable(key, open, signal);
  }

  /** Makes a batch durable with its positions; waits while the spool is full or cannot be written. */
  async function makeDurable(key: string, open: Filling, signal: AbortSignal): Promise<void> {
    const batch = open.batch.seal();
    prepare(batch);
    const own = sealed.get(key) ?? [];
    sealed.set(key, own);
    own.push({
      batch,
      positions: positionsIn(open.positions),
      from: rereadable(open),
      // Somebody who is told when it is durable can wait, and nothing of it is dropped.
      isDroppable: !isSpared && open.waiting.length === 0,
      onDone() {
        undurable.delete(open);
        openBytes -= open.jsonBytes;
        returnBody(batch.body);
        for (const tell of open.waiting) tell();
        onAppended();
      },
    });
    await turns.inTurn(key, () => appendSealed(key, own, signal));
  }

  /** In turn. An earlier turn may have taken what this one is for. */
  async function appendSealed(key: string, own: Sealed[], signal: AbortSignal): Promise<void> {
    for (let [first] = own; first !== undefined; [first] = own) {
      const { batch, positions, isDroppable } = first;
      const isKept = await admit(batch, isDroppable, signal);
      const taken = await turns.untilDone(
        `append ${key}`,
        async () => {
          if (isKept) return append(own, signal);
          await spool.keep(positions);
          return 1;
        },
        signal,
      );
      for (const { onDone } of own.splice(0, taken)) onDone();
    }
    if (sealed.get(key) === own) sealed.delete(key);
  }

  /** How many of the first it has taken. */
  async function append(own: readonly Sealed[], signal: AbortSignal): Promise<number> {
    const [first] = own;
    if (first === undefined) return 0;
    if (own.length > 1 && spool.appendFirst !== undefined && !isAdmittedAlone(first.batch.stream)) {
      const ids = await spool.appendFirst(own, signal);
      return ids.length;
    }
    await spool.append(first.batch, first.positions, signal, first.from);
    return 1;
  }

  /** Positions of a source that is spread wait for all of its batches to be durable; so do those who are told of it. */
  function rereadable({ isAtRisk, waiting }: Filling): RereadableSource | undefined {
    if (!canBeReadAgain || isSpread || waiting.length > 0) return undefined;
    return { source: name, isAtRisk };
  }

  function positionsIn(positions: ReadonlyMap<string, Position>): SourcePosition[] {
    return [...positions.values()].map(({ item, value }) => ({ source: name, item, value }));
  }

  function isFlushable(key: string): boolean {
    return key !== busy && !turns.isTaken(key);
  }

  return {
    take,

    flushDue(signal) {
      for (const [key, { sinceMs }] of filling) {
        if (!isFlushable(key) || clock.monotonic() - sinceMs < limits.flushAfterMs) continue;
        // Not waited for: one that finds no room would hold up those that need none.
        if (isSpread) flushSpread(signal).catch(onBroken);
        else flushBeside(key, signal);
      }
    },

    get openSinceMs() {
      const since = [...filling].filter(([key]) => isFlushable(key)).map(([, { sinceMs }]) => sinceMs);
      return since.length === 0 ? undefined : Math.min(...since);
    },

    get isOpen() {
      return filling.size > 0;
    },

    status() {
      const { lagBytes, items, filtered, unannounced } = source.counts();
      const waitingEvents = [...filling.values()].reduce((sum, { batch }) => sum + batch.events, 0);
      return {
        name,
        ...counts,
        lagBytes,
        items,
        waitingEvents,
        ...(filtered === undefined ? {} : { filteredEvents: filtered }),
        ...(unannounced === undefined ? {} : { unannouncedChanges: unannounced }),
      };
    },
  };
}
