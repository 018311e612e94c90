import { hash } from 'node:crypto';
import { escapeForeign, isPlainText } from './foreign-bytes.ts';
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
}

/** What one PutLogEvents carries, as it goes over the wire. Meets every limit of the call. */
export interface Batch {
  readonly stream: StreamName;
  /** The whole request as JSON in UTF-8: sent as it is, each time the same bytes. */
  readonly body: Buffer;
  readonly events: number;
  /** As CloudWatch Logs counts: bytes of the messages and 26 for each. */
  readonly bytes: number;
}

/** Lines as a part of a batch's JSON; never more than one batch can hold. */
export interface EncodedLines {
  /** Events as JSON, joined by commas, one latin1 character for each byte of its UTF-8. */
  readonly json: string;
  readonly timeMs: number;
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
}

/**
 * Makes a chunk's lines into JSON, without looking at each line: one JSON.stringify of the whole chunk taken as latin1
 * (so that UTF-8 passes through byte by byte), then each escaped newline becomes the text between two events.
 * A line's `\r\n` counts as its end. A blank line becomes a space, for CloudWatch Logs takes no empty message.
 */
export function encodeChunk(bytes: Buffer, timeMs: number, shape: ChunkShape = {}): Encoding {
  if (bytes.length === 0) return { pieces: [], escapedLines: 0, splitEvents: 0 };
  const { bytes: clean, lines } = isPlainText(bytes) ? { bytes, lines: 0 } : escapeForeign(bytes);
  const plain = withPlainNewlines(clean.toString('latin1'));
  const pieces: EncodedLines[] = [];
  let splitEvents = 0;
  if (shape.part !== undefined) {
    pieces.push(encodeEvent(markOf(shape.part) + plain, timeMs));
    splitEvents = 1;
  } else if (shape.isOneEvent === true) {
    splitEvents = encodeOne(plain || ' ', timeMs, pieces);
  } else {
    splitEvents = encodeText(withoutBlankLines(plain), timeMs, pieces);
  }
  return { pieces, escapedLines: lines, splitEvents };
}

/** Line ends become single newlines, and the last one goes. */
function withPlainNewlines(text: string): string {
  const plain = text.includes('\r\n') ? text.replaceAll('\r\n', '\n') : text;
  return plain.endsWith('\n') ? plain.slice(0, -1) : plain;
}

function withoutBlankLines(text: string): string {
  let filled = text;
  // Twice, for the matches of one pass do not overlap: three newlines in a row hold two blank lines.
  while (filled.includes('\n\n')) filled = filled.replaceAll('\n\n', '\n \n');
  if (filled === '' || filled.startsWith('\n')) filled = ` ${filled}`;
  return filled.endsWith('\n') ? `${filled} ` : filled;
}

/** Appends to `pieces`; returns how many events are parts of a line. */
function encodeText(text: string, timeMs: number, pieces: EncodedLines[]): number {
  if (text.length <= messageBytesMax) {
    const piece = encodePiece(text, timeMs);
    if (piece.bytes <= batchBytesMax && piece.events <= batchEventsMax) {
      pieces.push(piece);
      return 0;
    }
  }
  const middle = middleNewline(text);
  if (middle >= 0) {
    const before = encodeText(text.slice(0, middle), timeMs, pieces);
    return before + encodeText(text.slice(middle + 1), timeMs, pieces);
  }
  return encodeLongLine(text, timeMs, pieces);
}

/** The newline nearest to the middle on one side of it; -1 when there is none. */
function middleNewline(text: string): number {
  const half = text.length >> 1;
  const before = text.lastIndexOf('\n', half);
  return before >= 0 ? before : text.indexOf('\n', half);
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
  const json = `{"timestamp":${timeMs},"message":${JSON.stringify(text)}}`;
  return { json, timeMs, events: 1, bytes: text.length + eventOverheadBytes };
}

