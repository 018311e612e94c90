import { hash } from 'node:crypto';
import { bodyBytesFew, bodyBytesUsual, borrowDraft, returnBody } from './body-memory.ts';
import { isInEncoder } from './encoding/encoder-memory.ts';
import { encodableBytesMax, encodeLines } from './encoding/line-encoder.ts';
import { eventEnd } from './event-lines.ts';
import { type EscapedText, escapeForeign, isPlainText } from './foreign-bytes.ts';
import {
  batchBytesMax,
  batchEventsMax,
  batchSpanMsMax,
  eventOverheadBytes,
  messageBytesMax,
} from './limits.ts';
import { characterEnd, type LinePart, markOf, partBytesMax } from './long-line.ts';

export interface StreamName {
  readonly logGroup: string;
  readonly logStream: string;
  /** The source whose own role writes it, where there is one: the same name may be in several accounts. */
  readonly roleOf?: string;
}

/** What one PutLogEvents carries, as it goes over the wire. Meets every limit of the call. */
export interface Batch {
  readonly stream: StreamName;
  /** The whole request as JSON in UTF-8: sent as it is, each time the same bytes. */
  readonly body: Buffer;
  readonly events: number;
  /** As CloudWatch Logs counts: bytes of the messages and 26 for each. */
  readonly bytes: number;
  /** Whether its source may have events in the embedded metric format, which has a header of its own. */
  readonly mayHaveMetrics?: boolean;
}

/** Events as a part of a batch's JSON; never more than one batch can hold. */
export interface EncodedLines {
  /**
   * Events as JSON, joined by commas. Of a chunk's first piece valid only until the next chunk is encoded, or the batch
   * is sealed in whose place it was written.
   */
  readonly json: Buffer;
  /** Of all events, or of the first. */
  readonly timeMs: number;
  /** Of each event, where they differ. */
  readonly times?: readonly number[] | undefined;
  readonly events: number;
  /** As CloudWatch Logs counts. */
  readonly bytes: number;
}

export interface Encoding {
  readonly pieces: readonly EncodedLines[];
  /** Lines that were not UTF-8 and had their wrong bytes escaped. */
  readonly escapedLines: number;
  /** Events that are a part of a line too long for one. */
  readonly splitEvents: number;
}

/** What the bytes are, if not whole lines. */
export interface ChunkShape {
  /** They are one part of a line too long for an event. */
  readonly part?: LinePart | undefined;
  /** They are one event, newlines included. */
  readonly isOneEvent?: boolean | undefined;
  /**
   * How many lines each event has, where some have several; each line ends with a newline then. Lines, not bytes:
   * redaction leaves their number as it is.
   */
  readonly eventLines?: readonly number[] | undefined;
  /**
   * The time of each event, in milliseconds since 1970, where they differ. In any order; all of them `isUsualTime`, and
   * within less than the 24 hours that one call may span.
   */
  readonly eventTimes?: readonly number[] | undefined;
  /** They are escaped already: text of which so many lines had bytes that are not UTF-8. */
  readonly escapedLines?: number | undefined;
}

/**
 * Makes a chunk's lines into JSON. A line's `\r\n` counts as its end. A blank line becomes a space, for CloudWatch Logs
 * takes no empty message. The first piece is written to `place` where it can be (`OpenBatch.placeFor`).
 */
export function encodeChunk(bytes: Buffer, timeMs: number, shape: ChunkShape = {}, place?: Buffer): Encoding {
  if (bytes.length === 0) return { pieces: [], escapedLines: 0, splitEvents: 0 };
  const { bytes: clean, lines } = textOf(bytes, shape);
  const pieces: EncodedLines[] = [];
  let splitEvents = 0;
  if (shape.part !== undefined) {
    pieces.push(encodeEvent(markOf(shape.part) + oneText(clean), timeMs));
    splitEvents = 1;
  } else if (shape.isOneEvent === true) {
    splitEvents = encodeOne(oneText(clean), timeMs, pieces);
  } else {
    splitEvents = encodeText(clean, timeMs, pieces, shape, place);
  }
  return { pieces, escapedLines: lines, splitEvents };
}

