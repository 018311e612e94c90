import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import type { Secret } from '../../base/secret.ts';
import type { Chunk } from '../event-source.ts';
import { eventsEvent } from '../log-events.ts';
import { type Match, type NeedleSearch, needleSearch } from './needle-search.ts';
import { type LeftOut, needlesOf } from './needles.ts';

/** Lines as they were read, or what a transform made of them. */
export type RedactionStage = 'read' | 'made';

type RedactedChunk = Pick<Chunk, 'bytes' | 'positions' | 'file' | 'isOneEvent'>;

/** Takes the host's own secrets out of what is shipped. */
export interface Redactor {
  /**
   * Looks for this value, under the name of its secret, from now on. The values that the name had before stay for
   * `formerKeptMs`: a program may still use them. The caller keeps `value`, of which copies are made.
   */
  learn(name: string, value: Secret): void;
  /** Says which secrets there are: the values of all others are from now on those of before. */
  keepOnly(names: ReadonlySet<string>): void;
  /** The chunk's bytes without the secrets in them: the same buffer where there are none. */
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
}

export interface RedactorOptions {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
}

/** How long a value that was replaced is still looked for. */
export const formerKeptMs = 24 * 60 * 60 * 1000;
/** Values looked for by one name: a secret that changes by the minute must not fill the memory. */
const valuesMax = 8;
/** Of one secret in one source it is said so often at most; how many times it was, is said with it. */
const sayEveryMs = 60 * 1000;
/** A part of a secret that is cut off by the end of a chunk is masked from this length on. */
const partBytesMin = 4;
/** Items whose last chunk ended inside a line. The oldest beyond that is forgotten: a secret cut there shows in halves. */
const openLinesMax = 1_000;
/** Pairs of source and secret that sightings are counted of. */
const sightingsMax = 10_000;

interface Value {
  readonly needles: readonly Buffer[];
  /** On the monotonic clock; undefined while the value is current. */
  formerUntilMs?: number;
}

interface Sightings {
  unsaid: number;
  sayAtMs: number;
}

export function redactor({ clock, log }: RedactorOptions): Redactor {
  const values = new Map<string, Value[]>();
  const leftOut = new Map<string, LeftOut>();
  const sightings = new Map<string, Sightings>();
  /** By source and item: the end of a line that is not over. */
  const openLines = new Map<string, Buffer>();
  let needles: readonly Buffer[] = [];
  let names: readonly string[] = [];
  let search: NeedleSearch = needleSearch([]);
  let needleLengthMax = 0;
  let forgetAtMs = Number.POSITIVE_INFINITY;
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
    forgetAtMs = Math.min(...ends, Infinity);
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
    compile();
  }

  /** Where secrets stand in `bytes`, in order, none overlapping another. */
  function matchesIn(bytes: Buffer): Match[] {
    const found: Match[] = [];
    for (let match = search.next(bytes, 0); match !== undefined; match = search.next(bytes, match.end)) {
      found.push(match);
    }
    return found;
  }

  /** A secret that began before this chunk: how much of it is at the chunk's beginning. */
  function beginningOf(bytes: Buffer, before: Buffer | undefined): Match | undefined {
    if (before === undefined) return undefined;
    const around = Buffer.concat([before, bytes.subarray(0, needleLengthMax)]);
    const across = matchesIn(around).find(({ start, end }) => start < before.length && end > before.length);
    return across === undefined ? undefined : { ...across, start: 0, end: across.end - before.length };
  }

  /** The beginning of a secret at the end of a chunk whose line goes on. */
  function endOf(bytes: Buffer): Match | undefined {
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
    return longest;
  }

  /** All that must go, the halves that a chunk's ends cut off included. */
  function marksIn(item: string, bytes: Buffer): readonly Match[] {
    const before = openLines.get(item);
    const isLineOpen = bytes.length > 0 && bytes.at(-1) !== 0x0a;
    if (before === undefined && !isLineOpen) return matchesIn(bytes);
    openLines.delete(item);
    if (isLineOpen) keepOpen(item, bytes, before);
    const ends = [beginningOf(bytes, before), isLineOpen ? endOf(bytes) : undefined];
    return inOrder([...matchesIn(bytes), ...ends.filter((mark) => mark !== undefined)]);
  }

  function keepOpen(item: string, bytes: Buffer, before: Buffer | undefined): void {
    if (needleLengthMax === 0) return;
    const line = before === undefined ? bytes : Buffer.concat([before, bytes]);
    openLines.set(item, Buffer.from(line.subarray(-(needleLengthMax - 1))));
    const [oldest] = openLines.keys();
    if (openLines.size > openLinesMax && oldest !== undefined) openLines.delete(oldest);
  }

  function note(source: string, marks: readonly Match[]): void {
    redacted += marks.length;
    for (const { needle } of marks) {
      const secret = names[needle] ?? '';
      const key = `${source}\0${secret}`;
      const seen = sightings.get(key) ?? { unsaid: 0, sayAtMs: Number.NEGATIVE_INFINITY };
      if (sightings.size < sightingsMax) sightings.set(key, seen);
      seen.unsaid += 1;
      if (clock.monotonic() < seen.sayAtMs) continue;
      log(eventsEvent('events.secret-redacted', { source, secret, times: seen.unsaid }));
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

    redact(source, { bytes, positions, file, isOneEvent }, stage = 'read') {
      if (clock.monotonic() >= forgetAtMs) forgetFormer();
      if (needles.length === 0) return bytes;
      const item = `${source}\0${stage}\0${positions[0]?.item ?? file ?? ''}`;
      // One event is whole, whether or not it ends with a newline.
      const marks = isOneEvent === true ? matchesIn(bytes) : marksIn(item, bytes);
      if (marks.length === 0) return bytes;
      note(source, marks);
      return masked(bytes, marks, (needle) => names[needle] ?? '');
    },

    status: () => ({ secrets: values.size, leftOut: Object.fromEntries(leftOut), redacted }),

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

function inOrder(marks: readonly Match[]): Match[] {
  const ordered: Match[] = [];
  for (const mark of marks.toSorted((one, other) => one.start - other.start || other.end - one.end)) {
    const last = ordered.at(-1);
    if (last === undefined || mark.start >= last.end) ordered.push(mark);
    else if (mark.end > last.end) ordered.splice(-1, 1, { ...last, end: mark.end });
  }
  return ordered;
}

/** ASCII without quotes or backslashes, so that JSON around it stays JSON. */
function masked(bytes: Buffer, marks: readonly Match[], nameOf: (needle: number) => string): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  for (const { start, end, needle } of marks) {
    parts.push(bytes.subarray(from, start), Buffer.from(`[secret ${nameOf(needle)}]`));
    from = end;
  }
  parts.push(bytes.subarray(from));
  return Buffer.concat(parts);
}
