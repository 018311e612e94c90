/** What CloudWatch Logs of the sandbox remembers: plain records, so that a snapshot is their JSON. */

export type LogGroupClass = 'STANDARD' | 'INFREQUENT_ACCESS' | 'ESSENTIALS' | 'DELIVERY';

export interface LogsState {
  /** By name. */
  readonly groups: Record<string, LogGroup>;
}

export interface LogGroup {
  readonly name: string;
  readonly arn: string;
  /** Milliseconds since the epoch, as every time here. */
  readonly createdAt: number;
  readonly logGroupClass: LogGroupClass;
  readonly kmsKeyId: string | undefined;
  /** Days; undefined keeps events for ever. */
  retentionInDays: number | undefined;
  deletionProtectionEnabled: boolean;
  /** Events ever accepted: each event's ordinal is this count at its arrival. */
  eventCount: number;
  storedBytes: number;
  tags: Record<string, string>;
  /** By name. */
  readonly streams: Record<string, LogStream>;
}

export interface LogStream {
  readonly name: string;
  readonly arn: string;
  readonly createdAt: number;
  eventCount: number;
  firstEventAt: number | undefined;
  lastEventAt: number | undefined;
  lastIngestionAt: number | undefined;
  /** Whether every event came no earlier than the one before, so that arrival is order. */
  inOrder: boolean;
  readonly batches: LogBatch[];
}

/**
 * The events of one PutLogEvents: the messages one after another in a single string and where each ends. Millions of
 * small strings would cost the garbage collector more than the tests that ship them.
 */
export interface LogBatch {
  /** Of the first event, among all of its group. */
  readonly firstOrdinal: number;
  /** Of the first event, among those of its stream in arrival order. */
  readonly firstPosition: number;
  readonly ingestedAt: number;
  readonly text: string;
  /** The offset in `text` at which each message ends. */
  readonly ends: readonly number[];
  readonly timestamps: readonly number[];
}

export const dayMs = 24 * 60 * 60 * 1000;

/** What is older than this has expired; undefined where nothing expires. */
export function retainedSince(group: LogGroup, now: Date): number | undefined {
  return group.retentionInDays === undefined ? undefined : now.getTime() - group.retentionInDays * dayMs;
}