function textOf(bytes: Buffer, { escapedLines }: ChunkShape): EscapedText {
  if (escapedLines !== undefined) return { bytes, lines: escapedLines };
  return isPlainText(bytes) ? { bytes, lines: 0 } : escapeForeign(bytes);
}

/** One latin1 character a byte; line ends become single newlines, and the last one goes. */
function oneText(bytes: Buffer): string {
  const text = bytes.toString('latin1').replaceAll('\r\n', '\n');
  return (text.endsWith('\n') ? text.slice(0, -1) : text) || ' ';
}

/** Appends to `pieces`; returns how many events are parts of a line. */
function encodeText(
  bytes: Buffer,
  timeMs: number,
  pieces: EncodedLines[],
  { eventLines = [], eventTimes = [] }: ChunkShape,
  place: Buffer | undefined,
): number {
  let splitEvents = 0;
  let linesLeft = eventLines;
  let timesLeft = eventTimes;
  for (let from = 0; from < bytes.length; ) {
    const lines = encodableLines(bytes, from);
    const { json, isInPlace, events, messageBytes, consumed } = encodeLines(lines, timeMs, {
      eventLines: linesLeft,
      eventTimes: timesLeft,
      place: pieces.length === 0 ? place : undefined,
    });
    const firstMs = timesLeft[0] ?? timeMs;
    if (consumed === 0) {
      const end = eventEnd(bytes, from, linesLeft[0]);
      linesLeft = linesLeft.slice(1);
      timesLeft = timesLeft.slice(1);
      splitEvents += encodeOne(oneText(bytes.subarray(from, end)), firstMs, pieces);
      from = end;
      continue;
    }
    from += consumed;
    const times = timesLeft.length === 0 ? undefined : timesLeft.slice(0, events);
    linesLeft = linesLeft.slice(events);
    timesLeft = timesLeft.slice(events);
    const isAll = from === bytes.length && pieces.length === 0;
    const bytesCounted = messageBytes + events * eventOverheadBytes;
    pieces.push({
      json: isAll || isInPlace ? json : Buffer.from(json),
      timeMs: firstMs,
      times,
      events,
      bytes: bytesCounted,
    });
  }
  return splitEvents;
}

/** Whole lines, as many as can be encoded at once, or what there is of a line longer than that. */
function encodableLines(bytes: Buffer, from: number): Buffer {
  const most = bytes.subarray(from, from + encodableBytesMax);
  if (from + most.length === bytes.length) return most;
  return most.subarray(0, most.lastIndexOf(newline) + 1 || most.length);
}

/** One event, or several when it is too long. */
function encodeOne(text: string, timeMs: number, pieces: EncodedLines[]): number {
  if (text.length > messageBytesMax) return encodeLongLine(text, timeMs, pieces);
  pieces.push(encodeEvent(text, timeMs));
  return 0;
}

function encodeLongLine(line: string, timeMs: number, pieces: EncodedLines[]): number {
  const name = hash('sha256', line, 'hex').slice(0, 8);
  let number = 0;
  for (let from = 0; from < line.length; ) {
    const isLast = line.length - from <= partBytesMax;
    const to = isLast ? line.length : characterEnd(from + partBytesMax, (at) => line.charCodeAt(at));
    number += 1;
    pieces.push(encodeEvent(markOf({ line: name, number, isLast }) + line.slice(from, to), timeMs));
    from = to;
  }
  return number;
}

/** One event, newlines in it included. */
function encodeEvent(text: string, timeMs: number): EncodedLines {
  const json = Buffer.from(`{"timestamp":${timeMs},"message":${JSON.stringify(text)}}`, 'latin1');
  return { json, timeMs, events: 1, bytes: text.length + eventOverheadBytes };
}

