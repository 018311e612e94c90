import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import type { Secret } from '../../base/secret.ts';
import { eventEnd } from '../event-lines.ts';
import type { Chunk } from '../event-source.ts';
import { eventsEvent } from '../log-events.ts';
import { type Match, type NeedleSearch, needleSearch } from './needle-search.ts';
import { type LeftOut, needlesOf } from './needles.ts';
import type { PatternSearch } from './pattern-search.ts';

/** Lines as they were read, or what a transform made of them. */
export type RedactionStage = 'read' | 'made';

export type RedactedChunk = Pick<Chunk, 'bytes' | 'positions' | 'file' | 'isOneEvent' | 'eventLines'>;

/** Takes the host's own secrets out of what is shipped, and what matches the patterns of the config. */
export interface Redactor {
  /**
   * Looks for this value, under the name of its secret, from now on. The values that the name had before stay for
   * `formerKeptMs`: a program may still use them. The caller keeps `value`, of which copies are made.
   */
  learn(name: string, value: Secret): void;
  /** Says which secrets there are: the values of all others are from now on those of before. */
  keepOnly(names: ReadonlySet<string>): void;
  /** The chunk's bytes without what must go: the same buffer where there is nothing. */
  redact(source: string, chunk: RedactedChunk, stage?: RedactionStage): Buffer;
  status(): RedactionStatus;
  /** Overwrites every value. */
  close(): void;
}

export interface RedactionStatus {
  /** Secrets that are looked for. */
  readonly secrets: number;
  /** Secrets whose value is not looked for, and why. */
  readonly leftOut: Readonly<Record<string, LeftOut>>;
  /** Places redacted since the start. */
  readonly redacted: number;
  /** Of those, the ones that matched a pattern, by its name; absent where the config has none. */
  readonly patterns?: Readonly<Record<string, number>>;
}

export interface RedactorOptions {
  /** Absent where the config has no patterns. */
  readonly patterns?: PatternSearch | undefined;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
}

/** How long a value that was replaced is still looked for. */
const formerKeptMs = 24 * 60 * 60 * 1000;
/** Values looked for by one name: a secret that changes by the minute must not fill the memory. */
const valuesMax = 8;
/** Of one secret in one source it is said so often at most; how many times it was, is said with it. */
const sayEveryMs = 60 * 1000;
/** A part of a secret that is cut off by the end of a chunk is masked from this length on. */
const partBytesMin = 4;
/** Matches of patterns that begin in one chunk and end in another are seen so far to either side. */
export const patternOverlapBytes = 4_096;
/** Items whose last chunk ended inside a line. The oldest beyond that is forgotten: a secret cut there shows in halves. */
const openLinesMax = 1_000;
/** Pairs of source and secret that sightings are counted of. */
const sightingsMax = 10_000;

interface Value {
  readonly needles: readonly Buffer[];
  /** On the monotonic clock; undefined while the value is current. */
  formerUntilMs?: number;
}

/** A place of which nothing may be shipped. */
interface Mark {
  readonly start: number;
  readonly end: number;
  readonly kind: 'secret' | 'pattern';
  /** Of the secret, or of the pattern. */
  readonly name: string;
}

interface Sightings {
  unsaid: number;
  sayAtMs: number;
}