/** A byte that UTF-8 never has, and that JSON does not escape. */
const neverInUtf8 = '\xff';

function encodePiece(text: string, timeMs: number): EncodedLines {
  const between = `"},{"timestamp":${timeMs},"message":"`;
  // A backslash before an n is escaped to \\n, whose end looks like an escaped newline: then newlines go as a byte
  // that cannot be confused, at the cost of one more pass.
  const isAmbiguous = text.includes('\\n');
  const newline = isAmbiguous ? neverInUtf8 : '\\n';
  const escaped = JSON.stringify(isAmbiguous ? text.replaceAll('\n', neverInUtf8) : text);
  const joined = escaped.replaceAll(newline, between);
  const newlines = (joined.length - escaped.length) / (between.length - newline.length);
  const events = newlines + 1;
  return {
    json: `{"timestamp":${timeMs},"message":${joined}}`,
    timeMs,
    events,
    bytes: text.length - newlines + events * eventOverheadBytes,
  };
}

/** A batch that is being filled. */
export interface OpenBatch {
  readonly stream: StreamName;
  readonly events: number;
  /** Whether the batch still meets every limit with these lines in it. */
  fits(lines: EncodedLines): boolean;
  /** @throws RangeError when they do not fit. */
  add(lines: EncodedLines): void;
  /** Once: the batch is no longer open then. */
  seal(): Batch;
}

export function openBatch(stream: StreamName): OpenBatch {
  const head = `{"logGroupName":${JSON.stringify(stream.logGroup)},"logStreamName":${JSON.stringify(stream.logStream)},"logEvents":[`;
  let draft = drafts.pop() ?? Buffer.allocUnsafeSlow(draftBytesMin);
  let length = draft.write(head);
  let events = 0;
  let bytes = 0;
  let firstMs = 0;
  let lastMs = 0;

  const fits = (lines: EncodedLines): boolean =>
    events === 0 ||
    (events + lines.events <= batchEventsMax &&
      bytes + lines.bytes <= batchBytesMax &&
      lines.timeMs >= lastMs &&
      lines.timeMs - firstMs < batchSpanMsMax);

  function makeRoom(wanted: number): void {
    if (length + wanted <= draft.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * draft.length, length + wanted));
    draft.copy(larger, 0, 0, length);
    draft = larger;
  }

  return {
    stream,
    get events() {
      return events;
    },
    fits,
    add(lines) {
      if (!fits(lines)) throw new RangeError('the lines do not fit the batch');
      if (events === 0) firstMs = lines.timeMs;
      lastMs = lines.timeMs;
      // Now, not when the batch is full: the string is still in the processor's cache, and is garbage at once.
      makeRoom(lines.json.length + ','.length + tail.length);
      if (events > 0) length += draft.write(',', length, 'latin1');
      length += draft.write(lines.json, length, 'latin1');
      events += lines.events;
      bytes += lines.bytes;
    },
    seal() {
      length += draft.write(tail, length, 'latin1');
      const body = Buffer.allocUnsafeSlow(length);
      draft.copy(body, 0, 0, length);
      if (drafts.length < draftsMax) drafts.push(draft);
      draft = Buffer.alloc(0);
      return { stream, body, events, bytes };
    },
  };
}

const tail = ']}';
/** Most batches of a quiet stream are smaller. */
const draftBytesMin = 16 * 1024;
/** Memory to write batches in, used again: fresh memory costs more than what is written into it. */
const draftsMax = 2;
const drafts: Buffer[] = [];

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
export function partOf(batch: Batch, events: readonly SingleEvent[]): Batch {
  const { logGroup, logStream } = batch.stream;
  const body = Buffer.from(
    JSON.stringify({ logGroupName: logGroup, logStreamName: logStream, logEvents: events }),
  );
  const bytes = events.reduce((sum, { message }) => sum + Buffer.byteLength(message) + eventOverheadBytes, 0);
  return { stream: batch.stream, body, events: events.length, bytes };
}