/** A batch that is being filled. */
export interface OpenBatch {
  readonly stream: StreamName;
  readonly events: number;
  /** Whether the batch still meets every limit with these lines in it. */
  fits(lines: EncodedLines): boolean;
  /**
   * Where lines of so many bytes may be written that are added next, and then need not be copied. Undefined where none may,
   * or where they will not fit. That others do is not promised.
   */
  placeFor(textBytes: number): Buffer | undefined;
  /** @throws RangeError when they do not fit. */
  add(lines: EncodedLines): void;
  /** Once: the batch is no longer open then. */
  seal(): Batch;
}

export function openBatch(stream: StreamName, mayHaveMetrics = false): OpenBatch {
  const head = `{"logGroupName":${JSON.stringify(stream.logGroup)},"logStreamName":${JSON.stringify(stream.logStream)},"logEvents":[`;
  let draft = drafts.pop() ?? Buffer.allocUnsafeSlow(draftBytesMin);
  const headBytes = draft.write(head);
  let length = headBytes;
  let events = 0;
  let bytes = 0;
  let firstMs = 0;
  let lastMs = 0;
  const places: Place[] = [];
  let isOrdered = true;

  const fits = (lines: EncodedLines): boolean => {
    if (events === 0) return true;
    const span = spanOf(lines);
    return (
      events + lines.events <= batchEventsMax &&
      bytes + lines.bytes <= batchBytesMax &&
      Math.max(lastMs, span.lastMs) - Math.min(firstMs, span.firstMs) < batchSpanMsMax
    );
  };

  function makeRoom(wanted: number): void {
    if (length + wanted <= draft.length) return;
    const atLeast = Math.max(2 * draft.length, length + wanted);
    // One that grows so far will mostly be a full batch.
    const larger = roomier(atLeast > draftBytesMax ? Math.max(atLeast, bodyBytesUsual) : atLeast);
    draft.copy(larger, 0, 0, length);
    forgetDraft();
    draft = larger;
  }

  /** Keeps it for another batch. */
  function forgetDraft(): void {
    if (draft.length <= draftBytesMax && drafts.length < draftsMax) drafts.push(draft);
    else returnBody(draft);
    draft = Buffer.alloc(0);
  }

  const sealed = (body: Buffer): Batch => ({
    stream,
    body,
    events,
    bytes,
    ...(mayHaveMetrics ? { mayHaveMetrics } : {}),
  });

  return {
    stream,
    get events() {
      return events;
    },
    fits,
    placeFor(textBytes) {
      if (bytes + textBytes > batchBytesMax) return undefined;
      return isInEncoder(draft) ? draft.subarray(events === 0 ? length : length + ','.length) : undefined;
    },
    add(lines) {
      if (!fits(lines)) throw new RangeError('the lines do not fit the batch');
      const { timeMs, times } = lines;
      const span = spanOf(lines);
      if (!span.isOrdered || (events > 0 && span.firstMs < lastMs)) isOrdered = false;
      firstMs = events === 0 ? span.firstMs : Math.min(firstMs, span.firstMs);
      lastMs = events === 0 ? span.lastMs : Math.max(lastMs, span.lastMs);
      // Now, not when the batch is full: it is still in the processor's cache.
      makeRoom(lines.json.length + ','.length + tail.length);
      if (events > 0) length += draft.write(',', length, 'latin1');
      const from = length;
      length += isAt(lines.json, draft, length) ? lines.json.length : lines.json.copy(draft, length);
      places.push({ timeMs, times, from, to: length });
      events += lines.events;
      bytes += lines.bytes;
    },
    seal() {
      length += draft.write(tail, length, 'latin1');
      if (isOrdered && length > bodyBytesFew) return sealed(draft.subarray(0, length));
      const body = roomier(length).subarray(0, length);
      if (isOrdered) draft.copy(body, 0, 0, length);
      else copyInOrder(draft, body, headBytes, places);
      forgetDraft();
      return sealed(body);
    },
  };
}

