import type { RedactionStatus } from './redaction/redactor.ts';

/** How one source stands. Counts are since the start of the agent. */
export interface SourceStatus {
  readonly name: string;
  /** Bytes and events read. */
  readonly bytes: number;
  readonly events: number;
  /** Files being read, or records waiting. */
  readonly items: number;
  /** Bytes that are there and not read yet. */
  readonly lagBytes: number;
  /** Events read and not in the spool yet. */
  readonly waitingEvents: number;
  /** Lines that were not UTF-8. */
  readonly escapedLines: number;
  /** Events that are a part of a line too long for one. */
  readonly splitEvents: number;
  /** Events left out by the source's filter; absent where it has none. */
  readonly filteredEvents?: number;
  /** Of files, how often no change was told and a look from time to time found one; absent of other sources. */
  readonly unannouncedChanges?: number;
  /** Why nothing can be had of it just now; absent where all is well. */
  readonly failing?: string;
}

/** Where the chain of an audit source stands in the spool. A new chain has no head before its first record is durable. */
export interface AuditChainStatus {
  readonly source: string;
  readonly chain?: string;
  /** Of the newest record, and its hash: `gatehouse audit verify --head SEQUENCE:HASH` asks for it. */
  readonly sequence?: number;
  readonly hash?: string;
  /** Records that found no room since the start. */
  readonly lost: number;
}

/** How the pipeline stands. */
export interface PipelineStatus {
  readonly sources: readonly SourceStatus[];
  readonly spool: {
    readonly batches: number;
    readonly bytes: number;
    readonly bytesMax: number;
    /** What its files take on the disk. */
    readonly fileBytes: number;
    readonly isSealed: boolean;
    /** Whether it cannot be written just now. */
    readonly isFailing: boolean;
    /** Whether something waits for room in it: sources are held back. */
    readonly isFull: boolean;
    /** Batches that could not be read any more, since the start, and their events. */
    readonly lostBatches: number;
    readonly lostEvents: number;
    /** Remains of what did not read, in the quarantine folder. */
    readonly quarantineBytes: number;
  };
  /** For how long events have waited without anything moving; absent where all is well, and in an outage. */
  readonly wedgedMs?: number;
  /** Acknowledged since the start; `bytes` as CloudWatch Logs counts them. */
  readonly sent: {
    readonly batches: number;
    readonly events: number;
    readonly bytes: number;
    readonly refused: number;
    /** Tries that failed. */
    readonly failures: number;
    /** When the last batch was taken; absent before the first. */
    readonly lastAtMs?: number;
  };
  readonly deadLetter: { readonly events: number; readonly bytes: number };
  /** Lost since the start because the spool was full; absent where sources wait instead. */
  readonly dropped?: { readonly events: number; readonly bytes: number };
  /** Moved to the dead letter since the start because they had waited too long. */
  readonly outdated?: { readonly events: number; readonly bytes: number };
  /** Streams whose next batch was not taken at the last try. */
  readonly failingStreams: number;
  /** The last error of sending, whether or not it is over. */
  readonly lastError?: { readonly code: string; readonly atMs: number };
}

/** How shipping stands: what `gatehouse status` shows of events. Plain data: it crosses from the worker as it is. */
export interface EventsStatus extends PipelineStatus {
  /** Absent where no source ships audit records. */
  readonly audit?: readonly AuditChainStatus[];
  /** The host's own secrets, taken out of what is shipped; absent where the config says that they stay. */
  readonly redaction?: RedactionStatus;
}