export function redactor({ patterns, clock, log }: RedactorOptions): Redactor {
  const values = new Map<string, Value[]>();
  const leftOut = new Map<string, LeftOut>();
  const sightings = new Map<string, Sightings>();
  const patternHits: Record<string, number> = Object.fromEntries(
    patterns?.names.map((name) => [name, 0]) ?? [],
  );
  /** By source and item: the end of a line that is not over; with patterns that go over lines, of any. */
  const openLines = new Map<string, Buffer>();
  let needles: readonly Buffer[] = [];
  let names: readonly string[] = [];
  let search: NeedleSearch = needleSearch([]);
  let needleLengthMax = 0;
  let forgetAtMs = Number.POSITIVE_INFINITY;
  /** Whether values changed since `compile`. A thousand secrets that are learned at a start are compiled once. */
  let isStale = false;
  let redacted = 0;

  function compile(): void {
    const all = [...values].flatMap(([name, each]) =>
      each.flatMap((value) => value.needles.map((needle) => ({ name, needle }))),
    );
    needles = all.map(({ needle }) => needle);
    names = all.map(({ name }) => name);
    search = needleSearch(needles);
    needleLengthMax = needles.reduce((longest, { length }) => Math.max(longest, length), 0);
    const ends = [...values.values()].flat().map(({ formerUntilMs }) => formerUntilMs ?? Infinity);
    forgetAtMs = ends.reduce((first, end) => Math.min(first, end), Infinity);
    isStale = false;
  }

  /** Before each search: all that was learned, without what is to be forgotten by now. */
  function bringUpToDate(): void {
    if (isStale) compile();
    if (clock.monotonic() < forgetAtMs) return;
    forgetFormer();
    compile();
  }

  function retire(former: readonly Value[]): void {
    const formerUntilMs = clock.monotonic() + formerKeptMs;
    for (const value of former) value.formerUntilMs ??= formerUntilMs;
  }

  function forgetFormer(): void {
    const nowMs = clock.monotonic();
    for (const [name, each] of values) {
      const kept = each.filter(({ formerUntilMs = Infinity }) => formerUntilMs > nowMs).slice(-valuesMax);
      for (const value of each) if (!kept.includes(value)) overwrite(value);
      if (kept.length === 0) values.delete(name);
      else values.set(name, kept);
    }
    isStale = true;
  }

  /** Where secrets stand in `bytes`, in order, none within another, and then what matches patterns. */
  function matchesIn(bytes: Buffer): Mark[] {
    const found: Mark[] = [];
    let coveredTo = 0;
    // From its second byte on: another secret may begin within it and end beyond it.
    for (
      let match = search.isIn(bytes) ? search.next(bytes, 0) : undefined;
      match !== undefined;
      match = search.next(bytes, match.start + 1)
    ) {
      if (match.end <= coveredTo) continue;
      found.push(markOf(match));
      coveredTo = match.end;
    }
    for (const { start, end, pattern: name } of patterns?.matchesIn(bytes) ?? []) {
      found.push({ start, end, kind: 'pattern', name });
    }
    return found;
  }

  function markOf({ start, end, needle }: Match): Mark {
    return { start, end, kind: 'secret', name: names[needle] ?? '' };
  }

  /** How much is seen on either side of the end of a chunk. */
  function overlapBytes(): number {
    return Math.max(needleLengthMax, patterns === undefined ? 0 : patternOverlapBytes);
  }

  /** What began before this chunk: how much of it is at the chunk's beginning. */
  function beginningsOf(bytes: Buffer, before: Buffer | undefined): Mark[] {
    if (before === undefined) return [];
    const around = Buffer.concat([before, bytes.subarray(0, overlapBytes())]);
    return matchesIn(around)
      .filter(({ start, end }) => start < before.length && end > before.length)
      .map(({ end, kind, name }) => ({ start: 0, end: end - before.length, kind, name }));
  }

  /** The beginning of a secret at the end of a chunk whose line goes on. */
  function endOf(bytes: Buffer): Mark | undefined {
    let longest: Match | undefined;
    for (const [needle, { length }] of needles.entries()) {
      for (let part = Math.min(length - 1, bytes.length); part >= partBytesMin; part -= 1) {
        const start = bytes.length - part;
        if (longest !== undefined && start >= longest.start) break;
        if (needles[needle]?.compare(bytes, start, bytes.length, 0, part) === 0) {
          longest = { start, end: bytes.length, needle };
        }
      }
    }
    return longest && markOf(longest);
  }

  /** All that must go, the halves that a chunk's ends cut off included. */
  function marksIn(item: string, bytes: Buffer): readonly Mark[] {
    if (bytes.length === 0) return [];
    const before = openLines.get(item);
    const isLineOpen = bytes.at(-1) !== 0x0a;
    openLines.delete(item);
    if (isLineOpen || patterns?.spansLines === true) keepOpen(item, bytes, before);
    const end = isLineOpen ? endOf(bytes) : undefined;
    return [...beginningsOf(bytes, before), ...matchesIn(bytes), ...(end === undefined ? [] : [end])];
  }

  /** The same where events have several lines: each of these is seen by itself, the others in a row as lines are. */
  function marksInEvents(item: string, bytes: Buffer, eventLines: readonly number[]): readonly Mark[] {
    const isPlain = !openLines.has(item) && patterns?.spansLines !== true;
    if (isPlain && !search.isIn(bytes) && (patterns?.matchesIn(bytes) ?? []).length === 0) {
      return [];
    }
    return partsOf(bytes, eventLines).flatMap(({ start: from, end: to, isOneEvent }) => {
      const part = bytes.subarray(from, to);
      const marks = isOneEvent ? matchesIn(part) : marksIn(item, part);
      return marks.map(({ start, end, kind, name }) => ({
        start: from + start,
        end: from + end,
        kind,
        name,
      }));
    });
  }

  function keepOpen(item: string, bytes: Buffer, before: Buffer | undefined): void {
    const keptBytes = overlapBytes() - 1;
    if (keptBytes < 1) return;
    const isEnough = before === undefined || bytes.length >= keptBytes;
    const line = isEnough ? bytes : Buffer.concat([before, bytes]);
    openLines.set(item, Buffer.from(line.subarray(-keptBytes)));
    const [oldest] = openLines.keys();
    if (openLines.size > openLinesMax && oldest !== undefined) openLines.delete(oldest);
  }

  function note(source: string, marks: readonly Mark[]): void {
    redacted += marks.length;
    for (const { kind, name } of marks) {
      if (kind === 'pattern') patternHits[name] = (patternHits[name] ?? 0) + 1;
      const key = `${source}\0${kind}\0${name}`;
      const seen = sightings.get(key) ?? { unsaid: 0, sayAtMs: Number.NEGATIVE_INFINITY };
      if (sightings.size < sightingsMax) sightings.set(key, seen);
      seen.unsaid += 1;
      if (clock.monotonic() < seen.sayAtMs) continue;
      const times = seen.unsaid;
      log(
        kind === 'secret'
          ? eventsEvent('events.secret-redacted', { source, secret: name, times })
          : eventsEvent('events.pattern-redacted', { source, pattern: name, times }),
      );
      seen.unsaid = 0;
      seen.sayAtMs = clock.monotonic() + sayEveryMs;
    }
  }

  return {
    learn(name, value) {
      const found = needlesOf(value.revealBytes());
      const before = values.get(name) ?? [];
      const newest = before.at(-1);
      const isCurrent = newest !== undefined && newest.formerUntilMs === undefined;
      if (isCurrent && isSame(newest.needles, found.needles)) return;
      retire(before);
      if (found.leftOut === undefined) leftOut.delete(name);
      else if (leftOut.get(name) !== found.leftOut) {
        leftOut.set(name, found.leftOut);
        log(eventsEvent('events.secret-not-redacted', { secret: name, reason: found.leftOut }));
      }
      values.set(name, found.needles.length === 0 ? before : [...before, { needles: found.needles }]);
      forgetFormer();
    },

    keepOnly(kept) {
      for (const [name, former] of values) if (!kept.has(name)) retire(former);
      for (const name of leftOut.keys()) if (!kept.has(name)) leftOut.delete(name);
      forgetFormer();
    },

    redact(source, { bytes, positions, file, isOneEvent, eventLines }, stage = 'read') {
      bringUpToDate();
      if (needles.length === 0 && patterns === undefined) return bytes;
      const item = `${source}\0${stage}\0${positions[0]?.item ?? file ?? ''}`;
      // One event is whole, whether or not it ends with a newline.
      const marks =
        isOneEvent === true
          ? matchesIn(bytes)
          : eventLines === undefined
            ? marksIn(item, bytes)
            : marksInEvents(item, bytes, eventLines);
      if (marks.length === 0) return bytes;
      const { ordered, within } = inOrder(marks);
      note(source, [...ordered, ...within]);
      return masked(bytes, ordered);
    },

    status: () => ({
      secrets: values.size,
      leftOut: Object.fromEntries(leftOut),
      redacted,
      ...(patterns === undefined ? {} : { patterns: { ...patternHits } }),
    }),

    close() {
      for (const value of [...values.values()].flat()) overwrite(value);
      for (const line of openLines.values()) line.fill(0);
      values.clear();
      openLines.clear();
      compile();
    },
  };
}

