import { chunkBytesMax } from '../event-source.ts';
import { batchBytesMax, batchEventsMax, eventOverheadBytes } from '../limits.ts';
import { encodeLinesWasm } from './encode-lines.wasm.ts';
import {
  betweenAt,
  encoderMemory,
  eventLinesAt,
  eventTimesAt,
  isInEncoder,
  shufflesAt,
  sourceAt,
  stepBytesMax,
  targetAt,
  targetBytes,
} from './encoder-memory.ts';

/** Events as the members of a JSON array. */
export interface EncodedText {
  /** UTF-8, joined by commas. */
  readonly json: Buffer;
  /** Whether it is where it was to be. Else it is in memory of the encoder's own, and valid until that is used again. */
  readonly isInPlace: boolean;
  readonly events: number;
  /** Bytes of all messages. */
  readonly messageBytes: number;
  /** Bytes that were encoded: whole events, and fewer than were given where one batch may not have all of them. */
  readonly consumed: number;
}

export interface EncodeOptions {
  /** How many lines each event has, from the first on; one where it does not say. */
  readonly eventLines?: readonly number[];
  /** The time of each event, where they differ. */
  readonly eventTimes?: readonly number[];
  /** Where to write, if there is room: a part of the encoder's memory that is lent. */
  readonly place?: Buffer | undefined;
}

/** Most bytes encoded at once. */
export const encodableBytesMax = chunkBytesMax;

const beforeTime = '"},{"timestamp":';
/** Times of events that are encoded together and differ have so many digits: since 2001 they do, until 2286. */
const timeDigits = 13;
const timeMsMin = 10 ** (timeDigits - 1);
const timeMsEnd = 10 ** timeDigits;
/** JSON is hardly ever so many times its text. What is longer ends in the middle, and the rest is copied. */
const growthUsual = 2;

interface Program {
  readonly memory: Buffer;
  /** Lines of each event, as many as one batch can hold. */
  readonly eventLines: Uint32Array;
  /** Times of each event. */
  readonly eventTimes: Float64Array;
  encode(text: Span, target: Span, betweenLength: number, counted: number, timed: number): number;
  counts(): Pick<EncodedText, 'events' | 'messageBytes' | 'consumed'>;
}

/** A part of the memory; of what is written `length` is the most, but for one step. */
interface Span {
  readonly at: number;
  readonly length: number;
}

let program: Program | undefined;

/** Whether events of this time can be encoded with others of another. */
export function isUsualTime(timeMs: number): boolean {
  return timeMs >= timeMsMin && timeMs < timeMsEnd;
}

/**
 * Encodes UTF-8 lines, at least one byte and at most `encodableBytesMax`, as events. Where `consumed` is nought the first
 * event is too long, or not whole.
 */
export function encodeLines(bytes: Buffer, timeMs: number, options: EncodeOptions = {}): EncodedText {
  if (bytes.length === 0 || bytes.length > encodableBytesMax) throw new RangeError('nothing, or too much');
  const { eventLines = [], eventTimes = [], place } = options;
  program ??= load();
  const { memory } = program;
  const isInPlace = place !== undefined && place.length >= growthUsual * bytes.length + 2 * stepBytesMax;
  const target = isInPlace ? place : memory.subarray(targetAt, targetAt + targetBytes);
  const head = `{"timestamp":${eventTimes[0] ?? timeMs},"message":"`;
  const betweenLength = memory.write(`"},${head}`, betweenAt, 'latin1');
  const headLength = target.write(head, 'latin1');
  const counted = Math.min(eventLines.length, batchEventsMax);
  for (let index = 0; index < counted; index += 1) program.eventLines[index] = eventLines[index] ?? 1;
  const timed = Math.min(eventTimes.length, batchEventsMax);
  for (let index = 0; index < timed; index += 1) {
    const eventMs = eventTimes[index] ?? timeMs;
    if (!isUsualTime(eventMs)) throw new RangeError('a time of its own must have thirteen digits');
    program.eventTimes[index] = eventMs;
  }
  const text = { at: isInEncoder(bytes) ? bytes.byteOffset : sourceAt, length: bytes.length };
  if (text.at === sourceAt) bytes.copy(memory, sourceAt);
  const rest = { at: target.byteOffset + headLength, length: target.length - headLength - stepBytesMax };
  const length = headLength + program.encode(text, rest, betweenLength, counted, timed);
  const counts = program.counts();
  // It may be the room that the first event did not find.
  if (counts.consumed === 0 && isInPlace) return encodeLines(bytes, timeMs, { eventLines, eventTimes });
  const tailLength = target.write('"}', length, 'latin1');
  return { json: target.subarray(0, length + tailLength), isInPlace, ...counts };
}

function load(): Program {
  const memory = encoderMemory();
  const module = new WebAssembly.Module(Buffer.from(encodeLinesWasm, 'base64'));
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  if (!isProgram(exports)) throw new TypeError('encode-lines.wasm.ts is not that of its source');
  const { consumed, events, messageBytes } = exports;
  exports.fillShuffles(shufflesAt);
  return {
    memory: Buffer.from(memory.buffer),
    eventLines: new Uint32Array(memory.buffer, eventLinesAt, batchEventsMax),
    eventTimes: new Float64Array(memory.buffer, eventTimesAt, batchEventsMax),
    encode: (text, target, betweenLength, counted, timed) =>
      exports.encodeLines(
        text.at,
        text.length,
        target.at,
        shufflesAt,
        betweenAt,
        betweenLength,
        batchEventsMax,
        batchBytesMax,
        eventOverheadBytes,
        eventLinesAt,
        counted,
        eventTimesAt,
        timed,
        beforeTime.length + timeDigits,
        target.length,
      ),
    counts: () => ({
      consumed: consumed.value,
      events: events.value,
      messageBytes: messageBytes.value,
    }),
  };
}

function isProgram(exports: unknown): exports is Exports {
  return typeof exports === 'object' && exports !== null && 'encodeLines' in exports && 'consumed' in exports;
}

/** What encode-lines.assembly.ts exports. */
interface Exports {
  fillShuffles(shuffles: number): void;
  encodeLines(
    source: number,
    length: number,
    target: number,
    shuffles: number,
    between: number,
    betweenLength: number,
    eventsMax: number,
    bytesMax: number,
    overhead: number,
    eventLines: number,
    counted: number,
    eventTimes: number,
    timed: number,
    timeEnd: number,
    lengthMax: number,
  ): number;
  readonly consumed: { readonly value: number };
  readonly events: { readonly value: number };
  readonly messageBytes: { readonly value: number };
}
