import { chunkBytesMax } from '../event-source.ts';
import { batchEventsMax } from '../limits.ts';

/**
 * The memory of the encoder. WebAssembly sees this one and no other, so what sources read lies here, and so do the bodies
 * of batches: lines are encoded from where they were read to where they are sent from, and copied nowhere between. It
 * never grows, for all views of it would be empty then; what is never touched of it costs nothing.
 */
export function encoderMemory(): WebAssembly.Memory {
  memory ??= new WebAssembly.Memory({ initial: pages, maximum: pages });
  return memory;
}

let memory: WebAssembly.Memory | undefined;

export function isInEncoder(bytes: Buffer): boolean {
  return memory !== undefined && bytes.buffer === memory.buffer;
}

/** `{"timestamp":…,"message":"` and what closes it. */
const betweenBytesMax = 1024;
/** What one step of the program writes, what stands between two events included, and what it overwrites behind that. */
export const stepBytesMax = betweenBytesMax + 64;
/** A control character becomes six bytes. */
const growthMax = 6;

export const shufflesAt = 0;
export const betweenAt = shufflesAt + 256 * 16;
export const eventLinesAt = betweenAt + betweenBytesMax;
export const eventTimesAt = eventLinesAt + 4 * batchEventsMax;
/** For lines that were not read into this memory. */
export const sourceAt = eventTimesAt + 8 * batchEventsMax;
/** For events that find no place in a body here. */
export const targetAt = sourceAt + chunkBytesMax;
export const targetBytes = growthMax * chunkBytesMax + (batchEventsMax + 1) * 64 + stepBytesMax;

/** Areas of one length, lent one at a time. */
interface Areas {
  readonly at: number;
  readonly bytes: number;
  readonly count: number;
}

const pageBytes = 65_536;
/** To read into: as long as a read is, with what is read again before it. One for each source that reads. */
const reads: Areas = { at: pageEnd(targetAt + targetBytes), bytes: 136 * 1024, count: 16 };
/** For bodies: as many as there are at once while calls keep up, for they are never given back to the system. */
const bodies: Areas = { at: pageEnd(endOf(reads)), bytes: 1.5 * 2 ** 20, count: 5 };
const pages = pageEnd(endOf(bodies)) / pageBytes;

export const readAreas = lending(reads);
export const bodyAreas = lending(bodies);

export interface Lending {
  /** Most that are lent at once. */
  readonly count: number;
  /** How many are not lent. */
  readonly free: number;
  /** The one that was given back last: it may still be in the processor's cache. Undefined where all are lent. */
  borrow(): Buffer | undefined;
  giveBack(area: Buffer): void;
  /** The area that holds these bytes: always the same object. */
  areaOf(bytes: Buffer): Buffer | undefined;
}

function lending({ at, bytes, count }: Areas): Lending {
  let areas: readonly Buffer[] = [];
  const free: Buffer[] = [];

  function make(): void {
    areas = Array.from({ length: count }, (_, index) =>
      Buffer.from(encoderMemory().buffer, at + index * bytes, bytes),
    );
    free.push(...areas.toReversed());
  }

  return {
    count,

    get free() {
      return areas.length === 0 ? count : free.length;
    },

    borrow() {
      if (areas.length === 0) make();
      return free.pop();
    },

    giveBack(area) {
      free.push(area);
    },

    areaOf: (part) => (isInEncoder(part) ? areas[Math.floor((part.byteOffset - at) / bytes)] : undefined),
  };
}

function endOf({ at, bytes, count }: Areas): number {
  return at + count * bytes;
}

function pageEnd(at: number): number {
  return Math.ceil(at / pageBytes) * pageBytes;
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
