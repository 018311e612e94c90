import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import { isUsualTime } from '../encoding/line-encoder.ts';
import { type Chunk, chunkBytesMax, type EventSource, type Position } from '../event-source.ts';
import { isShippable } from '../event-time.ts';
import { textOf } from '../exact-json.ts';
import { escapeForeign, isPlainText } from '../foreign-bytes.ts';
import { batchSpanMsMax } from '../limits.ts';
import { eventsEvent } from '../log-events.ts';
import type { TransformConfig } from './config.ts';
import { containerLines } from './container.ts';
import { type Place, placeOf, stamped } from './coordinates.ts';
import { fieldOf, parseObject, selected } from './json-fields.ts';
import { type Joining, joiningOf } from './multiline.ts';
import { compilePattern, compilePatterns, type Pattern } from './pattern.ts';
import { type ReadTime, readTime } from './timestamp.ts';

export interface TransformOptions {
  readonly name: string;
  readonly source: EventSource;
  readonly config: TransformConfig;
  /** Fields whose values the name of the log stream has in it. */
  readonly fields?: readonly string[];
  /** For coordinates. */
  readonly hostId: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Items (files) whose unfinished events are held. The one that waited longest beyond that goes out as it is. */
const itemsMax = 1_000;
/** How long parts of a container's line wait for their rest, where nothing else says how long. */
const partWaitMs = 1_000;
/** How often it is said that times cannot be used. */
const sayEveryMs = 10 * 60 * 1000;

interface TimedText {
  readonly text: string;
  readonly timeMs: number;
  /** Of its first line, where coordinates are asked for. */
  readonly place: Place | undefined;
}

/** An event as it is shipped. */
interface Made {
  readonly text: string;
  readonly timeMs: number;
  readonly fields?: readonly string[];
}

/** What may be told once the events before it are handed on. */
interface Held {
  readonly positions: Map<string, Position>;
  readonly tells: (() => void)[];
}

/** One file: the event whose next line may still come. */
interface Item {
  readonly file: string | undefined;
  readonly joins: Joining | undefined;
  readonly container: ReturnType<typeof containerLines> | undefined;
  lines: string[];
  length: number;
  timeMs: number;
  place: Place | undefined;
  /** When the first part of the line that is being read was, on the steady clock; of the open event; and the last. */
  lineMs: number;
  openedMs: number;
  lastLineMs: number;
  held: Held;
  /** Its file may soon be gone. */
  isAtRisk: boolean;
}

/** For unfinished events. */
interface Waiting {
  isOver: boolean;
  /** Of whoever asks now. Not a promise to race with: that would hold every chunk that came first. */
  onOver: () => void;
}

/** The compiled config. */
interface Stage {
  readonly newJoining: (() => Joining) | undefined;
  readonly include: readonly Pattern[];
  readonly exclude: readonly Pattern[];
  readonly readTime: ReadTime | undefined;
}

async function stageOf({ multiline, filter, timestamp }: TransformConfig): Promise<Stage> {
  return {
    newJoining:
      multiline === undefined
        ? undefined
        : joiningOf({
            preset: multiline.preset,
            start: await compilePattern(multiline.start),
            continuation: await compilePattern(multiline.continuation),
            end: await compilePattern(multiline.end),
          }),
    include: await compilePatterns(filter?.include ?? []),
    exclude: await compilePatterns(filter?.exclude ?? []),
    readTime: timestamp === undefined ? undefined : readTime(timestamp),
  };
}

/**
 * A source whose lines are joined, filtered, timed and cut down. Its guarantee on kill is that of `source`: a position
 * is handed on with the last event that has bytes before it. Parts of a line too long for one event go through as they
 * are.
 */
export function transforming({
  name,
  source,
  config,
  fields = [],
  hostId,
  clock,
  log,
}: TransformOptions): EventSource {
  const { multiline, container, filter, timestamp, json } = config;
  const items = new Map<string, Item>();
  let filtered = 0;
  let sampled = 0;
  /** Wall-clock time, asked once for each chunk: for each event of it that costs as much as its time. */
  let nowMs = 0;
  let unusable = 0;
  let sayAtMs = 0;

  async function* chunks(...[from, signal]: Parameters<EventSource['chunks']>): AsyncGenerator<Chunk> {
    const stage = await stageOf(config);
    const iterator = source.chunks(from, signal)[Symbol.asyncIterator]();
    const over = new AbortController();
    const until = AbortSignal.any([signal, over.signal]);
    let next: Promise<IteratorResult<Chunk>> | undefined;
    let late: Waiting | undefined;
    try {
      for (;;) {
        next ??= iterator.next();
        // One that ended while nobody asked says nothing: the next line may be there.
        if (late === undefined || late.isOver) late = waiting(until);
        const result = await (late === undefined ? next : inTime(next, late));
        if (result === undefined) {
          for (const item of items.values()) if (dueInMs(item) <= 0) yield* finish(item, stage);
          continue;
        }
        next = undefined;
        if (result.done === true) break;
        yield* take(result.value, stage);
      }
      for (const item of items.values()) yield* finish(item, stage);
    } finally {
      over.abort();
      items.clear();
      await iterator.return?.();
    }
  }

  /**
   * Until the unfinished event that waits longest may have waited long enough: none has before, since lines that come
   * meanwhile only make events wait longer. Undefined where none waits.
   */
  function waiting(until: AbortSignal): Waiting | undefined {
    const waitMs = Math.min(Infinity, ...[...items.values()].map(dueInMs));
    if (waitMs === Infinity) return undefined;
    const wait: Waiting = { isOver: false, onOver: () => undefined };
    const end = (): void => {
      wait.isOver = true;
      wait.onOver();
    };
    clock.sleep(Math.max(1, waitMs), until).then(end, () => undefined);
    return wait;
  }

  /** When an unfinished event has waited long enough. */
  function dueInMs(item: Item): number {
    if (!isOpen(item)) return Infinity;
    return item.lastLineMs + (multiline?.flushAfterMs ?? partWaitMs) - clock.monotonic();
  }

  function* take(chunk: Chunk, stage: Stage): Generator<Chunk> {
    nowMs = clock.now().getTime();
    const key = chunk.positions[0]?.item ?? chunk.file ?? '';
    const item = items.get(key) ?? newItem(chunk, stage);
    item.isAtRisk ||= chunk.isAtRisk === true;
    if (chunk.part !== undefined) {
      yield* finish(item, stage);
      yield chunk;
      return;
    }
    const isPlain = isPlainText(chunk.bytes);
    const { bytes, lines } = isPlain ? { bytes: chunk.bytes, lines: 0 } : escapeForeign(chunk.bytes);
    const events: Made[] = [];
    const released = newHeld();
    const add = (text: string, timeMs: number, place: Place | undefined): void => {
      const before = addLine(item, text, timeMs, place);
      if (before === undefined) return;
      // What was open has been handed on, unless a part of another line waits from before it.
      if (item.container?.isEmpty() !== false) release(item, released);
      push(events, before, stage);
    };
    const whole = linesOf(bytes, chunk.isOneEvent === true);
    if (whole.length > 0) item.lastLineMs = clock.monotonic();
    if (!isOpen(item)) item.openedMs = item.lastLineMs;
    if (item.container?.isEmpty() !== false) item.lineMs = item.lastLineMs;
    for (const [index, line] of whole.entries()) {
      const place = placeOf(chunk, index);
      if (item.container === undefined) add(line, chunk.timeMs, place);
      else {
        if (item.container.isEmpty()) item.lineMs = item.lastLineMs;
        for (const { text, timeMs } of item.container.push(line)) {
          add(text, usable(timeMs, chunk.timeMs), place);
        }
      }
    }
    const target = isOpen(item) ? item.held : release(item, released);
    for (const position of chunk.positions.filter(isTrue)) target.positions.set(position.item, position);
    if (chunk.onDurable !== undefined) target.tells.push(chunk.onDurable);
    yield* chunksOf(events, item, lines, released);
    if (isOpen(item)) yield* keep(key, item, stage);
    else items.delete(key);
  }

  /** Whether no event waits from before the time by which all should be durable. */
  function isTrue({ durableByMs }: Position): boolean {
    if (durableByMs === undefined) return true;
    return ![...items.values()].some((item) => isOpen(item) && item.openedMs <= durableByMs);
  }

  function* keep(key: string, item: Item, stage: Stage): Generator<Chunk> {
    items.delete(key);
    items.set(key, item);
    const [oldest] = items;
    if (items.size <= itemsMax || oldest === undefined) return;
    items.delete(oldest[0]);
    yield* finish(oldest[1], stage);
  }

  function newItem({ file, timeMs }: Chunk, stage: Stage): Item {
    return {
      file,
      joins: stage.newJoining?.(),
      container: container === undefined ? undefined : containerLines(container),
      lines: [],
      length: 0,
      timeMs,
      place: undefined,
      lineMs: 0,
      openedMs: 0,
      lastLineMs: 0,
      held: newHeld(),
      isAtRisk: false,
    };
  }

  /** Returns the event that is whole now. */
  function addLine(
    item: Item,
    line: string,
    timeMs: number,
    place: Place | undefined,
  ): TimedText | undefined {
    if (item.joins === undefined || multiline === undefined) return { text: line, timeMs, place };
    const isJoined = item.joins(line);
    const hasRoom = item.lines.length < multiline.linesMax && item.length + line.length <= multiline.bytesMax;
    if (isJoined && hasRoom && item.lines.length > 0) {
      item.lines.push(line);
      item.length += line.length + 1;
      return undefined;
    }
    const before = openEvent(item);
    item.lines = [line];
    item.openedMs = item.lineMs;
    item.length = line.length;
    item.timeMs = timeMs;
    item.place = place;
    return before;
  }

  /** Hands on what is unfinished, as it is. */
  function* finish(item: Item, stage: Stage): Generator<Chunk> {
    nowMs = clock.now().getTime();
    const events: Made[] = [];
    for (const { text, timeMs } of item.container?.end() ?? []) {
      push(events, addLine(item, text, usable(timeMs, item.timeMs), undefined), stage);
    }
    push(events, openEvent(item), stage);
    item.lines = [];
    const released = newHeld();
    release(item, released);
    yield* chunksOf(events, item, 0, released);
  }

  function push(events: Made[], event: TimedText | undefined, stage: Stage): void {
    if (event === undefined) return;
    if (!isWanted(event.text, stage)) filtered += 1;
    else events.push(made(event, stage));
  }

  function isWanted(text: string, { include, exclude }: Stage): boolean {
    if (include.length > 0 && !include.some((has) => has(text))) return false;
    if (exclude.some((has) => has(text))) return false;
    const share = filter?.sample ?? 1;
    sampled += share;
    // Just the share, without chance: of ten events with 0.1 every tenth.
    if (share < 1 && sampled < 1) return false;
    sampled -= 1;
    return true;
  }

  function made({ text, timeMs, place }: TimedText, stage: Stage): Made {
    const isObjectNeeded = json !== undefined || timestamp?.field !== undefined || fields.length > 0;
    const object = isObjectNeeded ? parseObject(text) : undefined;
    const timeText = timestamp?.field === undefined ? text : textOf(object?.[timestamp.field]);
    const found =
      stage.readTime === undefined || timeText === undefined ? undefined : stage.readTime(timeText, nowMs);
    const kept = json === undefined || object === undefined ? undefined : selected(object, json);
    const own = kept ?? text;
    return {
      text: place === undefined ? own : stamped(own, place, { hostId, source: name }),
      timeMs: usable(found, timeMs),
      ...(fields.length === 0 ? {} : { fields: fields.map((field) => fieldOf(object, field)) }),
    };
  }

  /** The time if CloudWatch Logs takes it, else when the line was read. */
  function usable(timeMs: number | undefined, readMs: number): number {
    if (timeMs === undefined) return readMs;
    if (isShippable(timeMs, nowMs)) return timeMs;
    unusable += 1;
    if (clock.monotonic() >= sayAtMs) {
      sayAtMs = clock.monotonic() + sayEveryMs;
      log(eventsEvent('events.time-unusable', { source: name, events: unusable }));
      unusable = 0;
    }
    return readMs;
  }

  return { chunks, counts: () => ({ ...source.counts(), filtered }) };
}

/** Undefined when the waiting is over first. */
function inTime<T>(next: Promise<T>, late: Waiting): Promise<T | undefined> {
  const first = Promise.withResolvers<T | undefined>();
  late.onOver = () => first.resolve(undefined);
  next.then(first.resolve, first.reject);
  return first.promise;
}

function newHeld(): Held {
  return { positions: new Map(), tells: [] };
}

/** Moves what an item holds to `to`, and returns that. */
function release(item: Item, to: Held): Held {
  if (item.held.positions.size === 0 && item.held.tells.length === 0) return to;
  for (const [key, position] of item.held.positions) to.positions.set(key, position);
  to.tells.push(...item.held.tells);
  item.held = newHeld();
  return to;
}

function isOpen(item: Item): boolean {
  return item.lines.length > 0 || item.container?.isEmpty() === false;
}

function openEvent({ lines, timeMs, place }: Item): TimedText | undefined {
  return lines.length === 0 ? undefined : { text: lines.join('\n'), timeMs, place };
}

function linesOf(bytes: Buffer, isOneEvent: boolean): readonly string[] {
  if (bytes.length === 0) return [];
  const text = bytes.toString('utf8').replaceAll('\r\n', '\n');
  const whole = text.endsWith('\n') ? text.slice(0, -1) : text;
  return isOneEvent ? [whole] : whole.split('\n');
}

/** Events of one stream make one chunk, as far as one can hold them. The last one tells what may be told. */
function* chunksOf(
  events: readonly Made[],
  { file, isAtRisk }: Pick<Item, 'file' | 'isAtRisk'>,
  escapedLines: number,
  { positions, tells }: Held,
): Generator<Chunk> {
  const runs = byStream(events).flatMap(runsOf);
  const last = {
    positions: [...positions.values()],
    ...(tells.length === 0 ? {} : { onDurable: () => tells.forEach((tell) => tell()) }),
  };
  const isTelling = positions.size > 0 || tells.length > 0;
  if (runs.length === 0 && isTelling) yield { bytes: Buffer.alloc(0), timeMs: 0, file, ...last };
  for (const [index, run] of runs.entries()) {
    const [first] = run;
    const eventLines = run.map(({ text }) => linesIn(text));
    const eventTimes = run.map(({ timeMs }) => timeMs);
    yield {
      bytes: Buffer.from([...run.map(({ text }) => text), ''].join('\n')),
      timeMs: first?.timeMs ?? 0,
      file,
      ...(first?.fields === undefined ? {} : { fields: first.fields }),
      ...(eventLines.some((lines) => lines > 1) ? { eventLines } : {}),
      ...(eventTimes.some((timeMs) => timeMs !== first?.timeMs) ? { eventTimes } : {}),
      isAtRisk,
      escapedLines: index === 0 ? escapedLines : 0,
      positions: [],
      ...(index === runs.length - 1 ? last : {}),
    };
  }
}

/** Events that go to one stream stay in their order; where they go to several, these come one after the other. */
function byStream(events: readonly Made[]): (readonly Made[])[] {
  if (events[0]?.fields === undefined) return [events];
  return [...Map.groupBy(events, ({ fields = [] }) => fields.join('\0')).values()];
}

/** None of them makes a chunk that is too large, unless by a single event, or that spans more than a call may. */
function runsOf(events: readonly Made[]): Made[][] {
  const runs: Made[][] = [];
  let run: Made[] = [];
  let runBytesMost = 0;
  let firstMs = 0;
  let lastMs = 0;
  for (const event of events) {
    // Without counting: UTF-8 has three bytes at most for a unit of a string.
    const bytesMost = 3 * event.text.length + 1;
    firstMs = Math.min(firstMs, event.timeMs);
    lastMs = Math.max(lastMs, event.timeMs);
    const isOfRun = firstMs === lastMs || (isUsualTime(firstMs) && isUsualTime(lastMs));
    const isFull = runBytesMost + bytesMost > chunkBytesMax || lastMs - firstMs >= batchSpanMsMax;
    if (run.length === 0 || !isOfRun || isFull) {
      run = [];
      runs.push(run);
      runBytesMost = 0;
      firstMs = event.timeMs;
      lastMs = event.timeMs;
    }
    run.push(event);
    runBytesMost += bytesMost;
  }
  return runs;
}

function linesIn(text: string): number {
  let lines = 1;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines += 1;
  return lines;
}
