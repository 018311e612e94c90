import type { ChunkShape } from './batch.ts';

/** What a source hands on: bytes of several lines, never one object a line. */
export interface Chunk extends ChunkShape {
  /**
   * Lines, each ending with a newline; the last one need not. At most `chunkBytesMax` bytes. A last line without a
   * newline is an event of its own: the source decided that its rest will not come, or that it is too long to hold.
   * Valid only until the next chunk is asked for: sources reuse their buffers. May be empty, when only the position moved.
   */
  readonly bytes: Buffer;
  /** When these lines were read, in milliseconds since 1970. */
  readonly timeMs: number;
  /** Where reading goes on once `bytes` are durable; empty from a source that cannot be read again. */
  readonly positions: readonly Position[];
  /** The path for `{file}` in the name of a log stream; chunks that move the same item have the same path. */
  readonly file: string | undefined;
  /** Where `bytes` begin in what is read; absent where they are not as they stand there, or nothing is read again. */
  readonly origin?: Origin;
  /** Where each line of `bytes` begins, as `origin` counts; only where somebody asked for it. */
  readonly lineOffsets?: readonly number[];
  /** Values for `{field.NAME}` in the name of a log stream, in the order of the template: a transform finds them. */
  readonly fields?: readonly string[];
  /** It may soon be gone from where it was read: its file is no longer at its path. */
  readonly isAtRisk?: boolean;
  /** Somebody waits to be told that `bytes` are durable: called once, then. Such a chunk goes to the spool at once. */
  readonly onDurable?: () => void;
}

/** A place that stays the same when it is read again. */
export interface Origin {
  /** Which content: that of one file until it starts over. */
  readonly generation: string;
  /** Bytes before it. */
  readonly offset: number;
}

/** Where reading goes on in one item (a file, say) of a source. */
export interface Position {
  /** Which part of the source; unique in it. */
  readonly item: string;
  /** What the source needs to go on there, in a form of its own; undefined: forget this item. */
  readonly value: string | undefined;
  /** It holds only once all that was read by then, on the steady clock, is durable: it is left out where that is not so. */
  readonly durableByMs?: number | undefined;
}

/** The positions of a source as they were last made durable: item → value. */
export type Positions = ReadonlyMap<string, string>;

/** A source's account of itself. */
export interface SourceCounts {
  /** Bytes that are there to be read and were not read yet. */
  readonly lagBytes: number;
  /** Items (files) being read. */
  readonly items: number;
  /** Events that were left out because the config says so, since the start. */
  readonly filtered?: number;
  /** How often it was found only by looking that a file had grown: no change was told. Since the start. */
  readonly unannounced?: number;
  /** Why nothing can be had of it just now: an errno or a code, which the log has said too. Absent where all is well. */
  readonly failing?: string;
}

/** Where events come from. */
export interface EventSource {
  /**
   * The source's chunks, from where it was. A chunk is made only when asked for, so a consumer that waits holds the
   * source back. On resume a source repeats rather than loses. Ends when `signal` aborts, without throwing.
   */
  chunks(from: Positions, signal: AbortSignal): AsyncIterable<Chunk>;
  counts(): SourceCounts;
}

/** No chunk is larger: a single line as long as one event may be must fit. */
export const chunkBytesMax = 2 ** 20;
