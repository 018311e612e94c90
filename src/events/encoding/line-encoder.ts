import { chunkBytesMax } from '../event-source.ts';
import { batchBytesMax, batchEventsMax, eventOverheadBytes } from '../limits.ts';
import { encodeLinesWasm } from './encode-lines.wasm.ts';

/** Events as the members of a JSON array. */
export interface EncodedText {
  /** UTF-8, joined by commas. The encoder's own memory: valid until it is used again. */
  readonly json: Buffer;
  readonly events: number;
  /** Bytes of all messages. */
  readonly messageBytes: number;
  /** Bytes that were encoded: whole events, and fewer than were given where one batch may not have all of them. */
  readonly consumed: number;
}

/** Most bytes encoded at once. The memory for more than is usual is never touched, and so costs nothing. */
export const encodableBytesMax = chunkBytesMax;

/** `{"timestamp":…,"message":"` and what closes it. */
const betweenBytesMax = 1024;
const beforeTime = '"},{"timestamp":';
/** Times of events that are encoded together and differ have so many digits: since 2001 they do, until 2286. */
const timeDigits = 13;
const timeMsMin = 10 ** (timeDigits - 1);
const timeMsEnd = 10 ** timeDigits;
/** A control character becomes six bytes. */
const growthMax = 6;
const overwrittenBytes = 32;
const shufflesAt = 0;
const betweenAt = shufflesAt + 256 * 16;
const eventLinesAt = betweenAt + betweenBytesMax;
const eventTimesAt = eventLinesAt + 4 * batchEventsMax;
const sourceAt = eventTimesAt + 8 * batchEventsMax;
const targetAt = sourceAt + encodableBytesMax;
const memoryBytes = targetAt + growthMax * encodableBytesMax + (batchEventsMax + 1) * 64 + overwrittenBytes;
const pageBytes = 65_536;

interface Program {
  readonly memory: Buffer;
  /** Lines of each event, as many as one batch can hold. */
  readonly eventLines: Uint32Array;
  /** Times of each event. */
  readonly eventTimes: Float64Array;
  encode(length: number, target: number, betweenLength: number, counted: number, timed: number): number;
  counts(): Pick<EncodedText, 'events' | 'messageBytes' | 'consumed'>;
}

let program: Program | undefined;

/** Whether events of this time can be encoded with others of another. */
export function isUsualTime(timeMs: number): boolean {
  return timeMs >= timeMsMin && timeMs < timeMsEnd;
}

/**
 * Encodes UTF-8 lines, at least one byte and at most `encodableBytesMax`, as events: a line each, or as many as
 * `eventLines` says, from the first on; of one time, or of those of `eventTimes`, one for each. Where `consumed` is
 * nought the first event is too long, or not whole.
 */
export function encodeLines(
  bytes: Buffer,
  timeMs: number,
  eventLines: readonly number[] = [],
  eventTimes: readonly number[] = [],
): EncodedText {
  if (bytes.length === 0 || bytes.length > encodableBytesMax) throw new RangeError('nothing, or too much');
  program ??= load();
  const { memory } = program;
  const head = `{"timestamp":${eventTimes[0] ?? timeMs},"message":"`;
  const betweenLength = memory.write(`"},${head}`, betweenAt, 'latin1');
  bytes.copy(memory, sourceAt);
  const headLength = memory.write(head, targetAt, 'latin1');
  const counted = Math.min(eventLines.length, batchEventsMax);
  for (let index = 0; index < counted; index += 1) program.eventLines[index] = eventLines[index] ?? 1;
  const timed = Math.min(eventTimes.length, batchEventsMax);
  for (let index = 0; index < timed; index += 1) {
    const eventMs = eventTimes[index] ?? timeMs;
    if (!isUsualTime(eventMs)) throw new RangeError('a time of its own must have thirteen digits');
    program.eventTimes[index] = eventMs;
  }
  const length = program.encode(bytes.length, targetAt + headLength, betweenLength, counted, timed);
  const end = targetAt + headLength + length;
  const tailLength = memory.write('"}', end, 'latin1');
  return { json: memory.subarray(targetAt, end + tailLength), ...program.counts() };
}

function load(): Program {
  const pages = Math.ceil(memoryBytes / pageBytes);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const module = new WebAssembly.Module(Buffer.from(encodeLinesWasm, 'base64'));
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  if (!isProgram(exports)) throw new TypeError('encode-lines.wasm.ts is not that of its source');
  const { consumed, events, messageBytes } = exports;
  exports.fillShuffles(shufflesAt);
  return {
    memory: Buffer.from(memory.buffer),
    eventLines: new Uint32Array(memory.buffer, eventLinesAt, batchEventsMax),
    eventTimes: new Float64Array(memory.buffer, eventTimesAt, batchEventsMax),
    encode: (length, target, betweenLength, counted, timed) =>
      exports.encodeLines(
        sourceAt,
        length,
        target,
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
  ): number;
  readonly consumed: { readonly value: number };
  readonly events: { readonly value: number };
  readonly messageBytes: { readonly value: number };
}

/** What we use of https://webassembly.github.io/spec/js-api, which TypeScript declares for browsers only. */
declare global {
  namespace WebAssembly {
    class Memory {
      constructor(size: { initial: number; maximum: number });
      readonly buffer: ArrayBuffer;
    }
    class Module {
      constructor(bytes: Uint8Array);
      static exports(module: Module): readonly unknown[];
    }
    class Instance {
      constructor(module: Module, imports: Record<string, Record<string, Memory>>);
      readonly exports: unknown;
    }
  }
}
