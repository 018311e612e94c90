import type { Batch, SingleEvent, StreamName } from './batch.ts';
import type { Position, Positions } from './event-source.ts';

/** A batch in the spool. */
export interface SpooledBatch extends Batch {
  /** Grows with each append and is never used again. */
  readonly id: number;
  /** When it was appended, in milliseconds since 1970. */
  readonly addedMs: number;
}

export const refusalReasons = ['too-old', 'too-new', 'expired', 'invalid', 'outdated'] as const;

/**
 * Why an event was refused: the three of `rejectedLogEventsInfo`, `invalid` when it alone fails the call, or, by this
 * agent, `outdated` when it waited too long.
 */
export type RefusalReason = (typeof refusalReasons)[number];

/** An event that CloudWatch Logs will never take, or that is no longer offered to it. */
export interface RefusedEvent extends SingleEvent {
  readonly reason: RefusalReason;
}

/** Where a source's reading goes on once what is appended with it is durable. */
export interface SourcePosition extends Position {
  readonly source: string;
}

/** Where a batch comes from that can be read again as long as its position has not moved. */
export interface RereadableSource {
  readonly source: string;
  /** Soon it may not be there any more: its file is no longer at its path. */
  readonly isAtRisk: boolean;
}

/** A batch for the spool, and where its source goes on after it. */
export interface BatchToAppend {
  readonly batch: Batch;
  readonly positions: readonly SourcePosition[];
}

export interface ReadLimits {
  readonly stream: StreamName;
  readonly batchesMax: number;
  /** Not these, by their ids: they are being sent or settled. */
  readonly except?: ReadonlySet<number> | undefined;
}

export interface SpoolCounts {
  readonly batches: number;
  readonly bytes: number;
  readonly bytesMax: number;
  /** What its files take on the disk. */
  readonly fileBytes: number;
  readonly isSealed: boolean;
  /** Whether the disk refuses what a spool does by itself, not for somebody who is told. */
  readonly isFailing: boolean;
  /** Whether something waits for room in it. */
  readonly isFull: boolean;
  readonly deadLetters: number;
  readonly deadLetterBytes: number;
  /** Batches that did not read, since the start, and their events. */
  readonly lostBatches: number;
  readonly lostEvents: number;
  /** Remains of what did not read. */
  readonly quarantineBytes: number;
}

/** A refused event, without its message. */
export interface DeadLetter {
  /** Grows with each and is never used again. */
  readonly id: number;
  readonly stream: StreamName;
  readonly reason: RefusalReason;
  /** When it was refused, in milliseconds since 1970. */
  readonly refusedMs: number;
  /** What it takes. */
  readonly bytes: number;
  /** As in `Batch`. */
  readonly mayHaveMetrics?: boolean;
}

/**
 * The durable buffer between sources and sink. Bounded in bytes: an append that does not fit waits.
 * Appends are made durable in the order in which they were asked for.
 */
export interface Spool {
  /**
   * Makes the batch and the positions durable in one step: after a crash there are both or neither.
   * Waits while the spool is full. Resolves with the batch's id. A spool may hold it in memory where `from` says that it
   * can be read again: its position is made durable later then. The caller goes on holding its body. @throws EVENTS_SPOOL_UNWRITABLE, and then neither is there.
   */
  append(
    batch: Batch,
    positions: readonly SourcePosition[],
    signal: AbortSignal,
    from?: RereadableSource,
  ): Promise<number>;
  /**
   * As `append` of the first of them, in their order: as many as it writes together, at least one. Resolves with their
   * ids; where it fails, none is there. Absent where a spool takes one at a time.
   */
  readonly appendFirst?: (
    batches: readonly BatchToAppend[],
    signal: AbortSignal,
  ) => Promise<readonly number[]>;
  /** What the batch would take of `bytesMax`: whoever asks whether there is room must count as `append` does. */
  sizeOf(batch: Batch): number;
  /** Makes positions durable by themselves: notes of what is under way, which belong to no batch. */
  keep(positions: readonly SourcePosition[]): Promise<void>;
  /**
   * The oldest batches of a stream, oldest first. They stay until settled. Whoever reads them holds their bodies, and
   * gives them back (`body-memory.ts`). One that will never be read is passed over,
   * which is told of and counted as lost.
   * @throws EVENTS_SPOOL_UNREADABLE, EVENTS_SPOOL_KEY_UNAVAILABLE: it may be read later
   */
  read(limits: ReadLimits, signal: AbortSignal): Promise<readonly SpooledBatch[]>;
  /**
   * Removes an acknowledged batch and keeps what of it was refused in the dead letter, in one step. False where it is
   * gone already: one of those who settle it at the same time has removed it.
   */
  settle(batch: SpooledBatch, refused: readonly RefusedEvent[]): Promise<boolean>;
  /**
   * Keeps in the dead letter what was refused of a batch that is not in the spool; that takes none of its room, so it
   * never waits. Where it fails it may be asked again with the same object, and keeps nothing twice.
   */
  refuse(batch: Batch, refused: readonly RefusedEvent[]): Promise<void>;
  /** A source's positions as they were last made durable. */
  position(source: string): Positions;
  /** The streams that have batches waiting: `read` finds some of each, but for those that it is to leave out. */
  streams(): readonly StreamName[];
  /** The refused events with a higher id than `after`, oldest first. */
  deadLetters(limit: number, after?: number): readonly DeadLetter[];
  /** One of them as it was; undefined where it is not there. */
  deadLetter(id: number): Promise<SingleEvent | undefined>;
  /** False where it is not there. */
  dropDeadLetter(id: number): Promise<boolean>;
  counts(): SpoolCounts;
  /** Lets what is under way end. */
  close(): Promise<void>;
}

/** Key of a stream in maps. No log group or stream has a colon in its name. */
export function streamKey({ logGroup, logStream, roleOf }: StreamName): string {
  return roleOf === undefined ? `${logGroup}:${logStream}` : `${logGroup}:${logStream}:${roleOf}`;
}