function overwrite({ needles }: Value): void {
  for (const needle of needles) needle.fill(0);
}

function isSame(some: readonly Buffer[], others: readonly Buffer[]): boolean {
  return (
    some.length === others.length && some.every((needle, index) => needle.equals(others[index] ?? needle))
  );
}

interface Part {
  readonly start: number;
  readonly end: number;
  /** Of several lines; else all of its lines are events. */
  readonly isOneEvent: boolean;
}

/** Each event of several lines by itself, and those of one line that are in a row together. */
function partsOf(bytes: Buffer, eventLines: readonly number[]): readonly Part[] {
  const parts: Part[] = [];
  let start = 0;
  for (const lines of eventLines) {
    const end = eventEnd(bytes, start, lines);
    const last = parts.at(-1);
    if (lines === 1 && last !== undefined && !last.isOneEvent) parts.splice(-1, 1, { ...last, end });
    else parts.push({ start, end, isOneEvent: lines > 1 });
    start = end;
  }
  return parts;
}

/**
 * None overlapping another: what of one is beyond the one before it is added to that. `within` are those of something
 * else that went so: a secret that stands in what matches a pattern.
 */
function inOrder(marks: readonly Mark[]): { readonly ordered: readonly Mark[]; readonly within: Mark[] } {
  const ordered: Mark[] = [];
  const within: Mark[] = [];
  for (const mark of marks.toSorted((one, other) => one.start - other.start || other.end - one.end)) {
    const last = ordered.at(-1);
    if (last === undefined || mark.start >= last.end) {
      ordered.push(mark);
      continue;
    }
    if (mark.kind !== last.kind || mark.name !== last.name) within.push(mark);
    if (mark.end > last.end) ordered.splice(-1, 1, { ...last, end: mark.end });
  }
  return { ordered, within };
}

const newline = 0x0a;

/** ASCII without quotes or backslashes, so that JSON around it stays JSON. Each line that had a part of it keeps one. */
function masked(bytes: Buffer, marks: readonly Mark[]): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  for (const { start, end, kind, name } of marks) {
    const text = kind === 'secret' ? `[secret ${name}]` : `[redacted ${name}]`;
    const lines = bytes.subarray(start, end).filter((byte) => byte === newline).length;
    const isUpToEnd = lines > 0 && bytes[end - 1] === newline;
    const texts = `${text}\n`.repeat(lines) + (isUpToEnd ? '' : text);
    parts.push(bytes.subarray(from, start), Buffer.from(texts));
    from = end;
  }
  parts.push(bytes.subarray(from));
  return Buffer.concat(parts);
}