/** Whether these bytes are what is at this place already. */
function isAt(bytes: Buffer, draft: Buffer, at: number): boolean {
  return bytes.buffer === draft.buffer && bytes.byteOffset === draft.byteOffset + at;
}

/** First and last time of a piece's events, and whether they are in the order of their times. */
function spanOf({ timeMs, times = [] }: EncodedLines): {
  readonly firstMs: number;
  readonly lastMs: number;
  readonly isOrdered: boolean;
} {
  let firstMs = timeMs;
  let lastMs = timeMs;
  let isOrdered = true;
  for (const eachMs of times) {
    if (eachMs < lastMs) isOrdered = false;
    if (eachMs < firstMs) firstMs = eachMs;
    if (eachMs > lastMs) lastMs = eachMs;
  }
  return { firstMs, lastMs, isOrdered };
}

/** A piece of a batch's JSON. */
interface Place {
  /** Of all its events, where `times` does not say that of each. */
  readonly timeMs: number;
  readonly times?: readonly number[] | undefined;
  readonly from: number;
  readonly to: number;
}

/** A piece whose events have times of their own, as one place for each. */
function eventPlaces(draft: Buffer, place: Place): readonly Place[] {
  if (place.times === undefined) return [place];
  let from = place.from;
  return place.times.map((timeMs, index, { length }) => {
    const to = index === length - 1 ? place.to : draft.indexOf(nextEvent, from) + '"}'.length;
    const own = { timeMs, from, to };
    from = to + ','.length;
    return own;
  });
}

/** PutLogEvents takes a batch only in the order of its times; what has one time stays in the order in which it came. */
function copyInOrder(draft: Buffer, body: Buffer, headBytes: number, places: readonly Place[]): void {
  let length = draft.copy(body, 0, 0, headBytes);
  const each = places.flatMap((place) => eventPlaces(draft, place));
  for (const { from, to } of each.toSorted((one, other) => one.timeMs - other.timeMs)) {
    if (length > headBytes) length += body.write(',', length, 'latin1');
    length += draft.copy(body, length, from, to);
  }
  body.write(tail, length, 'latin1');
}

const newline = 0x0a;
const tail = ']}';
/** What stands between two events; in no message, whose quotes have backslashes before them. */
const nextEvent = Buffer.from('"},{"timestamp":');
/** Most batches of a quiet stream are smaller. */
const draftBytesMin = 16 * 1024;
/** A batch that outgrows this will mostly be a full one: then its draft becomes its body. */
const draftBytesMax = 128 * 1024;
/** Memory to write small batches in, used again: fresh memory costs more than what is written into it. */
const draftsMax = 2;
const drafts: Buffer[] = [];

function roomier(wanted: number): Buffer {
  if (wanted > draftBytesMax && wanted <= bodyBytesUsual) return borrowDraft(wanted);
  return Buffer.allocUnsafeSlow(wanted);
}

/** One event, apart from its batch: only where single events matter, which is rare. */
export interface SingleEvent {
  readonly timestamp: number;
  readonly message: string;
}

/** The events of a batch as objects. */
export function eventsOf(batch: Batch): readonly SingleEvent[] {
  const request: { readonly logEvents: readonly SingleEvent[] } = JSON.parse(batch.body.toString('utf8'));
  return request.logEvents;
}

/** A part of a batch as a batch of its own. */
export function partOf(
  batch: Pick<Batch, 'stream' | 'mayHaveMetrics'>,
  events: readonly SingleEvent[],
): Batch {
  const { logGroup, logStream } = batch.stream;
  const body = Buffer.from(
    JSON.stringify({ logGroupName: logGroup, logStreamName: logStream, logEvents: events }),
  );
  const bytes = events.reduce((sum, { message }) => sum + Buffer.byteLength(message) + eventOverheadBytes, 0);
  const { stream, mayHaveMetrics } = batch;
  return {
    stream,
    body,
    events: events.length,
    bytes,
    ...(mayHaveMetrics === undefined ? {} : { mayHaveMetrics }),
  };
}
